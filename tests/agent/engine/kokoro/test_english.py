"""English with spaCy's tagger, where it is installed."""

import sys
from pathlib import Path

import pytest

from agent.engine.kokoro.phonemes import Phonemizer
from bench.checkpoints.kokoro import SYMBOLS

TEXT = "Dentists live here ."  # "live" is a verb, which no word before it tells
PACKAGE = """
from pathlib import Path
import spacy

def load(**options):
    return spacy.load(Path(__file__).parent, **options)
"""


@pytest.fixture
def tagger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phonemizer: Phonemizer) -> None:
    """A package as spaCy's own, which knows this one text."""
    phonemizer.load("en-us")  # and with it spaCy, whose plug-ins cause warnings

    import spacy
    from spacy.training import Example

    spacy.util.fix_random_seed(1)
    nlp = spacy.blank("en")
    nlp.add_pipe("tagger")
    example = Example.from_dict(nlp.make_doc(TEXT), {"tags": ["NNS", "VBP", "RB", "."]})
    nlp.initialize(lambda: [example])
    for _ in range(20):
        nlp.update([example])
    nlp.to_disk(tmp_path / "en_core_web_sm")
    (tmp_path / "en_core_web_sm" / "__init__.py").write_text(PACKAGE)
    information = tmp_path / "en_core_web_sm-1.0.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: en_core_web_sm\nVersion: 1.0.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "en_core_web_sm", raising=False)


def test_without_it_the_usual_sound_is_taken(phonemizer: Phonemizer) -> None:
    assert phonemizer.read(TEXT, "en-us")[0].text == "dˈɛntɪsts lˈIv hˈɪɹ ."


@pytest.mark.usefixtures("tagger")
def test_with_it_the_sound_of_the_part_of_speech() -> None:
    assert Phonemizer(SYMBOLS).read(TEXT, "en-us")[0].text == "dˈɛntɪsts lˈɪv hˈɪɹ ."
