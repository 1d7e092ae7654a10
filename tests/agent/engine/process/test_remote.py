"""The models in a process of their own: the same protocols, and what becomes of requests when that process dies."""

import asyncio
import gc
import json
import logging
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import pytest_asyncio
import uvloop

from agent.engine.base import (
    Cue,
    Done,
    Engine,
    Expect,
    Meaning,
    ModelEvent,
    Recognizer,
    ReplyRequest,
    SpeakRequest,
    SpeechBlock,
    Text,
    Transcript,
    Turn,
    Word,
)
from agent.engine.process import child as lives
from agent.engine.process import protocol
from agent.engine.process.child import Limits
from agent.engine.process.remote import RemoteModel, in_process, parts_of
from agent.engine.profiles import build_models
from agent.exceptions import EngineError
from config.agent import load_agents
from config.engine import EngineSettings
from config.logging import configure_logging
from config.settings import LogSettings
from tests.agent.engine import remote_parts

ROOT = Path(__file__).parents[4]
SECONDS = 20  # on a busy machine
SETTINGS = EngineSettings(profile="gpu")
QUICK = Limits(back_off_s=0.01)

SHARED: set[int] = set()  # processes, by their ids, that no test has to account for
shared = pytest.mark.asyncio(loop_scope="module")  # for tests that one child process serves in turn


@pytest.fixture(autouse=True, scope="module")
def _parts() -> Iterator[None]:
    """The child finds the tests' engines; processes that were there before are not ours."""
    SHARED.update(children())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        yield


def build(factory: str = "build", limits: Limits = QUICK, settings: EngineSettings = SETTINGS) -> Engine:
    return in_process(settings, {}, factory=f"tests.agent.engine.remote_parts.{factory}", limits=limits)


@asynccontextmanager
async def running(factory: str = "build", limits: Limits = QUICK) -> AsyncIterator[Engine]:
    engine = build(factory, limits)
    try:
        async with asyncio.timeout(SECONDS):
            for part in engine.parts():
                await part.load()
        yield engine
    finally:
        for part in engine.parts():
            await part.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[Engine]:
    async with running() as engine:
        SHARED.add(await pid_of(engine))
        yield engine


def request(words: str, name: str = "r", **more: Any) -> ReplyRequest:
    return ReplyRequest(name, "CA1", "desk", Cue.ANSWER, words, **more)


def reply(engine: Engine, words: str, name: str = "r") -> AsyncGenerator[ModelEvent, None]:
    return engine.model.reply(request(words, name))


async def said(engine: Engine, words: str, name: str = "r") -> str:
    """What the model answers, in words."""
    async with asyncio.timeout(SECONDS):
        return " ".join([event.text async for event in reply(engine, words, name) if isinstance(event, Text)])


async def pid_of(engine: Engine) -> int:
    return int(await said(engine, "pid"))


def ears(engine: Engine) -> Recognizer:
    assert engine.recognizer
    return engine.recognizer


def children() -> list[int]:
    """Child processes, dead or alive, but for those that tests share."""
    return [child.pid for child in psutil.Process().children() if child.pid not in SHARED]


async def turns(until: Callable[[], object]) -> None:
    """Lets the event loop turn until something holds that nobody tells of."""
    while not until():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def delays(caplog: pytest.LogCaptureFixture) -> list[float]:
    """Before each further attempt, as logged."""
    return [record.again_in_s for record in caplog.records if hasattr(record, "again_in_s")]


# What the engine is


@pytest.mark.parametrize(
    "values",
    [
        {"profile": "gpu"},
        {"profile": "gpu", "voxtral": {"transcripts": "off"}},
        {"profile": "gpu", "voxtral": {"transcripts": "realtime"}},
        {"profile": "cascade"},
        {"profile": "cascade", "cascade": {"recognizer": "embedded", "synthesizer": "embedded"}},
        {"profile": "openai"},
        {"profile": "openai", "openai": {"audio": False}},
    ],
    ids=str,
)
def test_its_parts_are_those_of_the_models(values: dict[str, Any]) -> None:
    settings = EngineSettings.model_validate(values)
    engine = in_process(settings, {})
    try:
        models = build_models(settings, {})
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not installed")
    assert (engine.recognizer is None, engine.transcribes_in_background) == (
        models.recognizer is None,
        models.transcribes_in_background,
    )


