"""API tokens as a file: what is kept, who can read it, what is refused."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.exceptions import SettingsError
from telephony.server.sign_in import api_tokens
from telephony.server.sign_in.api_tokens import DAY_S, FILE, MAX_TOKENS, create, find, hashed, read, revoke
from telephony.server.sign_in.scope import Scope

READ = (Scope.CALLS_READ,)


def test_a_token_is_found_by_itself_alone(tmp_path: Path) -> None:
    one, other = (create(tmp_path, name, READ, None, 1000.9) for name in ("one", "other"))
    assert one != other
    assert len(one) > 43
    tokens = read(tmp_path)
    found = find(tokens, one)
    assert found
    assert (found.name, found.scopes, found.created, found.expires) == ("one", READ, 1000, None)
    for wrong in ("", one[:-1], f"{one}x", found.hash, hashed(found.hash), "\ud800"):
        assert find(tokens, wrong) is None


def test_only_its_hash_is_kept_and_only_for_the_servers_user(tmp_path: Path) -> None:
    given = create(tmp_path / "data", "crm", READ, None, 0)
    files = list((tmp_path / "data").iterdir())
    assert all(given.encode() not in file.read_bytes() for file in files)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_it_expires(tmp_path: Path) -> None:
    create(tmp_path, "crm", READ, 2, 1000)
    [token] = read(tmp_path)
    assert not token.is_over(999 + 2 * DAY_S)
    assert token.is_over(1000 + 2 * DAY_S)


def test_it_is_revoked_once(tmp_path: Path) -> None:
    given = create(tmp_path, "crm", READ, None, 0)
    create(tmp_path, "board", READ, None, 0)
    assert revoke(tmp_path, "crm")
    assert not revoke(tmp_path, "crm")
    assert [token.name for token in read(tmp_path)] == ["board"]
    assert find(read(tmp_path), given) is None
    assert create(tmp_path, "crm", READ, None, 0) != given


@pytest.mark.parametrize("name", ["", "-x", "a b", "a\n", "é", "x" * 41, "\x1b[1m", "=1"])
def test_names_are_plain(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="the name of a token"):
        create(tmp_path, name, READ, None, 0)


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    create(tmp_path, "crm", READ, None, 0)
    with pytest.raises(SettingsError, match="there is a token crm already"):
        create(tmp_path, "crm", READ, None, 0)
    with pytest.raises(SettingsError, match="needs a scope"):
        create(tmp_path, "other", (), None, 0)
    for days in (0, -1, 3651):
        with pytest.raises(SettingsError, match="--days"):
            create(tmp_path, "other", READ, days, 0)


def test_there_is_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_tokens, "MAX_TOKENS", 2)
    create(tmp_path, "one", READ, None, 0)
    create(tmp_path, "two", READ, None, 0)
    with pytest.raises(SettingsError, match="there are 2 tokens already"):
        create(tmp_path, "three", READ, None, 0)
    assert MAX_TOKENS > 2


def test_commands_at_once_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: create(tmp_path, f"t{number}", READ, None, 0), range(20)))
    assert sorted(token.name for token in read(tmp_path)) == sorted(f"t{number}" for number in range(20))


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"tokens": [{}]}', b'{"token": []}', b"\xff"])
def test_a_broken_file_is_named(tmp_path: Path, text: bytes) -> None:
    (tmp_path / FILE).write_bytes(text)
    with pytest.raises(SettingsError, match=FILE):
        read(tmp_path)
    with pytest.raises(SettingsError, match=FILE):
        create(tmp_path, "crm", READ, None, 0)
    assert (tmp_path / FILE).read_bytes() == text


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot change"):
        create(tmp_path / "file", "crm", READ, None, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_root_makes_tokens_for_the_servers_user(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    create(tmp_path, "crm", READ, None, 0)
    assert {file.stat().st_uid for file in tmp_path.iterdir()} == {12345}
