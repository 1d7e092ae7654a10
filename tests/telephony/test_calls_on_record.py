"""Calls on record, end to end: real servers, real calls, real kills."""

import asyncio
import csv
import gzip
import io
import json
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from telephony.cli.main import main
from telephony.lines.outbound_call import TOKEN_FILE
from tests.debian import require
from tests.simulated import quick
from tests.telephony.records.postgres import PASSWORD, Postgres
from tests.waiting import until

Serve = Callable[..., Any]
Dial = Callable[..., Awaitable[Any]]
InThread = Callable[..., Awaitable[Any]]
ANN, DESK = "+15550100123", "+15550100199"
SECRET = "rumpelstiltskin"  # the simulated engine says words of its own; this is the caller's name


class Api:
    """The calls of a running server, over HTTP."""

    def __init__(self, server: Any) -> None:
        token = (server.data / TOKEN_FILE).read_text().strip()
        self._url, self._headers = f"{server.url}/api/calls", {"Authorization": f"Bearer {token}"}

    def all(self, **query: Any) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self._url}/export", params=query, headers=self._headers, timeout=20)
        found: list[dict[str, Any]] = answer.json() if answer.status_code == 200 else []
        return found

    def delete(self, name: str) -> int:
        return httpx.delete(f"{self._url}/{name}", headers=self._headers, timeout=20).status_code

    async def until(self, count: int, **query: Any) -> list[dict[str, Any]]:
        """The calls, as soon as there are as many."""

        async def there() -> list[dict[str, Any]] | None:
            rows = await asyncio.to_thread(self.all, **query)
            return rows if len(rows) == count else None

        rows: list[dict[str, Any]] = await until(there, 40)
        return rows


def files(folder: Path, *words: str) -> list[str]:
    """The files in which one of these words stands, in any folder; tapes are unpacked."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            if any(word.lower().encode() in data.lower() for word in words):
                found.append(path.name)
    return found


async def ring(server: Any, phone: Any, **form: str) -> None:
    """Twilio's webhook, then the stream."""
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            f"{server.url}/twilio/voice", data={"CallSid": phone.call, "From": ANN, "To": DESK, **form}
        )
    assert answer.status_code == 200
    await phone.start()


@pytest.fixture(scope="module")
def usual(serve: Serve) -> Any:
    """A server that keeps words, numbers, tapes and recordings."""
    kept = {"tape.mode": "full", "log.numbers": "full", "recording.mode": "all"}
    return serve(quick() | kept | {"call.capacity": 300})


async def test_a_call_goes_on_record(usual: Any, dial: Dial, in_thread: InThread) -> None:
    api = Api(usual)
    phone = await dial(usual.url, start=False)
    await ring(usual, phone, CallerName="Ann Lee")
    [row] = await api.until(1, call=phone.call, status="active")
    assert (row["line"], row["direction"], row["caller"], row["called"]) == ("twilio", "inbound", ANN, DESK)
    assert (row["caller_name"], row["agent"], row["call"]) == ("Ann Lee", "front_desk", phone.call)
    await phone.frame()
    await in_thread(usual.wait_for, "said", call=phone.call, role="agent")
    await phone.hang_up()
    [row] = await api.until(1, call=phone.call, status="ended")
    assert (row["ended_by"], row["reason"], row["outcome"]) == ("caller", "the caller hung up", "hangup")
    assert row["started"] <= row["answered"] <= row["ended"]
    assert row["frames"] > 0
    assert row["transcript"][0]["role"] == "agent"
    word = row["transcript"][0]["text"].split()[0]
    assert phone.call in [found["call"] for found in await in_thread(api.all, q=word)]
    assert phone.call in [found["call"] for found in await in_thread(api.all, q="0123")]
    await until((usual.data / "tapes" / row["tape"]).exists)
    await until((usual.data / "recordings" / f"{row['recording']}.ogg").exists)


