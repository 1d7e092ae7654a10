"""What strangers wrote is text on every page: their markup, quotes and control characters become nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from telephony.records.call_record import ToolRun, Turn
from telephony.records.text import clean
from tests.telephony.console.served import Page, Served, served
from tests.telephony.console.stored import lately, store
from tests.telephony.records.calls import NASTY

# Each begins with a mark by which it is found, and tries another way out.
HOSTILE = [
    "~0</bdi><script>alert(1)</script>",
    '~1"><img src=x onerror=alert(1)>',
    "~2' onmouseover='alert(1)",
    "~3{{ 7 * 7 }}{% include 'base.html' %}${7*7}",
    "~4<!--",
    "~5</title></head><body><h1>x</h1>",
    "~6&lt;b&gt;&amp;&#x3c;script&#x3e;",
    "~7javascript:alert(1)",
    "~8<style>*{display:none}</style><link rel=stylesheet href=//evil.example>",
    "~9\u202ereversed\u2028\u2029\ufeff",
    f"~10{NASTY}",
]
TEXTS = (
    "call carrier_id line trunk direction caller called caller_name forwarded_from agent ended_by reason outcome"
    " transfer"
).split()


def record(text: str, number: int) -> Any:
    """A call with this text wherever a stranger, an agent's file or a carrier may have written something."""
    text = clean(text)
    turns = (Turn("caller", text, 100), Turn(text, text, 200, interrupted=True))
    tools = (
        ToolRun(text, 100, ok=True, arguments={text: text}, result={text: [text]}),
        ToolRun(text, 200, ok=False, error=text),
    )
    fields: dict[str, Any] = dict.fromkeys(TEXTS, text)
    slow = {"latency_max": 9000, "latency_worst_turn": 1, "replies_failed": 1, "loss": 0.5, "underruns": 1}
    return lately(number, transcript=turns, tools=tools, tape=text, recording=text, **fields, **slow)


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        yield one


def shape(page: Page) -> list[tuple[str, list[str]]]:
    """Its elements with their attributes' names, and the classes of each."""
    return [(tag, [*attrs, *str(attrs.get("class", "")).split()]) for tag, attrs in page.tags]


async def test_no_field_of_a_record_becomes_markup(console: Served) -> None:
    plain = record("harmless", 1)
    records = [plain, *(record(text, 2 + number) for number, text in enumerate(HOSTILE))]
    ids = await store(console.app, *records)
    async with console.signed_in() as browser:
        wanted = Page((await browser.get(f"/console/calls/{ids[0]}")).text)
        for number, text in zip(ids[1:], map(clean, HOSTILE), strict=True):
            page = Page((await browser.get(f"/console/calls/{number}")).text)
            assert shape(page) == shape(wanted)
            seen, expected = page.text.split(), text.split()
            assert " ".join(expected) in " ".join(seen)
            assert " ".join(seen).count(" ".join(expected)) >= wanted.text.count("harmless") - 6  # those within JSON
        for path in ("/console", "/console/calls", "/console/calls?q=harmless"):
            page = Page((await browser.get(path)).text)
            assert {tag for tag, _ in page.tags} <= set(ALLOWED)
            assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
            assert all(href.startswith(("/", "#")) and not href.startswith("//") for href in page.hrefs())
        listed = " ".join(Page((await browser.get("/console/calls")).text).text.split())
        assert all(" ".join(clean(text).split()) in listed for text in HOSTILE)


ALLOWED = (
    "html head meta title link script body a header svg path circle nav div button span form input main h1 h2 section p"
    " ul li time bdi b code table thead tbody tr th td meter label select option datalist footer"
).split()


@pytest.mark.parametrize("text", HOSTILE)
async def test_what_is_searched_for_stays_text(console: Served, text: str) -> None:
    async with console.signed_in() as browser:
        plain = Page((await browser.get("/console/calls", params={"agent": "harmless", "before": "x"})).text)
        query = {"agent": text.encode("utf-8", "replace").decode(), "before": "x"}
        page = Page((await browser.get("/console/calls", params=query)).text)
        assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
        for path in (
            f"/console/calls/{text[:40]}",
            "/console/sign-in?next=" + text[:60],
            "/console?token=" + text[:40],
        ):
            answer = await browser.get(quote(path, safe="/?=", errors="replace"))
            assert answer.status_code in (200, 303, 400, 404)
            assert "<script>alert" not in answer.text
            assert "<img" not in answer.text
            assert "evil.example" not in answer.headers.get("location", "").partition("?")[0]


async def test_a_name_that_cannot_sign_in_comes_back_as_text(console: Served) -> None:
    async with console.browser() as browser:
        for text in HOSTILE[:3]:
            answer = await browser.post("/console/sign-in", data={"name": text, "password": "x", "next": text})
            values = [attrs.get("value") for tag, attrs in Page(answer.text).tags if tag == "input"]
            assert values[:2] == ["/console", text]


def test_the_record_above_has_every_text_there_is() -> None:
    """A new field of strangers' is to be looked at here, too."""
    texts = {field.name for field in msgspec.structs.fields(type(lately())) if field.type is str}
    assert texts == {*TEXTS, "host", "run", "tape", "recording"}
