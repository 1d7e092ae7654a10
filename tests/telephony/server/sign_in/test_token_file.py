"""The tokens of a running server: read anew when they change; when they were used last."""

import logging
from pathlib import Path

import pytest

from telephony.server.sign_in.api_tokens import DAY_S, FILE, create, revoke
from telephony.server.sign_in.scope import Scope
from telephony.server.sign_in.token_file import HOUR_S, USED_FILE, TokenFile, read_used

READ = (Scope.CALLS_READ,)


class Clock:
    now_s = 10.0 * HOUR_S + 5

    def __call__(self) -> float:
        return self.now_s


async def test_without_tokens_nothing_is_written(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path)
    await tokens.look()
    assert tokens.find("") is None
    assert not any((tmp_path / name).exists() for name in (FILE, USED_FILE))


async def test_changes_are_noticed(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path, clock=Clock())
    given = create(tmp_path, "crm", READ, None, 0)
    assert tokens.find(given) is None
    await tokens.look()
    found = tokens.find(given)
    assert found
    assert found.name == "crm"
    revoke(tmp_path, "crm")
    await tokens.look()
    assert tokens.find(given) is None
    again = create(tmp_path, "crm", READ, None, 0)
    await tokens.look()
    assert tokens.find(again)
    (tmp_path / FILE).unlink()
    await tokens.look()
    assert tokens.find(again) is None


async def test_an_expired_token_is_none(tmp_path: Path) -> None:
    clock = Clock()
    tokens = TokenFile(tmp_path, clock=clock)
    given = create(tmp_path, "crm", READ, 1, clock())
    await tokens.look()
    assert tokens.good(given)
    clock.now_s += DAY_S
    assert tokens.good(given) is None
    assert tokens.find(given) is None


async def test_last_uses_are_kept_to_the_hour_and_written_when_they_change(tmp_path: Path) -> None:
    clock = Clock()
    tokens = TokenFile(tmp_path, clock=clock)
    given = create(tmp_path, "crm", READ, None, 0)
    await tokens.look()
    tokens.good(given)
    await tokens.look()
    assert not (tmp_path / USED_FILE).exists()
    tokens.find(given)
    await tokens.look()
    written = (tmp_path / USED_FILE).stat().st_ino
    assert list(read_used(tmp_path).values()) == [10 * HOUR_S]
    clock.now_s += 60
    tokens.find(given)
    await tokens.look()
    assert (tmp_path / USED_FILE).stat().st_ino == written
    clock.now_s += HOUR_S
    tokens.find(given)
    await tokens.look()
    assert list(read_used(tmp_path).values()) == [11 * HOUR_S]


async def test_of_a_revoked_token_nothing_is_kept(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path)
    given = create(tmp_path, "crm", READ, None, 0)
    create(tmp_path, "board", READ, None, 0)
    await tokens.look()
    tokens.find(given)
    await tokens.look()
    assert len(read_used(tmp_path)) == 1
    revoke(tmp_path, "crm")
    await tokens.look()
    assert read_used(tmp_path) == {}


async def test_with_a_broken_file_no_token_is_right(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tokens = TokenFile(tmp_path)
    given = create(tmp_path, "crm", READ, None, 0)
    await tokens.look()
    (tmp_path / FILE).write_bytes(b"{")
    with caplog.at_level(logging.ERROR, "voxline.tokens"):
        await tokens.look()
        await tokens.look()
    assert tokens.find(given) is None
    assert len(caplog.records) == 1
    assert given not in caplog.text


@pytest.mark.parametrize("text", [b"", b"[]", b'{"x": "y"}', b"\xff"])
def test_a_broken_file_of_last_uses_is_as_good_as_none(tmp_path: Path, text: bytes) -> None:
    (tmp_path / USED_FILE).write_bytes(text)
    assert read_used(tmp_path) == {}
