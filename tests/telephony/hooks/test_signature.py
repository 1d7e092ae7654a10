"""Signatures of hooks, by a fixed example that receivers can check theirs with."""

from hypothesis import given
from hypothesis import strategies as st

from telephony.hooks.signature import signature


def test_a_signature_is_as_documented() -> None:
    assert signature("0123456789abcdef", b'{"event":"before_call"}', 1_777_600_800) == (
        "t=1777600800,v1=3c5676fa1402cfcb0fa1069684da2bbf2dcd2f1200d9c821b4f70098f9307aa5"
    )


@given(st.text(min_size=16), st.binary(), st.binary(), st.integers(0, 2**40))
def test_another_body_or_time_has_another_signature(secret: str, one: bytes, other: bytes, at_s: int) -> None:
    same = signature(secret, one, at_s) == signature(secret, other, at_s)
    assert same == (one == other)
    assert signature(secret, one, at_s) != signature(secret, one, at_s + 1)
