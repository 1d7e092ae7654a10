"""Hashes of passwords: what fits, what is refused."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.password_hash import MAX_PASSWORD, PasswordHash

SALT, HASH = "A" * 22 + "==", "A" * 43 + "="


def quick(password: str) -> PasswordHash:
    """A hash that takes no time."""
    new = PasswordHash(2, 1, 1, b"salt" * 4)
    return msgspec.structs.replace(new, hash=new._computed(password.encode()))


def test_a_password_fits_its_own_hash_only() -> None:
    written = str(PasswordHash.of("correct horse"))
    assert written.startswith("scrypt$16384$8$5$")
    assert "horse" not in written
    read = PasswordHash.parse(written)
    assert read.fits("correct horse")
    assert not read.fits("Correct horse")
    assert not read.fits("")
    assert not read.fits("x" * (MAX_PASSWORD + 1))
    assert str(PasswordHash.of("correct horse")) != written  # another salt


@given(st.text(min_size=1, max_size=40))
def test_any_text_can_be_one(password: str) -> None:
    made = quick("else")
    if len(password.encode("utf-8", "surrogatepass")) <= MAX_PASSWORD:
        made = msgspec.structs.replace(made, hash=made._computed(password.encode("utf-8", "surrogatepass")))
        assert PasswordHash.parse(str(made)).fits(password)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "scrypt$",
        f"bcrypt$16384$8$5${SALT}${HASH}",
        f"scrypt$16384$8$5${SALT}",
        f"scrypt$16383$8$5${SALT}${HASH}",
        f"scrypt$1$8$5${SALT}${HASH}",
        f"scrypt$-2$8$5${SALT}${HASH}",
        f"scrypt$16384$0$5${SALT}${HASH}",
        f"scrypt$16384$8$17${SALT}${HASH}",
        f"scrypt$1048576$8$1${SALT}${HASH}",
        f"scrypt${'9' * 4000}$8$5${SALT}${HASH}",
        f"scrypt$16384$8$5$!!!${HASH}",
        f"scrypt$16384$8$5${SALT}$AAAA",
        f"scrypt$16384$8$5$AAAA${HASH}",
    ],
)
def test_what_is_no_hash_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"wanted|power of two") as refused:
        PasswordHash.parse(text)
    assert len(text) < 10 or text not in str(refused.value)


@given(st.text(max_size=80))
def test_no_text_is_read_in_any_other_way(text: str) -> None:
    try:
        PasswordHash.parse(f"scrypt${text}")
    except ValueError as error:
        assert type(error) is ValueError
