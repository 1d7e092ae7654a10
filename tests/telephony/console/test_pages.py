"""What the pages show: the overview, the list, one call, agents, settings."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from telephony.console.overview import _late_ms
from telephony.console.pages import own_path
from telephony.console.words import duration, millis, number
from telephony.lines.metrics import Metrics
from telephony.records.call_record import ToolRun, Turn
from tests.telephony.console.served import Page, Served, csrf, served
from tests.telephony.console.stored import lately, store
from tests.telephony.records.calls import said

SECRET = "tr0ub4dor-and-three"
TAPE = "20260501-090000-CA1.jsonl.gz"
RECORDING = "20260501-090000-0123456789abcdef"


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        yield one


def words(text: str) -> str:
    """A page's text on one line."""
    return " ".join(" ".join(Page(text).texts).split())


async def test_problems_come_first_each_a_click_from_its_evidence(console: Served) -> None:
    fine = lately(1, latency_max=500)
    slow = lately(2, latency_max=2500, latency_worst_turn=3)
    lost = lately(3, loss=0.02, gap_ms=400)
    failed = lately(4, replies_failed=1, outcome="failed")
    broken = lately(5, status="broken_off")
    old = lately(900_000, status="broken_off")
    ids = await store(console.app, fine, slow, lost, failed, broken, old)
    async with console.signed_in() as browser:
        page = Page((await browser.get("/console")).text)
        links = [href for href in page.hrefs() if "#" in href and "/calls/" in href]
        assert links == [
            f"/console/calls/{ids[4]}#end",
            f"/console/calls/{ids[3]}#failed",
            f"/console/calls/{ids[1]}#turn-3",
            f"/console/calls/{ids[2]}#line",
        ]
        assert "0 of 100 places taken, 100 free" in " ".join(page.text.split())


async def test_without_problems_and_without_records_it_says_so(console: Served, tmp_path: Path) -> None:
    async with console.signed_in() as browser:
        assert "None. No call broke off" in words((await browser.get("/console")).text)
    async with served(tmp_path / "other", records__mode="off") as one, one.signed_in() as browser:
        answer = await browser.get("/console")
        assert (answer.status_code, "records.mode is off" in words(answer.text)) == (200, True)
        assert "records.mode is off" in words((await browser.get("/console/calls")).text)
        assert (await browser.get("/console/calls/x")).status_code == 400


async def test_lists_are_filtered_and_paged(console: Served) -> None:
    await store(console.app, *(lately(n, transcript=said(f"word{n} both"), agent=f"agent{n % 2}") for n in range(1, 8)))
    async with console.signed_in() as browser:
        page = Page((await browser.get("/console/calls?q=both&agent=agent1&limit=2")).text)
        rows = [href for href in page.hrefs() if href.startswith("/console/calls/")]
        assert len(rows) == 2
        [older] = [href for href in page.hrefs() if "before=" in href]
        assert "q=both" in older
        assert "agent=agent1" in older
        last = Page((await browser.get(older)).text)
        assert [href for href in last.hrefs() if href.startswith("/console/calls/") and href in rows] == []
        assert "/console/calls?q=both&agent=agent1" in last.hrefs()
        csv = next(href for href in page.hrefs() if "format=csv" in href)
        answer = await browser.get(csv)
        assert answer.headers["content-disposition"] == 'attachment; filename="calls.csv"'
        assert answer.text.count("\r\n") == 5
        assert "No call fits." in words((await browser.get("/console/calls?q=nothing")).text)
        wrong = await browser.get("/console/calls?since=tomorrow")
        assert (wrong.status_code, "since: a date or time is wanted" in words(wrong.text)) == (400, True)


