"""X-Twilio-Signature, against twilio's own RequestValidator."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import FormData, UploadFile
from twilio.request_validator import RequestValidator

from config.exceptions import SettingsError
from telephony.twilio.signature import Signature

AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
FORM = {"CallSid": "CA1", "From": "+15550100", "To": "+15550199", "CallerName": "Zoë & Söhne"}

twilio = RequestValidator(AUTH_TOKEN)


def test_the_example_of_twilios_documentation() -> None:
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    signature = Signature("12345", "https://mycompany.com")
    assert signature.webhook("/myapp.php?foo=1&bar=2", form, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")
    assert not signature.webhook("/myapp.php?foo=1&bar=3", form, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")


@pytest.mark.parametrize(
    ("public_url", "dialled"),
    [
        ("https://a.example", "https://a.example"),
        ("https://a.example/", "https://a.example"),
        ("https://a.example", "https://a.example:443"),
        ("https://a.example:443", "https://a.example"),
        ("https://a.example:8443", "https://a.example:8443"),
        ("https://a.example:8443", "https://a.example"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://a.example/phone", "https://a.example/phone"),
        ("https://a.example/phone/", "https://a.example/phone"),
    ],
)
def test_the_urls_that_twilio_signs(public_url: str, dialled: str) -> None:
    signature = Signature(AUTH_TOKEN, public_url)
    header = twilio.compute_signature(f"{dialled}/twilio/voice?a=%20b", FORM)
    assert signature.webhook("/twilio/voice?a=%20b", FORM, header)
    assert not signature.webhook("/twilio/status?a=%20b", FORM, header)

    socket = dialled.replace("http", "ws", 1)
    for slash in ("", "/"):
        header = twilio.compute_signature(f"{socket}/twilio/media{slash}", {})
        assert signature.upgrade("/twilio/media", header)
        assert signature.upgrade("/twilio/media/", header)
        assert not signature.upgrade("/twilio/other", header)


def test_what_is_not_signed_for_this() -> None:
    signature = Signature(AUTH_TOKEN, "https://a.example")
    good = twilio.compute_signature("https://a.example/twilio/voice", FORM)
    assert signature.webhook("/twilio/voice", FORM, good)
    assert not signature.webhook("/twilio/voice", FORM | {"From": "+15550101"}, good)
    assert not signature.webhook("/twilio/voice", FORM | {"New": ""}, good)
    assert not signature.webhook("/twilio/voice", {}, good)
    assert not signature.upgrade("/twilio/voice", good)
    assert not Signature("another token", "https://a.example").webhook("/twilio/voice", FORM, good)
    assert not Signature(AUTH_TOKEN, "https://b.example").webhook("/twilio/voice", FORM, good)
    # The upgrade is signed as wss://, a GET of the same path as https://.
    assert not signature.upgrade("/twilio/media", twilio.compute_signature("https://a.example/twilio/media", {}))


@pytest.mark.parametrize("header", [None, "", " ", "x", "é", "\ud800", "=" * 10_000])
def test_headers_that_are_none(header: str | None) -> None:
    signature = Signature(AUTH_TOKEN, "https://a.example")
    assert not signature.webhook("/twilio/voice", FORM, header)
    assert not signature.upgrade("/twilio/media", header)


def test_several_values_of_one_name() -> None:
    signature = Signature(AUTH_TOKEN, "https://a.example")
    form = FormData([("Event", "ringing"), ("CallSid", "CA1"), ("Event", "answered")])
    header = twilio.compute_signature("https://a.example/s", form)
    assert header == twilio.compute_signature("https://a.example/sCallSidCA1EventansweredEventringing", {})
    assert signature.webhook("/s", form, header)
    assert not signature.webhook("/s", FormData([("Event", "ringing"), ("CallSid", "CA1")]), header)


def test_an_uploaded_file_is_no_form_of_twilios() -> None:
    signature = Signature(AUTH_TOKEN, "https://a.example")
    header = twilio.compute_signature("https://a.example/s", {"a": "b"})
    with open("/dev/null", "rb") as file:  # noqa: PTH123
        assert not signature.webhook("/s", FormData([("a", UploadFile(file))]), header)
    assert not signature.webhook("/\ud800", {"a": "b"}, header)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=5), st.text("abcf/%20?=&", max_size=12))
def test_any_form_and_path(form: dict[str, str], path: str) -> None:
    signature = Signature(AUTH_TOKEN, "https://a.example")
    header = twilio.compute_signature(f"https://a.example/{path}", form)
    assert signature.webhook(f"/{path}", form, header)
    assert not signature.webhook(f"/{path}", form, header[:-2] + ("A=" if header[-2] != "A" else "B="))


@pytest.mark.parametrize(
    "url",
    ["", "a.example", "ftp://a", "https://", "https://:443", "https://a:99999", "https://a:0", "https://[::1",
     "https://user:secret@a.example", "https://a/?q=1", "https://a/#f"],
)  # fmt: skip
def test_public_urls_that_are_none(url: str) -> None:
    with pytest.raises(SettingsError, match="public_url must be") as caught:
        Signature(AUTH_TOKEN, url)
    assert "secret" not in str(caught.value)
