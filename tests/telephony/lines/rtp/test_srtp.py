"""SRTP: both ways through libsrtp itself; what is forged or replayed is dropped; keys in session descriptions."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.exceptions import SettingsError
from telephony.lines.rtp import rtcp, srtp
from telephony.lines.rtp.packet import Packet, encode
from telephony.lines.rtp.srtp import MAX_STREAMS, SUITES, Crypto, Srtp, make_crypto, parse_crypto

KEY64 = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"  # RFC 4568's own
CONTROL = rtcp.build(rtcp.RtcpReport(5), rtcp.Name(5, "x"))


def rtp(sequence: int, ssrc: int = 5) -> bytes:
    return encode(Packet(0, sequence & 0xFFFF, sequence * 160, ssrc, bytes(range(160))))


def pair(suite: str = SUITES[0]) -> tuple[Srtp, Srtp]:
    pytest.importorskip("pylibsrtp")
    ann, bob = make_crypto(1, suite), make_crypto(1, suite)
    return Srtp(ann, bob), Srtp(bob, ann)


@pytest.mark.parametrize(("suite", "tag_bytes"), [(SUITES[0], 10), (SUITES[1], 4)])
def test_both_ways_with_both_suites(suite: str, tag_bytes: int) -> None:
    ann, bob = pair(suite)
    for n in range(50):
        sealed = ann.protect(rtp(n))
        assert len(sealed) == len(rtp(n)) + tag_bytes
        assert rtp(n)[12:] not in sealed
        assert bob.unprotect(sealed) == rtp(n)
        assert ann.unprotect(bob.protect(rtp(1000 + n, ssrc=6))) == rtp(1000 + n, ssrc=6)
    sealed = ann.protect_control(CONTROL)
    assert len(sealed) == len(CONTROL) + 4 + 10  # RTCP has the long tag with either suite
    assert bob.unprotect_control(sealed) == CONTROL
    assert (bob.forged, bob.replayed) == (0, 0)


def test_the_numbers_wrap() -> None:
    ann, bob = pair()
    for n in range(65_500, 65_700):
        assert bob.unprotect(ann.protect(rtp(n))) == rtp(n)


def test_a_packet_with_any_bit_changed_is_dropped_and_counted() -> None:
    ann, bob = pair()
    sealed = ann.protect(rtp(1))
    for at in range(1, len(sealed)):
        assert bob.unprotect(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]) is None
    assert bob.forged == len(sealed) - 1
    assert bob.unprotect(sealed) == rtp(1)


def test_a_replayed_packet_is_dropped_and_counted() -> None:
    ann, bob = pair()
    sealed = [ann.protect(rtp(n)) for n in range(300)]
    assert all(bob.unprotect(one) for one in sealed)
    assert bob.unprotect(sealed[299]) is None
    assert bob.unprotect(sealed[0]) is None  # older than the window
    control = ann.protect_control(CONTROL)
    assert bob.unprotect_control(control) is not None
    assert bob.unprotect_control(control) is None
    assert (bob.replayed, bob.forged) == (3, 0)


def test_the_wrong_key_opens_nothing() -> None:
    ann, _ = pair()
    _, eve = pair()
    assert eve.unprotect(ann.protect(rtp(1))) is None
    assert eve.forged == 1


def test_a_new_key_of_the_peer_leaves_our_own_direction_as_it_is() -> None:
    """Whose count of the sequence number's cycles must not begin anew, nor the record of what has come."""
    ann, bob = pair()
    for n in range(65_000, 66_000):
        sealed = bob.protect(rtp(n))
        assert ann.unprotect(sealed) == rtp(n)
    before = ann.protect(rtp(1))
    fresh = make_crypto(1, SUITES[0])
    ann.rekey(fresh, ann.remote)
    bob.rekey(bob.local, fresh)
    assert bob.unprotect(before) is None
    assert bob.unprotect(ann.protect(rtp(2))) == rtp(2)
    assert ann.unprotect(sealed) is None
    assert ann.replayed == 1
    assert ann.unprotect(bob.protect(rtp(66_000))) == rtp(66_000)


def test_a_peer_has_so_many_streams_and_no_more() -> None:
    ann, bob = pair()
    taken = [bob.unprotect(ann.protect(rtp(1, ssrc=n))) for n in range(MAX_STREAMS + 5)]
    assert [one is not None for one in taken] == MAX_STREAMS * [True] + 5 * [False]


@given(st.binary(max_size=1600))
def test_any_bytes_are_dropped(data: bytes) -> None:
    ann, _ = pair()
    assert ann.unprotect(data) is None
    assert ann.unprotect_control(data) is None
    assert ann.forged + ann.replayed == 2


def test_without_pylibsrtp_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srtp, "pylibsrtp", None)
    crypto = make_crypto(1, SUITES[0])
    with pytest.raises(SettingsError, match="pip install"):
        Srtp(crypto, crypto)


def test_a_crypto_line_is_read_and_written() -> None:
    crypto = parse_crypto(f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY64}|2^20")
    assert (crypto.tag, crypto.suite, len(crypto.key)) == (1, SUITES[0], 30)
    assert str(crypto) == f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY64}"
    assert parse_crypto(str(crypto)) == crypto
    assert KEY64 not in repr(crypto)


@pytest.mark.parametrize("rest", ["", "|2^31", "|1048576", " WSH=64", "|2^48 WSH=128"])
def test_what_else_may_stand_in_a_crypto_line(rest: str) -> None:
    assert parse_crypto(f"3  aes_cm_128_hmac_sha1_32 inline:{KEY64}{rest} ").tag == 3


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "malformed"),
        ("1", "malformed"),
        (f"x AES_CM_128_HMAC_SHA1_80 inline:{KEY64}", "malformed"),
        (f"1 AES_256_CM_HMAC_SHA1_80 inline:{KEY64}", "only"),
        (f"1 F8_128_HMAC_SHA1_80 inline:{KEY64}", "only"),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY64}|2^20|1:4", "master key identifier"),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY64}|1:4", "master key identifier"),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY64};inline:{KEY64}", "parameters|several"),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY64} UNENCRYPTED_SRTP", "session parameters"),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY64} KDR=1", "session parameters"),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY64[:36]}AA==", "key of 28 bytes"),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY64[:37]}=A==", "base64"),
    ],
)
def test_crypto_lines_that_we_cannot_do_are_refused(value: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_crypto(value)


@given(st.text(max_size=120))
def test_any_text_is_a_crypto_line_or_a_value_error(text: str) -> None:
    for value in (text, f"1 AES_CM_128_HMAC_SHA1_80 inline:{text}", f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY64}{text}"):
        with contextlib.suppress(ValueError):
            assert isinstance(parse_crypto(value), Crypto)
