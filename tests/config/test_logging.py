"""Log lines: one JSON object each, with the call's id."""

import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.logging import LIMITED, Log, configure_logging, printable
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


HOSTILE = "\x1b[2J\r\nforged\x00\x07\x7f\x9b\u2028\u202e"


@pytest.mark.parametrize("place", ["message", "argument", "call", "field", "key", "error"])
def test_no_control_character_reaches_a_terminal(capsys: pytest.CaptureFixture[str], place: str) -> None:
    configure_logging(LogSettings(format="text"))
    logger = logging.getLogger("voxline.test")
    match place:
        case "message":
            logger.warning("refused: " + HOSTILE)  # as a library may
        case "argument":
            logger.warning("refused: %s", HOSTILE)
        case "call":
            logger.warning("refused", extra={"call": HOSTILE[-9:] + HOSTILE[:6]})
        case "field":
            logger.warning("refused", extra={"path": HOSTILE})
        case "key":
            logger.warning("refused", extra={HOSTILE: 1})
        case "error":
            logger.warning("refused", exc_info=ValueError(HOSTILE))
    output = capsys.readouterr().err
    assert all(character.isprintable() for line in output.split("\n") for character in line)
    assert "\\x1b[2J" in output
    begun = [line for line in output.splitlines() if not line.startswith("    ")]
    assert len(begun) == 1  # what was sent cannot pass for a line of its own


def test_letters_of_every_language_stay(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="text"))
    logging.getLogger("voxline.test").warning("said %s", "Zoë, こんにちは, мир 😊")
    assert "said Zoë, こんにちは, мир 😊" in capsys.readouterr().err


@given(st.text(st.characters(codec=None)))
def test_any_text_is_printable(text: str) -> None:
    assert printable(text).isprintable()


@pytest.mark.parametrize("format", ["json", "text"])
def test_a_flood_by_strangers_does_not_fill_the_log(capsys: pytest.CaptureFixture[str], format: str) -> None:  # noqa: A002
    configure_logging(LogSettings(format=format))
    for number in range(1000):
        logging.getLogger(LIMITED[0]).warning("refused: %s", number)
        if number % 100 == 0:
            logging.getLogger("voxline.call").warning("socket lost")
    output = capsys.readouterr().err
    assert 20 <= output.count("refused") < 200
    assert output.count("socket lost") == 10
