#!/usr/bin/env bash
# libspandsp2 0.0.6+dfsg-2+b1 (Debian bookworm, amd64) beside G722 1.2.8 from PyPI (libg722): g722_decode wraps around
# where what it decodes is louder than full scale, as it can be although what was encoded is not.
#
# Seen: of white noise of full scale at 64 kbit/s, libg722 decodes the loudest samples to 32767 or -32768 and spandsp to
# values near the opposite limit, a click each: -32593 for 32767. All other samples are the same in both, and so is all
# of such noise at a quarter of full scale.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check G722==1.2.8
cd "$work"
# spandsp's libtiff and what that needs are of no interest here: whichever version Debian has.
apt-get download -qq -o APT::Sandbox::User="$(id -un)" libspandsp2=0.0.6+dfsg-2+b1 \
  libtiff6 libwebp7 liblerc4 libjbig0 libjpeg62-turbo libdeflate0
for package in ./*.deb; do dpkg -x "$package" debian; done
LD_LIBRARY_PATH=$work/debian/usr/lib/x86_64-linux-gnu "$work/venv/bin/python" - <<'PY'
import array
import ctypes
import random
import sys

from G722 import G722

spandsp = ctypes.CDLL("libspandsp.so.2")
spandsp.g722_decode_init.restype = ctypes.c_void_p
spandsp.g722_decode_init.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
spandsp.g722_decode.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]


def decoded_both_ways(full_scale):
    """One second of noise: pairs of samples, libg722's and spandsp's."""
    dice = random.Random(1)
    noise = array.array("h", (round(dice.uniform(-full_scale, full_scale)) for _ in range(16000)))
    payload = bytes(G722(16000, 64000).encode(noise))
    samples = (ctypes.c_int16 * len(noise))()
    decoder = spandsp.g722_decode_init(None, 64000, 0)
    if spandsp.g722_decode(decoder, samples, payload, len(payload)) != len(noise):
        sys.exit("changed: another number of samples")
    return list(zip(G722(16000, 64000).decode(payload), samples, strict=True))


if any(a != b for a, b in decoded_both_ways(8191)):
    sys.exit("changed: quiet noise is decoded differently")
different = [(a, b) for a, b in decoded_both_ways(32767) if a != b]
if not different:
    sys.exit("changed: loud noise is decoded alike")
if not all(a == 32767 and b < -16384 or a == -32768 and b > 16384 for a, b in different):
    sys.exit("changed: loud noise differs elsewhere")
print(f"{len(different)} of 16000 samples, such as {different[:3]}")
PY
echo "as described"
