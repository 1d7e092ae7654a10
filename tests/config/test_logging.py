"""Log lines: one JSON object each, with the call's id."""

import json
import logging
from collections.abc import Iterator

import pytest

from config.logging import Log, configure_logging
from config.settings import LogSettings


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_json_lines_carry_the_call_and_further_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="json"))
    log = Log(logging.getLogger("voxline.test"), {"call": "CA123"})
    log.info("said %d", 5, extra={"role": "caller"})
    log.debug("not shown")
    [line] = capsys.readouterr().err.splitlines()
    fields = json.loads(line)
    assert fields.pop("time")
    assert fields == {
        "level": "INFO",
        "logger": "voxline.test",
        "message": "said 5",
        "call": "CA123",
        "role": "caller",
    }


def test_text_lines_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="text", level="warning"))
    log = Log(logging.getLogger("voxline.test"), {"call": "CA00000000123456"})
    log.info("not shown")
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("failed", extra={"reply": 3})
    output = capsys.readouterr().err
    assert "not shown" not in output
    assert "123456 failed reply=3" in output
    assert "ValueError: broken" in output
