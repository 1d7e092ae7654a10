"""Refusals: one log line, one count, one answer, all with the same reason."""

import logging

import pytest
from starlette.requests import Request

from telephony.lines.metrics import Metrics
from telephony.lines.refusals import MAX_PATH, Refusals


def request(path: str) -> Request:
    return Request(
        {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "server": ("x", 80)}
    )


def test_a_refusal_is_answered_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    answer = Refusals(metrics).answer(request("/twilio/voice"), 404, "there is no agent %.40r", "nobody")
    assert (answer.status_code, answer.body) == (404, b"there is no agent 'nobody'\n")
    [record] = caplog.records
    assert (record.name, record.levelno) == ("voxline.refused", logging.WARNING)
    assert record.getMessage() == "refused: there is no agent 'nobody'"
    assert record.msg == "refused: there is no agent %.40r"  # one kind of line, whatever strangers ask for
    assert vars(record) | {"status": 404, "path": "/twilio/voice"} == vars(record)
    assert metrics.registry.get_sample_value("voxline_refused_total", {"reason": "404"}) == 1


def test_no_more_of_a_path_is_logged_than_a_line_can_bear(caplog: pytest.LogCaptureFixture) -> None:
    Refusals(Metrics()).answer(request("/" + 5000 * "x"), 404, "there is nothing at this path")
    assert vars(caplog.records[0])["path"] == "/" + (MAX_PATH - 1) * "x"


def test_a_percent_sign_in_a_reason_without_details_is_no_format(caplog: pytest.LogCaptureFixture) -> None:
    assert Refusals(Metrics()).tell(400, "100 % wrong") == "100 % wrong"
    assert caplog.records[0].getMessage() == "refused: 100 % wrong"
