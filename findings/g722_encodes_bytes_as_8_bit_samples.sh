#!/usr/bin/env bash
# G722 1.2.8, Python 3.11: encode() takes the bytes of 16-bit PCM for samples of 8 bits each, without an error.
#
# Seen: 320 samples in an array("h") become 160 bytes of G.722; the 640 bytes of its tobytes() become 320, each byte
# encoded as a sample from 0 to 255. An array("h") or a list of numbers is encoded as expected.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check G722==1.2.8
"$work/venv/bin/python" - <<'PY'
import array
import math
import sys

from G722 import G722


def encoded(samples):
    return bytes(G722(16000, 64000).encode(samples))


tone = array.array("h", (round(8000 * math.sin(2 * math.pi * 440 * i / 16000)) for i in range(320)))
octets = tone.tobytes()
if len(encoded(tone)) != 160 or encoded(list(tone)) != encoded(tone):
    sys.exit("changed: array and list are not encoded alike, two samples a byte")
try:
    of_octets = encoded(octets)
except (TypeError, ValueError) as error:
    sys.exit(f"changed: bytes are refused ({error})")
if of_octets == encoded(tone):
    sys.exit("changed: bytes are 16-bit PCM")
if of_octets != encoded(list(octets)) or len(of_octets) != 320:
    sys.exit("changed: bytes are something else")
PY
echo "as described"