@pytest.mark.parametrize("profile", ["embedded", "simulated"])
def test_profiles_without_models_are_refused(profile: str) -> None:
    settings = EngineSettings.model_validate({"profile": profile})
    with pytest.raises(EngineError, match=f"'{profile}' has no models"):
        parts_of(settings)


def test_the_servers_process_imports_no_models() -> None:
    code = (
        "import sys; from agent.engine.process.remote import in_process; from config.engine import EngineSettings; "
        "in_process(EngineSettings(profile='gpu'), {}); "
        "print({'torch', 'transformers', 'kokoro', 'agent.engine.voxtral'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=SECONDS)
    assert done.stdout == "set()\n"


# The protocols


@shared
async def test_events_come_as_the_model_made_them(engine: Engine) -> None:
    assert [event async for event in reply(engine, "everything")] == [*remote_parts.ALL, Done()]


@shared
async def test_requests_come_as_they_were_made(engine: Engine) -> None:
    made = request("request", audio=bytes(range(256)), history=(Turn("agent", "…"),), state={"a": [1, None]})
    [text, _] = [event async for event in engine.model.reply(made)]
    assert text == Text(repr(made))


@shared
async def test_speech_comes_to_the_bit(engine: Engine) -> None:
    pieces = [piece async for piece in engine.synthesizer.speak(SpeakRequest("s", "one two"))]
    assert [piece.words for piece in pieces] == [(Word("one", 0.5, 50),), (Word("two", 0.5, 50),)]
    for number, piece in enumerate(pieces):
        assert piece.rate == remote_parts.RATE
        assert np.array_equal(piece.audio, np.arange(number, number + remote_parts.RATE // 20, dtype=np.float32))


@shared
async def test_an_utterance_is_heard(engine: Engine) -> None:
    block = SpeechBlock("u1", "c", "desk", b"\0" * 320, Expect.DIGITS)
    partial = Transcript("320", meaning=Meaning.TURN, complete=False)
    assert await ears(engine).hear(block) == partial
    assert (await ears(engine).hear(block)).text == "640"
    assert await ears(engine).finish("u1") == Transcript("640", final=True)
    assert await ears(engine).finish("u1") == Transcript("0", final=True)
    with pytest.raises(EngineError, match="never heard"):
        await ears(engine).finish("unheard of")


@shared
async def test_one_on_a_wide_band_line_is_heard_at_16_khz(engine: Engine) -> None:
    block = SpeechBlock("u3", "c", "desk", b"\0" * 320, wide=b"\0" * 640)
    assert (await ears(engine).hear(block)).text == "640"
    assert (await ears(engine).finish("u3")).text == "640"


@shared
async def test_a_cancelled_utterance_is_forgotten(engine: Engine) -> None:
    hearing = asyncio.create_task(ears(engine).hear(SpeechBlock("u2", "c", "desk", b"\0" * 320)))
    await asyncio.sleep(0)  # it is on its way
    ears(engine).cancel("u2")
    await hearing
    assert (await ears(engine).finish("u2")).text == "0"


@shared
async def test_streams_go_on_side_by_side(engine: Engine) -> None:
    async with aclosing(reply(engine, "wait a sign", "r1")) as first:
        assert await anext(first) == Text("waiting")
        assert await said(engine, "count 100", "r2") == " ".join(map(str, range(1, 101)))
        assert await said(engine, "tell a sign", "r3") == "told"
        assert [event async for event in first] == [Text("over"), Done()]


@shared
async def test_many_streams_at_once_keep_their_order(engine: Engine) -> None:
    wanted = " ".join(map(str, range(1, 101)))
    assert await asyncio.gather(*(said(engine, "count 100", f"r{n}") for n in range(64))) == [wanted] * 64


@shared
async def test_a_cancel_reaches_the_part(engine: Engine) -> None:
    engine.model.cancel("r7")
    engine.synthesizer.cancel("s7")
    ears(engine).cancel("u7")
    for name in ("r7", "s7", "u7"):
        assert await said(engine, f"wait cancelled {name}") == "waiting over"


@shared
async def test_who_stops_reading_stops_the_model(engine: Engine) -> None:
    async with aclosing(reply(engine, "wait forever", "r8")) as events:
        await anext(events)
    assert await said(engine, "wait closed r8") == "waiting over"
    others = reply(engine, "wait forever", "r9")
    await anext(others)
    task = asyncio.create_task(anext(others))  # type: ignore[arg-type]
    await said(engine, "count 1")
    task.cancel()  # as when a call's task ends in the midst of it
    assert await said(engine, "wait closed r9") == "waiting over"
    assert task.cancelled()


@shared
async def test_a_reply_that_nobody_reads_is_never_asked_for(engine: Engine) -> None:
    await reply(engine, "tell a secret").aclose()
    waiting = asyncio.create_task(said(engine, "wait a secret"))
    await said(engine, "count 1")
    assert not waiting.done()
    waiting.cancel()


@shared
async def test_a_slow_reader_holds_up_nobody_and_fills_no_memory(engine: Engine) -> None:
    async with aclosing(reply(engine, "count 1000", "slow")) as events:
        assert await anext(events) == Text("1")
        # It waits in the child's hands with one more than the window; an item that was taken makes room in batches.
        assert int(await said(engine, "made_so_far")) == protocol.WINDOW + 1
        assert [event async for event in engine.synthesizer.speak(SpeakRequest("s", "word"))]
        assert int(await said(engine, "made_so_far")) == protocol.WINDOW + 1
        rest = [event async for event in events]
    assert rest == [*(Text(str(n)) for n in range(2, 1001)), Done()]


@shared
@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("fail", "no more room for tokens: lower engine.voxtral.slots"),
        ("bug", "the engine failed: ValueError('a bug')"),
        ("cancelled", "the request was cancelled"),
        ("object", "Said cannot be sent to another process, only plain data can: object is none"),
        (f"large {protocol.MAX_FRAME}", "Said of 16777244 bytes: at most 16777216 go between processes"),
    ],
)
async def test_errors_end_their_own_stream_only(engine: Engine, command: str, message: str) -> None:
    async with aclosing(reply(engine, f"wait after {command}", "other")) as other:
        await anext(other)
        with pytest.raises(EngineError) as error:
            await said(engine, command)
        assert str(error.value) == message
        await said(engine, f"tell after {command}")
        assert [event async for event in other] == [Text("over"), Done()]


@shared
async def test_a_request_that_cannot_travel_is_refused(engine: Engine) -> None:
    with pytest.raises(EngineError, match="Reply cannot be sent to another process"):
        await anext(engine.model.reply(request("count 1", state={"a": object()})))
    with pytest.raises(EngineError, match=r"Reply of \d+ bytes"):
        await anext(engine.model.reply(request("count 1", audio=bytes(protocol.MAX_FRAME))))
    assert await said(engine, "count 1") == "1"


@shared
async def test_requests_do_not_pile_up_before_a_child_that_does_not_read(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lives, "MAX_WAITING", 1 << 20)
    pid = await pid_of(engine)
    os.kill(pid, signal.SIGSTOP)
    try:
        heavy = [asyncio.create_task(_reply_to(engine, bytes(500_000))) for _ in range(8)]
        async with asyncio.timeout(SECONDS):
            done, waiting = await asyncio.wait(heavy, return_when=asyncio.FIRST_COMPLETED)
        assert all("too slow" in str(task.exception()) for task in done)
    finally:
        os.kill(pid, signal.SIGCONT)
    async with asyncio.timeout(SECONDS):
        assert [len(events) for events in await asyncio.gather(*waiting)] == [2] * len(waiting)


async def _reply_to(engine: Engine, audio: bytes) -> list[ModelEvent]:
    return [event async for event in engine.model.reply(request("count 1", audio=audio))]


async def test_a_real_engine_says_the_same_in_either_process() -> None:
    agents = load_agents(ROOT / "config" / "agents")
    there = in_process(SETTINGS, agents, factory="tests.agent.engine.remote_parts.build_embedded")
    here = remote_parts.build_embedded(SETTINGS, agents)
    greeting = ReplyRequest("r", "CA1", "front_desk", Cue.GREET)
    async with asyncio.timeout(SECONDS):
        for part in (*there.parts(), *here.parts()):
            await part.load()
        events, same = [[event async for event in engine.model.reply(greeting)] for engine in (there, here)]
        assert events == same
        text = SpeakRequest("s", "".join(event.text for event in events if isinstance(event, Text)))
        [speech], [other] = [[piece async for piece in engine.synthesizer.speak(text)] for engine in (there, here)]
        for part in (*there.parts(), *here.parts()):
            await part.close()
    assert (speech.rate, speech.audio.dtype) == (other.rate, other.audio.dtype)
    assert len(speech.audio) == pytest.approx(len(other.audio), rel=0.01)  # espeak's noise depends on what came before
    assert np.abs(speech.audio).max() == pytest.approx(0.7)
    assert [word.text for word in speech.words] == [word.text for word in other.words] == text.text.split()


async def greeting_of(engine: Engine, name: str) -> str:
    events = engine.model.reply(ReplyRequest("r", "CA1", name, Cue.GREET))
    return "".join([event.text async for event in events if isinstance(event, Text)])


async def test_the_child_learns_further_agents_and_still_knows_them_in_its_next_life() -> None:
    desk = load_agents(ROOT / "config" / "agents")["front_desk"]
    engine = in_process(
        SETTINGS, {"desk": desk}, factory="tests.agent.engine.remote_parts.build_embedded", limits=QUICK
    )
    async with asyncio.timeout(SECONDS):
        for part in engine.parts():
            await part.load()
        with pytest.raises(EngineError, match="has no `dialogue`"):
            await greeting_of(engine, "desk#2")
        await engine.learn({"desk#2": desk})
        assert await greeting_of(engine, "desk#2") == await greeting_of(engine, "desk")
        [child] = children()
        psutil.Process(child).kill()
        await turns(lambda: not engine.model.ready)  # type: ignore[attr-defined]
        await engine.model.load()
        assert await greeting_of(engine, "desk#2")
        engine.forget(["desk#2"])
        with pytest.raises(EngineError, match="has no `dialogue`"):
            await greeting_of(engine, "desk#2")
        assert await greeting_of(engine, "desk")
        for part in engine.parts():
            await part.close()


@shared
async def test_what_the_child_cannot_learn_is_an_error(engine: Engine) -> None:
    with pytest.raises(EngineError, match="the engine failed"):
        await engine.learners[0].learn({"desk#2": Unknown()})  # type: ignore[dict-item]
    engine.forget(["desk#2"])


class Unknown:
    """No agent: it does not even come out of its pickle."""

    def __reduce__(self) -> Any:
        return len, (5,)


# Its lives


async def test_a_killed_child_costs_its_requests_and_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as engine:
        assert isinstance(engine.model, RemoteModel)
        assert engine.model.ready
        pid = await pid_of(engine)
        first, second = reply(engine, "wait forever", "r1"), reply(engine, "wait forever", "r2")
        await anext(first)
        await anext(second)
        hearing = asyncio.create_task(said(engine, "wait for godot"))
        await said(engine, "count 1")
        os.kill(pid, signal.SIGKILL)
        for waiting in (anext(first), anext(second), hearing):
            with pytest.raises(EngineError, match=r"^the engine's process died \(signal 9\): .*started again"):
                async with asyncio.timeout(SECONDS):
                    await waiting
        assert not engine.model.ready
        with pytest.raises(EngineError, match=r"died \(signal 9\)"):
            await said(engine, "count 1")
        with pytest.raises(EngineError, match=r"died \(signal 9\)"):
            await ears(engine).finish("u1")
        engine.model.cancel("r1")  # and nothing happens
        async with asyncio.timeout(SECONDS):
            await engine.model.load()
        assert engine.model.ready
        assert await pid_of(engine) != pid
        assert await said(engine, "count 3") == "1 2 3"
    [line] = [record for record in caplog.records if record.name == "voxline.engine.remote"]
    assert "died (signal 9)" in line.message
    assert (line.pid, line.again_in_s) == (pid, QUICK.back_off_s)  # type: ignore[attr-defined]


async def test_a_child_that_ends_itself_is_dead_too() -> None:
    async with running() as engine:
        with pytest.raises(EngineError, match=r"died \(status 7\)"):
            await said(engine, "die")


@pytest.mark.parametrize("way", ["hangs", "is stopped"])
async def test_a_child_that_hangs_is_killed_and_started_again(way: str) -> None:
    limits = Limits(ping_s=0.1, silent=10, back_off_s=0.01)
    async with running(limits=limits) as engine:
        pid = await pid_of(engine)
        other = reply(engine, "wait forever")
        await anext(other)
        if way == "hangs":
            await anext(reply(engine, "block"))
        else:
            os.kill(pid, signal.SIGSTOP)
        with pytest.raises(EngineError, match=r"did not answer for 1 s"):
            async with asyncio.timeout(SECONDS):
                await anext(other)
        async with asyncio.timeout(SECONDS):
            await engine.model.load()
        assert await pid_of(engine) != pid
        assert not psutil.pid_exists(pid)


async def test_a_child_that_hangs_while_it_loads_is_killed() -> None:
    engine = build("build_hung", Limits(ping_s=0.1, silent_loading=20))
    with pytest.raises(EngineError, match="did not answer for 2 s"):
        async with asyncio.timeout(SECONDS):
            await engine.model.load()
    await engine.model.close()
    assert children() == []


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("build_unloadable", "^no weights in /models: put them there$"),
        ("build_deadly", r"^the engine's process died \(status 3\)"),
        ("build_without_ears", "^the engine's process has built other parts than"),
    ],
)
async def test_why_it_cannot_load_is_told(factory: str, message: str) -> None:
    engine = build(factory, Limits())
    for part in engine.parts():  # the first attempt is the answer to all of them
        with pytest.raises(EngineError, match=message):
            async with asyncio.timeout(SECONDS):
                await part.load()
    with pytest.raises(EngineError, match=message):
        await said(engine, "count 1")
    assert children() == []
    await engine.model.close()


