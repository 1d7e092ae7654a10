"""Logs: one JSON object a line (or text), each line of a call with the call's id."""

import logging
from collections.abc import MutableMapping
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from config.settings import LogSettings


class Log(logging.LoggerAdapter[logging.Logger]):
    """A logger whose lines all carry the same fields, such as the call's id, beside their own."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Join the fields."""
        kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
        return msg, kwargs


class TextFormatter(logging.Formatter):
    """A line for a person: time, level, call, message and the further fields."""

    _standard = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "call", "taskName", "color_message"}

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, a traceback below it."""
        fields = " ".join(f"{key}={value}" for key, value in vars(record).items() if key not in self._standard)
        call = getattr(record, "call", "")
        head = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():7} {call and call[-6:] + ' '}"
        line = f"{head}{record.getMessage()} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


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
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)
    # Their lines per request and per socket would drown the calls'.
    for name in ("uvicorn", "websockets", "httpx", "httpcore", "twilio.http_client"):
        logging.getLogger(name).setLevel(logging.WARNING)
