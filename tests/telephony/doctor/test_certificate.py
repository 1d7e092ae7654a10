"""The certificate as a phone sees it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from config.sip import SipSettings
from telephony.doctor import certificate as doctor
from tests.telephony.doctor.findings import of, text

Make = Callable[..., dict[str, str]]


def sip(files: dict[str, str], advertised: str = "") -> SipSettings:
    return SipSettings(transports=("tls",), advertised=advertised, **files)


def test_a_good_one_that_signs_itself(make_certificate: Make) -> None:
    found = list(doctor.check(sip(make_certificate(days=60))))
    assert of("problem", found) == []
    assert of("warning", found) == ["no authority that this machine knows vouches for it: self-signed certificate"]
    assert "127.0.0.1 among them" in text(found)
    assert ", 59 days" in text(found) or ", 60 days" in text(found)


def test_one_that_is_soon_over(make_certificate: Make) -> None:
    found = of("warning", doctor.check(sip(make_certificate(days=5))))
    assert found[0].startswith("the certificate is valid until ")


def test_one_that_is_over(make_certificate: Make, tmp_path: Path) -> None:
    files = make_certificate()
    request = str(tmp_path / "request.pem")
    ask = ["openssl", "req", "-new", "-key", files["tls_key"], "-subj", "/CN=voxline", "-out", request]
    sign = ["openssl", "x509", "-req", "-in", request, "-signkey", files["tls_key"], "-days", "-1", "-out"]
    subprocess.run(ask, check=True, capture_output=True)
    subprocess.run([*sign, files["tls_cert"]], check=True, capture_output=True)
    found = list(doctor.check(sip(files)))
    assert of("problem", found) == [f"the certificate {files['tls_cert']} has expired: certificate has expired"]
    assert found[0].advice == "renew it"


def test_names_are_those_that_callers_dial(make_certificate: Make) -> None:
    named = make_certificate("DNS:voice.example.com,DNS:*.sip.example.com")
    assert (
        "ok: callers by TLS must dial voice.example.com, *.sip.example.com, not 203.0.113.5, which the certificate"
        " does not name"
    ) in text(doctor.check(sip(named, "203.0.113.5")))
    other = make_certificate("IP:192.0.2.1", name="other")
    assert "the certificate names 192.0.2.1 and not 127.0.0.1" in of("warning", doctor.check(sip(other)))
    assert "203.0.113.5 among them" in text(doctor.check(sip(make_certificate("IP:203.0.113.5"), "203.0.113.5")))


def test_one_that_an_authority_signed_with_its_chain(
    signed: tuple[dict[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files, authority = signed
    assert "unable to get local issuer" in of("warning", doctor.check(sip(files)))[0]
    monkeypatch.setenv("SSL_CERT_FILE", authority)  # as if this machine knew it
    found = list(doctor.check(sip(files)))
    assert [finding.level for finding in found] == ["ok", "ok"]


def test_what_the_server_refuses_is_a_problem(make_certificate: Make) -> None:
    mixed = make_certificate() | {"tls_key": make_certificate(name="other")["tls_key"]}
    assert of("problem", doctor.check(sip(mixed))) == ["sip.tls_cert, sip.tls_key: the key is not the certificate's"]


def test_authorities_of_the_operators_own(signed: tuple[dict[str, str], str], tmp_path: Path) -> None:
    files, authority = signed
    (found,) = doctor.check_authorities(SipSettings(tls_ca=authority))
    assert (found.level, found.text[:41]) == ("ok", "sip.tls_ca: voxline vouches for servers t")
    leaf = doctor.check_authorities(SipSettings(tls_ca=files["tls_cert"]))
    assert of("warning", leaf) == [f"sip.tls_ca: no certificate in {files['tls_cert']} is an authority's"]
    nowhere = doctor.check_authorities(SipSettings(tls_ca="/nowhere"))
    assert of("problem", nowhere) == ["sip.tls_ca: cannot read '/nowhere': No such file or directory"]


def test_an_authority_that_is_over_is_a_problem(make_certificate: Make, tmp_path: Path) -> None:
    files, old = make_certificate(), str(tmp_path / "old.pem")
    again = ["openssl", "x509", "-in", files["tls_cert"], "-signkey", files["tls_key"], "-days", "-1", "-out", old]
    subprocess.run(again, check=True, capture_output=True)
    (found,) = of("problem", doctor.check_authorities(SipSettings(tls_ca=old)))
    assert found.startswith("sip.tls_ca: voxline expired on ")
