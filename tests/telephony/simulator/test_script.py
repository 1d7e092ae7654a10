"""Scripts: what is shipped is right, and what is wrong is named."""

from pathlib import Path

import pytest

from telephony.simulator import script as module
from telephony.simulator.script import HangUp, Interrupt, Say, ScriptError, Wait, Wav, load_script

SHIPPED = sorted((Path(module.__file__).parent / "scripts").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_scripts_are_right(path: Path) -> None:
    script = load_script(path)
    assert script.name == path.stem
    assert any(isinstance(step, Interrupt if script.name in ("demo", "load") else Say) for step in script.steps)


def test_every_kind_of_step(tmp_path: Path) -> None:
    (tmp_path / "hello.wav").write_bytes(b"")
    path = tmp_path / "all.yaml"
    path.write_text(
        """
        voice: en-gb
        expect: transferred
        steps:
          - wait
          - wait: {quiet_ms: 500, timeout_ms: 1000}
          - say: hello
            level_dbfs: -30
          - wav: hello.wav
            answer: false
          - interrupt: {after_ms: 300, noise: {kind: cough}}
          - interrupt: {wav: hello.wav}
          - noise: {kind: babble, ms: 200}
          - silence: 100
          - dtmf: "12#"
          - hang_up
        """
    )
    script = load_script(str(path))
    assert (script.name, script.voice, len(script.steps)) == ("all", "en-gb", 10)
    assert isinstance(script.steps[0], Wait)
    assert script.steps[2] == Say(say="hello", level_dbfs=-30)
    assert script.steps[3] == Wav(wav=tmp_path / "hello.wav", answer=False)
    interrupt = script.steps[5]
    assert isinstance(interrupt, Interrupt)
    assert interrupt.interrupt.wav == tmp_path / "hello.wav"
    assert isinstance(script.steps[9], HangUp)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steps: []", ["key steps", "at least 1"]),
        ("- wait", ["mapping"]),
        ("steps: [", ["no YAML"]),
        ("\x00", ["no YAML"]),
        ("bogus: 1\nsteps: [wait]", ["key bogus", "unknown"]),
        ("steps: [wait, {say: hi, volume: 3}]", ["step 2", "key volume", "unknown", "given: 3"]),
        ("steps: [{say: 3}]", ["step 1", "key say", "string", "given: 3"]),
        ("steps: [{say: a, wav: b}]", ["step 1", "exactly one of say, wav"]),
        ("steps: [jump]", ["step 1", "exactly one of say, wav"]),
        ("steps: [{interrupt: {after_ms: 3}}]", ["step 1", "key interrupt", "exactly one of say, wav, noise"]),
        ("steps: [{wait: {quiet_ms: -1}}]", ["step 1", "key wait.quiet_ms"]),
        ("steps: [{noise: {kind: pink}}]", ["step 1", "key noise.kind", "pink"]),
        ("steps: [{dtmf: 12}]", ["step 1", "key dtmf", "string"]),
        ("steps: [{wav: no.wav}]", ["step 1", "key wav", "no such file"]),
        ("speed: 9\nsteps: [{silence: 700000}]", ["key speed", "step 1 key silence"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ScriptError) as caught:
        load_script(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_a_missing_or_huge_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"none\.yaml: No such file"):
        load_script(tmp_path / "none.yaml")
    (tmp_path / "huge.yaml").write_bytes(b" " * 1_000_001)
    with pytest.raises(ScriptError, match="larger than"):
        load_script(tmp_path / "huge.yaml")
