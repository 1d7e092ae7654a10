"""The tests that every telephone goes through. Each speaks a file, its microphone, and records what it hears."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from statistics import median
from typing import Protocol

from agent.engine.base import Engine
from telephony.lines.sip.call import SipCall
from telephony.server.app import App
from tests.telephony.lines.sip.clients.baresip import microphone
from tests.telephony.lines.sip.clients.local import HOST, certificate
from tests.telephony.lines.sip.clients.notes import singing
from tests.telephony.lines.sip.phone import likenesses, over, server
from tests.telephony.lines.sip.test_attended_transfer import Operator, agents_with, over_with, results
from tests.telephony.lines.sip.test_baresip import spoken
from tests.telephony.lines.sip.test_called import dial, state
from tests.waiting import until

HOLD_S = 30
TIMEOUT_S = 150
ALIKE = 0.9
TRY_S = 0.5  # between checks of what was heard
SAID, HEARD = 2 * 16_000, 10 * 16_000  # bytes that are compared
WAIT_S = 25
KEY_S = 3  # for a key; then it is lost


class Telephone(Protocol):
    """A third-party telephone, in at most one call."""

    user: str
    port: int  # where to call it; it answers at once

    async def dial(self, uri: str) -> None: ...
    async def established(self) -> None: ...
    async def hold(self) -> None: ...
    async def retrieve(self) -> None: ...
    async def press(self, key: str) -> None: ...
    async def hears_key(self, key: str) -> None: ...
    async def hang_up(self) -> None: ...
    def heard(self) -> bytes: ...


Running = Callable[..., AbstractAsyncContextManager[Telephone]]


class Audio:
    """The audio of a test's lines, both ways."""

    def __init__(self, sent: list[bytes], heard: list[bytes], pressed: list[str]) -> None:
        self.sent, self.heard, self.pressed = sent, heard, pressed


def saying(text: str, every_ms: int = 4000, until_ms: int = 60_000) -> tuple[bytes, bytes]:
    """A microphone that says something every few seconds, and what it says."""
    words = spoken(text)
    return microphone(until_ms, *((at, words) for at in range(3000, until_ms - 3000, every_ms))), words


async def alike(said: Callable[[], bytes], heard: Callable[[], bytes]) -> None:
    """Wait until what one side said has been heard by the other, of late."""
    best = 0.0
    try:
        async with asyncio.timeout(WAIT_S):
            while best < ALIKE:
                await asyncio.sleep(TRY_S)
                pieces = await asyncio.to_thread(likenesses, said()[-SAID:], heard()[-HEARD:])
                best = median(pieces or [0.0])
    except TimeoutError:
        raise AssertionError(f"what was heard is not what was said: {pieces}") from None


def uri(app: App, transport: str = "UDP") -> str:
    """The address to call us at."""
    assert app.sip
    return f"sip:1000@{HOST}:{app.sip.ports[transport]};transport={transport.lower()}"


def address(phone: Telephone) -> str:
    """The address to call it at."""
    return f"sip:{phone.user}@{HOST}:{phone.port}"


def line_of(app: App) -> SipCall:
    (line,) = app.calls
    assert isinstance(line, SipCall)
    return line


async def speech_both_ways(running: Running, audio: Audio, folder: Path) -> None:
    """It calls, and each side hears the other."""
    mouth, words = saying("Good morning to you.")
    async with server(singing()) as app, running(folder / "one", mouth) as one:
        await one.dial(uri(app))
        await alike(lambda: b"".join(audio.sent)[:25_600], one.heard)
        await alike(lambda: words, lambda: b"".join(audio.heard))
        await one.hang_up()
        await over(app)


async def encrypted(running: Running, audio: Audio, folder: Path) -> None:
    """The same by TLS and SRTP."""
    cert = certificate(folder)
    mouth, words = saying("Good morning to you.")
    tls = {"sip__tls_cert": str(cert), "sip__tls_key": str(cert), "sip__transports": ["tls"], "sip__tls_port": 0}
    async with server(singing(), **tls, sip__srtp="required") as app, running(folder / "one", mouth, cert) as one:
        await one.dial(uri(app, "TLS"))
        line = line_of(app)
        assert line.media
        assert line.media.srtp
        await alike(lambda: b"".join(audio.sent)[:25_600], one.heard)
        await alike(lambda: words, lambda: b"".join(audio.heard))
        await one.hang_up()
        await over(app)


async def press(one: Telephone, key: str, audio: Audio, tries: int) -> None:
    """Press a key until it arrives."""
    for left in reversed(range(tries)):
        await one.press(key)
        try:
            await until(lambda: key in audio.pressed, KEY_S if left else WAIT_S)
        except TimeoutError:
            if not left:
                raise
        else:
            return


