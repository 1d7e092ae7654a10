#!/usr/bin/env bash
# onnxruntime 1.31.1 (the wheel for Linux), Python 3.11: importing it writes to the home folder, before
# disable_telemetry_events() can be called.
#
# Seen: `import onnxruntime` alone makes ~/.cache/Microsoft/DeveloperTools/.onnxruntime/deviceid (36 characters, the
# same from then on) and onnxruntime.db, an SQLite database of events. It does so too with disable_telemetry_events() in
# the next statement, or with ORT_DISABLE_TELEMETRY=1 in os.environ after the import. With the variable set before the
# import, as the wheel's Privacy.md says, nothing is written; nor, of which it says nothing, with CI=true: so a test that
# looks for these files, or shows that they are not there, proves nothing where CI runs.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset ORT_DISABLE_TELEMETRY XDG_CACHE_HOME CI GITHUB_ACTIONS GITLAB_CI JENKINS_URL TF_BUILD TRAVIS
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.31.1
written() {
  rm -rf "$work/home"
  mkdir "$work/home"
  HOME=$work/home "$work/venv/bin/python" -c "$1" || exit 1
  (cd "$work/home" && find . -type f | sort | tr '\n' ' ')
}
folder=./.cache/Microsoft/DeveloperTools/.onnxruntime
both="$folder/deviceid $folder/onnxruntime.db "
expect() {
  local files
  files=$(written "$1")
  [ "$files" = "$2" ] || { echo "changed: '$1' leaves '$files'"; exit 1; }
}
expect "import onnxruntime" "$both"
[ "$(wc -c < "$work/home/$folder/deviceid")" = 36 ] || { echo "changed: another kind of id"; exit 1; }
expect "import onnxruntime; onnxruntime.disable_telemetry_events()" "$both"
expect "import os, onnxruntime; os.environ['ORT_DISABLE_TELEMETRY'] = '1'" "$both"
expect "import os; os.environ['ORT_DISABLE_TELEMETRY'] = '1'; import onnxruntime" ""
export CI=true
expect "import onnxruntime" ""
echo "as described"
