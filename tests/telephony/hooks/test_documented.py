"""The check of signatures that docs/hooks.md gives to receivers."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from telephony.hooks.signature import signature

PAGE = Path(__file__).parents[3] / "docs" / "hooks.md"
SECRET, BODY = "a secret of the tests", b'{"event":"before_call"}'


@pytest.fixture
def check() -> Callable[..., bool]:
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    names: dict[str, Any] = {}
    exec(found[1], names)
    is_voxline: Callable[..., bool] = names["is_voxline"]
    return is_voxline


def test_it_takes_what_we_sign_and_nothing_else(check: Callable[..., bool]) -> None:
    now = int(time.time())
    header = signature(SECRET, BODY, now)
    assert check(SECRET, header, BODY)
    assert not check(SECRET, header, BODY + b" ")
    assert not check("another secret", header, BODY)
    assert not check(SECRET, header.replace("t=", "t=1"), BODY)
    assert not check(SECRET, signature(SECRET, BODY, now - 1000), BODY)
    for nonsense in ("", "t=,v1=", "t=5", "v1=x,t=y", "a,b,c"):
        assert not check(SECRET, nonsense, BODY)
