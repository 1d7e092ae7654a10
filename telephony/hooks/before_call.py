"""hooks.before_call: asks which agent answers a call, with which variables, or whether nobody does."""

import logging
import secrets
from collections.abc import Container

import msgspec

from config.hooks import HooksSettings
from telephony.hooks.answers import AnswerError, verdict
from telephony.hooks.target import HookError, Target
from telephony.lines.metrics import Metrics
from telephony.lines.screening import IncomingCall, Verdict

logger = logging.getLogger("voxline.hooks")


class BeforeCall:
    """The hook of one server; `agents` holds the names of those that there are."""

    def __init__(self, settings: HooksSettings, agents: Container[str], metrics: Metrics) -> None:
        self._target = Target(settings.before_call, settings.secret)
        self._limit_s = settings.before_call_ms / 1000
        self._agents = agents
        self._outcomes = metrics.hooks

    async def ask(self, call: IncomingCall) -> Verdict:
        """See Screening. Runs in the hooks' loop."""
        delivery = f"before-{secrets.token_hex(16)}"
        extra = {"call": call.call_id, "delivery": delivery}
        try:
            said = await self._target.post(_question(call, delivery), delivery, self._limit_s)
            answer = verdict(said.body)
            if answer.agent and answer.agent not in self._agents:
                raise AnswerError(f"there is no agent {answer.agent!r}")
        except HookError as error:
            self._outcomes.labels("before_call", "failed").inc()
            logger.warning("hooks.before_call failed, and the call goes on without: %s", error, extra=extra)
        except AnswerError as error:
            self._outcomes.labels("before_call", "invalid").inc()
            logger.warning("hooks.before_call is not understood, and the call goes on: %s", error, extra=extra)
        except Exception:
            self._outcomes.labels("before_call", "failed").inc()
            logger.exception("hooks.before_call failed, and the call goes on without", extra=extra)
        else:
            self._outcomes.labels("before_call", "refused" if answer.refuse else "answered").inc()
            return answer
        return Verdict()

    async def close(self) -> None:
        """Close its connections."""
        await self._target.close()


def _question(call: IncomingCall, delivery: str) -> bytes:
    who = call.parties
    return msgspec.json.encode(
        {
            "event": "before_call",
            "id": delivery,
            "call": call.call_id,
            "line": call.line,
            "trunk": call.trunk,
            "caller": who.caller,
            "called": who.called,
            "caller_name": who.caller_name,
            "forwarded_from": who.forwarded_from,
            "verified": who.verified,
            "agent": call.agent,
        }
    )
