"""Text to phonemes: numbers, names, seven languages, and where each word lies."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.engine.embedded.synthesizer import say
from agent.engine.kokoro.phonemes import MAX_PHONEMES, Phonemes, Phonemizer, Place, split
from agent.exceptions import EngineError
from bench.checkpoints.kokoro import SYMBOLS


def read(phonemizer: Phonemizer, text: str, language: str = "en-us") -> str:
    return " ".join(piece.text for piece in phonemizer.read(text, language))


@pytest.mark.parametrize(
    ("text", "phonemes"),
    [
        ("$42.50.", "fˈɔɹTi tˈu dˈɑləɹz ænd fˈɪfti sˈɛnts."),
        ("1,234.", "wˈʌn θˈWzᵊnd tˈu hˈʌndɹəd θˈɜɹTi fˈɔɹ."),
        ("3:30.", "θɹˈi θˈɜɹTi."),
        ("Dr. Smith's.", "dˈɑktəɹ smˈɪθs."),
        ("It's 12%.", "ˌɪts twˈɛlv pəɹsˈɛnt."),
        ("NASA, IBM.", "nˈæsə, ˌIbˌiˈɛm."),
        ("9 AM.", "nˈIn ˌAˈɛm."),
        ("plan A.", "plˈæn ˈA."),
    ],
)
def test_english_is_read_by_its_lexicon(phonemizer: Phonemizer, text: str, phonemes: str) -> None:
    assert read(phonemizer, text) == phonemes


def test_what_is_spelt_alike_is_told_apart_by_the_word_before(phonemizer: Phonemizer) -> None:
    assert read(phonemizer, "to record the record.").split() == ["tə", "ɹəkˈɔɹd", "ðə", "ɹˈɛkəɹd."]
    assert read(phonemizer, "we use the use.").split() == ["wi", "jˈuz", "ðə", "jˈus."]
    assert read(phonemizer, "I read, I've read.").split() == ["ˌI", "ɹˈid,", "ˌIv", "ɹˈɛd."]


def test_british_is_not_american(phonemizer: Phonemizer) -> None:
    assert read(phonemizer, "The car park.", "en-gb") == "ðə kˈɑː pˈɑːk."
    assert read(phonemizer, "The car park.", "en-us") == "ðə kˈɑɹ pˈɑɹk."


def test_words_out_of_the_lexicon_are_left_to_espeak(phonemizer: Phonemizer) -> None:
    assert read(phonemizer, "Zyxqo called.") == "zˈɪkskO kˈɔld."
    assert read(phonemizer, "नमस्ते.") == "nəmˈʌstA."  # without espeak-ng's "(hi)"


@pytest.mark.parametrize(
    ("language", "text", "phonemes"),
    [
        ("hi", "नमस्ते, आप कैसे हैं? मेरा नंबर 12 है।", "nəmˈʌsteː, ˌaːp kˈɛːseː hɛ̃? mˌeːɾaː nˈʌmbəɾ bˈaːɾəh hɛː."),
        ("hi", "Hello जी.", "həlˈQ ɟˈi."),
        ("es", "¿Son las 3:30, señor?", "sˈon las tɾˈes tɾˈAnta, seɲˈoɾ?"),
        ("es", "1.234,50.", "mˈil dosθjˈentos tɾˌAntaikwˈatɾo kˌoma θinkwˈɛnta."),
        ("fr-fr", "Il y a « l'eau ».", "il i ˈa “lˈo”."),
        ("it", "Buongiorno.", "bʊonʤˈɔrno."),
        ("pt-br", "Bom dia.", "bˈoŋ ʤˈiæ."),
    ],
)
def test_other_languages_are_read_by_espeak(phonemizer: Phonemizer, language: str, text: str, phonemes: str) -> None:
    assert read(phonemizer, text, language) == phonemes


def test_an_unknown_language_is_named_with_those_there_are(phonemizer: Phonemizer) -> None:
    with pytest.raises(EngineError, match=r"'ja' here; agent.language may be en-gb, en-us, es, fr-fr, hi, it, pt-br"):
        phonemizer.read("konnichiwa", "ja")


@pytest.mark.parametrize(
    ("language", "text", "sounds"),
    [
        ("en-us", "Hi — “it's” $42.50, (ok)?", ["hˈI", "", "ɪts", "fˈɔɹTi tˈu dˈɑləɹz ænd fˈɪfti sˈɛnts", "ˌOkˈA"]),
        ("en-us", "Call 555-1234 now", ["kˈɔl", "fˈIv fˈIv fˈIv, wˈʌn tˈu θɹˈi fˈɔɹ", "nˈW"]),
        ("es", "las 3:30 en punto", ["las", "tɾˈes tɾˈAnta", "em", "pˈunto"]),
        ("hi", "बजे 1,234 है।", ["bˈʌɟeː", "ˈeːk hˈʌɟaːɾ dˈoːsˈɔː cˈɔ̃tis", "hɛː"]),
    ],
)
def test_each_word_has_its_place(phonemizer: Phonemizer, language: str, text: str, sounds: list[str]) -> None:
    (piece,) = phonemizer.read(text, language)
    assert [place.word for place in piece.places] == text.split()
    assert [piece.text[place.start : place.end] for place in piece.places] == sounds


def test_text_is_data_not_markup(phonemizer: Phonemizer) -> None:
    assert read(phonemizer, "[hello](/wɜd/)") != read(phonemizer, "wɜd")
    assert read(phonemizer, "[hello](/wɜd/)").startswith("həlˈO")


def test_a_chunk_without_a_mark_at_its_end_gets_a_comma(phonemizer: Phonemizer) -> None:
    assert read(phonemizer, "Sure") == "ʃˈʊɹ,"
    assert read(phonemizer, "Sure!") == "ʃˈʊɹ!"
    assert read(phonemizer, "at 3 p.m.") == "æt θɹˈi pˌiˈɛm."


@pytest.mark.parametrize("text", ["", "   ", "…", "😀", "— , ."])
def test_nothing_to_say(phonemizer: Phonemizer, text: str) -> None:
    assert phonemizer.read(text, "en-us") == []
    assert phonemizer.read(text, "hi") == []


def test_long_texts_are_cut_where_a_speaker_would_pause(phonemizer: Phonemizer) -> None:
    sentence = "We are open from nine to five on every day of the week, and on Sundays from ten to four."
    pieces = phonemizer.read(" ".join([sentence] * 12), "en-us")
    assert len(pieces) > 1
    assert all(len(piece.text) <= MAX_PHONEMES and piece.text.endswith(".") for piece in pieces)
    assert " ".join(place.word for piece in pieces for place in piece.places) == " ".join([sentence] * 12)
    for piece in pieces:
        assert all(0 <= place.start < place.end <= len(piece.text) for place in piece.places)


@pytest.mark.parametrize(
    ("text", "cuts"),
    [
        ("aa. bbb, ccc ddd", ["aa. bbb,", "ccc ddd"]),
        ("aaa. bbb, ccc ddd", ["aaa.", "bbb,", "ccc ddd"]),
        ("aaaa. bb cc", ["aaaa.", "bb cc"]),
        ("aaaa bb ccc", ["aaaa bb", "ccc"]),
        ("a. bbbbbbbbbbb", ["a. bbbbbbb", "bbbb"]),
    ],
)
def test_cuts(text: str, cuts: list[str]) -> None:
    places, at = [], 0
    for word in text.split():
        places.append(Place(word, at, at + len(word)))
        at += len(word) + 1
    pieces = split(Phonemes(text, tuple(places)), 10)
    assert [piece.text for piece in pieces] == cuts
    assert [place.word for piece in pieces for place in piece.places] == text.split()


def test_it_does_not_collide_with_the_embedded_synthesizer() -> None:
    """Both use espeak-ng in one process, each with a voice of its own."""
    alone = say("One two three, four five six.", "en-us")[0]
    lengths: list[int] = []

    def speak() -> None:
        for _ in range(30):
            lengths.append(len(say("One two three, four five six.", "en-us")[0]))

    speaker = threading.Thread(target=speak)
    speaker.start()
    texts = [f"मेरा नंबर {number} है।" for number in range(60)]
    one, other = Phonemizer(SYMBOLS), Phonemizer(SYMBOLS)
    beside = [read(one, text, "hi") for text in texts]
    speaker.join()
    assert beside == [read(other, text, "hi") for text in texts]
    assert lengths == [pytest.approx(len(alone), rel=0.01)] * 30  # espeak-ng's breath is never quite the same


@settings(max_examples=30, deadline=None)
@given(st.text(alphabet=st.sampled_from("abcdefgI 0123456789.,:;-–—'’\"“()[]$£€%&@/#*+é😀नी।\n\t\u200b"), max_size=60))
def test_any_text_is_read_or_silent(phonemizer: Phonemizer, text: str) -> None:
    for language in ("en-us", "es"):
        for piece in phonemizer.read(text, language):
            assert 0 < len(piece.text) <= MAX_PHONEMES
            assert set(piece.text) <= set(SYMBOLS)
            ends = 0
            for place in piece.places:
                assert ends <= place.start <= place.end <= len(piece.text)
                ends = place.end
            assert set(" ".join(place.word for place in piece.places)) <= set(text + " ")


@pytest.mark.parametrize(
    ("language", "signs", "names"),
    [
        ("en-us", "Press * or #.", "Press star or pound."),
        ("en-gb", "Press * or #.", "Press star or hash."),
        ("en-us", "Dial *67.", "Dial star six seven."),
        ("es", "Pulse *.", "Pulse asterisco."),
        ("fr-fr", "Tapez *", "Tapez étoile"),
    ],
)
def test_keys_are_named(phonemizer: Phonemizer, language: str, signs: str, names: str) -> None:
    assert phonemizer.read(signs, language)[0].text == phonemizer.read(names, language)[0].text
