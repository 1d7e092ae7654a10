"""Recognition over the phone line: espeak voices and real people."""

import asyncio
import random
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
import soxr

import config
from agent.engine.base import Expect, Meaning, SpeechBlock, Transcript
from agent.engine.embedded.recognizer import MAX_MS, PocketsphinxRecognizer
from agent.engine.embedded.synthesizer import say
from agent.engine.embedded.understanding import Understanding
from agent.exceptions import EngineError
from audio import g711, wav
from audio.resample import to_both, to_pcm16
from bench.hearing import word_errors
from config.agent import AgentSettings, load_agents
from config.dialogue import Dialogue
from tests.agent.engine.embedded.telephone import SPOKEN, telephone

pytestmark = pytest.mark.asyncio(loop_scope="module")  # one recognizer for all: it takes a while to load

AGENTS = load_agents(Path(config.__file__).parent / "agents")
DESK = AGENTS["front_desk"].dialogue
assert DESK
VOICES = ("en-us+adam", "en-us+klatt4")


# What people say in the recordings, as a dialogue of its own.
def values(words: str) -> dict[str, dict[str, list[str]]]:
    return {"values": {word: [] for word in words.split()}}


CARDS = Dialogue.model_validate(
    {
        "texts": {"greeting": "Your cards, please."},
        "slots": {
            "rank": values("ace two three four five six seven eight nine ten jack queen king"),
            "suit": values("clubs spades hearts diamonds"),
            "tens": values("twenty thirty forty fifty sixty seventy eighty ninety"),
            "way": values("forward backward left right"),
        },
        "answers": [
            "[{rank}] {rank} of {suit}",
            "(go | move) {way} {rank} (meters | meter | feet)",
            "{tens} [{rank}]",
            "{rank} [or {rank}]",
            "{tens} {rank} {rank} or {rank} {tens} {rank}",
        ],
        "intents": {"deal": {"phrases": ["deal the cards"], "answer": "Here they are."}},
    }
)


def spoken(text: str, voice: str = VOICES[0], level_db: float = -22) -> bytes:
    return telephone(*say(text, voice, 0.9), level_db=level_db)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recognizer() -> AsyncGenerator[PocketsphinxRecognizer, None]:
    made = PocketsphinxRecognizer(AGENTS, decoders=2)
    await made.load()
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cards() -> AsyncGenerator[PocketsphinxRecognizer, None]:
    made = PocketsphinxRecognizer({"cards": AgentSettings(name="cards", dialogue=CARDS)}, decoders=1)
    await made.load()
    yield made
    await made.close()


async def recognize(
    recognizer: PocketsphinxRecognizer, name: str, pcm: bytes, expect: Expect = Expect.OPEN, agent: str = "front_desk"
) -> tuple[list[str], str]:
    """Partial transcripts every 200 ms and the final one."""
    partials = [
        (await recognizer.hear(SpeechBlock(name, "CA1", agent, pcm[at : at + 3200], expect))).text
        for at in range(0, len(pcm), 3200)
    ]
    final = await recognizer.finish(name)
    assert final.final
    return partials, final.text


@pytest.mark.parametrize(
    ("text", "expect"),
    [
        ("what are your opening hours", Expect.OPEN),
        ("what's your address", Expect.OPEN),
        ("i'd like to book an appointment", Expect.OPEN),
        ("on wednesday", Expect.OPEN),
        ("at three o'clock", Expect.OPEN),
        ("yes that's right", Expect.YES_NO),
        ("no", Expect.YES_NO),
        ("cancel my appointment", Expect.OPEN),
        ("one two three four", Expect.DIGITS),
        ("repeat that", Expect.OPEN),
        ("can i speak to a person", Expect.OPEN),
        ("goodbye", Expect.OPEN),
    ],
)
async def test_every_intent_is_heard_over_the_phone(
    recognizer: PocketsphinxRecognizer, text: str, expect: Expect
) -> None:
    assert DESK
    partials, final = await recognize(recognizer, text, spoken(text), expect)
    understanding = Understanding(DESK)
    assert understanding.read(final) == understanding.read(text), final
    assert partials[0] == ""
    assert any(partials)


