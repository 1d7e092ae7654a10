"""A server for each test."""

from collections.abc import AsyncGenerator

import pytest

from tests.agent.engine.openai.server import Server


@pytest.fixture
async def server() -> AsyncGenerator[Server, None]:
    running = Server()
    await running.start()
    yield running
    await running.stop()