async def test_one_call_is_shown_with_what_was_said_and_done(console: Served) -> None:
    turns = (
        Turn("agent", "Hello", 50),
        Turn("caller", "a plumber", 2000),
        Turn("agent", "When?", 4000, interrupted=True),
    )
    tools = (ToolRun("book", 5000, ok=True, arguments={"day": "Monday"}), ToolRun("pay", 6000, ok=False, error="no"))
    [number_] = await store(console.app, lately(transcript=turns, tools=tools, turns=1, reason="the caller hung up"))
    async with console.signed_in() as browser:
        answer = await browser.get(f"/console/calls/{number_}")
        shown = words(answer.text)
        for text in ("Caller a plumber", "Agent interrupted When?", "book ran", '{"day":"Monday"}', "pay failed no"):
            assert text in shown
        assert [attrs["id"] for _, attrs in Page(answer.text).tags if str(attrs.get("id")).startswith("turn-")] == [
            "turn-1"
        ]
        assert (await browser.get("/console/calls/CA1")).status_code == 200  # by its id in the log
        assert (await browser.get("/console/calls/none")).status_code == 404


async def test_deleting_needs_an_admin_and_the_pages_token(console: Served) -> None:
    [number_] = await store(console.app, lately())
    async with console.signed_in("otto") as browser:
        assert "Delete this call" not in (await browser.get(f"/console/calls/{number_}")).text
    async with console.signed_in("ada") as browser:
        path = f"/console/calls/{number_}/delete"
        assert (await browser.post(path, data={})).status_code == 403
        answer = await browser.post(path, data={"csrf": await csrf(browser)})
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/calls")
        assert (await browser.get(f"/console/calls/{number_}")).status_code == 404


async def test_what_is_kept_of_a_call_is_played_drawn_and_downloaded(console: Served, tmp_path: Path) -> None:
    (tmp_path / "recordings").mkdir()
    sound = bytes(range(256)) * 40
    (tmp_path / "recordings" / f"{RECORDING}.ogg").write_bytes(sound)
    (tmp_path / "tapes").mkdir(exist_ok=True)
    header = {"tape": 1, "call": "CA1", "agent": "desk", "started": "2026-05-01T09:00:00Z", "mode": "metadata"}
    more = {"voxline": "0.1.0", "settings": {}, "settings_hash": "ab" * 32}
    lines = [json.dumps(header | more), json.dumps({"at": 20.0, "event": {"type": "CallerAudio"}})]
    (tmp_path / "tapes" / TAPE).write_bytes(gzip.compress("\n".join(lines).encode() + b"\n"))
    there, gone = await store(
        console.app, lately(1, tape=TAPE, recording=RECORDING), lately(2, tape="../../x.jsonl", recording="../x")
    )
    async with console.signed_in("vera") as browser:
        page = Page((await browser.get(f"/console/calls/{there}")).text)
        assert [attrs["src"] for tag, attrs in page.tags if tag == "audio"] == [f"/api/calls/{there}/recording"]
        answer = await browser.get(f"/api/calls/{there}/recording", headers={"Range": "bytes=10-19"})
        assert (answer.status_code, answer.content) == (206, sound[10:20])
        assert answer.headers["content-type"] == "audio/ogg"
        assert (await browser.get(f"/api/calls/{there}/tape")).headers["content-type"] == "application/gzip"
        drawn = await browser.get(f"/console/calls/{there}/report")
        assert drawn.json()["data"]["call"]["id"] == "CA1"
        for path in ("recording", "tape"):
            assert (await browser.get(f"/api/calls/{gone}/{path}")).status_code == 404
            assert (await browser.get(f"/api/calls/none/{path}")).status_code == 404
        assert (await browser.get(f"/console/calls/{gone}/report")).status_code == 404
        assert "audio" not in [tag for tag, _ in Page((await browser.get(f"/console/calls/{gone}")).text).tags]
        (tmp_path / "tapes" / TAPE).write_bytes(b"no tape")
        broken = await browser.get(f"/console/calls/{there}/report")
        assert broken.status_code == 503
        assert "cannot be drawn" in broken.json()["error"]


async def test_settings_show_where_each_came_from_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXLINE_TURN__ENDPOINT_MS", "512")
    monkeypatch.setenv("VOXLINE_SIP__USERS", json.dumps({"phone": SECRET}))
    secrets = {
        "server__metrics_token": SECRET,
        "engine__openai__api_key": SECRET,
        "records__url": "",
        "sip__trunks": {"provider": {"server": "sip:example.com", "user": "u", "password": SECRET}},
    }
    async with served(tmp_path, **secrets) as one, one.signed_in() as browser:
        text = (await browser.get("/console/settings")).text
        shown = words(text)
        assert SECRET not in text
        assert "scrypt" not in shown.replace('"scrypt$..."', "")
        assert "turn.endpoint_ms" in shown
        assert "512 the environment" in shown
        assert "sip.users.phone" in shown
        assert "sip.trunks.provider.password" in shown
        assert "console.users.ada.role" in shown
        assert "server.metrics_token bearer token needed" in shown
        assert "set --set" in shown
        assert "records.url" in shown


