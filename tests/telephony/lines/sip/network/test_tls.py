"""The operator's certificate, and the authorities that the operator trusts: taken, or refused with the reason."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from config.exceptions import SettingsError
from config.sip import SipSettings
from telephony.lines.sip.network.tls import client_context, server_context


def settings(tls_cert: str, tls_key: str = "") -> SipSettings:
    return SipSettings(transports=("tls",), tls_cert=tls_cert, tls_key=tls_key)


def test_certificate_and_key_in_one_file_or_two(certificate: dict[str, str], tmp_path: Path) -> None:
    server_context(settings(**certificate))
    both = tmp_path / "both.pem"
    both.write_text("".join(Path(path).read_text() for path in certificate.values()))
    server_context(settings(str(both)))


def test_each_fault_is_named(
    certificate: dict[str, str], make_certificate: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    cert, key = certificate["tls_cert"], certificate["tls_key"]
    other = make_certificate(name="other")["tls_key"]
    locked, text, broken = (str(tmp_path / name) for name in ("locked.key", "text.pem", "broken.pem"))
    lock = ["openssl", "pkey", "-aes256", "-in", key, "-out", locked, "-passout", "pass:secret"]
    subprocess.run(lock, check=True, capture_output=True)
    Path(text).write_text("hello")
    Path(broken).write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for files, said in (
        ((cert, other), "sip.tls_cert, sip.tls_key: the key is not the certificate's"),
        ((cert, locked), f"sip.tls_key: the key in '{locked}' has a password"),
        ((cert, text), f"sip.tls_key: '{text}' has no PEM text with PRIVATE KEY"),
        ((text, key), f"sip.tls_cert: '{text}' has no PEM text with CERTIFICATE"),
        ((broken, key), "sip.tls_cert, sip.tls_key: "),
        ((cert, ""), f"sip.tls_cert: '{cert}' has no PEM text with PRIVATE KEY"),
        ((cert, "/nowhere"), "sip.tls_key: cannot read '/nowhere': No such file"),
        ((str(tmp_path), key), f"sip.tls_cert: cannot read '{tmp_path}': Is a directory"),
    ):
        with pytest.raises(SettingsError) as error:
            server_context(settings(*files))
        assert str(error.value).startswith(said)


def test_an_authority_of_ours_counts_besides_those_of_the_system(certificate: dict[str, str]) -> None:
    usual = client_context(SipSettings()).cert_store_stats()["x509_ca"]
    ours = client_context(SipSettings(tls_ca=certificate["tls_cert"]))
    assert ours.cert_store_stats()["x509_ca"] == usual + 1
    assert ours.check_hostname


def test_what_is_wrong_with_the_authoritys_file_is_named(tmp_path: Path) -> None:
    text, broken = tmp_path / "text.pem", tmp_path / "broken.pem"
    text.write_text("hello")
    broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for file, said in (
        ("/nowhere", "sip.tls_ca: cannot read '/nowhere': No such file"),
        (str(text), f"sip.tls_ca: '{text}' has no PEM text with CERTIFICATE"),
        (str(broken), f"sip.tls_ca: '{broken}': "),
    ):
        with pytest.raises(SettingsError) as error:
            client_context(SipSettings(tls_ca=file))
        assert str(error.value).startswith(said)