async def test_a_child_that_could_not_load_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    weights = tmp_path / "weights"
    settings = EngineSettings.model_validate({"profile": "gpu", "voxtral": {"model": str(weights)}})
    engine = build("build_late", Limits(back_off_s=0.01, longest_back_off_s=0.02), settings)
    with pytest.raises(EngineError, match="not yet"):
        await engine.model.load()
    async with asyncio.timeout(3 * SECONDS):
        await turns(lambda: len(delays(caplog)) == 3)
        weights.touch()
        await turns(lambda: engine.model.ready)  # type: ignore[attr-defined]
    assert delays(caplog)[:3] == [0.01, 0.02, 0.02]
    assert await said(engine, "count 1") == "1"
    await engine.model.close()


async def test_settings_agents_and_secrets_reach_the_child() -> None:
    settings = EngineSettings.model_validate({"profile": "cascade", "openai": {"api_key": "sesame"}})
    agents = load_agents(ROOT / "config" / "agents")
    engine = in_process(settings, agents, factory="tests.agent.engine.remote_parts.build_told")
    with pytest.raises(EngineError) as error:
        await engine.model.load()
    await engine.model.close()
    assert str(error.value) == f"sesame {agents!r}"


async def test_its_log_lines_join_the_servers(capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging(LogSettings(format="json", level="info"))
    try:
        async with running() as engine:
            with pytest.raises(EngineError):
                await said(engine, "bug")
            await said(engine, "chatter not in the server's standard output")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    output, errors = capfd.readouterr()
    *lines, chatter = errors.splitlines()
    ready, failed = map(json.loads, lines)
    assert (output, chatter) == ("", "not in the server's standard output")
    assert (ready["message"], ready["logger"]) == ("the engine's process is ready", "voxline.engine.remote")
    assert (failed["message"], failed["logger"]) == ("a request failed", "voxline.engine.worker")
    assert failed["exc_info"].endswith("ValueError: a bug")


async def test_closing_ends_requests_and_child() -> None:
    async with running() as engine:
        events = reply(engine, "wait forever")
        await anext(events)
        pid = await pid_of(engine)
        await engine.model.close()
        assert not psutil.pid_exists(pid)  # it is no zombie either
        with pytest.raises(EngineError, match="has been closed"):
            await anext(events)
        with pytest.raises(EngineError, match="has been closed"):
            await said(engine, "count 1")


async def test_closing_while_it_loads_ends_the_child_and_the_waiting() -> None:
    engine = build("build_hung")
    loading = asyncio.create_task(engine.model.load())
    async with asyncio.timeout(SECONDS):
        await turns(children)
        await engine.model.close()
        with pytest.raises(EngineError, match="has been closed"):
            await loading
    assert children() == []


@pytest.mark.parametrize("way", ["clings", "is stopped"])
async def test_a_child_that_does_not_close_is_ended_by_force(way: str) -> None:
    async with running("build_clinging", Limits(close_s=0.2)) as engine:
        pid = await pid_of(engine)
        if way == "is stopped":  # and cannot do it itself
            os.kill(pid, signal.SIGSTOP)
    assert not psutil.pid_exists(pid)


@pytest.mark.slow
async def test_restarts_leak_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with running(limits=Limits(back_off_s=0.001, proven_s=0)) as engine:
        await asyncio.to_thread(lambda: None)  # the loop's own threads and files are there
        counts = []
        for life in range(6):
            if life:
                os.kill(await pid_of(engine), signal.SIGKILL)
                with pytest.raises(EngineError):
                    await said(engine, "wait forever")
                async with asyncio.timeout(SECONDS):
                    await engine.model.load()
            await said(engine, "count 1")
            gc.collect()
            counts.append((psutil.Process().num_fds(), len(asyncio.all_tasks()), len(children())))
        assert len(set(counts)) == 1
    assert delays(caplog) == [0.001] * 5  # each life proved itself, so none is waited for longer


def test_it_runs_under_uvloop_as_under_asyncio() -> None:
    async def calls() -> None:
        async with running() as engine:
            pid = await pid_of(engine)
            assert await said(engine, "count 100") == " ".join(map(str, range(1, 101)))
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(EngineError, match=r"died \(signal 9\)"):
                await said(engine, "wait forever")
            async with asyncio.timeout(SECONDS):
                await engine.model.load()
            assert await pid_of(engine) != pid
        assert children() == []

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(calls())


PARENT = """
import asyncio
from agent.engine.process.remote import in_process
from agent.engine.base import Cue, ReplyRequest
from config.engine import EngineSettings

async def main():
    engine = in_process(EngineSettings(profile="gpu"), {}, factory="tests.agent.engine.remote_parts.build")
    await engine.model.load()
    async for event in engine.model.reply(ReplyRequest("r", "c", "a", Cue.ANSWER, "pid")):
        print(getattr(event, "text", ""), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def test_the_child_ends_with_a_server_that_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = os.pidfd_open(int(parent.stdout.readline()))
    try:
        parent.kill()
        parent.communicate(timeout=SECONDS)
        assert select.select([child], [], [], SECONDS)[0], "the child is still there"
    finally:
        os.close(child)
