"""One simulated phone call: asks the webhook as Twilio does, talks over the socket, follows what comes after it.

Nothing here raises for what the agent's side does: whatever goes wrong on the line stands in the report.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urljoin

import httpx
import msgspec
from websockets.exceptions import InvalidURI

from telephony.audio import g711
from telephony.caller import twiml
from telephony.caller.clip import Clip, Speak, line_noise, render
from telephony.caller.measure import measure
from telephony.caller.messages import StreamMessages, new_sid
from telephony.caller.narrator import Narrator
from telephony.caller.recording import write_recording
from telephony.caller.report import CallReport, Outcome
from telephony.caller.script import Script
from telephony.caller.stream import CallerStream
from telephony.caller.ticker import Ticker
from telephony.caller.webhooks import CallFailed, Webhooks, new_client, webhook_of
from telephony.caller.websocket import MOST_UNSENT, Socket, SocketError

OPEN_TIMEOUT_S = 10.0
MOST_DOCUMENTS = 10  # TwiML documents in one call
ORDERLY = (1000, 1001, 1005)  # close codes after which the call goes on


async def run_call(
    url: str,
    script: Script,
    *,
    speak: Speak,
    auth_token: str | None = None,
    out: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    from_: str = "+15550001111",
    to: str = "+15550002222",
    public_url: str | None = None,
) -> CallReport:
    """Make one call and report it.

    `url` is the server's base address, its voice webhook, or (ws:// or wss://) its media socket itself. `speak`
    gives the caller its voice. `auth_token` signs every request, over `public_url` where the server is known to
    Twilio by another address. `out` is a folder that gets `call.wav` (stereo, 8 kHz: caller left, agent right,
    on one time axis) and `report.json`. `on_line` is told the call as it happens.

    Raises ScriptError when a sound of the script cannot be made, and SettingsError for an address that is none.
    """
    webhook = webhook_of(url)
    clips = await asyncio.to_thread(render, script, speak)
    async with new_client() as http:
        call = PhoneCall(
            webhook,
            script,
            clips,
            line_noise(script.noise_floor_dbfs),
            http=http,
            ticker=Ticker(),
            auth_token=auth_token,
            keep_audio=out is not None,
            on_line=on_line,
            from_=from_,
            to=to,
            public_url=public_url,
        )
        report = await call.run()
    if out is not None:
        await asyncio.to_thread(_write, out, call, report)
    return report


def _write(out: Path, call: "PhoneCall", report: CallReport) -> None:
    out.mkdir(parents=True, exist_ok=True)
    if call.stream is not None:
        report.recording = str(out / "call.wav")
        write_recording(out / "call.wav", call.stream)
    (out / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))


class PhoneCall:
    """One call. `run` is awaited once; then `stream` holds the record, if there was one."""

    def __init__(
        self,
        url: str,
        script: Script,
        clips: Sequence[Clip | None],
        floor: Sequence[bytes],
        *,
        http: httpx.AsyncClient,
        ticker: Ticker,
        auth_token: str | None = None,
        keep_audio: bool = False,
        on_line: Callable[[str], None] | None = None,
        from_: str = "+15550001111",
        to: str = "+15550002222",
        public_url: str | None = None,
    ) -> None:
        self.stream: CallerStream | None = None
        self.report = CallReport(
            script=script.name,
            url=url,
            call_sid=new_sid("CA"),
            expected=script.expect or "",
            steps=len(script.steps) * script.repeat,
        )
        self._script, self._clips, self._floor = script, clips, floor
        self._ticker, self._keep_audio, self._on_line = ticker, keep_audio, on_line
        self._account = new_sid("AC")
        identity = {
            "CallSid": self.report.call_sid,
            "AccountSid": self._account,
            "From": from_,
            "To": to,
            "Caller": from_,
            "Called": to,
            "Direction": "inbound",
            "ApiVersion": "2010-04-01",
        }
        self._webhooks = Webhooks(url, http, identity=identity, auth_token=auth_token, public_url=public_url)
        self._ended: asyncio.Future[str] | None = None
        self._socket: Socket | None = None
        self._narrator: Narrator | None = None
        self._origin = 0.0

    def hang_up(self) -> None:
        """The caller hangs up now, wherever the script stands: no fault of the agent."""
        self.report.cut_short = True
        self._end("hung up")

    async def run(self) -> CallReport:
        """Make the call."""
        try:
            await self._converse()
        except (CallFailed, SocketError) as error:
            self.report.outcome, self.report.error = Outcome.FAILED, str(error)
        if not self.report.url.startswith("ws"):
            try:
                await self._webhooks.completed(round(self.report.duration_ms / 1000))
            except CallFailed as error:
                self.report.notes.append(f"status callback: {error}")
        self._tell(f"{self._clock():7.2f}  line   ▸ {self.report.outcome} {self.report.error}".rstrip())
        return self.report

    async def _converse(self) -> None:
        url = self.report.url
        if url.startswith("ws"):
            await self._perform([twiml.Stream(url=url, parameters={})], url)
            return
        following: str | None = self._webhooks.voice_url
        status = "ringing"
        for _ in range(MOST_DOCUMENTS):
            assert following is not None
            verbs = await self._webhooks.fetch(following, status)
            following, status = await self._perform(verbs, following), "in-progress"
            if following is None:
                return
        raise CallFailed(f"more than {MOST_DOCUMENTS} TwiML documents in one call")

    async def _perform(self, verbs: Sequence[twiml.Verb], url: str) -> str | None:
        """Do what the TwiML says; returns where it goes on, or None when the call is over."""
        for verb in verbs:
            match verb:
                case twiml.Stream():
                    await self._talk(verb)
                    if self.report.outcome is Outcome.HUNG_UP_BY_CALLER:
                        return None
                    if verb.action:
                        return urljoin(url, verb.action)
                case twiml.Say():
                    self.report.said_by_line.append(verb.text)
                    self._tell(f"{self._clock():7.2f}  line   ▸ says: {verb.text}")
                case twiml.Dial():
                    self.report.outcome, self.report.transferred_to = Outcome.TRANSFERRED, verb.number
                    return None
                case twiml.Redirect():
                    return urljoin(url, verb.url)
                case twiml.Reject():
                    self.report.outcome = Outcome.REFUSED
                    self.report.notes.append(f"rejected: {verb.reason}")
                    return None
                case twiml.Hangup():
                    break
                case twiml.Other():
                    self.report.notes.append(f"<{verb.name}> is not done by this caller")
        self.report.outcome = Outcome.REFUSED if self.stream is None else Outcome.HUNG_UP_BY_AGENT
        return None

    async def _talk(self, verb: twiml.Stream) -> None:
        """Go through the script over the socket. Raises CallFailed or SocketError."""
        self._ended = asyncio.get_running_loop().create_future()
        messages = StreamMessages(call_sid=self.report.call_sid, account_sid=self._account)
        stream = CallerStream(self._script, self._clips, self._floor, messages, keep_audio=self._keep_audio)
        try:
            self._socket = Socket(self._webhooks.local(verb.url), self._receive, self._closed)
        except (InvalidURI, ValueError) as error:
            raise CallFailed(f"{verb.url}: {error}") from error
        await self._socket.open(self._webhooks.sign(verb.url, {}) | {"User-Agent": "Twilio.TmeWs/1.0"}, OPEN_TIMEOUT_S)
        self.stream, self._origin = stream, self._ticker.clock()
        self._narrator = Narrator(stream, self._script.quiet_ms) if self._on_line else None
        self._tell(f"{0:7.2f}  line   ▸ {self.report.call_sid} is connected to {verb.url}")
        self._socket.send(stream.open(verb.parameters))
        member = self._ticker.add(self._tick, self._origin)
        if self.report.cut_short:  # hung up while it still rang
            self._end("hung up")
        try:
            async with asyncio.timeout(self._script.longest_call_s):
                why = await self._ended
        except TimeoutError:
            why = f"the call was not over after {self._script.longest_call_s} s"
        finally:
            self._ticker.remove(member)
            self._finish(stream)
            if self._socket.is_open:
                self._socket.send(stream.stop())
                await self._socket.close()
        self._judge(why)

    def _now(self) -> int:
        return int((self._ticker.clock() - self._origin) * g711.RATE)

    def _clock(self) -> float:
        """Seconds on the line, for the narration."""
        return self._now() / g711.RATE if self.stream is not None else 0.0

    def _tick(self, _: float) -> None:
        stream, socket = self.stream, self._socket
        assert stream is not None
        assert socket is not None
        assert self._ended is not None
        if self._ended.done():
            return  # the end is dealt with when its turn comes, which may take a while among many calls
        now = self._now()
        socket.send(stream.tick(now))
        if self._narrator is not None:
            for line in self._narrator.look(now):
                self._tell(line)
        if stream.over:
            self._end(stream.performer.error or "hung up")
        elif socket.unsent > MOST_UNSENT:
            self._end("the server reads no more from the socket")

    def _receive(self, message: bytes) -> None:
        if self.stream is not None and self._socket is not None and self._ended is not None and not self._ended.done():
            self._socket.send(self.stream.receive(message, self._now()))

    def _closed(self) -> None:
        self._end("closed")

    def _end(self, why: str) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(why)

    def _finish(self, stream: CallerStream) -> None:
        now = self._now()
        stream.end(now)
        if self._socket is not None and not self._socket.is_open:
            stream.performer.agent_left()
        measure(self.report, stream, now)
        if self._narrator is not None:
            for line in self._narrator.look(now, over=True):
                self._tell(line)

    def _judge(self, why: str) -> None:
        """Why did the stream end? Raises CallFailed unless that was in order."""
        socket = self._socket
        assert socket is not None
        self.report.close_code, self.report.close_reason = socket.close_code, socket.close_reason
        if why == "hung up":
            self.report.outcome = Outcome.HUNG_UP_BY_CALLER
        elif why != "closed":
            raise CallFailed(why)
        elif socket.lost:
            raise CallFailed("the connection broke without a closing handshake: has the server died?")
        elif socket.close_code not in ORDERLY:
            raise CallFailed(
                f"the server closed the socket with {socket.close_code}: {socket.close_reason or 'no reason'}"
            )

    def _tell(self, line: str) -> None:
        if self._on_line is not None:
            self._on_line(line)
