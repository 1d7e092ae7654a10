"""Logs: one JSON object a line (or text), each line of a call with the call's id."""

import logging
from collections.abc import MutableMapping
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from config.log_limit import LogLimit
from config.settings import LogSettings

# Loggers whose lines strangers can cause, as often as they like.
LIMITED = ("voxline.refused", "voxline.sip", "uvicorn.error")


class Log(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines all carry the same fields, such as the call's id, beside their own."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Merge the fields."""
        kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
        return msg, kwargs


class TextFormatter(logging.Formatter):
    """A line for people: time, level, call, message and the other fields.

    Any of them may contain what a peer has sent, so control characters are escaped: no terminal obeys them.
    """

    _standard = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "call", "taskName", "color_message"}

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, a traceback indented below it."""
        fields = " ".join(f"{key}={value}" for key, value in vars(record).items() if key not in self._standard)
        call = getattr(record, "call", "")
        head = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():7} {call and call[-6:] + ' '}"
        lines = [f"{head}{record.getMessage()} {fields}".rstrip()]
        if record.exc_info:
            lines += [f"    {line}" for line in self.formatException(record.exc_info).split("\n")]
        return "\n".join(printable(line) for line in lines)


def printable(text: str) -> str:
    """The text with its control characters escaped: terminals obey them, and a new line could pass for one of ours."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def configure_logging(settings: LogSettings) -> None:
    """Send everything to standard error in the format of the settings."""
    handler = logging.StreamHandler()
    if settings.format == "json":
        handler.setFormatter(
            JsonFormatter(
                "{levelname}{name}{message}",
                style="{",
                timestamp="time",
                rename_fields={"levelname": "level", "name": "logger"},
                reserved_attrs=[*vars(logging.makeLogRecord({})), "taskName", "color_message"],
            )
        )
    else:
        handler.setFormatter(TextFormatter())
    handler.addFilter(LogLimit(LIMITED))
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)
    # Their lines for every request and socket would drown the calls'.
    for name in ("uvicorn", "websockets", "httpx", "httpcore", "twilio.http_client", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
