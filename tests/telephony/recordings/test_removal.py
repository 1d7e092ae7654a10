"""Which files are a recording's, and that no others are deleted."""

from pathlib import Path

import pytest

from telephony.recordings.removal import find_recording, remove_recording

NAME, OTHER = "20260501-090000-00000000000000aa", "20260501-090000-00000000000000bb"
FORMS = (".ogg", ".wav", ".incomplete.ogg", ".incomplete.wav", ".ogg.part", ".wav.part")


@pytest.mark.parametrize("form", FORMS)
def test_a_recording_is_deleted_in_every_form(tmp_path: Path, form: str) -> None:
    for name in (NAME, OTHER):
        (tmp_path / f"{name}{form}").write_bytes(b"")
    assert remove_recording(tmp_path, NAME)
    assert not remove_recording(tmp_path, NAME)
    assert [path.name for path in tmp_path.iterdir()] == [f"{OTHER}{form}"]


@pytest.mark.parametrize("form", FORMS)
def test_what_is_still_written_is_not_found(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"{NAME}{form}"
    path.write_bytes(b"")
    assert find_recording(tmp_path, NAME) == (None if form.endswith(".part") else path)


@pytest.mark.parametrize("name", ["", "*", "..", f"../{NAME}", f"{NAME}/", f"{NAME}\n", f"{NAME}.ogg", "a" * 200])
def test_no_other_name_is_one(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{NAME}.ogg").write_bytes(b"")
    with pytest.raises(ValueError, match="is no name of a recording"):
        remove_recording(tmp_path, name)
    assert find_recording(tmp_path, name) is None
    assert (tmp_path / f"{NAME}.ogg").exists()
