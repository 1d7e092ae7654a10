"""espeak-ng: clear, never clipped, with the time of every word."""

import asyncio

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.engine.base import SpeakRequest, Speech
from agent.engine.embedded.synthesizer import LEADING_MS, PEAK, EspeakSynthesizer, say
from agent.exceptions import EngineError


async def speak(text: str, **options: object) -> Speech | None:
    synthesizer = EspeakSynthesizer()
    try:
        pieces = [piece async for piece in synthesizer.speak(SpeakRequest("1", text, **options))]  # type: ignore[arg-type]
    finally:
        await synthesizer.close()
    assert len(pieces) <= 1
    return pieces[0] if pieces else None


@pytest.mark.parametrize(
    "text",
    [
        "Welcome to the practice, how can I help you?",
        "We are open at 10:30 a.m. on Monday - for $2.50.",
        "Dr. Smith's e-mail is a.b@example.com!",
        "Yes.",
    ],
)
async def test_every_word_of_the_text_has_its_time(text: str) -> None:
    speech = await speak(text)
    assert speech is not None
    assert [word.text for word in speech.words] == text.split()
    length_ms = 1000 * len(speech.audio) / speech.rate
    ends = 0.0
    for word in speech.words:
        assert ends <= word.start_ms <= word.end_ms <= length_ms
        ends = word.end_ms
    assert length_ms - 400 < ends


async def test_words_lie_where_the_sound_is() -> None:
    speech = await speak("Hello there. Goodbye.")
    assert speech is not None

    def loudest(start_ms: float, end_ms: float) -> float:
        part = speech.audio[int(start_ms * speech.rate / 1000) : int(end_ms * speech.rate / 1000)]
        return float(np.abs(part).max(initial=0))

    assert all(loudest(word.start_ms, word.end_ms) > 0.1 for word in speech.words)
    pause = (speech.words[1].end_ms + 20, speech.words[2].start_ms - 20)
    assert pause[1] - pause[0] > 100
    assert loudest(*pause) < 0.02


async def test_it_is_as_loud_as_a_phone_takes_and_starts_at_once() -> None:
    speech = await speak("Our opening hours are from nine to five.")
    assert speech is not None
    assert np.abs(speech.audio).max() == pytest.approx(PEAK, abs=0.01)
    first = np.flatnonzero(np.abs(speech.audio) > 0.02)[0]
    assert first / speech.rate * 1000 <= LEADING_MS + 20
    assert not np.abs(speech.audio[-int(0.2 * speech.rate) :]).any()  # the pause after a sentence


async def test_speed_changes_the_length() -> None:
    slow, fast = await speak("One two three four five.", speed=0.8), await speak("One two three four five.", speed=1.5)
    assert slow is not None
    assert fast is not None
    assert len(slow.audio) > 1.4 * len(fast.audio)


async def test_many_at_once_are_not_mixed_up() -> None:
    synthesizer = EspeakSynthesizer()
    texts = [f"This is number {number}." for number in range(20)]

    async def one(text: str) -> list[str]:
        return [word.text async for piece in synthesizer.speak(SpeakRequest(text, text)) for word in piece.words]

    spoken = await asyncio.gather(*map(one, texts))
    assert [" ".join(words) for words in spoken] == texts
    await synthesizer.close()


async def test_a_cancelled_chunk_gives_nothing_and_holds_nobody_up() -> None:
    synthesizer = EspeakSynthesizer()
    chunk = synthesizer.speak(SpeakRequest("long", "word " * 700))
    task = asyncio.create_task(anext(chunk))
    await asyncio.sleep(0)
    synthesizer.cancel("long")
    synthesizer.cancel("unknown")
    with pytest.raises(StopAsyncIteration):
        await task
    assert [piece async for piece in synthesizer.speak(SpeakRequest("next", "Hello."))]
    await synthesizer.close()


async def test_an_unknown_voice_is_named() -> None:
    with pytest.raises(EngineError, match="klingon-9"):
        await speak("Hello.", voice="klingon-9")


async def test_text_is_data_not_markup() -> None:
    plain, marked = await speak("hello"), await speak("[[h@loU]]")
    assert plain is not None
    assert marked is not None
    assert len(marked.audio) > 1.3 * len(plain.audio)  # brackets are read out, not taken as phonemes


async def test_nothing_to_say_is_silence() -> None:
    assert await speak("   ") is None


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_spoken_or_silent(text: str) -> None:
    audio, rate = say(text)
    assert rate == 22_050
    assert np.abs(audio).max(initial=0) <= PEAK + 0.001
    speech = asyncio.run(speak(text))
    if speech is not None:
        assert [word.text for word in speech.words] == text.split() or not text.isprintable()


@pytest.mark.parametrize("language", ["en-us", "en-gb", "EN-GB", "es", "fr-fr", "hi", "it", "pt-br", "de-at"])
async def test_a_language_is_spoken_by_its_voice_whatever_that_is_called(language: str) -> None:
    assert await speak("One.", language=language)


@pytest.mark.parametrize("voice", ["en-gb", "en-gb+f3", "English (America)"])
async def test_a_voice_is_named_by_espeak_or_by_its_language(voice: str) -> None:
    assert await speak("One.", voice=voice)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"voice": "bob"}, "no voice 'bob'; it has those for af, .* en-gb, .* fr-fr"),
        ({"language": "xx-klingon"}, "no voice for the language 'xx-klingon'; it has those for af"),
        ({"voice": "en-us+bob"}, "no variant 'bob' of its voices; it has .*, adam"),
    ],
)
async def test_what_nobody_can_speak_is_refused_with_what_there_is(asked: dict[str, str], said: str) -> None:
    with pytest.raises(EngineError, match=said):
        await speak("One.", **asked)
    assert await speak("One.", voice="en-gb") is not None


async def test_keys_are_named_and_keep_their_place() -> None:
    by_sign, by_name = await speak("Press * or #67."), await speak("Press star or #67.")
    assert by_sign is not None
    assert by_name is not None
    assert [word.text for word in by_sign.words] == ["Press", "*", "or", "#67."]
    assert [word.start_ms for word in by_sign.words] == pytest.approx([word.start_ms for word in by_name.words], abs=3)
    assert by_sign.words[1].end_ms > by_sign.words[1].start_ms