async def test_most_of_what_other_voices_say_is_understood_and_little_of_it_wrongly(
    recognizer: PocketsphinxRecognizer,
) -> None:
    assert DESK
    understanding = Understanding(DESK)
    texts = [
        "when are you open",
        "where are you",
        "tuesday",
        "nine o'clock",
        "yes please",
        "i'd like an appointment on monday",
    ]
    texts += ["can you tell me your opening hours please", "never mind", "that's all", "no on friday"]
    right = wrong = 0
    for voice in VOICES:
        for text in texts:
            heard = understanding.read((await recognize(recognizer, text, spoken(text, voice)))[1])
            right += heard == understanding.read(text)
            wrong += bool(heard) and heard != understanding.read(text)
    assert right >= 0.7 * len(texts) * len(VOICES)
    assert wrong <= 0.15 * len(texts) * len(VOICES)


async def test_what_nobody_asked_a_dentist_is_not_understood(recognizer: PocketsphinxRecognizer, speech: Path) -> None:
    assert DESK
    understanding = Understanding(DESK)
    strangers = [telephone(*wav.read(speech / f"librivox-08{number}.wav")) for number in (70, 80, 90)]
    texts = ["the weather in spain is lovely", "my cat climbed the tree again", "do you sell bicycles", "i love pizza"]
    strangers += [spoken(text) for text in texts]
    heard = [(await recognize(recognizer, f"stranger {number}", pcm))[1] for number, pcm in enumerate(strangers)]
    understood = [text for text in heard if understanding.read(text)]
    assert len(understood) <= 1, understood


async def test_people_are_understood_over_the_phone(cards: PocketsphinxRecognizer, speech: Path) -> None:
    errors = total = 0
    for name, text in SPOKEN.items():
        pcm = telephone(*wav.read(speech / f"{name}.wav"))
        _, heard = await recognize(cards, name, pcm, agent="cards")
        errors += word_errors(text.split(), heard.split())
        total += len(text.split())
    assert errors / total <= 0.25


