"""The audio's ports: enough, free, buffered."""

import socket
from pathlib import Path

from config.sip import SipSettings
from telephony.doctor import media_ports
from tests.telephony.doctor.findings import of, text


def sip(first: int, last: int) -> SipSettings:
    return SipSettings(rtp_first_port=first, rtp_last_port=last)


def test_two_ports_a_call_and_some_to_spare() -> None:
    for ports, level in ((198, "problem"), (200, "warning"), (218, "warning"), (220, "ok")):
        found = list(media_ports.check(sip(30_300, 30_299 + ports), 100))
        assert found[0].level == level
        assert f"audio for {ports // 2} calls" in found[0].text


def test_an_odd_first_port_is_left_out() -> None:
    assert "audio for 2 calls" in text(media_ports.check(sip(30_911, 30_916), 2))


def test_ports_that_are_taken() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 30_901))
        found = list(media_ports.check(sip(30_900, 30_903), 2))
        assert "1 of 2 pairs tried are taken or unavailable, such as 127.0.0.1 port 30900" in of("warning", found)[0]
        assert of("warning", media_ports.check(sip(30_900, 30_903), 2, running=True)) == []
        assert (
            "1 of 1"
            in of(
                "problem",
                media_ports.check(
                    SipSettings.model_construct(host="127.0.0.1", rtp_first_port=30_900, rtp_last_port=30_901), 1
                ),
            )[0]
        )
    assert "2 of its pairs were tried: all free" in text(media_ports.check(sip(30_900, 30_903), 2))


def test_a_kernel_that_keeps_little(tmp_path: Path) -> None:
    small = tmp_path / "rmem_max"
    small.write_text("4096\n")
    found = of("warning", media_ports.check(sip(30_900, 30_999), 10, rmem_max=small))
    assert found == ["the kernel keeps 4096 bytes for a socket, where 65536 are wanted: bursts may be lost"]
    assert of("warning", media_ports.check(sip(30_900, 30_999), 10, rmem_max=tmp_path / "none")) == []
