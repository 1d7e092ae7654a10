"""The Twilio line as a whole: its webhooks and media socket, and the check that both come from Twilio."""

import secrets
import time
from collections.abc import Container

from starlette.responses import Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket

from config.settings import Settings
from telephony.lines.admission import Admission
from telephony.lines.line import Listener
from telephony.lines.metrics import Metrics
from telephony.lines.outcomes import Outcomes
from telephony.lines.refusals import Refusals
from telephony.lines.registry import Registry
from telephony.lines.screening import Screening
from telephony.lines.stream.media_socket import MediaSocket
from telephony.lines.stream.protocol import Started
from telephony.lines.stream.stream_call import StreamCall
from telephony.lines.stream.token import Tokens
from telephony.lines.twilio.protocol import MediaStream
from telephony.lines.twilio.routes import Webhooks, target
from telephony.lines.twilio.signature import NotSigned, Signature


class TwilioService:
    """The Twilio line of one server."""

    def __init__(
        self,
        settings: Settings,
        agents: Container[str],
        calls: Registry,
        *,
        admission: Admission,
        outcomes: Outcomes,
        metrics: Metrics,
        refusals: Refusals,
        screening: Screening | None = None,
    ) -> None:
        self._settings = settings
        self._calls = calls
        self._admission = admission
        self._refusals = refusals
        self._signature = self._tokens = None
        if settings.secured:
            auth_token = settings.twilio.auth_token.get_secret_value()
            shared_keys = {name: key.get_secret_value() for name, key in settings.twilio.shared_keys.items()}
            self._signature = Signature(auth_token, settings.server.public_url, shared_keys)
            self._tokens = Tokens(secrets.token_bytes(32), settings.twilio.token_lifetime_s, time.monotonic)
        self._webhooks = Webhooks(
            settings,
            agents,
            signature=self._signature,
            tokens=self._tokens,
            admission=admission,
            outcomes=outcomes,
            metrics=metrics,
            refusals=refusals,
            is_ready=lambda: calls.is_ready,
            screening=screening,
        )

    def routes(self) -> list[BaseRoute]:
        """The webhooks, and the socket for calls' audio."""
        socket = MediaSocket(
            self._calls,
            self._refusals,
            self._settings.twilio,
            self._settings.playout,
            protocol=self._protocol,
            check=self._check,
            accept=self._accept,
        )
        return [*self._webhooks.routes(), WebSocketRoute("/twilio/media", socket.serve)]

    def _protocol(self) -> MediaStream:
        twilio = self._settings.twilio
        return MediaStream(max_message_bytes=twilio.max_message_bytes, max_gap_ms=twilio.max_gap_ms)

    def _check(self, websocket: WebSocket) -> Response | None:
        """Refuse an upgrade that Twilio has not signed."""
        if self._signature is None:
            return None
        refused = self._refusals.answer
        try:
            claim = self._signature.claim(websocket.headers)
        except NotSigned as error:
            return refused(websocket, 403, error.reason, *error.details)
        if not self._signature.upgrade(claim, target(websocket)):
            return refused(websocket, 403, "the signature of the upgrade is wrong; is server.public_url right?")
        return None

    def _accept(self, call: StreamCall, started: Started) -> Listener:
        """A stream has started: check its token and find it a place. Raises ProtocolError to refuse it."""
        if self._tokens:
            self._tokens.redeem(started.parameters.get("token", ""), started.call_id)
        call.parties = self._admission.parties(started.call_id)
        return self._calls.join(call, started.parameters.get("agent", self._settings.call.agent))
