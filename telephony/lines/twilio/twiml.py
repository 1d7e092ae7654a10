"""The TwiML we answer webhooks with, made with Twilio's own package."""

from collections.abc import Mapping

from twilio.twiml.voice_response import Connect, Dial, Stream, VoiceResponse

from telephony.lines.screening import Refused

LANGUAGE = "en-US"


def connect(stream_url: str, action_url: str, parameters: Mapping[str, str]) -> str:
    """Connect the call to our media socket, and ask `action_url` what follows once the stream is over.

    `parameters` come back in `start`; a query in `stream_url` would be lost on the way.
    """
    stream = Stream(url=stream_url)
    for name, value in parameters.items():
        stream.parameter(name=name, value=value)
    connection = Connect(action=action_url, method="POST")
    connection.append(stream)
    return _text(connection)


def busy(text: str, *, language: str = LANGUAGE, voice: str | None = None) -> str:
    """Say that all lines are taken, and hang up; `language` and `voice` are Twilio's names."""
    return _say_and_hang_up(text, language, voice)


def failed(text: str, *, language: str = LANGUAGE, voice: str | None = None) -> str:
    """Apologize for a conversation that broke off, and hang up; `language` and `voice` are Twilio's names."""
    return _say_and_hang_up(text, language, voice)


def reject(reason: Refused) -> str:
    """Turn the call away without answering it."""
    response = VoiceResponse()
    response.reject(reason=reason)
    return str(response)


def dial(number: str) -> str:
    """Transfer the caller to a telephone number (+15550100) or a SIP address (sip:desk@example.com)."""
    call = Dial()
    if number.lower().startswith(("sip:", "sips:")):
        call.sip(number)
    else:
        call.number(number)
    return _text(call)


def hang_up() -> str:
    """End the call."""
    response = VoiceResponse()
    response.hangup()
    return str(response)


def _say_and_hang_up(text: str, language: str, voice: str | None) -> str:
    response = VoiceResponse()
    response.say(text, language=language, voice=voice)
    response.hangup()
    return str(response)


def _text(verb: Connect | Dial) -> str:
    response = VoiceResponse()
    response.append(verb)
    return str(response)
