"""When a part of the models counts as lost."""

import asyncio

import pytest

from agent.engine.fallback.circuit_breaker import CircuitBreaker
from agent.exceptions import EngineError


class Clock:
    """The event loop's, turned by hand. Nothing may be awaited meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)


async def test_one_failure_is_the_requests_own_and_two_in_a_row_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    breaker = CircuitBreaker("model", 10)
    for _ in range(3):
        breaker.failed("CA1", EngineError("too long"))
        assert not breaker.lost
        assert breaker.may_be_asked()
        breaker.worked()
    breaker.failed("CA1", EngineError("gone"))
    breaker.failed("CA2", EngineError("gone"))
    assert breaker.lost
    assert not breaker.may_be_asked()
    assert breaker.failures == 5


async def test_after_a_while_one_request_finds_out_whether_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    breaker = CircuitBreaker("model", 10)
    for _ in range(2):
        breaker.failed("CA1", TimeoutError())
    clock.now += 9.9
    assert not breaker.may_be_asked()
    clock.now += 0.1
    assert [breaker.may_be_asked() for _ in range(3)] == [True, False, False]
    breaker.failed("CA1", TimeoutError())
    clock.now += 10
    assert [breaker.may_be_asked() for _ in range(3)] == [True, False, False]
    breaker.worked()
    assert all(breaker.may_be_asked() for _ in range(3))


async def test_the_log_names_the_call_and_shows_where_a_bug_is(caplog: pytest.LogCaptureFixture) -> None:
    breaker = CircuitBreaker("model", 10)
    breaker.failed("CA1", EngineError("out of memory"))
    breaker.failed("CA2", ValueError("a bug"))
    breaker.failed("CA3", TimeoutError())
    assert [record.message for record in caplog.records] == [
        "the model failed: out of memory",
        "the model failed: a bug",
        "the model failed: no answer",
    ]
    assert [vars(record)["call"] for record in caplog.records] == ["CA1", "CA2", "CA3"]
    assert [bool(record.exc_info) for record in caplog.records] == [False, True, False]
