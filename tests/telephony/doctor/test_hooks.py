"""What the doctor says of webhooks: which settings do not fit together, and no address."""

from typing import Any

import pytest

from telephony.doctor import hooks
from tests.telephony.doctor.findings import of, settings, text

SECRET = "0123456789abcdef"
AFTER = {"hooks__after_call": "https://ann:pa55@hooks.example/after", "hooks__secret": SECRET}
BEFORE = {"hooks__before_call": "https://ann:pa55@hooks.example/before", "hooks__secret": SECRET}


@pytest.mark.parametrize("changes", [{}, BEFORE, AFTER, AFTER | BEFORE | {"records__keep_days": 3}])
def test_what_fits_together(changes: dict[str, Any]) -> None:
    found = list(hooks.check(settings(**changes)))
    assert {finding.level for finding in found} == {"ok"}
    assert "pa55" not in text(found)
    assert SECRET not in text(found)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hooks__secret": SECRET}, "hooks.secret is set, but there is no address"),
        (AFTER | {"hooks__after_call": "http://ann:pa55@192.0.2.9/x"}, "hooks.after_call is http://"),
        (BEFORE | {"hooks__before_call": "http://127.0.0.1:8080/x"}, "voxline's own port 8080"),
        (BEFORE | {"hooks__before_call": "http://localhost/x", "server__port": 80}, "voxline's own port 80"),
        (AFTER | {"records__keep_days": 2}, "calls are deleted after 2 days"),
    ],
)
def test_what_does_not(changes: dict[str, Any], said: str) -> None:
    [found] = of("warning", hooks.check(settings(**changes)))
    assert said in found
    assert "pa55" not in found


def test_a_program_on_this_machine_needs_no_encryption() -> None:
    assert of("warning", hooks.check(settings(**BEFORE | {"hooks__before_call": "http://127.0.0.1:9000/x"}))) == []
