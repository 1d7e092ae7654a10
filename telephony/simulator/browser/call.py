"""A call as a web page makes it: asks for a token, talks over the socket, comes back after losing it."""

import asyncio
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec

from telephony.lines.browser import messages
from telephony.lines.browser.service import PATH
from telephony.lines.close_codes import CloseCode
from telephony.simulator.browser.stream import BrowserTalk
from telephony.simulator.identity import Identity
from telephony.simulator.phone import CLOSED, Caller, CallFailed, PhoneCall
from telephony.simulator.report import Outcome
from telephony.simulator.twilio.websocket import MOST_UNSENT, Socket

OPEN_TIMEOUT_S = 10.0
WELCOME_S = 10.0
ORDERLY = (CloseCode.NORMAL, CloseCode.GOING_AWAY, CloseCode.NO_STATUS)


class _Token(msgspec.Struct):
    token: str
    media: str = PATH


class SimulatedBrowserCall(PhoneCall):
    """One call. `url` is the server's base address."""

    def __init__(self, caller: Caller, url: str, http: httpx.AsyncClient, identity: Identity) -> None:
        super().__init__(caller, url, "")
        self._http = http
        self._identity = identity
        self._socket: Socket | None = None
        self._stream: BrowserTalk | None = None
        self._welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._dropping = False

    async def drop(self, away_s: float = 0.0) -> None:
        """Lose the socket, as on a bad network, and come back with another after `away_s`."""
        assert self._socket is not None
        assert self._stream is not None
        self._dropping = True
        self._socket.abort()
        await asyncio.sleep(away_s)
        self._dropping = False
        if not self._on:
            return
        self._socket = self._new_socket()
        await self._socket.open(self._headers(), OPEN_TIMEOUT_S)
        self._stream.resuming = True
        resume = messages.text("resume", call=self._stream.call, key=self._stream.key)
        self._socket.send([resume.encode(), *(answer.encode() for answer in self._stream.answers)])

    async def _converse(self) -> None:
        self._expect_end()
        token = await self._token()
        caller = self._caller
        talk = self._stream = BrowserTalk(caller.script, caller.clips, caller.floor, keep_audio=caller.keep_audio)
        socket = self._socket = self._new_socket()
        await socket.open(self._headers(), OPEN_TIMEOUT_S)
        socket.send([messages.text("start", token=token).encode()])
        try:
            await self._welcome(socket)
            await self._carry(talk, f"{self.report.call_sid} is connected to {self.report.url}")
        finally:
            self._socket.send([messages.text("hang_up").encode()])
            await self._socket.close()
            self.report.close_code, self.report.close_reason = self._socket.close_code, self._socket.close_reason
        if self.report.outcome is Outcome.HUNG_UP_BY_CALLER:
            return
        if self.report.outcome is not Outcome.REFUSED:
            _check_close(self._socket)
            self.report.outcome = Outcome.HUNG_UP_BY_AGENT

    async def _welcome(self, socket: Socket) -> None:
        """Wait until the call begins. Raises CallFailed where it is refused."""
        assert self._ended is not None
        either: list[asyncio.Future[Any]] = [self._welcomed, self._ended]
        await asyncio.wait(either, timeout=WELCOME_S, return_when=asyncio.FIRST_COMPLETED)
        if not self._welcomed.done():
            raise CallFailed(f"refused with {socket.close_code}: {socket.close_reason or 'no reason'}")
        assert self._stream is not None
        self.report.call_sid = self._stream.call

    async def _token(self) -> str:
        url = self._at("/browser/token")
        headers = {"Origin": self._at("")}
        if self._identity.control_token:
            headers = {"Authorization": f"Bearer {self._identity.control_token}"}
        try:
            answer = await self._http.post(url, json={}, headers=headers)
            if not answer.is_success:
                raise CallFailed(f"POST {url}: HTTP {answer.status_code}: {' '.join(answer.text.split())[:200]}")
            return msgspec.json.decode(answer.content, type=_Token).token
        except (httpx.HTTPError, httpx.InvalidURL, msgspec.DecodeError) as error:
            raise CallFailed(f"POST {url}: {error or type(error).__name__}") from error

    def _at(self, path: str) -> str:
        parts = urlsplit(self.report.url)
        return urlunsplit((parts.scheme, parts.netloc, path, "", ""))

    def _headers(self) -> dict[str, str]:
        return {"Origin": self._at("")} if not self._identity.control_token else {}

    def _new_socket(self) -> Socket:
        url = "ws" + self._at(PATH).removeprefix("http")
        return Socket(url, self._receive, self._closed, self._hear)

    @property
    def _left(self) -> bool:
        return self._socket is not None and not self._socket.is_open

    def _closed(self) -> None:
        if not self._dropping:
            self._end(CLOSED)

    def _exchange(self, now: int) -> str:
        assert self._socket is not None
        assert self._stream is not None
        self._send(self._stream.tick(now))
        return "the server reads no more from the socket" if self._socket.unsent > MOST_UNSENT else ""

    def _receive(self, message: bytes) -> None:
        if self._stream is not None:
            self._send(self._stream.text(message, self._now() if self.talk else 0))
            if self._stream.call and not self._welcomed.done():
                self._welcomed.set_result(None)

    def _hear(self, message: bytes) -> None:
        if self._stream is not None:
            self._stream.audio(message, self._now() if self.talk else 0)

    def _send(self, out: list[str | bytes]) -> None:
        assert self._socket is not None
        for message in out:
            if isinstance(message, str):
                self._socket.send([message.encode()])
            else:
                self._socket.send_audio(message)


def _check_close(socket: Socket) -> None:
    """Raises CallFailed unless the server closed the socket properly."""
    if socket.lost:
        raise CallFailed("the connection broke without a closing handshake: has the server died?")
    if socket.close_code not in ORDERLY:
        raise CallFailed(f"the server closed the socket with {socket.close_code}: {socket.close_reason or 'no reason'}")
