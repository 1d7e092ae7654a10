"""Pages that call, closed after each test."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest

from tests.telephony.lines.browser.client import Page


@pytest.fixture
async def page() -> AsyncGenerator[Callable[..., Awaitable[Page]]]:
    """Opens pages: `await page(server.url)`; with `start=False` only the socket."""
    pages: list[Page] = []

    async def open_page(url: str, *, start: bool = True, **wanted: Any) -> Page:
        pages.append(Page(url))
        if start:
            return await pages[-1].start(**wanted)
        await pages[-1].open()
        return pages[-1]

    yield open_page
    for one in pages:
        await one.end()
