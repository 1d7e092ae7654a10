"""Where a reply may be cut for speaking."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.speaking.chunks import LATEST, Chunker, intoned
from config.settings import ReplySettings


def chunks(text: str, size: int = 1, **settings: int) -> list[str]:
    """Feed `text` in pieces of `size` characters, as a model would."""
    chunker = Chunker(ReplySettings(**settings))
    found = [chunk for start in range(0, len(text), size) for chunk in chunker.add(text[start : start + size])]
    rest = chunker.rest()
    return found + ([rest] if rest else [])


def test_the_first_chunk_is_short_and_the_next_may_be_longer() -> None:
    text = "Of course, we are open from nine to five, Monday to Friday. On Saturday, from ten. Anything else?"
    assert chunks(text) == [
        "Of course,",
        "we are open from nine to five,",
        "Monday to Friday. On Saturday, from ten.",
        "Anything else?",
    ]


def test_a_clause_is_long_enough_when_the_audio_before_it_lasts() -> None:
    clauses = ["one two,", "three seven eight nine,"] + ["one two three four five six seven,"] * 6
    found = chunks(" ".join(clauses))
    assert [len(chunk.split()) for chunk in found] == [2, 4, 14, 14, 14]


def test_a_sentence_without_end_is_cut_at_its_last_clause_or_at_last_after_a_word() -> None:
    long = "Well then, " + "one two three four five six, " + "seven " * 90
    found = chunks(long)
    assert found[:2] == ["Well then,", "one two three four five six,"]
    assert [len(chunk.split()) for chunk in found[2:]] == [LATEST, LATEST, 10]


@pytest.mark.parametrize(
    "text",
    [
        "That is $2.30 for you",
        "It has 1,234 pages and costs $42.50 a piece",
        "Ask Dr. Smith about it",
        "J. R. R. Tolkien and the U.S. Army",
        "At 9 a.m. on Tuesday",
        "At 3:30 p.m. on the 2. of May",
        "Write to a.person@example.com today",
        "See https://example.com/a,b;c?d=e:f or not",
        "Fruit, e.g. apples",
    ],
)
def test_numbers_abbreviations_and_addresses_are_not_cut(text: str) -> None:
    assert chunks(text) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("जी हाँ, हम सोमवार को खुले हैं। और कुछ मदद चाहिए?", ["जी हाँ,", "हम सोमवार को खुले हैं।", "और कुछ मदद चाहिए?"]),
        ("डॉ. शर्मा यहाँ हैं। नमस्ते।", ["डॉ. शर्मा यहाँ हैं।", "नमस्ते।"]),
        ("はい。「月曜日です。」他にございますか？", ["はい。", "「月曜日です。」", "他にございますか？"]),
        ("نعم يا سيدي، نحن هنا.", ["نعم يا سيدي،", "نحن هنا."]),
        ("Il a dit « bonjour ! » et il est parti.", ["Il a dit « bonjour !", "» et il est parti."]),
    ],
)
def test_every_script_has_its_own_marks(text: str, expected: list[str]) -> None:
    assert chunks(text, min_sentence_chars=5) == expected


def test_short_sentences_are_joined() -> None:
    assert chunks("Yes, sure. No. Yes. We are open on Monday. Bye.", min_sentence_chars=20) == [
        "Yes, sure.",
        "No. Yes. We are open on Monday.",
        "Bye.",
    ]


def test_the_first_chunk_has_enough_words() -> None:
    assert chunks("Yes, we are, and gladly so.", words_trigger_threshold=3)[0] == "Yes, we are,"
    assert chunks("- … - Yes, we are, and gladly so.", words_trigger_threshold=3)[0] == "- … - Yes, we are,"


def test_a_reply_without_end_is_cut_off() -> None:
    assert len("".join(chunks("word " * 1000, size=7, max_chars=100))) <= 100


def test_in_a_hurry_the_first_chunk_ends_after_any_whole_word() -> None:
    chunker = Chunker(ReplySettings())
    assert chunker.add("We are open fr") == []
    assert chunker.hurry() == ["We are open"]
    assert chunker.add("om nine to five on Monday. ") == ["from nine to five on Monday."]
    assert chunker.hurry() == []


def test_in_a_hurry_the_first_chunk_still_has_enough_words() -> None:
    chunker = Chunker(ReplySettings(words_trigger_threshold=3))
    assert chunker.add("We are ") == []
    assert chunker.hurry() == []
    assert chunker.add("open") == []
    assert chunker.add(" from") == ["We are open"]


@pytest.mark.parametrize("text", ["Well, at 9 ", "Yes, Dr. ", "It costs $5 ", "It is $ ", "Call (555) ", "Page no. 5 "])
def test_in_a_hurry_nothing_is_cut_from_what_belongs_to_it(text: str) -> None:
    chunker = Chunker(ReplySettings())
    chunker.add(text)
    last = text.rsplit(maxsplit=1)[-1]
    assert all(last not in chunk for chunk in chunker.hurry())


def test_in_a_hurry_a_later_chunk_ends_at_its_last_clause() -> None:
    chunker = Chunker(ReplySettings())
    assert chunker.add("One moment, please. ") == ["One moment,"]
    assert chunker.hurry() == ["please."]
    assert chunker.add("We open at n") == []
    assert chunker.hurry() == []
    assert chunker.rest() == "We open at n"


def test_an_unfinished_chunk_is_read_with_a_comma() -> None:
    assert intoned("We are open") == "We are open,"
    assert [intoned(text) for text in ("Well,", "Yes.", 'He said "no."', "क्या।")] == [
        "Well,",
        "Yes.",
        'He said "no."',
        "क्या।",
    ]


PLAIN = ["Well", "we", "are,", "yes.", "really?", "open", "(also)", "then;", "it's", "so…", "ok!", "-", "ठीक", "है।"]
PROTECTED = [
    *["$42.50", "2.30", "1,234", "3:30", "a.person@example.com", "https://example.com/a,b?c=d", "www.example.com,"],
    *["9 a.m.", "10 p.m. today", "Dr. Smith", "Dr. J. Smith", "e.g. this", "U.S. Army", "No. 5 please", "3. May"],
    *["$ 5 only", "€ 1 234 only", "5 percent", "555 0199 then", "+ 49 then"],
]


@st.composite
def replies(draw: st.DrawFn) -> tuple[str, set[int], list[int]]:
    """A text; the words of it that must not begin a chunk; where it is cut into pieces."""
    parts = draw(st.lists(st.sampled_from(PLAIN) | st.sampled_from(PROTECTED), max_size=60))
    bound: set[int] = set()
    words = 0
    for part in parts:
        count = len(part.split())
        bound |= set(range(words + 1, words + count))
        words += count
    text = "".join(part + draw(st.sampled_from([" ", " ", "  ", "\n"])) for part in parts)
    return text, bound, sorted(draw(st.lists(st.integers(0, len(text)), max_size=40)))


@given(replies(), st.data(), st.integers(1, 4))
def test_nothing_is_lost_and_nothing_that_belongs_together_is_cut_however_the_text_arrives(
    reply: tuple[str, set[int], list[int]], data: st.DataObject, threshold: int
) -> None:
    text, bound, cuts = reply
    chunker = Chunker(ReplySettings(words_trigger_threshold=threshold))
    found: list[str] = []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        found += chunker.add(text[start:end])
        if data.draw(st.booleans()):
            found += chunker.hurry()
    found.append(chunker.rest())
    assert " ".join(found).split() == text.split()
    starts = 0
    for chunk in found:
        assert starts not in bound, f"{chunk!r} in {found}"
        starts += len(chunk.split())


@given(st.text(alphabet="ab .,?!\n'।。」", max_size=200), st.integers(1, 20))
def test_it_does_not_matter_in_which_pieces_the_text_comes(text: str, size: int) -> None:
    assert "".join("".join(chunks(text, size)).split()) == "".join(text.split())
    assert chunks(text, size) == chunks(text, 1)


@given(st.text(max_size=300))
def test_any_text_comes_back(text: str) -> None:
    assert "".join("".join(chunks(text, 3)).split()) == "".join(text.split())