async def test_people_on_a_wide_band_line_are_heard_at_16_khz(cards: PocketsphinxRecognizer, speech: Path) -> None:
    """The 8 kHz beside it are silent here."""
    errors = total = 0
    for name, text in SPOKEN.items():
        audio, rate = wav.read(speech / f"{name}.wav")
        wide = to_pcm16(np.concatenate([np.zeros(3200), soxr.resample(audio, rate, 16_000), np.zeros(6400)]))
        for at in range(0, len(wide), 6400):
            piece = wide[at : at + 6400]
            await cards.hear(SpeechBlock(name, "CA1", "cards", bytes(len(piece) // 2), wide=piece))
        errors += word_errors(text.split(), (await cards.finish(name)).text.split())
        total += len(text.split())
    assert errors / total <= 0.2


@pytest.mark.slow
async def test_digits_of_high_voices_are_understood_better_on_a_wide_band_line(
    recognizer: PocketsphinxRecognizer,
) -> None:
    rng = random.Random(1)
    digits = "zero one two three four five six seven eight nine".split()
    narrow_errors = wide_errors = total = 0
    for number in range(24):
        text = " ".join(rng.choices(digits, k=7))
        pcm, wide = to_both(*say(text, ("en-us+f2", "en-us+f4", "en-us+f5")[number % 3], 0.95))
        pcm, wide = bytes(3200) + g711.decode(g711.encode(pcm)) + bytes(4800), bytes(6400) + wide + bytes(9600)
        _, heard = await recognize(recognizer, f"{number} narrow", pcm, Expect.DIGITS)
        narrow_errors += word_errors(text.split(), heard.split())
        block = SpeechBlock(f"{number} wide", "CA1", "front_desk", pcm, Expect.DIGITS, wide=wide)
        await recognizer.hear(block)
        wide_errors += word_errors(text.split(), (await recognizer.finish(block.utterance)).text.split())
        total += len(text.split())
    assert wide_errors <= 0.6 * narrow_errors, (wide_errors, narrow_errors, total)


async def test_audio_that_changes_its_rate_in_mid_utterance_is_not_heard(recognizer: PocketsphinxRecognizer) -> None:
    pcm = spoken("goodbye")
    await recognizer.hear(SpeechBlock("u", "CA1", "front_desk", pcm))
    await recognizer.hear(SpeechBlock("u", "CA1", "front_desk", bytes(3200), wide=bytes(6400)))
    assert len(recognizer._utterances["u"].audio) == len(pcm)
    assert (await recognizer.finish("u")).text in ("goodbye", "good bye")


@pytest.mark.parametrize("level_db", [-14, -22, -30])
async def test_loud_and_quiet_callers_are_understood(recognizer: PocketsphinxRecognizer, level_db: float) -> None:
    assert DESK
    understanding = Understanding(DESK)
    for text in ("what are your opening hours", "yes please", "i'd like to book an appointment", "goodbye"):
        heard = (await recognize(recognizer, f"{text} {level_db}", spoken(text, level_db=level_db)))[1]
        assert understanding.read(heard) == understanding.read(text), heard


@pytest.mark.parametrize("seeds", [range(3), pytest.param(range(3, 12), marks=pytest.mark.slow)], ids=["3", "9 more"])
@pytest.mark.parametrize(
    ("text", "expect"),
    [
        ("what are your opening hours", Expect.OPEN),
        ("i'd like to book an appointment", Expect.OPEN),
        ("on tuesday", Expect.OPEN),
        ("at ten o'clock", Expect.OPEN),
        ("yes please", Expect.YES_NO),
        ("no on wednesday", Expect.YES_NO),
        ("goodbye", Expect.OPEN),
    ],
)
async def test_the_noise_under_the_words_changes_nothing(
    recognizer: PocketsphinxRecognizer, text: str, expect: Expect, seeds: range
) -> None:
    assert DESK
    understanding = Understanding(DESK)
    audio = say(text, VOICES[0], 0.9)
    for seed in seeds:
        _, heard = await recognize(recognizer, f"{text} {seed}", telephone(*audio, seed=seed), expect)
        assert understanding.read(heard) == understanding.read(text), f"noise {seed}: {heard}"


async def test_what_was_heard_before_changes_nothing(recognizer: PocketsphinxRecognizer) -> None:
    async def hear() -> list[str]:
        return [
            (await recognize(recognizer, text, spoken(text)))[1] for text in ("tuesday", "where are you", "tuesday")
        ]

    first = await hear()
    assert first[0] == first[2]
    assert await hear() == first


async def test_digital_silence_is_no_word(recognizer: PocketsphinxRecognizer) -> None:
    _, text = await recognize(recognizer, "silence", bytes(2 * 8000 * 2))
    assert DESK
    assert not Understanding(DESK).read(text)


async def test_more_utterances_than_decoders_are_all_heard(recognizer: PocketsphinxRecognizer) -> None:
    texts = ["goodbye", "what are your opening hours", "on wednesday", "repeat that", "cancel my appointment"]
    found = await asyncio.gather(*(recognize(recognizer, f"many {text}", spoken(text)) for text in texts))
    assert [text for _, text in found] == [
        (await recognize(recognizer, f"alone {text}", spoken(text)))[1] for text in texts
    ]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, a decoder becomes free in time."""
    monkeypatch.setattr("agent.engine.embedded.recognizer.FINISH_S", 50.0)


async def test_who_talks_for_long_starves_nobody(recognizer: PocketsphinxRecognizer) -> None:
    monologue = spoken("what are your opening hours")
    talkers = [f"talker {number}" for number in range(3)]
    for at in range(0, len(monologue), 3200):
        for talker in talkers:  # with two decoders
            await recognizer.hear(SpeechBlock(talker, "CA1", "front_desk", monologue[at : at + 3200]))
    assert (await recognize(recognizer, "fourth", spoken("goodbye")))[1] == "goodbye"  # or it is told, see below
    for talker in talkers:
        final = await recognizer.finish(talker)
        assert final.text == "what are your opening hours"
    assert recognizer._pools["front_desk"].qsize() == 2
    assert not recognizer._utterances


async def test_who_finds_no_decoder_for_long_is_told(
    recognizer: PocketsphinxRecognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.engine.embedded.recognizer.FINISH_S", 0.05)
    pool = recognizer._pools["front_desk"]
    taken = [pool.get_nowait() for _ in range(pool.qsize())]
    await recognizer.hear(SpeechBlock("unlucky", "CA1", "front_desk", spoken("goodbye")))
    with pytest.raises(EngineError, match="no decoder"):
        await recognizer.finish("unlucky")
    for decoder in taken:
        pool.put_nowait(decoder)
    assert (await recognize(recognizer, "lucky", spoken("goodbye")))[1] == "goodbye"


async def over(
    recognizer: PocketsphinxRecognizer, name: str, pcm: bytes, expect: Expect = Expect.OPEN
) -> tuple[list[Transcript], Transcript]:
    """Partial transcripts and the final one of what is said over the agent's voice."""
    blocks = [pcm[at : at + 3200] for at in range(0, len(pcm), 3200)]
    partials = [
        await recognizer.hear(SpeechBlock(name, "CA1", "front_desk", block, expect, over=True)) for block in blocks
    ]
    return partials, await recognizer.finish(name)


@pytest.mark.parametrize("voice", VOICES)
async def test_who_wants_something_while_the_agent_talks_is_heard(
    recognizer: PocketsphinxRecognizer, voice: str
) -> None:
    texts = ["no", "yes", "stop", "wait", "hold on", "no wait that's not what i meant", "what are your opening hours"]
    for text in [*texts, "i'd like to book an appointment", "on wednesday"]:
        partials, final = await over(recognizer, f"{text} {voice}", spoken(text, voice))
        assert (final.text, final.meaning) == (text, Meaning.TURN)
        meanings = [partial.meaning for partial in partials]
        assert meanings[0] is None  # 200 ms are too little to tell
        first = meanings.index(Meaning.TURN)
        assert set(meanings[first:]) == {Meaning.TURN}
        assert first <= 6


@pytest.mark.parametrize("expect", [Expect.OPEN, Expect.YES_NO, Expect.DIGITS])
async def test_who_only_listens_does_not_end_the_reply(recognizer: PocketsphinxRecognizer, expect: Expect) -> None:
    for voice in VOICES:
        for text in ("uh huh", "umhum"):  # espeak's way to "mm-hmm"
            partials, final = await over(recognizer, f"{text} {voice}", spoken(text, voice), expect)
            assert final.meaning is Meaning.BACKCHANNEL, final
            assert all(partial.meaning is not Meaning.TURN for partial in partials)


async def test_noises_do_not_end_the_reply(recognizer: PocketsphinxRecognizer, speech: Path) -> None:
    noise = np.random.default_rng(3)
    coughs = [
        noise.standard_normal(count).astype(np.float32) * np.exp(-8 * np.arange(count) / count).astype(np.float32)
        for count in (2400, 4800)
    ]
    strangers = [audio[: 2 * rate] for audio, rate in (wav.read(speech / f"librivox-08{n}.wav") for n in (80, 90))]
    for number, audio in enumerate([*coughs, *strangers]):
        rate = 8000 if number < len(coughs) else wav.read(speech / "librivox-0880.wav")[1]
        assert (await over(recognizer, f"noise {number}", telephone(audio, rate)))[1].meaning is not Meaning.TURN


async def test_the_same_words_mean_more_when_the_agent_is_silent(recognizer: PocketsphinxRecognizer) -> None:
    transcript = await recognizer.finish("nobody")
    assert transcript == Transcript("", final=True)
    partial = await recognizer.hear(SpeechBlock("half", "CA1", "front_desk", spoken("one two"), Expect.DIGITS))
    assert partial.complete is False
    final = await recognizer.finish("half")
    assert final.meaning is Meaning.NOTHING
    assert final.complete is None  # its words are no reason to end a turn early


async def test_decoders_come_back_whatever_happens_to_an_utterance(recognizer: PocketsphinxRecognizer) -> None:
    chance = random.Random(1)
    pcm = spoken("goodbye")

    async def wild(number: int) -> None:
        name = f"wild {number}"
        for at in range(0, len(pcm), 3200):
            await recognizer.hear(SpeechBlock(name, "CA1", "front_desk", pcm[at : at + 3200]))
            if chance.random() < 0.2:
                recognizer.cancel(name)
            if chance.random() < 0.2:
                await recognizer.finish(name)
        if chance.random() < 0.5:
            finishing = asyncio.create_task(recognizer.finish(name))
            await asyncio.sleep(0)
            recognizer.cancel(name)
            await finishing
        recognizer.cancel(name)
        assert (await recognizer.finish(name)).text == ""

    await asyncio.gather(*map(wild, range(25)))
    assert recognizer._pools["front_desk"].qsize() == 2
    assert not recognizer._utterances
    assert (await recognize(recognizer, "after", pcm))[1] == "goodbye"


@pytest.mark.slow
async def test_an_utterance_without_end_is_bounded(recognizer: PocketsphinxRecognizer) -> None:
    block = bytes(16 * MAX_MS // 2)
    for wide in (b"", 2 * block):
        for _ in range(3):
            await recognizer.hear(SpeechBlock("endless", "CA1", "front_desk", block, wide=wide))
        assert recognizer._utterances["endless"].ms == MAX_MS
        recognizer.cancel("endless")


async def test_an_agent_without_dialogue_is_named(recognizer: PocketsphinxRecognizer) -> None:
    with pytest.raises(EngineError, match="stranger"):
        await recognizer.hear(SpeechBlock("u", "CA1", "stranger", b""))
