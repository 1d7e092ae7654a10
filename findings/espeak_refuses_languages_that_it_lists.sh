#!/usr/bin/env bash
# espeakng-loader 0.2.4 (espeak-ng 1.52.0): espeak_ListVoices lists "en-gb" and "fr-fr" beside "en-us", "es" and
# "pt-br", but espeak_SetVoiceByName takes only the last three.
#
# Seen: espeak_SetVoiceByName returns 2 (not found) for "en-gb" and "fr-fr", and 0 for "en-us", "es", "pt-br". The
# header says that it looks for a voice's name and does not consider its language; the name of the voice's file is taken
# too, and only the files of the first two, gmw/en and roa/fr, are not called after their languages.
# espeak_SetVoiceByProperties takes all five. "en-us+f2" is the voice gmw/en-US+f2, and "en-us+nosuch", whose variant
# does not exist, returns 0 as well: it is gmw/en-US.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check espeakng-loader==0.2.4
"$work/venv/bin/python" - <<'PY'
import ctypes
import sys

import espeakng_loader

OK, NOT_FOUND = 0, 2


class Voice(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),  # the first one, behind a byte that is its priority
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


espeak = ctypes.CDLL(espeakng_loader.get_library_path())
espeak.espeak_Info.restype = ctypes.c_char_p
espeak.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(Voice))
espeak.espeak_GetCurrentVoice.restype = ctypes.POINTER(Voice)


def expect(what, seen, expected):
    if seen != expected:
        sys.exit(f"changed: {what} is {seen!r}, not {expected!r}")


synchronous = 2
espeak.espeak_Initialize(synchronous, 0, espeakng_loader.get_data_path().encode(), 0)
expect("the version", espeak.espeak_Info(None), b"1.52.0")
voices, i, languages = espeak.espeak_ListVoices(None), 0, set()
while voices[i]:
    languages.add(voices[i].contents.languages[1:])
    i += 1
for language, by_its_name in (
    (b"en-gb", NOT_FOUND),
    (b"fr-fr", NOT_FOUND),
    (b"en-us", OK),
    (b"es", OK),
    (b"pt-br", OK),
):
    expect(f"{language} among those listed", language in languages, True)
    expect(f"SetVoiceByName({language})", espeak.espeak_SetVoiceByName(language), by_its_name)
    spec = ctypes.byref(Voice(languages=language))
    expect(f"SetVoiceByProperties({language})", espeak.espeak_SetVoiceByProperties(spec), OK)
for name, voice in ((b"en-us+f2", b"gmw/en-US+f2"), (b"en-us+nosuch", b"gmw/en-US")):
    expect(f"SetVoiceByName({name})", espeak.espeak_SetVoiceByName(name), OK)
    expect(f"the voice of {name}", espeak.espeak_GetCurrentVoice().contents.identifier, voice)
PY
echo "as described"
