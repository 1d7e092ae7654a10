"""The part of TwiML that calls to an agent need: XML in, verbs out. Sans-I/O."""

from xml.etree import ElementTree

import msgspec

LONGEST = 64 * 1024  # characters; Twilio's own limit


class Stream(msgspec.Struct, frozen=True):
    """`<Connect><Stream>`: talk over this socket; `action` is requested for what follows (empty: the next verb)."""

    url: str
    parameters: dict[str, str]
    action: str = ""


class Say(msgspec.Struct, frozen=True):
    """Twilio itself says something."""

    text: str


class Dial(msgspec.Struct, frozen=True):
    """The call is transferred."""

    number: str


class Redirect(msgspec.Struct, frozen=True):
    """Continue with the TwiML at another address."""

    url: str


class Hangup(msgspec.Struct, frozen=True):
    """The agent's side ends the call."""


class Reject(msgspec.Struct, frozen=True):
    """The call is rejected; `reason` is "busy" or "rejected"."""

    reason: str


class Other(msgspec.Struct, frozen=True):
    """A verb that the simulator ignores."""

    name: str


Verb = Stream | Say | Dial | Redirect | Hangup | Reject | Other


def parse(document: str) -> list[Verb]:
    """The verbs of a TwiML document. Raises ValueError for what Twilio would reject."""
    if len(document) > LONGEST:
        raise ValueError(f"the TwiML has {len(document)} characters; Twilio takes {LONGEST}")
    if "<!" in document.replace("<!--", ""):  # a DTD could blow up the parser, and TwiML has none
        raise ValueError("the TwiML holds a document type or CDATA declaration")
    try:
        root = ElementTree.fromstring(document.strip())  # noqa: S314 (no DTD, see above)
    except ElementTree.ParseError as error:
        raise ValueError(f"the TwiML is no XML: {error}") from error
    if root.tag != "Response":
        raise ValueError(f"the TwiML's root is <{root.tag}>, not <Response>")
    return [_verb(element) for element in root]


def _verb(element: ElementTree.Element) -> Verb:
    text = " ".join("".join(element.itertext()).split())
    match element.tag:
        case "Connect":
            verb: Verb = _stream(element)
        case "Say":
            verb = Say(text)
        case "Dial":
            verb = Dial(text)  # of <Dial>+1…</Dial> and of <Dial><Number>+1…</Number></Dial> alike
        case "Redirect":
            verb = Redirect(text)
        case "Hangup":
            verb = Hangup()
        case "Reject":
            verb = Reject(element.get("reason", "rejected"))
        case _:
            verb = Other(element.tag)
    return verb


def _stream(connect: ElementTree.Element) -> Stream:
    stream = connect.find("Stream")
    if stream is None:
        raise ValueError("<Connect> without <Stream>")
    url = stream.get("url", "")
    if not url.startswith(("ws://", "wss://")):  # ws:// is for servers on this machine; Twilio wants wss://
        raise ValueError(f"<Stream url={url!r}> is no ws:// or wss:// address")
    url = url.partition("?")[0]  # Twilio does not pass the query on
    parameters = {item.get("name", ""): item.get("value", "") for item in stream.findall("Parameter")}
    return Stream(url=url, parameters=parameters, action=connect.get("action", ""))
