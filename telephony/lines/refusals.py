"""Refused requests and sockets: a log line with the reason, and the metric."""

import logging
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response

from telephony.lines.metrics import Metrics

MAX_PATH = 80  # characters of the path that are logged

logger = logging.getLogger("voxline.refused")  # its lines are limited (config/log_limit.py)


class Refusals:
    """Logs and counts everything that one server refuses."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def tell(self, status: int, reason: str, *details: object, **fields: Any) -> str:
        """Count and log it; returns the full reason. `details` fill in the reason as in logging: each reason must be
        one text in the code, since the log's limit tells them apart by it."""
        self._metrics.refused.labels(str(status)).inc()
        logger.warning(f"refused: {reason}", *details, extra={**fields, "status": status})
        return reason % details if details else reason

    def answer(self, connection: HTTPConnection, status: int, reason: str, *details: object) -> Response:
        """The answer to a request or an upgrade that is refused."""
        text = self.tell(status, reason, *details, path=connection.url.path[:MAX_PATH])
        return PlainTextResponse(text + "\n", status)
