import pytest
import torch

from agent.engine.voxtral.checkpoint import Checkpoint
from agent.engine.voxtral.decoder import Decoder, SlotInput
from agent.engine.voxtral.gpu_memory import KEPT_AUDIO
from audio.rate import WIDE_RATE
from tests.agent.engine.voxtral.speaking import CONTEXT, INSTRUCTIONS, SLOTS, generate, pcm, prompt


@pytest.fixture(autouse=True)
def inference() -> object:
    with torch.inference_mode():
        yield


def greedy(slot: int, token: int, length: int) -> SlotInput:
    return SlotInput(slot, token, length, 0.0, 1.0, 0.5)


def write(decoder: Decoder, slot: int, logits: torch.Tensor, length: int, count: int) -> list[int]:
    tokens = [decoder.pick(logits, greedy(slot, 0, 0), None)]
    while len(tokens) < count:
        tokens += decoder.step([greedy(slot, tokens[-1], length + len(tokens) - 1)])
    return tokens


def test_it_writes_what_transformers_generates(voxtral: Checkpoint, decoder: Decoder) -> None:
    ids, audio = prompt(voxtral, 1, 30), pcm(1)
    expected = generate(voxtral, ids, audio, 20)
    assert write(decoder, 2, decoder.prefill(2, ids, audio, 0), len(ids), len(expected)) == expected


def test_it_hears_a_wide_band_line_as_transformers_does(voxtral: Checkpoint, decoder: Decoder) -> None:
    ids, audio = prompt(voxtral, 1, 30), pcm(1, rate=WIDE_RATE)
    expected = generate(voxtral, ids, audio, 20, WIDE_RATE)
    assert write(decoder, 2, decoder.prefill(2, ids, audio, 0, WIDE_RATE), len(ids), len(expected)) == expected
    assert generate(voxtral, ids, audio, 20) != expected


def test_without_audio_too(voxtral: Checkpoint, decoder: Decoder) -> None:
    ids = [*INSTRUCTIONS, 1100, 1101, 4]
    expected = generate(voxtral, ids, b"", 20)
    assert write(decoder, 0, decoder.prefill(0, ids, b"", 0), len(ids), len(expected)) == expected


def test_rows_come_and_go_in_one_batch(voxtral: Checkpoint, decoder: Decoder) -> None:
    prompts = [(prompt(voxtral, seed, 40 * seed), pcm(seed)) for seed in range(SLOTS)]
    expected = [generate(voxtral, ids, audio, 16) for ids, audio in prompts]
    written: list[list[int]] = [[] for _ in prompts]
    for step in range(40):
        if step % 5 == 0 and step // 5 < SLOTS:  # one more joins
            slot = step // 5
            logits = decoder.prefill(slot, *prompts[slot], 0)
            written[slot].append(decoder.pick(logits, greedy(slot, 0, 0), None))
        rows = [
            greedy(slot, tokens[-1], len(prompts[slot][0]) + len(tokens) - 1)
            for slot, tokens in enumerate(written)
            if 0 < len(tokens) < len(expected[slot])
        ]
        if rows:
            for row, token in zip(rows, decoder.step(rows), strict=True):
                written[row.slot].append(token)
    assert written == expected


@pytest.mark.parametrize("count", [1, 127, 128, 129, 500, 1000])
def test_prompts_of_any_length_are_padded_without_a_trace(voxtral: Checkpoint, decoder: Decoder, count: int) -> None:
    ids = [1, *range(1000, 1000 + count - 1)] if count <= 250 else [1] + [1000 + n % 250 for n in range(count - 1)]
    expected = generate(voxtral, ids, b"", 8)
    assert write(decoder, 1, decoder.prefill(1, ids, b"", 0), count, len(expected)) == expected


def test_a_learned_beginning_is_copied_exactly(voxtral: Checkpoint, decoder: Decoder) -> None:
    ids, audio = prompt(voxtral, 5, 20), pcm(5)
    whole = decoder.prefill(3, ids, audio, 0)
    decoder.learn(INSTRUCTIONS)
    known = decoder.inherit(1, ids, 0, 0)
    assert known == len(INSTRUCTIONS)
    rest = decoder.prefill(1, ids[known:], audio, known)
    torch.testing.assert_close(rest, whole, atol=1e-4, rtol=1e-4)
    for saved in (decoder.cache.keys, decoder.cache.values):
        torch.testing.assert_close(saved[:, 1, :, : len(ids)], saved[:, 3, :, : len(ids)], atol=1e-4, rtol=1e-4)
    assert write(decoder, 1, rest, len(ids), 12) == write(decoder, 3, whole, len(ids), 12)


