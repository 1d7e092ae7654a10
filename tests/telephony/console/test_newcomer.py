"""The path of somebody who has just started a server: open the link, call from the browser, book, see the call while it
is on and then its record."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import expect

from telephony.console.console import LINK_FILE
from tests.debian import needs
from tests.telephony.server.softphone.phone_page import WAIT_MS, phone_page
from tests.waiting import until

pytestmark = [needs("chromium"), pytest.mark.slow, pytest.mark.timeout(240)]


async def test_from_the_link_to_a_booking_and_its_record(serve: Callable[..., Any], in_thread: Any) -> None:
    server = await in_thread(serve, {"engine.embedded.recognizer": "auto", "tape.mode": "full"})
    link = await until(lambda: (server.data / LINK_FILE).exists() and (server.data / LINK_FILE).read_text().strip())
    async with phone_page() as phone:
        browser = phone.page.context.browser
        assert browser
        console = await browser.new_page()
        console.set_default_timeout(WAIT_MS)
        expect.set_options(timeout=WAIT_MS)
        complaints: list[str] = []
        console.on("pageerror", lambda error: complaints.append(str(error)))
        await console.goto(link)
        call = console.get_by_role("link", name="call from this browser")
        assert await call.get_attribute("href") == "/browser/"
        await phone.call(server.url)
        await phone.heard_out(1)
        await console.get_by_role("link", name="Live", exact=True).click()
        row = console.locator("#live tr")
        await expect(row).to_have_count(1)
        await expect(row).to_contain_text("front_desk")
        await row.get_by_role("link").click()
        await expect(console.locator("#live-words li.agent").first).to_contain_text("Riverside Dental")
        page_of_call = console.url
        for said, words in enumerate(["I'd like to book an appointment.", "On Tuesday.", "At ten o'clock."], 1):
            await phone.say(words)
            await phone.heard_out(said + 1)
        await expect(console.locator("#live-words")).to_contain_text("uesday")
        await phone.say("Yes, please.")
        await phone.heard_out(5)
        await phone.say("Goodbye.")
        await phone.page.wait_for_selector("#talk .line", timeout=WAIT_MS)
        assert phone.errors == []
        [booked] = [json.loads(line) for line in (server.data / "bookings.jsonl").read_text().splitlines()]
        assert "uesday" in json.dumps(booked["arguments"])

        async def recorded() -> bool:
            await console.goto(page_of_call)
            return await console.locator("#report").count() > 0

        await until(recorded, wait_s=60)
        content = console.locator("#content")
        await expect(content).to_contain_text("browser inbound")
        await expect(content).to_contain_text("book_appointment")
        await expect(content).to_contain_text("the agent hung up")
        await expect(console.locator("#transcript")).to_contain_text("Thank you for calling Riverside Dental")
        assert complaints == []
