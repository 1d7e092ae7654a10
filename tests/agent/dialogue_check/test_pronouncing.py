"""Words that pocketsphinx cannot hear."""

from agent.dialogue_check.pronouncing import check
from tests.agent.dialogue_check.dialogues import agent


def told(**dialogue: object) -> dict[str, tuple[str, str]]:
    """Level and text by key."""
    phrases = dialogue.pop("phrases_of_a", ["voxline hours"])
    made = agent({"a": {"phrases": phrases, "answer": "A."}}, **dialogue).dialogue  # type: ignore[arg-type]
    assert made is not None
    return {finding.key: (finding.level, finding.text) for finding in check(made)}


def test_a_missing_word_is_named_where_it_stands() -> None:
    cannot = ("problem", "the recognizer cannot pronounce 'voxline'")
    assert told() == {"dialogue.intents.a.phrases": cannot}
    plain = {"phrases_of_a": ["hours"]}
    assert told(**plain) == {}
    slots = {"day": {"values": {"Monday": ["voxline"]}}}
    assert told(**plain, slots=slots) == {"dialogue.slots.day.values.Monday": cannot}
    assert told(**plain, phrases={"goodbye": ["voxline"]}) == {"dialogue.phrases.goodbye": cannot}
    assert told(**plain, after=["voxline"]) == {"dialogue.after": cannot}


def test_pronunciations_of_the_file() -> None:
    assert told(pronunciations={"voxline": "V AA K S L AY N"}) == {}
    assert told(pronunciations={"voxline": "V AA1 K S"}) == {
        "dialogue.pronunciations.voxline": ("problem", "'AA1' is no sound")
    }
    assert told(pronunciations={"voxline": " "}) == {"dialogue.pronunciations.voxline": ("problem", "has no sounds")}
    spelled = told(pronunciations={"voxline": "V AA K S L AY N", "voxlin": "V AA K S"})
    assert spelled == {"dialogue.pronunciations.voxlin": ("warning", "no phrase has this word")}