def test_so_is_what_another_slot_begins_with(voxtral: Checkpoint, decoder: Decoder) -> None:
    decoder.learn(INSTRUCTIONS)
    first, second = prompt(voxtral, 6, 50), prompt(voxtral, 6, 50)
    decoder.prefill(0, first, pcm(6), 0)
    same = len(INSTRUCTIONS) + 50
    assert decoder.inherit(2, second, 0, same) == same
    logits = decoder.prefill(2, second[same:], pcm(7), same)
    expected = generate(voxtral, second, pcm(7), 10)
    assert write(decoder, 2, logits, len(second), len(expected)) == expected


def test_one_token_of_a_prompt_is_always_read(decoder: Decoder) -> None:
    decoder.learn(INSTRUCTIONS)
    assert decoder.inherit(1, INSTRUCTIONS, 0, 0) == len(INSTRUCTIONS) - 1


def test_a_slot_that_is_cut_back_goes_on_from_there(voxtral: Checkpoint, decoder: Decoder) -> None:
    ids, audio = prompt(voxtral, 8, 10), pcm(8)
    tokens = write(decoder, 0, decoder.prefill(0, ids, audio, 0), len(ids), 12)
    again = tokens[:6]
    while len(again) < 12:
        again += decoder.step([greedy(0, again[-1], len(ids) + len(again) - 1)])
    assert again == tokens


def test_slots_at_rest_are_left_alone(voxtral: Checkpoint, decoder: Decoder) -> None:
    decoder.prefill(0, prompt(voxtral, 1, 5), pcm(1), 0)
    before = decoder.cache.keys[:, 0, :, :CONTEXT].clone()
    write(decoder, 3, decoder.prefill(3, prompt(voxtral, 2, 5), pcm(2), 0), 400, 5)
    torch.testing.assert_close(decoder.cache.keys[:, 0, :, :CONTEXT], before, rtol=0, atol=0)


def test_the_last_position_of_a_slot_can_be_used(voxtral: Checkpoint, decoder: Decoder) -> None:
    ids = [1] + [1000 + n % 250 for n in range(CONTEXT - 4)]
    expected = generate(voxtral, ids, b"", 4)
    assert write(decoder, 0, decoder.prefill(0, ids, b"", 0), len(ids), 4) == expected


def test_forbidden_tokens_do_not_come(voxtral: Checkpoint, decoder: Decoder) -> None:
    ids = [*INSTRUCTIONS, 4]
    logits = decoder.prefill(0, ids, b"", 0)
    likeliest = decoder.pick(logits, greedy(0, 0, 0), None)
    second = decoder.pick(logits, greedy(0, 0, 0), torch.tensor([likeliest]))
    assert second == int(logits[0].topk(2).indices[1])


def test_the_same_audio_is_heard_once(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = decoder.hear(pcm(1))
    assert heard.shape == (375, 64)
    assert decoder.hear(pcm(1)) is heard
    for seed in range(2, KEPT_AUDIO + 2):
        decoder.hear(pcm(seed, 0.1))
    again = decoder.hear(pcm(1))
    assert again is not heard
    torch.testing.assert_close(again, heard)


def test_the_same_bytes_at_another_rate_are_other_audio(decoder: Decoder) -> None:
    silence = bytes(32_000)
    wide = decoder.hear(silence, rate=WIDE_RATE)
    assert decoder.hear(silence) is not wide
    assert decoder.hear(silence, rate=WIDE_RATE) is wide


def test_more_than_there_is_room_for_is_refused_before_a_gpu_is_told(decoder: Decoder) -> None:
    with pytest.raises(ValueError, match=f"there is room for {CONTEXT}"):
        decoder.prefill(0, [1] * 30, b"", CONTEXT - 20)


def test_it_warms_up(decoder: Decoder) -> None:
    decoder.warm_up()
    assert decoder.step([greedy(0, 1, 0)])
