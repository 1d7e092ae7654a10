"""espeak-ng's voices: one by its name, or the one for a language. Reference: speak_lib.h of espeak-ng 1.52."""

import ctypes
from pathlib import Path
from typing import Any

from agent.exceptions import EngineError

_OK = 0  # EE_OK


class _Voice(ctypes.Structure):
    """espeak_VOICE."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),  # asked for: a code; of a voice: for each a byte (its priority) and a code
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class Voices:
    """Those of an initialized library with its data. Whoever uses it holds the library's lock."""

    def __init__(self, library: Any, data: Path) -> None:
        self._library = library
        self._library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        self._library.espeak_GetCurrentVoice.restype = ctypes.POINTER(_Voice)
        self._variants = sorted(path.name for path in (data / "voices" / "!v").iterdir())

    def choose(self, voice: str, language: str) -> None:
        """Speak from now on with this voice, or if it is empty with that of the language. Either may have a variant,
        such as en-gb+adam. Raises EngineError with what there is."""
        base, plus, variant = (voice or language).partition("+")
        if plus and variant not in self._variants:
            raise EngineError(f"espeak-ng has no variant {variant!r} of its voices; it has {', '.join(self._variants)}")
        if voice and self._by_name(voice):
            return
        if not self._by_language(base):  # by which also voices are found that are called otherwise: en-gb, fr-fr
            what = f"voice {voice!r}" if voice else f"voice for the language {language!r}"
            raise EngineError(f"espeak-ng has no {what}; it has those for {', '.join(self._languages())}")
        if plus:
            identifier: bytes = self._library.espeak_GetCurrentVoice().contents.identifier
            self._by_name(f"{identifier.decode()}+{variant}")

    def _by_name(self, name: str) -> bool:
        return bool(self._library.espeak_SetVoiceByName(name.encode()) == _OK)

    def _by_language(self, code: str) -> bool:
        asked = ctypes.create_string_buffer(code.encode())
        wanted = _Voice(languages=ctypes.addressof(asked))
        return bool(self._library.espeak_SetVoiceByProperties(ctypes.byref(wanted)) == _OK)

    def _languages(self) -> list[str]:
        codes: set[str] = set()
        voices = self._library.espeak_ListVoices(None)
        index = 0
        while voices[index]:
            codes.update(_codes(voices[index].contents.languages))
            index += 1
        return sorted(codes)


def _codes(address: int) -> list[str]:
    """The codes of a voice's languages."""
    codes = []
    while ctypes.string_at(address, 1) != b"\0":
        code = ctypes.string_at(address + 1)
        codes.append(code.decode())
        address += 2 + len(code)
    return codes
