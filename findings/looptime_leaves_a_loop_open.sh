#!/usr/bin/env bash
# looptime 0.9 beside pytest-asyncio 1.5.0 and pytest 9.2.0, Python 3.11: a test without async makes an event loop that
# nobody closes, although neither that test nor any other is marked for looptime. Installing it is enough.
#
# Seen: with `-W error` the test after it fails, whichever collects the garbage, with "unclosed event loop". The plugin asks
# the policy for its event loop before every test, and in 3.11 the policy makes one where there is none. Without looptime
# both tests pass; with asyncio.set_event_loop(None) in conftest.py they pass too, since the policy then raises.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pytest==9.2.0 pytest-asyncio==1.5.0
cat > "$work/test_order.py" <<'PY'
import gc


def test_without_async():
    pass


async def test_with_async():
    gc.collect()
PY
cd "$work"
run() {
  "$work/venv/bin/python" -m pytest -q -W error -p no:cacheprovider -o asyncio_mode=auto \
    -o asyncio_default_fixture_loop_scope=function test_order.py 2>&1
}
run | grep -q "2 passed" || { echo "changed: fails without looptime"; exit 1; }
"$work/venv/bin/pip" install --quiet --disable-pip-version-check looptime==0.9
without=$(run) && { echo "changed: nothing is left open any more"; exit 1; }
grep -q "unclosed event loop" <<< "$without" || { echo "changed: another failure"; exit 1; }
grep -q "1 failed, 1 passed" <<< "$without" || { echo "changed: another count"; exit 1; }
echo 'import asyncio; asyncio.set_event_loop(None)' > conftest.py
run | grep -q "2 passed" || { echo "changed: set_event_loop(None) does not help"; exit 1; }
echo "as described"
