"""One live call as one viewer follows it: what is new to them, four times a second."""

import asyncio
import time
from collections.abc import AsyncGenerator

from telephony.live.live_call import LiveCall
from telephony.live.view import AWAKE, AWAKE_S, LOOK_S, Calls, CallView, event


class Follower:
    """Of one viewer. It keeps no queue, and remembers only how far they have been told."""

    def __init__(self, call: LiveCall) -> None:
        self._call = call
        self._told = {"said": 0, "act": 0}
        self._view: CallView | None = None
        self._partial: tuple[int, str] = (0, "")
        self._turn: object = None

    async def events(self) -> AsyncGenerator[bytes, None]:
        """What is new, four times a second, and at last that the call is over."""
        quiet_s = 0.0
        while True:
            gone = self._call.gone
            news = self._news()
            if news or quiet_s >= AWAKE_S:
                quiet_s = 0.0
                yield b"".join(news) or AWAKE
            if gone:
                yield event("gone", self._call.end())
                return
            await asyncio.sleep(LOOK_S)
            quiet_s += LOOK_S

    def _news(self) -> list[bytes]:
        call, found = self._call, []
        view = call.view()
        if view != self._view:
            found.append(event("calls", Calls(round(1000 * time.time()), [view], [])))
        for turn in call.turns_since(self._told["said"]):
            found.append(event("said", turn))
        if call.partial != self._partial:
            found.append(event("words", {"utterance": call.partial[0], "text": call.partial[1]}))
        if call.latencies and call.latencies is not self._turn:
            found.append(event("turn", call.latencies))
        for act in call.acts_since(self._told["act"]):
            found.append(event("act", act))
        self._told, self._view = dict(call.counts), view
        self._partial, self._turn = call.partial, call.latencies
        return found