async def keys(running: Running, audio: Audio, folder: Path, *, ours: bool = True, tries: int = 1) -> None:
    """Each key press counts once, and ours are heard if possible. A telephone that loses keys before they are on the
    wire gets several `tries`."""
    mouth, _ = saying("Good morning.")
    async with server(singing()) as app, running(folder / "one", mouth) as one:
        await one.dial(uri(app))
        await until(lambda: audio.heard)
        for key in "15#":
            await press(one, key, audio, tries)
        line = line_of(app)
        assert line.media
        for key in "7*" if ours else "":
            line.media.press(key)
            await one.hears_key(key)
        await one.hang_up()
        await over(app)
    assert audio.pressed == ["1", "5", "#"]


def replies(app: App) -> dict[str, float]:
    """What the agent has said, by its cue."""
    samples = (s for metric in app.metrics.replies.collect() for s in metric.samples)
    return {s.labels["cue"]: s.value for s in samples if s.name.endswith("_total")}


async def hold(running: Running, audio: Audio, folder: Path, *, recorded: bool = True) -> None:
    """On hold for half a minute, with announcements: the agent neither listens, reprompts nor gives up. Afterwards the
    telephone hears speech, or a key if it records no more speech."""
    mouth, _ = saying("Please hold the line.", 6000, 90_000)
    async with server(singing(3)) as app, running(folder / "one", mouth) as one:
        await one.dial(uri(app))
        await until(lambda: replies(app).get("answer"))
        line = line_of(app)
        assert line.media
        await one.hold()
        before, sent = replies(app), line.media.counters.sent
        await asyncio.sleep(HOLD_S)
        assert line.media.counters.sent - sent <= 1
        assert replies(app) == before
        await one.retrieve()
        said = len(audio.sent)
        await until(lambda: replies(app)["answer"] > before["answer"])
        if recorded:
            await alike(lambda: b"".join(audio.sent[said:]), one.heard)
        else:
            line.media.press("7")
            await one.hears_key("7")
        await one.hang_up()
        await over(app)
        assert line.ending.end
        assert line.ending.end.reason == "the caller hung up"


async def cold_transfer(running: Running, audio: Audio, folder: Path) -> None:
    """It follows REFER, and it and the transfer target hear each other."""
    mouth, words = saying("Good morning to you.")
    async with server(singing()) as colleague, server(singing()) as app, running(folder / "one", mouth) as one:
        await one.dial(uri(app))
        await until(lambda: audio.heard)
        line_of(app).transfer(uri(colleague))
        await over(app)
        assert 'voxline_calls_total{outcome="transfer"} 1.0' in app.metrics.exposition().decode()
        await until(lambda: colleague.calls)
        said, heard = len(audio.sent), len(audio.heard)
        await alike(lambda: words, lambda: b"".join(audio.heard[heard:]))
        await alike(lambda: b"".join(audio.sent[said:])[:25_600], one.heard)
        await one.hang_up()
        await over(colleague)


async def attended_transfer(running: Running, audio: Audio, folder: Path, person: Running | None = None) -> None:
    """The transfer target, another such telephone or a `person`, answers; the two are connected (Replaces), and hear
    each other."""
    mouth, words = saying("Good morning to you.")
    other_mouth, other_words = saying("What can I do for you?", 5000)
    async with running(folder / "one", mouth) as one, (person or running)(folder / "other", other_mouth) as other:
        agents = agents_with(folder / "agents", address(other))
        engine = Engine(Operator("reception"), singing().synthesizer)  # type: ignore[arg-type]
        async with server(engine, sip__transfer="attended", agents=agents) as app:
            await one.dial(uri(app))
            await over_with(app)
            assert results(app) == {"connected": 1}
            await alike(lambda: words, other.heard)
            await alike(lambda: other_words, one.heard)
            await one.hang_up()


async def called(running: Running, audio: Audio, folder: Path) -> None:
    """We call it; it answers, and hangs up."""
    mouth, words = saying("Good morning to you.")
    async with server(singing()) as app, running(folder / "one", mouth) as one:
        call = dial(app, address(one))
        await one.established()
        await state(call, "answered")
        await alike(lambda: b"".join(audio.sent)[:25_600], one.heard)
        await alike(lambda: words, lambda: b"".join(audio.heard))
        await one.hang_up()
        await state(call, "ended")
        assert (call.outcome, call.reason) == ("hangup", "the called party hung up")
        await over(app)