async def test_agents_are_shown_as_loaded_and_their_files_checked_on_demand(console: Served) -> None:
    async with console.signed_in() as browser:
        shown = words((await browser.get("/console/agents")).text)
        assert "front_desk answers unless a trunk says otherwise" in shown
        assert "book_appointment" in shown
        assert "calls now: 0" in shown
        token = await csrf(browser)
        assert (await browser.post("/console/agents/reload", data={"csrf": token})).status_code == 303
        assert "unchanged front_desk" in words((await browser.get("/console/agents")).text)


async def test_hooks_that_failed_are_shown_and_sent_again(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9/"
    async with served(tmp_path, hooks__after_call=nowhere, hooks__secret=SECRET) as one, one.signed_in() as browser:
        [number_] = await store(one.app, lately())
        records = one.app.shared.calls
        assert records
        deliveries = await records.deliveries("", None, 10)
        answer = await browser.get("/console/hooks")
        assert answer.status_code == 200
        assert f"/console/calls/{number_}" in answer.text or deliveries == []
        token = await csrf(browser)
        for given in ("x", "0" * 16):
            sent = await browser.post("/console/hooks/resend", data={"csrf": token, "id": given})
            assert sent.status_code == 404
        assert (await browser.get("/console/hooks?status=nothing")).status_code == 400
        shown = (await browser.get("/console")).text
        assert 'href="/console/hooks"' in shown
        assert nowhere not in (await browser.get("/console/settings")).text


@pytest.mark.slow
async def test_the_doctor_and_the_check_of_agents_run_in_a_process_of_their_own(console: Served) -> None:
    async with console.signed_in() as browser:
        token = await csrf(browser)
        for path, wanted in (("/console/doctor", "engine"), ("/console/agents", "ok front_desk.yaml")):
            assert (await browser.post(path, data={"csrf": token})).status_code == 303
            assert wanted in words((await browser.get(path)).text)


async def test_a_live_call_of_a_server_without_records_has_its_page(tmp_path: Path) -> None:
    from tests.telephony.live.calls import acts_on, live_call

    async with served(tmp_path, records__mode="off") as one, one.signed_in("otto") as browser:
        acts, _, _ = acts_on(live_call(1))
        one.app.shared.live.add(acts)
        answer = await browser.get(f"/console/calls/{acts.call.id}")
        assert answer.status_code == 200
        ids = {attrs.get("id"): attrs for _, attrs in Page(answer.text).tags}
        assert ids["live-call"]["data-id"] == acts.call.id
        assert "hang-up" in ids


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("/console", "/console"), ("/console/calls?q=a b", "/console/calls?q=a b"), ("/console/é", "/console")],
)
def test_paths_to_come_back_to(given: str, wanted: str) -> None:
    assert own_path(given) == wanted


def test_how_late_the_clock_is() -> None:
    metrics = Metrics()
    assert _late_ms(metrics.tick_late) is None
    for _ in range(99):
        metrics.tick_late.observe(0.0015)
    metrics.tick_late.observe(0.4)
    assert _late_ms(metrics.tick_late) == 2.0
    for _ in range(5):
        metrics.tick_late.observe(4.0)
    assert _late_ms(metrics.tick_late) is None


def test_how_values_are_written() -> None:
    assert [duration(ms) for ms in (None, 0, 59_940, 65_000, 3_725_000)] == ["–", "0.0 s", "59.9 s", "1:05", "1:02:05"]
    assert [millis(ms) for ms in (None, 640, 12_340)] == ["–", "640 ms", "12.3 s"]
    assert [number(value) for value in (None, 12, 123_456)] == ["–", "12", "123\u202f456"]
