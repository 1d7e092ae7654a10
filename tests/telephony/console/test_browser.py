"""The console in a real browser, over a real server with real calls."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from telephony.console.console import LINK_FILE
from tests.debian import needs
from tests.simulated import quick
from tests.telephony.conftest import Phone
from tests.waiting import until

pytestmark = [needs("chromium"), pytest.mark.slow, pytest.mark.timeout(180)]

EXECUTABLE = "/usr/bin/chromium"
# No sandbox (tests may run as root); a microphone that beeps, and nobody is asked for it.
OPTIONS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
WAIT_MS = 40_000
NOT_THERE = "the server responded with a status of 404"  # a call that ended while its page was on its way
ANN = "+15550100123"
EVIL = "<img src=x onerror=alert(1)>"

Dial = Callable[..., Awaitable[Any]]
expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="module")
def usual(serve: Callable[..., Any]) -> Any:
    """A server that keeps everything."""
    kept = {"tape.mode": "full", "log.numbers": "full", "recording.mode": "all"}
    return serve(quick() | kept)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=EXECUTABLE, args=OPTIONS)
        yield browser
        await browser.close()


class Watched:
    """A tab, and everything that it complained of: what its policy forbids is among it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda said: self._heard(said.type, said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and NOT_THERE not in text:
            self.complaints.append(text)


async def entered(browser: Browser, server: Any, **options: Any) -> Watched:
    """A tab whose user opens the link."""
    link = await until(lambda: (server.data / LINK_FILE).exists() and (server.data / LINK_FILE).read_text().strip())
    context = await browser.new_context(permissions=["microphone"], **options)
    tab = Watched(await context.new_page())
    await tab.page.goto(link)
    assert tab.page.url == f"{server.url}/console"
    return tab


async def ring(server: Any, dial: Dial) -> Phone:
    """A call comes in, and stays."""
    phone: Phone = await dial(server.url, start=False)
    form = {"CallSid": phone.call, "From": ANN, "To": "+15550100199", "CallerName": EVIL}
    async with httpx.AsyncClient() as http:
        assert (await http.post(f"{server.url}/twilio/voice", data=form)).status_code == 200
    await phone.start()
    phone.hold()
    return phone


async def test_an_operator_follows_a_call_says_something_and_hangs_up(browser: Browser, usual: Any, dial: Dial) -> None:
    tab = await entered(browser, usual)
    page = tab.page
    phone = await ring(usual, dial)
    await page.get_by_role("link", name="Live", exact=True).click()
    row = page.locator("#live tr")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text(ANN)
    await expect(row).to_contain_text("Agent: word")
    await row.get_by_role("link").click()
    spoken = page.locator("#live-words li.agent")
    await expect(spoken.first).to_contain_text("word")
    await page.get_by_label("Say as the agent").fill(f"Good day {EVIL}")
    await page.get_by_role("button", name="Say").click()
    await expect(spoken.filter(has_text=f"Good day {EVIL}")).to_have_count(1)
    await page.get_by_role("button", name="Hang up").click()
    await expect(page.locator("#live-note")).to_contain_text("The call is over")
    await phone.closed()

    async def over() -> bool:
        await page.reload()
        return "Ended" in await page.locator("#content").inner_text()

    await until(over)
    await expect(page.locator("#content")).to_contain_text("operator")

    async def drawn() -> bool:
        await page.reload()
        return await page.locator("#report").count() > 0

    await until(drawn)
    await expect(page.locator("#play")).to_be_enabled()  # the tape is drawn, its audio unpacked
    await expect(page.locator("#transcript")).to_contain_text("Good day")
    assert await page.locator("img").count() == 0
    assert tab.complaints == []


async def test_an_operator_listens_in_takes_over_and_gives_back(browser: Browser, usual: Any, dial: Dial) -> None:
    tab = await entered(browser, usual)
    page = tab.page
    phone = await ring(usual, dial)
    await page.goto(f"{usual.url}/console/calls/{phone.call}")
    await expect(page.locator("#live-words li.agent").first).to_contain_text("word")
    await page.get_by_role("button", name="Listen in").click()
    await expect(page.get_by_role("button", name="Stop listening")).to_be_visible()
    heard_ms = phone.audio_ms()
    await page.get_by_role("button", name="Take over").click()
    await expect(page.locator("#live-who")).to_contain_text("local has taken over")
    await until(lambda: phone.audio_ms() > heard_ms + 1000)  # the microphone's
    await page.get_by_role("button", name="Give back").click()
    await expect(page.get_by_role("button", name="Take over")).to_be_visible()
    await page.get_by_role("button", name="Stop listening").click()
    await expect(page.get_by_role("button", name="Listen in")).to_be_visible()
    await phone.hang_up()
    await expect(page.locator("#live-note")).to_contain_text("The call is over")
    assert tab.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
async def test_every_page_fits_its_screen_and_turns_dark(browser: Browser, usual: Any, width: int, scheme: Any) -> None:
    tab = await entered(browser, usual, viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = tab.page
    for path in ("", "/live", "/calls", "/agents", "/settings", "/doctor", "/sign-in"):
        await page.goto(f"{usual.url}/console{path}")
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
        light = "getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] > 127"
        assert await page.evaluate(light) is (scheme == "light")
        await page.locator("#theme").click()
        assert await page.evaluate(light) is (scheme == "dark")
        await page.reload()
        assert await page.evaluate(light) is (scheme == "dark")  # the choice is kept
        await page.locator("#theme").click()
    assert tab.complaints == []


async def test_without_scripts_calls_are_found_shown_and_deleted(
    browser: Browser, usual: Any, dial: Dial, in_thread: Dial
) -> None:
    phone = await ring(usual, dial)
    await in_thread(usual.wait_for, "said", call=phone.call, role="agent")
    await phone.hang_up()
    tab = await entered(browser, usual, java_script_enabled=False)
    page = tab.page

    async def ended() -> bool:
        await page.goto(f"{usual.url}/console/calls?call={phone.call}")
        return "hangup" in await page.locator("tbody").inner_text()

    await until(ended)
    await page.locator("tbody a").click()
    await expect(page.locator("#transcript-record")).to_contain_text("word1")
    await page.get_by_role("button", name="Delete this call").click()
    assert page.url == f"{usual.url}/console/calls"
    await page.get_by_role("button", name="Sign out").click()
    assert page.url == f"{usual.url}/console/sign-in"
    await page.goto(f"{usual.url}/console/calls")
    assert page.url == f"{usual.url}/console/sign-in?next=/console/calls"
    assert tab.complaints == []
