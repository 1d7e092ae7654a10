"""What the doctor says of the calls on record."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from telephony.doctor import records
from telephony.records.database import FILE
from tests.telephony.doctor.findings import of, settings, text
from tests.telephony.records.conftest import fresh, postgres
from tests.telephony.records.postgres import PASSWORD

__all__ = ["fresh", "postgres"]  # fixtures


def test_sqlite_as_it_is_found_and_nothing_is_made(tmp_path: Path) -> None:
    given = settings(server__data=str(tmp_path))
    assert "created by the first start" in of("ok", records.check(given))[0]
    assert list(tmp_path.iterdir()) == []
    (tmp_path / FILE).write_bytes(b"SQLite format 3\x00...")
    assert of("ok", records.check(given)) == [f"SQLite: {tmp_path / FILE}"]
    (tmp_path / FILE).write_bytes(b"something else entirely")
    assert of("warning", records.check(given)) == [f"{tmp_path / FILE} is no SQLite database"]
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    assert "cannot be written" in of("warning", records.check(given))[0]


def test_where_no_calls_go_on_record_an_address_has_no_effect() -> None:
    assert {finding.level for finding in records.check(settings(records__mode="off"))} == {"ok"}
    found = of("warning", records.check(settings(records__mode="off", records__url="postgresql://a:b@192.0.2.9/c")))
    assert found == ["records.url is set, but records.mode is off: no calls go there"]


@pytest.mark.parametrize("url", ["mysql://ann:s3cret@db/x", "nonsense s3cret"])
def test_what_is_no_address_of_postgresql(url: str) -> None:
    assert of("problem", records.check(settings(records__url=url)))
    assert "s3cret" not in text(records.check(settings(records__url=url)))


def test_a_driver_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def without(name: str, *more: Any) -> Any:
        return None if name == "asyncpg" else find(name, *more)

    monkeypatch.setattr("telephony.records.database.find_spec", without)
    [found] = of("problem", records.check(settings(records__url="postgresql://ann:s3cret@127.0.0.1/x")))
    assert "needs asyncpg" in found
    assert "s3cret" not in found


def test_a_database_that_is_not_there() -> None:
    pytest.importorskip("asyncpg")
    [found] = records.check(settings(records__url="postgresql://ann:s3cret@127.0.0.1:1/x"))
    assert (found.level, "the database does not answer" in found.text) == ("warning", True)
    assert "s3cret" not in found.text + found.advice


@pytest.mark.slow
def test_a_real_database_and_a_wrong_password(fresh: str) -> None:
    pytest.importorskip("asyncpg")
    assert of("ok", records.check(settings(records__url=fresh))) == ["records.url: the database answers"]
    [found] = of("warning", records.check(settings(records__url=fresh.replace(PASSWORD, "wrong-one"))))
    assert "password authentication failed" in found
    assert "wrong-one" not in found
