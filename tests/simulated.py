"""Settings of servers whose engine is simulated."""

from typing import Any

SIP = {"sip.enabled": True, "sip.port": 0}


def quick(words: int = 4, word_ms: int = 100) -> dict[str, Any]:
    """An engine that answers at once, with `words` of `word_ms` each, and is ended by any speech: nobody hears it."""
    return {
        "engine.profile": "simulated",
        "engine.embedded.recognizer": "pocketsphinx",
        "engine.simulated.first_word_ms": 0,
        "engine.simulated.first_audio_ms": 0,
        "engine.simulated.words": words,
        "engine.simulated.audio_ms_per_word": word_ms,
    }
