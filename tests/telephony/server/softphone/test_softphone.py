"""The softphone in a real Chromium: bookings by speech, broken sockets, busy threads, and what goes wrong in words."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.debian import needs
from tests.simulated import quick
from tests.waiting import until

pytest.importorskip("playwright")
from tests.telephony.server.softphone.phone_page import WAIT_MS, PhonePage, Relay, phone_page

pytestmark = [pytest.mark.slow, needs("chromium"), pytest.mark.timeout(150)]
Serve = Callable[..., Any]


@pytest.fixture(scope="module")
def talker(serve: Serve) -> Any:
    """A server that talks for 40 s and hears nothing but keys."""
    return serve(quick(words=400) | {"call.capacity": 2})


async def ended(server: Any) -> dict[str, Any]:
    line: dict[str, Any] = await asyncio.to_thread(server.wait_for, "ended")
    server.log.remove(line)
    return line


async def test_a_booking_a_barge_in_and_a_goodbye_by_speech(serve: Serve) -> None:
    server = await asyncio.to_thread(serve, {"engine.embedded.recognizer": "auto", "tape.mode": "full"})
    async with phone_page() as one:
        await one.call(server.url)
        await one.heard_out(1)
        await one.say("What are your opening hours?")
        await one.until_state("speaking")
        await asyncio.sleep(1.5)  # into the answer
        await one.say("I'd like to book an appointment.")
        for said, words in enumerate(["On Tuesday.", "At ten o'clock.", "Yes, please.", "Goodbye."], 3):
            await one.heard_out(said)
            await one.say(words)
        await one.page.wait_for_selector("#talk .line", timeout=WAIT_MS)
        talk = await one.talk()
        wanted = await one.page.evaluate("window.asked.audio")
        assert one.errors == []
    assert "interrupted" in talk[2]["notes"], talk
    assert talk[-1]["notes"] == ["Call over: the agent hung up"]
    assert any("to answer" in note for row in talk for note in row["notes"])
    [booked] = [json.loads(line) for line in (server.data / "bookings.jsonl").read_text().splitlines()]
    assert "uesday" in json.dumps(booked["arguments"])
    assert wanted == {
        "echoCancellation": True, "noiseSuppression": False, "autoGainControl": False, "channelCount": 1
    }  # fmt: skip
    line = await ended(server)
    assert (line["gaps"], line["outcome"]) == (0, "hangup")


async def test_a_dropped_socket_comes_back_and_the_call_goes_on(talker: Any) -> None:
    relay = Relay(talker.url)
    url = await relay.start()
    async with phone_page() as one:
        await one.call(url)
        await one.until_state("speaking")
        await asyncio.sleep(1)
        relay.cut()
        await one.page.wait_for_selector('#state[data-state="reconnecting"]', timeout=WAIT_MS)
        assert "reconnecting" in await one.page.inner_text("#state")
        relay.mend()
        await one.until_state("on")
        await one.page.keyboard.press("5")
        await one.heard_out(1)
        await one.page.click("#call")
        assert one.errors == [] or all("WebSocket" in error for error in one.errors)
    line = await ended(talker)
    assert (line["reason"], line["resumed"]) == ("the caller hung up", 1)
    await relay.stop()


async def test_one_that_does_not_come_back_is_told_so(serve: Serve) -> None:
    server = await asyncio.to_thread(serve, quick(words=400) | {"browser.resume_s": 1})
    relay = Relay(server.url)
    url = await relay.start()
    async with phone_page() as one:
        await one.call(url)
        await one.until_state("speaking")
        relay.cut()
        await one.page.wait_for_selector("#error:not([hidden])", timeout=WAIT_MS)
        assert await one.page.inner_text("#error") == "The connection was lost and did not come back."
        assert await one.page.inner_text("#call") == "Start call"
    line = await ended(server)
    assert line["reason"] == "the page did not come back within 1 s"
    await relay.stop()


async def test_a_busy_page_loses_nothing(talker: Any) -> None:
    async with phone_page() as one:
        await one.call(talker.url)
        await one.until_state("speaking")
        await one.page.evaluate("const end = performance.now() + 1500; while (performance.now() < end);")
        await asyncio.sleep(0.5)
        await one.page.click("#call")
    line = await ended(talker)
    assert line["gaps"] == 0
    assert line["frames"] > 75


async def test_a_page_that_is_closed_or_left_has_hung_up(talker: Any) -> None:
    async with phone_page() as one:
        await one.call(talker.url)
        await one.until_state("speaking")
        await one.page.reload()
        line = await ended(talker)
        assert (line["reason"], line["outcome"]) == ("the page was closed", "hangup")
        await one.page.click("#call")
        await one.until_state("speaking")
        await one.page.close()
    line = await ended(talker)
    assert line["reason"] == "the page was closed"


async def test_keys_and_mute_by_hand_and_by_keyboard(talker: Any) -> None:
    async with phone_page() as one:
        await one.call(talker.url)
        await one.until_state("speaking")
        await one.page.keyboard.press("m")
        assert await one.page.get_attribute("#mute", "aria-pressed") == "true"
        await one.page.click("#mute")
        assert await one.page.get_attribute("#mute", "aria-pressed") == "false"
        await one.page.click("#keys button:has-text('7')")
        await one.heard_out(1)
        assert "interrupted" in (await one.talk())[0]["notes"]
        await one.page.click("#call")
        assert one.errors == []
    await ended(talker)


async def test_the_microphones_level_is_shown_unless_muted(talker: Any) -> None:
    async with phone_page() as one:
        await one.call(talker.url)
        await one.until_state("speaking")
        level = "() => new DOMMatrix(getComputedStyle(document.getElementById('{}')).transform).a"
        await one.page.wait_for_function(level.format("agent-level") + " > 0.3", timeout=WAIT_MS)
        saying = asyncio.create_task(one.say("What are your opening hours?"))
        await one.page.wait_for_function(level.format("caller-level") + " > 0.4", timeout=WAIT_MS)
        await saying
        await one.page.keyboard.press("m")
        await one.page.wait_for_function(level.format("caller-level") + " === 0", timeout=WAIT_MS)
        await one.page.click("#call")
    await ended(talker)


async def error_of(one: PhonePage) -> str:
    await one.page.wait_for_selector("#error:not([hidden])", timeout=WAIT_MS)
    return await one.page.inner_text("#error")


async def test_without_permission_the_page_says_so(talker: Any) -> None:
    async with phone_page(scripted=False) as one:
        await one.page.context.clear_permissions()
        await one.call(talker.url)
        assert "microphone" in await error_of(one)
        assert await one.page.inner_text("#call") == "Start call"
    await ended(talker)


async def test_all_lines_busy(serve: Serve) -> None:
    server = await asyncio.to_thread(serve, quick(words=400) | {"call.capacity": 1})
    async with phone_page() as one, phone_page() as two:
        await one.call(server.url)
        await one.until_state("speaking")
        await two.call(server.url)
        assert await error_of(two) == "All lines are busy. Try again in a few minutes."
        await one.page.click("#call")


async def test_a_page_over_plain_http_from_elsewhere_says_what_is_missing(serve: Serve) -> None:
    server = await asyncio.to_thread(serve, quick() | {"server.public_url": "http://voxline.test"})
    port = server.url.rpartition(":")[2]
    async with phone_page(scripted=False, options=("--host-resolver-rules=MAP voxline.test 127.0.0.1",)) as one:
        await one.page.goto(f"http://voxline.test:{port}/browser/")
        assert "https" in await error_of(one)


async def test_a_server_that_asks_for_a_sign_in(serve: Serve) -> None:
    settings = quick() | {"server.public_url": "https://voice.example.com", "browser.origins": ["https://a.example"]}
    server = await asyncio.to_thread(serve, settings, TWILIO_AUTH_TOKEN="secret")
    async with phone_page() as one:
        await one.call(server.url)
        assert "sign-in" in await error_of(one)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1100])
async def test_the_page_fits_its_screen(talker: Any, dark: bool, width: int) -> None:
    async with phone_page(dark=dark, width=width) as one:
        await one.page.goto(f"{talker.url}/browser/")
        assert await one.page.evaluate("document.documentElement.scrollWidth") <= width
        ground = await one.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(20, 22, 26)" if dark else "rgb(244, 245, 247)")
        await one.page.keyboard.press("Tab")
        assert await one.page.evaluate("document.activeElement.id") == "call"
        await until(lambda: not one.errors)
