"""X-Twilio-Signature, against twilio's own RequestValidator."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers, ImmutableMultiDict
from twilio.request_validator import RequestValidator, get_signature_algorithm

from config.exceptions import SettingsError
from telephony.lines.twilio import signature as ours
from telephony.lines.twilio.signature import Claim, NotSigned

AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
FORM = {"CallSid": "CA1", "From": "+15550100", "To": "+15550199", "CallerName": "Zoë & Söhne"}

SHARED = "webhooks_sharedkey_01k4h7g2n8"
SECRET = "shared-secret-of-this-test"
SETTINGS = f"key={SHARED},algorithm=HMAC_SHA256"

twilio = RequestValidator(AUTH_TOKEN)


class Signature(ours.Signature):
    """With the two steps of a check in one."""

    def signed(self, path: str, form: dict[str, str], header: str | None, settings: str | None = None) -> bool:
        return self._either(
            header, settings, lambda claim: self.webhook(claim, path, {k: [v] for k, v in form.items()})
        )

    def opened(self, path: str, header: str | None, settings: str | None = None) -> bool:
        return self._either(header, settings, lambda claim: self.upgrade(claim, path))

    def _either(self, header: str | None, settings: str | None, check: Callable[[Claim], bool]) -> bool:
        given = {"x-twilio-signature": header, "x-twilio-webhooks-signature-settings": settings}
        try:
            claim = self.claim(Headers({name: value for name, value in given.items() if value is not None}))
        except NotSigned:
            return False
        return check(claim)


def test_the_example_of_twilios_documentation() -> None:
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    signature = Signature("12345", "https://mycompany.com")
    assert signature.signed("/myapp.php?foo=1&bar=2", form, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")
    assert not signature.signed("/myapp.php?foo=1&bar=3", form, "RSOYDt4T1cUTdK1PDd93/VVr8B8=")


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
    assert signature.signed("/twilio/voice?a=%20b", FORM, header)
    assert not signature.signed("/twilio/status?a=%20b", FORM, header)

    socket = dialled.replace("http", "ws", 1)
    for slash in ("", "/"):
        header = twilio.compute_signature(f"{socket}/twilio/media{slash}", {})
        assert signature.opened("/twilio/media", header)
        assert signature.opened("/twilio/media/", header)
        assert not signature.opened("/twilio/other", header)


def test_what_is_not_signed_for_this() -> None:
    signature = Signature(AUTH_TOKEN, "https://a.example")
    good = twilio.compute_signature("https://a.example/twilio/voice", FORM)
    assert signature.signed("/twilio/voice", FORM, good)
    assert not signature.signed("/twilio/voice", FORM | {"From": "+15550101"}, good)
    assert not signature.signed("/twilio/voice", FORM | {"New": ""}, good)
    assert not signature.signed("/twilio/voice", {}, good)
    assert not signature.opened("/twilio/voice", good)
    assert not Signature("another token", "https://a.example").signed("/twilio/voice", FORM, good)
    assert not Signature(AUTH_TOKEN, "https://b.example").signed("/twilio/voice", FORM, good)
    # The upgrade is signed as wss://, a GET of the same path as https://.
    assert not signature.opened("/twilio/media", twilio.compute_signature("https://a.example/twilio/media", {}))


@pytest.mark.parametrize("header", [None, "", " ", "x", "é", "=" * 10_000])
def test_headers_that_are_none(header: str | None) -> None:
    signature = Signature(AUTH_TOKEN, "https://a.example")
    assert not signature.signed("/twilio/voice", FORM, header)
    assert not signature.opened("/twilio/media", header)


def test_several_values_of_one_name() -> None:
    signature = Signature(AUTH_TOKEN, "https://a.example")
    pairs = [("Event", "ringing"), ("CallSid", "CA1"), ("Event", "answered")]
    header = twilio.compute_signature("https://a.example/s", ImmutableMultiDict(pairs))
    assert header == twilio.compute_signature("https://a.example/sCallSidCA1EventansweredEventringing", {})
    claim = signature.claim(Headers({"X-Twilio-Signature": header}))
    assert signature.webhook(claim, "/s", {"Event": ["ringing", "answered"], "CallSid": ["CA1"]})
    assert not signature.webhook(claim, "/s", {"Event": ["ringing"], "CallSid": ["CA1"]})
    assert not signature.webhook(claim, "/\ud800", {"CallSid": ["CA1"]})


names = st.text(max_size=6) | st.sampled_from(["a", "b", "ab"])


@given(st.lists(st.tuples(names, names), max_size=30), st.sampled_from([None, SETTINGS]))
def test_any_fields_are_signed_as_by_twilios_own_code(pairs: list[tuple[str, str]], settings: str | None) -> None:
    algorithm = get_signature_algorithm(settings)
    theirs = RequestValidator(SECRET if settings else AUTH_TOKEN)
    header = theirs.compute_signature("https://a.example/s", ImmutableMultiDict(pairs), algorithm)
    signature = Signature(AUTH_TOKEN, "https://a.example", {SHARED: SECRET})
    headers = {"X-Twilio-Signature": header}
    if settings:
        headers["X-Twilio-Webhooks-Signature-Settings"] = settings
    form: dict[str, list[str]] = {}
    for name, value in pairs:
        form.setdefault(name, []).append(value)
    assert signature.webhook(signature.claim(Headers(headers)), "/s", form)
    assert not signature.webhook(signature.claim(Headers(headers)), "/s", form | {"z": ["z"]})


def test_a_form_of_many_fields_is_checked_in_linear_time() -> None:
    """Not by the clock: by what is looked at. The SDK walks through all fields for each of them."""

    class Counted(dict[str, list[str]]):
        looked_at = 0

        def __getitem__(self, name: str) -> list[str]:
            Counted.looked_at += 1
            return super().__getitem__(name)

    signature = Signature(AUTH_TOKEN, "https://a.example")
    claim = signature.claim(Headers({"X-Twilio-Signature": "x"}))
    assert not signature.webhook(claim, "/s", Counted({f"n{number}": ["v"] for number in range(490)}))
    assert Counted.looked_at == 490


# Shared keys: as twilio 9.13's RequestValidator checks them, told by the header which


def shared(url: str, form: dict[str, str], secret: str = SECRET, algorithm: str = "HMAC_SHA256") -> str:
    return str(RequestValidator(secret).compute_signature(url, form, algorithm))


@pytest.mark.parametrize("auth_token", [AUTH_TOKEN, ""])
def test_a_webhook_and_an_upgrade_signed_with_a_shared_key(auth_token: str) -> None:
    signature = Signature(auth_token, "https://a.example", {SHARED: SECRET, "another": "another-secret-of-ours"})
    header = shared("https://a.example/twilio/voice", FORM)
    assert RequestValidator(SECRET).validate("https://a.example/twilio/voice", FORM, header, "HMAC_SHA256")
    for settings in (SETTINGS, f" algorithm = HMAC_SHA256 , key = {SHARED} ", f"key={SHARED},algorithm=hmac_sha256"):
        assert signature.signed("/twilio/voice", FORM, header, settings)
    assert not signature.signed("/twilio/voice", FORM | {"To": "+1"}, header, SETTINGS)
    assert not signature.signed("/twilio/voice", FORM, header)
    assert not signature.signed("/twilio/voice", FORM, header, SETTINGS.replace(SHARED, "another"))
    assert not signature.signed("/twilio/voice", FORM, header, f"key={SHARED}")  # then it would be HMAC_SHA1
    sha1 = shared("https://a.example/twilio/voice", FORM, algorithm="HMAC_SHA1")
    assert signature.signed("/twilio/voice", FORM, sha1, f"key={SHARED}")
    assert signature.opened("/twilio/media", shared("wss://a.example/twilio/media", {}), SETTINGS)
    assert not signature.opened("/twilio/media", shared("wss://a.example/twilio/media", {}))


def test_the_auth_token_counts_beside_shared_keys_and_not_in_their_place() -> None:
    header = twilio.compute_signature("https://a.example/s", FORM)
    assert Signature(AUTH_TOKEN, "https://a.example", {SHARED: SECRET}).signed("/s", FORM, header)
    assert not Signature("", "https://a.example", {SHARED: SECRET}).signed("/s", FORM, header)
    forged = shared("https://a.example/s", FORM, "")  # with no secret at all
    for settings in (None, SETTINGS, "key=", "key=,algorithm=HMAC_SHA256"):
        assert not Signature("", "https://a.example", {SHARED: SECRET}).signed("/s", FORM, forged, settings)


@pytest.mark.parametrize(
    ("auth_token", "settings", "why"),
    [
        (AUTH_TOKEN, None, "the signature is missing"),
        (AUTH_TOKEN, "key=x,algorithm=HMAC_SHA256", "the shared key 'x', which twilio.shared_keys does not have"),
        (AUTH_TOKEN, f"key={SHARED},algorithm=ED25519", "signed by 'ED25519', which this version does not know"),
        ("", "", "signed with the account's auth token, but only twilio.shared_keys are set"),
    ],
)
def test_what_cannot_be_checked_says_why(auth_token: str, settings: str | None, why: str) -> None:
    given = {"X-Twilio-Signature": "x", "X-Twilio-Webhooks-Signature-Settings": settings}
    headers = {} if settings is None else given
    with pytest.raises(NotSigned, match=why):
        Signature(auth_token, "https://a.example", {SHARED: SECRET}).claim(Headers(headers))


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=5), st.text("abcf/%20?=&", max_size=12))
def test_any_form_and_path(form: dict[str, str], path: str) -> None:
    signature = Signature(AUTH_TOKEN, "https://a.example")
    header = twilio.compute_signature(f"https://a.example/{path}", form)
    assert signature.signed(f"/{path}", form, header)
    assert not signature.signed(f"/{path}", form, header[:-2] + ("A=" if header[-2] != "A" else "B="))


@pytest.mark.parametrize(
    "url",
    ["", "a.example", "ftp://a", "https://", "https://:443", "https://a:99999", "https://a:0", "https://[::1",
     "https://user:secret@a.example", "https://a/?q=1", "https://a/#f"],
)  # fmt: skip
def test_public_urls_that_are_none(url: str) -> None:
    with pytest.raises(SettingsError, match="public_url must be") as caught:
        Signature(AUTH_TOKEN, url)
    assert "secret" not in str(caught.value)
