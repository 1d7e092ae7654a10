"""A PIN that a caller dials and then says: the tool has it, and nothing else does."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

from agent.tape.file import read_lines
from audio import g711
from audio.resample import to_line
from telephony.report.page import write_report
from telephony.tapes.replay import open_tape, replay_all
from tests.telephony.recordings.listening import level_db, sides
from tests.waiting import until_here

Dial = Callable[..., Awaitable[Any]]
VOICE = Path(__file__).parents[3] / "telephony" / "simulator" / "recordings" / "af_heart"
PIN, SPOKEN = "4711", "12"
AGENT = {
    "name": "bank",
    "tools": {"look_up": {"file": "look_ups.jsonl", "parameters": {"pin": "the PIN", "part": "two digits"}}},
    "dialogue": {
        "texts": {"greeting": "Hello."},
        "slots": {"pin": {"digits": 4, "secret": True}, "part": {"digits": 2, "secret": True}},
        "intents": {
            "book": {
                "phrases": ["i'd like to book"],
                "ask": {"pin": "Please enter your PIN.", "part": "And the last two digits?"},
                "tool": "look_up",
                "answer": "Thank you, that is all right.",
            }
        },
    },
}


def words(name: str) -> bytes:
    """What the caller says, as mu-law."""
    audio, rate = soundfile.read(VOICE / f"{name}.opus", dtype="float32")
    return g711.encode(to_line(audio, rate))


def strings(tape: Path) -> str:
    return b"".join(read_lines(tape)).decode()


def readable(value: Any) -> Iterator[str]:
    """Keys, texts and whole numbers of a JSON value; in audio and in fractions four digits may stand by chance."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from readable(each) if key != "ulaw" else ()
    elif isinstance(value, list):
        for each in value:
            yield from readable(each)
    elif not isinstance(value, float):
        yield json.dumps(value)


@pytest.mark.slow
async def test_a_secret_is_given_to_the_tool_and_kept_by_nothing_else(
    serve: Callable[..., Any],
    dial: Dial,
    in_thread: Dial,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "bank.yaml").write_text(json.dumps(AGENT))
    kept = {"recording.mode": "all", "recording.format": "wav", "tape.mode": "full"}
    server = await in_thread(serve, {"agents": str(tmp_path), "call.agent": "bank", "log.words": True} | kept)
    phone = await dial(server.url)
    phone.hold()
    await in_thread(server.wait_for, "said", call=phone.call, role="agent", text="Hello.")
    phone.say(words("id_like_to_book"))
    await in_thread(server.wait_for, "recording paused", call=phone.call)
    paused_at = phone.frames
    await in_thread(server.wait_for, "said", call=phone.call, role="agent", text="Please enter your PIN.")
    await phone.press(PIN)
    await in_thread(server.wait_for, "said", call=phone.call, role="agent", text="And the last two digits?")
    phone.say(words("one_two"))
    await in_thread(server.wait_for, "recording resumed", call=phone.call)
    resumed_at = phone.frames
    await in_thread(until_here, lambda: any("all right" in str(line) for line in server.log))
    phone.say(words("goodbye"))
    await asyncio.sleep(1.5)
    await phone.release()
    await phone.hang_up()
    await in_thread(server.wait_for, "recorded", call=phone.call)

    (line,) = (server.data / "look_ups.jsonl").read_text().splitlines()
    assert json.loads(line)["arguments"] == {"pin": PIN, "part": SPOKEN}

    (tape,) = until_here(lambda: list((server.data / "tapes").glob("*.gz")))
    steps = [json.loads(line) for line in strings(tape).splitlines()]
    told = "\n".join(readable([*server.log, *steps]))
    for secret in (PIN, "one two", "four seven", " ".join(PIN), f'"{SPOKEN}"'):
        assert secret not in told
    assert "***" in told
    assert not [step for step in steps if step.get("event", {}).get("type") == "Dtmf" and "digit" in step["event"]]
    switches = [place for place, step in enumerate(steps) if '"Record"' in json.dumps(step)]
    private = steps[switches[0] + 1 : switches[1] + 1]
    assert len(private) > 100
    assert "ulaw" not in json.dumps(private)
    assert "ulaw" in json.dumps(steps[: switches[0]])
    assert "ulaw" in json.dumps(steps[switches[1] + 1 :])

    (recording,) = (server.data / "recordings").glob("*.wav")
    left, right, _ = sides(recording)
    for side in (left, right):
        assert level_db(side[160 * (paused_at + 5) : 160 * (resumed_at - 15)]) == -120
    assert level_db(left[: 160 * (paused_at - 5)]) > -50
    assert level_db(left[160 * (resumed_at + 5) :]) > -50
    assert level_db(right[: 160 * (paused_at - 5)]) > -50
    assert level_db(right[160 * (resumed_at + 5) :]) > -50

    assert open_tape(tape)[1][-1].left_out
    assert await in_thread(replay_all, [tape]) == 0
    assert "a part is left out, which was private" in capsys.readouterr().out
    write_report(tape, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "What follows is private: it was not kept" in page
