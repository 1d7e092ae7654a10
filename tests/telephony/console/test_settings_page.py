"""Settings that are changed on their page, and changed back."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.telephony.console.served import Page, Served, csrf, served

CHANGE, RESET = "/console/settings/change", "/console/settings/reset"
KEY = "turn.endpoint_ms"


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path, turn__endpoint_ms=450) as one:
        yield one


def words(text: str) -> str:
    return " ".join(" ".join(Page(text).texts).split())


async def test_an_admin_changes_a_setting_and_changes_it_back(console: Served) -> None:
    async with console.signed_in("ada") as browser:
        token = await csrf(browser)
        answer = await browser.post(CHANGE, data={"csrf": token, "key": KEY, "value": "512"})
        assert (answer.status_code, answer.headers["location"]) == (303, f"/console/settings#{KEY}")
        assert console.app.shared.settings.turn.endpoint_ms == 512
        shown = words((await browser.get("/console/settings")).text)
        assert "512 was 450" in shown
        assert "changed at run time" in shown
        assert "changed at run time, kept" not in shown
        assert (await browser.post(RESET, data={"csrf": token})).status_code == 303
        assert console.app.shared.settings.turn.endpoint_ms == 450
        shown = words((await browser.get("/console/settings")).text)
        assert "changed at run time" not in shown
        assert "450 Change" in shown


async def test_what_is_kept_survives_a_restart(console: Served, tmp_path: Path) -> None:
    async with console.signed_in("ada") as browser:
        token = await csrf(browser)
        await browser.post(CHANGE, data={"csrf": token, "key": "reply.streaming", "value": "false", "keep": "on"})
    async with served(tmp_path) as again, again.signed_in("vera") as browser:
        assert again.app.shared.settings.reply.streaming is False
        assert "changed at run time, kept" in words((await browser.get("/console/settings")).text)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (KEY, "soon"),
        (KEY, "-1"),
        (KEY, ""),
        (KEY, "[1, 2]"),
        (KEY, "{a: 1}"),
        (KEY, "2026-99-99"),
        (KEY, "&a [*a]"),
        (KEY, "1" * 101),
        (KEY, "'"),
        (KEY, "\x00"),
        (KEY, "<img src=x>"),
        ("server.port", "1"),
        ("turn", "1"),
        ("turn.", "1"),
        ("turn.nothing", "1"),
        ("<img src=x>", "1"),
        ("", "1"),
    ],
)
async def test_a_wrong_value_changes_nothing_and_is_text(console: Served, key: str, value: str) -> None:
    before = console.app.shared.settings
    async with console.signed_in("ada") as browser:
        answer = await browser.post(CHANGE, data={"csrf": await csrf(browser), "key": key, "value": value})
    assert answer.status_code == 422
    assert "Nothing was changed." in words(answer.text)
    assert "img" not in [tag for tag, _ in Page(answer.text).tags]
    assert console.app.shared.settings is before


async def test_only_admins_from_the_page_may(console: Served) -> None:
    async with console.signed_in("otto") as browser:
        token = await csrf(browser)
        shown = (await browser.get("/console/settings")).text
        assert CHANGE not in shown
        for path in (CHANGE, RESET):
            assert (await browser.post(path, data={"csrf": token, "key": KEY, "value": "512"})).status_code == 403
    async with console.signed_in("ada") as browser:
        assert (await browser.post(CHANGE, data={"csrf": "x", "key": KEY, "value": "512"})).status_code == 403
    assert console.app.shared.settings.turn.endpoint_ms == 450


async def test_where_it_cannot_be_kept_it_holds_until_the_end(console: Served, tmp_path: Path) -> None:
    (tmp_path / "runtime-settings.json").mkdir()
    async with console.signed_in("ada") as browser:
        token = await csrf(browser)
        answer = await browser.post(CHANGE, data={"csrf": token, "key": KEY, "value": "512", "keep": "on"})
        assert (answer.status_code, "cannot be kept" in words(answer.text)) == (507, True)
        assert "changed at run time, kept" not in words(answer.text)
    assert console.app.shared.settings.turn.endpoint_ms == 512