async def test_of_a_deleted_call_nothing_is_left(usual: Any, dial: Dial, in_thread: InThread) -> None:
    """Its name, numbers and words stand in no file of the data folder, its tape included; its recording is gone."""
    api = Api(usual)
    phone = await dial(usual.url, start=False)
    await ring(usual, phone, CallerName=f"Zacharias {SECRET}", From="+4930998877665")
    await phone.frame()  # a call without audio has no recording
    await in_thread(usual.wait_for, "said", call=phone.call, role="agent")
    await phone.hang_up()
    [row] = await api.until(1, call=phone.call, status="ended")
    assert row["caller_name"] == f"Zacharias {SECRET}"
    await until(lambda: list((usual.data / "recordings").glob(f"{row['recording']}*")))
    assert files(usual.data / "records", SECRET, phone.call)
    assert await in_thread(api.delete, row["id"]) == 200
    assert files(usual.data, SECRET, "4930998877665", phone.call, row["tape"].removesuffix(".jsonl.gz")) == []
    assert not list((usual.data / "tapes").glob(f"*{phone.call}*"))
    assert not list((usual.data / "recordings").glob(f"{row['recording']}*"))
    assert await in_thread(api.all, q=SECRET) == []
    assert await in_thread(api.delete, row["id"]) == 404


@pytest.mark.slow
async def test_of_the_words_of_a_deleted_call_nothing_is_left(
    serve: Serve, dial: Dial, in_thread: InThread, tmp_path: Path
) -> None:
    """Words that only one of two calls has: they are said by its agent."""
    rare, dialogue = "Quetzalcoatl", "{texts: {greeting: Hi.}, intents: {hours: {phrases: [hours], answer: Nine.}}}"
    for name, word in (("usual", "Hi."), ("rare", f"{rare} speaking.")):
        text = dialogue.replace("Hi.", f"'{word}'")
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\ndialogue: {text}\n")
    settings = {"agents": str(tmp_path), "call.agent": "usual", "tape.mode": "full"}
    server = await in_thread(serve, settings)
    api = Api(server)
    for agent in ("usual", "rare"):
        phone = await dial(server.url, agent=agent)
        await phone.silence(200)
        said = await in_thread(server.wait_for, "said", 30, call=phone.call, role="agent")
        assert (rare in said["text"]) == (agent == "rare")
        await phone.hang_up()
        [row] = await api.until(1, call=phone.call, status="ended")
        assert (rare in json.dumps(row["transcript"])) == (agent == "rare")
    assert [found["agent"] for found in await in_thread(api.all, q=rare)] == ["rare"]
    await until((server.data / "tapes" / row["tape"]).exists)
    assert row["tape"] in files(server.data, rare)
    assert files(server.data / "records", rare)
    assert await in_thread(api.delete, row["id"]) == 200
    assert files(server.data, rare, phone.call) == []
    assert await in_thread(api.all, q=rare) == []
    kept = await in_thread(api.all)
    assert [found["agent"] for found in kept] == ["usual"]
    assert (server.data / "tapes" / kept[0]["tape"]).exists()


