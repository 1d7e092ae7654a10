"""Calls from pages over real sockets: what is refused, who comes back, and that nobody else notices."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from telephony.lines.browser.messages import Heard, pack
from telephony.lines.outbound_call import TOKEN_FILE
from tests.simulated import quick
from tests.telephony.lines.browser.client import Page, token
from tests.waiting import until

Open = Callable[..., Awaitable[Page]]
InThread = Callable[..., Awaitable[Any]]
NOTHING = Heard(0, 0, 0, 0)


@pytest.fixture(scope="module")
def server(serve: Callable[..., Any]) -> Any:
    return serve(quick(words=20) | {"twilio.start_timeout_s": 1, "browser.resume_s": 2, "call.capacity": 8})


async def test_a_call_begins_is_greeted_and_hung_up(server: Any, page: Open, in_thread: InThread) -> None:
    one = await page(server.url)
    one.hold()
    await until(lambda: one.ear.heard > 8000)
    await until(lambda: one.of("state"))
    assert one.of("state")[0]["state"] == "thinking"
    assert one.of("welcome")[0]["rate"] == 16_000
    await one.say("hang_up")
    assert await one.closed() == (1000, "the caller hung up")
    ended = await in_thread(server.wait_for, "ended", call=one.call)
    assert (ended["reason"], ended["outcome"], ended["gaps"]) == ("the caller hung up", "hangup", 0)
    assert one.told[-1] == {"type": "ended", "reason": "the caller hung up", "by": "caller"}


async def test_the_greeting_is_heard_to_its_end_and_shown(server: Any, page: Open) -> None:
    one = await page(server.url)
    one.hold()
    await until(lambda: one.of("said"))
    assert one.of("said")[0]["text"].split()[-1].startswith("word20")
    assert one.ear.heard >= 16 * 100 * 19  # its last word ends before its last sample


async def test_keys_reach_the_conversation(server: Any, page: Open) -> None:
    one = await page(server.url)
    one.hold()
    await until(lambda: one.ear.heard > 1600)
    await one.say("key", key="5")
    await until(lambda: one.of("interrupted"))


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ('{"type":"dance"}', 1007, "no message of a page"),
        (b"\0" * 17, 1007, "audio of 17 bytes"),
        ('{"type":"start","token":"x"}', 1008, "begun already"),
        (pack(7 * 16_000, bytes(640), NOTHING), 1008, "a gap of 7.0 s"),
        (pack(0, bytes(640), Heard(0, 9, 9, 0)), 1007, "heard 9 of 9 samples"),
        ('{"type":"stopped","epoch":0,"heard":0,"fade":0}', None, ""),
        ('{"type":"key","key":"\\u001b"}', 1007, "no message of a page"),
    ],
    ids=["unknown", "short", "again", "early", "unheard", "unasked", "key"],
)
async def test_what_no_page_sends_ends_its_call_alone(  # noqa: PLR0917 (fixtures)
    server: Any, page: Open, in_thread: InThread, message: str | bytes, code: int | None, reason: str
) -> None:
    other, one = await page(server.url), await page(server.url)
    other.hold()
    await one.socket.send(message)
    if code is None:
        await one.say("hang_up")
        assert (await one.closed())[0] == 1000
    else:
        got = await one.closed()
        assert got[0] == code
        assert reason in got[1]
        ended = await in_thread(server.wait_for, "ended", call=one.call)
        assert reason in ended["reason"]
    heard = other.ear.heard
    await until(lambda: other.ear.heard > heard)
    await other.say("hang_up")


async def test_audio_ahead_of_time_is_refused(server: Any, page: Open) -> None:
    one = await page(server.url)
    for _ in range(150):
        await one.frame(bytes(3200))
    code, reason = await one.closed()
    assert (code, reason) == (1008, "audio more than 10 s ahead of time")


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ('{"type":"start","token":"x"}', 1008, "unknown, used or expired"),
        ('{"type":"start","token":"x","version":2}', 1008, "version 2 of the protocol"),
        ('{"type":"resume","call":"browser-1","key":"x"}', 1008, "the call is over"),
        ('{"type":"hang_up"}', 1008, "must be start or resume"),
        (pack(0, bytes(4), NOTHING), 1008, "must be start or resume"),
        ("{", 1007, "no message of a page"),
        (None, 1008, "no start within 1 s"),
    ],
)
async def test_a_first_message_must_be_right(
    server: Any, page: Open, message: str | bytes | None, code: int, reason: str
) -> None:
    one = await page(server.url, start=False)
    if message is not None:
        await one.socket.send(message)
    got = await one.closed()
    assert got[0] == code
    assert reason in got[1]


async def test_a_token_begins_one_call(server: Any, page: Open) -> None:
    issued = await token(server.url)
    one, two = await page(server.url, start=False), await page(server.url, start=False)
    await one.say("start", token=issued)
    await until(lambda: one.call)
    await two.say("start", token=issued)
    assert (await two.closed())[0] == 1008
    await one.say("hang_up")


async def test_a_page_that_comes_back_in_time_goes_on(server: Any, page: Open, in_thread: InThread) -> None:
    one = await page(server.url)
    one.hold()
    await until(lambda: one.ear.heard > 4800)
    one.drop()
    await in_thread(server.wait_for, "socket lost", call=one.call)
    one.ear.play(16_000)  # what it had is heard
    heard, one.sequence = one.ear.heard, one.sequence + 8000
    await one.resume()
    one.hold()
    await until(lambda: one.of("said"))
    assert one.of("said")[0]["text"].split()[-1].startswith("word20")
    assert one.ear.heard > heard
    await one.say("hang_up")
    ended = await in_thread(server.wait_for, "ended", call=one.call)
    assert (ended["resumed"], ended["gaps"]) == (1, 1)
    assert ended["gap_ms"] >= 500  # and what was on its way


async def test_what_is_shown_meanwhile_is_not_lost(server: Any, page: Open, in_thread: InThread) -> None:
    one = await page(server.url)
    one.hold()
    await until(lambda: one.ear.heard > 4800)
    one.drop()
    await in_thread(server.wait_for, "socket lost", call=one.call)
    seen = len(one.told)
    await one.resume()
    one.hold()
    await until(lambda: one.of("said"))
    assert [message["type"] for message in one.told[seen : seen + 2]] == ["welcome", "clear"]
    await one.say("hang_up")


async def test_after_that_the_call_is_over(server: Any, page: Open, in_thread: InThread) -> None:
    one = await page(server.url)
    one.drop()
    ended = await in_thread(server.wait_for, "ended", call=one.call)
    assert (ended["reason"], ended["outcome"]) == ("the page did not come back within 2 s", "hangup")
    await one.resume()
    code, reason = await one.closed()
    assert (code, reason) == (1008, "the call is over, or the key is not its own")


async def test_a_second_socket_replaces_the_first(server: Any, page: Open) -> None:
    one = await page(server.url)
    one.hold()
    await until(lambda: one.ear.heard > 4800)
    first = one.socket
    await one.resume()
    one.hold()
    await until(lambda: first.close_code is not None)
    assert first.close_reason == "replaced by another socket of this call"
    heard = one.ear.heard
    await until(lambda: one.ear.heard > heard + 1600)
    await one.say("hang_up")
    assert await one.closed() == (1000, "the caller hung up")


async def test_nobody_else_can_take_a_call_over(server: Any, page: Open) -> None:
    one, thief = await page(server.url), await page(server.url, start=False)
    one.hold()
    await thief.say("resume", call=one.call, key="x" * 43)
    assert (await thief.closed())[0] == 1008
    heard = one.ear.heard
    await until(lambda: one.ear.heard > heard)
    await one.say("hang_up")


async def test_a_page_that_is_closed_has_hung_up(server: Any, page: Open, in_thread: InThread) -> None:
    one = await page(server.url)
    await one.socket.close(1001)
    ended = await in_thread(server.wait_for, "ended", call=one.call)
    assert ended["reason"] == "the page was closed"


async def test_who_finds_no_place_is_told_busy(server: Any, page: Open, in_thread: InThread) -> None:
    pages = [await page(server.url) for _ in range(9)]
    last = [one for one in pages if not one.call]
    assert last
    code, reason = await last[0].closed()
    assert (code, reason) == (1013, "busy: all places are taken; try again in a few minutes")
    await in_thread(server.wait_for, "busy")
    for one in pages:
        if one.call:
            await one.say("hang_up")
            await one.closed()


async def test_an_operator_takes_over_and_hangs_up(server: Any, page: Open) -> None:
    one = await page(server.url)
    one.hold()
    await until(lambda: one.ear.heard > 1600)
    token = (server.data / TOKEN_FILE).read_text().strip()
    async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {token}"}) as http:
        for act in ("takeover", "hangup"):
            answer = await http.post(f"{server.url}/api/calls/{one.call}/{act}", json={})
            assert answer.status_code == 200, answer.text
    assert await one.closed() == (1000, "the operator hung up")
    assert "person" in [message["state"] for message in one.of("state")]
    assert one.of("clear")


@pytest.mark.slow
async def test_a_page_that_does_not_answer_clear_or_sends_nothing_is_given_up(
    serve: Callable[..., Any], page: Open, in_thread: InThread
) -> None:
    quiet = await in_thread(serve, quick(words=40) | {"twilio.media_timeout_s": 2})
    one, mute = await page(quiet.url), await page(quiet.url)
    one.answers_clear = False
    one.hold()
    await until(lambda: one.ear.heard > 1600)
    await one.say("key", key="5")
    assert await mute.closed() == (1008, "no audio for 2 s")
    assert await one.closed() == (1008, "no answer to clear for 5 s")
