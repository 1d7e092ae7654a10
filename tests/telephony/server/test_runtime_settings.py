"""Settings that change while the server runs."""

from pathlib import Path

import pytest

from config.exceptions import SettingsError
from config.settings import Settings, load_settings
from telephony.server.runtime_settings import FILE, MAX_CHANGES, RuntimeSettings


def begin(folder: Path) -> tuple[RuntimeSettings, list[Settings]]:
    used: list[Settings] = []
    return RuntimeSettings(load_settings(None, {"server.data": str(folder)}), used.append), used


def test_a_change_holds_from_now_on(tmp_path: Path) -> None:
    runtime, used = begin(tmp_path)
    runtime.change({"turn.endpoint_ms": 500, "reply.streaming": False}, "me")
    runtime.change({"reply.speech_streaming": False}, "me")
    assert (used[-1].turn.endpoint_ms, used[-1].reply.streaming, used[-1].reply.speech_streaming) == (500, False, False)
    assert used[-1].server == runtime.begun_with.server
    assert not (tmp_path / FILE).exists()
    runtime.reset("me")
    assert used[-1] == runtime.begun_with
    assert not runtime.changes


def test_only_what_is_kept_survives_a_restart(tmp_path: Path) -> None:
    runtime, _ = begin(tmp_path)
    runtime.change({"turn.endpoint_ms": 500}, "me", keep=True)
    runtime.change({"turn.eager_ms": 200}, "me")
    runtime, used = begin(tmp_path)
    assert (used[-1].turn.endpoint_ms, used[-1].turn.eager_ms) == (500, 160)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    runtime.reset("me")
    assert begin(tmp_path)[1] == []


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"server.port": 1}, "'server.port' cannot change while the server runs"),
        ({"turn": {}}, "'turn' cannot change"),
        ({"turn.endpoint_ms": "soon"}, "turn.endpoint_ms: Input should be a valid integer"),
        ({"turn.endpoint": 1}, "there is no such setting; did you mean endpoint"),
        ({"turn.endpoint_min_ms": 2000}, "endpoint_min_ms must not be above endpoint_max_ms"),
        ({f"turn.{number}": 1 for number in range(MAX_CHANGES + 1)}, "at most 50 settings at once"),
    ],
)
def test_what_does_not_fit_changes_nothing(tmp_path: Path, values: dict[str, object], why: str) -> None:
    runtime, used = begin(tmp_path)
    with pytest.raises(SettingsError, match=why):
        runtime.change({"reply.streaming": False} | values, "me", keep=True)
    assert not used
    assert not (tmp_path / FILE).exists()


def test_a_file_that_cannot_be_read_stops_the_server_with_its_name(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("[]")
    with pytest.raises(SettingsError, match=FILE):
        begin(tmp_path)
