import logging

import pytest

from agent.engine.base import Backchannel, Incomplete, Text, ToolCall
from agent.engine.voxtral.checkpoint import Checkpoint
from agent.engine.voxtral.text import ReplyReader, Vocabulary, parse_calls
from agent.exceptions import EngineError


@pytest.fixture(scope="module")
def vocabulary(voxtral: Checkpoint) -> Vocabulary:
    return Vocabulary(voxtral.tokenizer)


def encode(voxtral: Checkpoint, text: str) -> list[int]:
    return voxtral.tokenizer.tokenizer.encode(text, bos=False, eos=False)


def read(reading: ReplyReader, tokens: list[int]) -> list[object]:
    return [event for token in tokens for event in reading.add(token)] + list(reading.end())


def text(events: list[object]) -> str:
    assert all(isinstance(event, Text) for event in events)
    return "".join(event.text for event in events if isinstance(event, Text))


def test_characters_come_whole(voxtral: Checkpoint, vocabulary: Vocabulary) -> None:
    said = "Grüß Gott – नमस्ते, 東京 🎉 hello"
    tokens = encode(voxtral, said)
    events = read(ReplyReader(vocabulary, markers=False), tokens)
    assert text(events) == said
    assert len(events) < len(tokens)
    assert not any("\ufffd" in event.text for event in events if isinstance(event, Text))


def test_half_a_character_at_the_end_is_replaced(voxtral: Checkpoint, vocabulary: Vocabulary) -> None:
    tokens = encode(voxtral, "aü")
    assert text(read(ReplyReader(vocabulary, markers=False), tokens[:-1])) == "a\ufffd"


def test_special_tokens_are_dropped(voxtral: Checkpoint, vocabulary: Vocabulary) -> None:
    assert text(read(ReplyReader(vocabulary, markers=True), [24, *encode(voxtral, "yes"), 3, 999])) == "yes"


MARKED = [("…", Incomplete()), ("~", Backchannel()), ("  …", Incomplete()), ("...", Incomplete())]


@pytest.mark.parametrize(("marker", "event"), MARKED)
def test_a_marker_decides_at_once(voxtral: Checkpoint, vocabulary: Vocabulary, marker: str, event: object) -> None:
    reading = ReplyReader(vocabulary, markers=True)
    assert [one for token in encode(voxtral, marker) for one in reading.add(token)] == [event]


def test_a_marker_in_single_bytes(vocabulary: Vocabulary) -> None:
    reading = ReplyReader(vocabulary, markers=True)
    assert [list(reading.add(1000 + byte)) for byte in "…".encode()] == [[], [], [Incomplete()]]


def test_what_only_begins_like_a_marker_is_said(voxtral: Checkpoint, vocabulary: Vocabulary) -> None:
    bytes_of = [1000 + byte for byte in " “Yes” …".encode()]  # the quotation mark shares two bytes with the marker
    assert text(read(ReplyReader(vocabulary, markers=True), bytes_of)) == " “Yes” …"


def test_half_a_marker_is_said_at_the_end(voxtral: Checkpoint, vocabulary: Vocabulary) -> None:
    assert text(read(ReplyReader(vocabulary, markers=True), [1000 + byte for byte in b" .."])) == " .."
    assert text(read(ReplyReader(vocabulary, markers=True), [1000 + byte for byte in b".5 ~"])) == ".5 ~"


def test_where_there_are_no_markers_they_are_text(voxtral: Checkpoint, vocabulary: Vocabulary) -> None:
    assert text(read(ReplyReader(vocabulary, markers=False), encode(voxtral, "…"))) == "…"


def test_blanks_alone_are_silence(voxtral: Checkpoint, vocabulary: Vocabulary) -> None:
    assert read(ReplyReader(vocabulary, markers=True), encode(voxtral, " \n ")) == []


def test_all_tokens_that_begin_a_marker_are_known(voxtral: Checkpoint, vocabulary: Vocabulary) -> None:
    beginning = vocabulary.beginning_markers()
    assert encode(voxtral, "…")[0] in beginning
    assert encode(voxtral, "~")[0] in beginning
    assert 1000 + 0xE2 in beginning, "its first byte"
    assert not set(encode(voxtral, "hello Yes ,")) & set(beginning)


CALL = '[{"name": "book", "arguments": {"day": "Dienstag, 3 März"}}]'


def test_a_tool_call_is_no_text(voxtral: Checkpoint, vocabulary: Vocabulary) -> None:
    reading = ReplyReader(vocabulary, markers=True)
    assert text(read(reading, [*encode(voxtral, "One moment."), vocabulary.calls, *encode(voxtral, CALL)])) == (
        "One moment."
    )
    assert reading.calls() == [ToolCall("book", {"day": "Dienstag, 3 März"})]


def test_a_malformed_call_is_left_out(
    voxtral: Checkpoint, vocabulary: Vocabulary, caplog: pytest.LogCaptureFixture
) -> None:
    reading = ReplyReader(vocabulary, markers=True)
    read(reading, [vocabulary.calls, *encode(voxtral, CALL), vocabulary.calls, *encode(voxtral, CALL[:-9])])
    with caplog.at_level(logging.WARNING):
        assert reading.calls() == [ToolCall("book", {"day": "Dienstag, 3 März"})]
    assert "malformed" in caplog.text


@pytest.mark.parametrize(
    "call", ["", "book", "[]", "[1]", '{"name": ""}', '[{"name": "x", "arguments": 3}]', "[" * 5000]
)
def test_nothing_but_a_malformed_call_is_an_error(voxtral: Checkpoint, vocabulary: Vocabulary, call: str) -> None:
    reading = ReplyReader(vocabulary, markers=True)
    read(reading, [vocabulary.calls, *encode(voxtral, call)])
    with pytest.raises(EngineError, match="wanted a tool"):
        reading.calls()


def test_calls_of_either_format() -> None:
    assert parse_calls(['{"name": "a", "arguments": "{\\"x\\": 1}"}']) == [ToolCall("a", {"x": 1})]
    assert parse_calls(['[{"name": "a"}, {"name": "b", "arguments": {}}]']) == [ToolCall("a", {}), ToolCall("b", {})]
    assert parse_calls(["a", "[ARGS]", '{"x": 1}']) == [ToolCall("a", {"x": 1})]
    assert parse_calls(["a", "[CALL_ID]", "abc", "[ARGS]", "{}"]) == [ToolCall("a", {})]
    with pytest.raises(ValueError, match="no arguments"):
        parse_calls(["a", "[CALL_ID]", "abc"])