async def test_what_a_stranger_calls_themselves_stays_text(
    usual: Any, dial: Dial, in_thread: InThread, capsys: pytest.CaptureFixture[str]
) -> None:
    """Control characters do not even come so far: a carrier's fields that hold some are dropped."""
    nasty = "@SUM(A1)'\";--<script>alert(1)</script>%s{0}../../x"
    phone = await dial(usual.url, start=False)
    await ring(usual, phone, CallerName=nasty, From="=cmd|'/C calc'!A0", ForwardedFrom="\x1b]0;owned\x07\u202e")
    await in_thread(usual.wait_for, "said", call=phone.call, role="agent")
    await phone.hang_up()
    [row] = await Api(usual).until(1, call=phone.call, status="ended")
    assert (row["caller_name"], row["forwarded_from"]) == (nasty, "")
    for action in (["show", phone.call], ["list"], ["search", "calc"], ["export"], ["export", "--format", "csv"]):
        assert await in_thread(main, ["calls", *action, "--set", f"server.data={usual.data}"]) == 0
        text = capsys.readouterr().out
        assert "calc" in text
        assert text.replace("\r\n", "").replace("\n", "").isprintable()
    cells = {row["call"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}[phone.call]
    assert (cells["caller"], cells["caller_name"]) == ("'=cmd|'/C calc'!A0", f"'{nasty}")
    names = [path.name for path in usual.data.rglob("*")]
    assert not [name for name in names if not name.isprintable() or "<" in name or ".." in name]


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_two_hundred_calls_that_end_at_once_are_all_on_record(usual: Any, dial: Dial) -> None:
    api = Api(usual)
    before = len(await asyncio.to_thread(api.all))
    phones = [await dial(usual.url) for _ in range(200)]
    calls = {phone.call for phone in phones}
    await asyncio.gather(*(phone.hang_up() for phone in phones))
    await api.until(before + 200, status="ended")
    rows = [row for row in await asyncio.to_thread(api.all) if row["call"] in calls]
    assert len(rows) == 200
    assert {row["reason"] for row in rows} == {"the caller hung up"}
    assert usual.metric("voxline_records_lost_total") == 0


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_a_killed_server_leaves_a_row_of_each_call_marked(serve: Serve, dial: Dial, in_thread: InThread) -> None:
    kept = {"log.numbers": "full", "tape.mode": "full", "recording.mode": "all"}
    server = await in_thread(serve, quick() | kept | {"call.capacity": 60})
    phones = []
    for _ in range(50):
        phones.append(await dial(server.url, start=False))
        await ring(server, phones[-1])
    spoken = phones[7]
    await spoken.silence(6000, speed=4)
    await until(lambda: list(server.data.glob("recordings/*.part")))  # seconds are written late
    await in_thread(server.wait_for, "said", call=spoken.call, role="agent")
    ended = phones[8]
    await ended.hang_up()
    await in_thread(server.wait_for, "ended", call=ended.call)
    api = Api(server)
    await api.until(1, status="ended")
    server.process.send_signal(signal.SIGKILL)
    await in_thread(server.stop)

    again = await in_thread(serve, quick() | kept | {"server.data": str(server.data)})
    again.data = server.data
    rows = {row["call"]: row for row in await Api(again).until(50)}
    assert rows.keys() == {phone.call for phone in phones}
    states = [row["status"] for row in rows.values()]
    assert (states.count("broken_off"), states.count("ended")) == (49, 1)
    assert {(row["caller"], row["called"], row["agent"], row["line"]) for row in rows.values()} == {
        (ANN, DESK, "front_desk", "twilio")
    }
    assert all(row["answered"] and row["recording"] for row in rows.values())
    assert rows[spoken.call]["transcript"]
    assert rows[spoken.call]["ended"] is None
    assert files(again.data, spoken.call)
    recordings = f"recordings/{rows[spoken.call]['recording']}*"
    assert list(again.data.glob(recordings))
    assert await in_thread(Api(again).delete, spoken.call) == 200
    assert files(again.data, spoken.call) == []
    assert not list(again.data.glob(f"tapes/*{spoken.call}*"))
    assert not list(again.data.glob(recordings))
    again.stop()
    assert [path.name for path in (server.data / "records").iterdir()] == ["calls.sqlite"]


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    require("postgresql")
    server = Postgres()
    yield server
    server.close()


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_a_database_that_stops_disturbs_no_call_and_loses_no_row(
    serve: Serve, dial: Dial, in_thread: InThread, postgres: Postgres, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "records.url").write_text(postgres.url())
    server = await in_thread(serve, quick(), CREDENTIALS_DIRECTORY=str(credentials))
    phones = [await dial(server.url) for _ in range(10)]
    api = Api(server)
    await api.until(10, status="active")
    await in_thread(postgres.stop)
    try:
        underruns = server.metric("voxline_playout_underruns_total")
        for phone in phones[:5]:
            await phone.hang_up()
            await in_thread(server.wait_for, "ended", call=phone.call)
        late = [await dial(server.url) for _ in range(5)]
        for phone in [*phones[5:], *late]:
            await in_thread(server.wait_for, "said", call=phone.call, role="agent")
        await until(lambda: server.metric("voxline_records_failures_total") > 0)
        assert server.metric("voxline_records_waiting_bytes") > 0
        assert server.metric("voxline_playout_underruns_total") == underruns
        assert server.metric("voxline_calls_active") == 10
    finally:
        await in_thread(postgres.start)
    for phone in [*phones[5:], *late]:
        await phone.hang_up()
    await until(lambda: server.metric("voxline_records_waiting_bytes") == 0, 60)
    rows = await api.until(15, status="ended")
    assert {row["call"] for row in rows} == {phone.call for phone in [*phones, *late]}
    assert server.metric("voxline_records_lost_total") == 0
    assert not [line for line in server.log if PASSWORD in json.dumps(line)]
    assert not [line for line in server.other_output if PASSWORD in line]
    assert files(server.data, PASSWORD) == []
