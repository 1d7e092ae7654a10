import logging
from collections.abc import Iterator

import pytest
import torch

from agent.engine.voxtral.checkpoint import Checkpoint
from agent.engine.voxtral.decoder import Decoder, SlotInput
from agent.engine.voxtral.graphs import Graphs
from tests.agent.engine.voxtral.speaking import CONTEXT, INSTRUCTIONS, SLOTS, generate, pcm, prompt
from tests.agent.engine.voxtral.tape import Tapes, storages

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


def double(value: torch.Tensor) -> torch.Tensor:
    return 2 * value


def test_without_a_gpu_functions_are_called() -> None:
    graphs = Graphs(CPU, enabled=False)
    assert [graphs.run("double", 1, double, torch.tensor([n])).item() for n in (1, 4)] == [2, 8]


def test_where_a_capture_fails_everything_goes_on_without_graphs(caplog: pytest.LogCaptureFixture) -> None:
    graphs = Graphs(CPU, enabled=True)  # there is nothing to capture on a CPU
    with caplog.at_level(logging.ERROR):
        assert graphs.run("double", 1, double, torch.tensor([3])).item() == 6
    assert "no CUDA graph for 'double'" in caplog.text
    caplog.clear()
    assert graphs.run("double", 2, double, torch.tensor([5, 6])).tolist() == [10, 12]
    assert not caplog.records, "it is tried once for all sizes"


# With tapes in the place of a GPU's graphs


@pytest.fixture
def taped(voxtral: Checkpoint) -> Iterator[tuple[Decoder, Tapes]]:
    decoder = Decoder(voxtral, SLOTS, CONTEXT)
    tapes = decoder._graphs = Tapes()
    with torch.inference_mode():
        decoder.warm_up()
        yield decoder, tapes


def test_every_size_is_captured_before_anybody_waits(voxtral: Checkpoint, taped: tuple[Decoder, Tapes]) -> None:
    decoder, tapes = taped
    captured = len(tapes.tapes)
    assert not tapes._failed
    ids, audio = prompt(voxtral, 1, 30), pcm(1)
    for count in (1, 200, 600, CONTEXT - 8):
        decoder.prefill(2, [1] * count, b"", 0)
    decoder.pick(decoder.prefill(0, ids, audio, 0), SlotInput(0, 0, 0, 0.5, 0.9, 0.5), torch.tensor([5]))
    for length in (10, 600, CONTEXT - 1):
        decoder.step([SlotInput(1, 1000, length, 0.5, 0.9, 0.5)])
    assert len(tapes.tapes) == captured


def test_replies_of_graphs_are_those_of_transformers(voxtral: Checkpoint, taped: tuple[Decoder, Tapes]) -> None:
    """Rows of different lengths come and go, and every step is a replay: nothing is asked of Python but the inputs."""
    decoder, _ = taped
    decoder.learn(INSTRUCTIONS)
    prompts = [(prompt(voxtral, seed, 60 * seed), pcm(seed)) for seed in range(3)]
    expected = [generate(voxtral, ids, audio, 12) for ids, audio in prompts]
    written: list[list[int]] = []
    while any(len(tokens) < len(wanted) for tokens, wanted in zip(written, expected, strict=False)) or not written:
        if len(written) < len(prompts):  # one more joins
            slot, (ids, audio) = len(written), prompts[len(written)]
            known = decoder.inherit(slot, ids, 0, 0)
            logits = decoder.prefill(slot, ids[known:], audio, known)
            written.append([decoder.pick(logits, SlotInput(slot, 0, 0, 0.0, 1.0, 0.5), None)])
        rows = [
            SlotInput(slot, tokens[-1], len(prompts[slot][0]) + len(tokens) - 1, 0.0, 1.0, 0.5)
            for slot, tokens in enumerate(written)
            if len(tokens) < len(expected[slot])
        ]
        for row, token in zip(rows, decoder.step(rows) if rows else [], strict=True):
            written[row.slot].append(token)
    assert written == expected


def test_graphs_touch_only_what_stays(voxtral: Checkpoint, taped: tuple[Decoder, Tapes]) -> None:
    """They read the weights, the cache and their inputs, and write the cache; all else is their own."""
    decoder, tapes = taped
    weights = storages([*voxtral.model.parameters(), *voxtral.model.buffers(), decoder._layers.turning])
    cache = storages([decoder.cache.keys, decoder.cache.values])
    for tape in tapes.tapes:
        assert tape.read <= weights | cache
        assert tape.written <= cache
    assert sum(bool(tape.written) for tape in tapes.tapes) >= 2 + 8  # those that read and write


def test_what_goes_in_and_out_stays_where_it_is(taped: tuple[Decoder, Tapes]) -> None:
    decoder, tapes = taped

    def addresses() -> list[tuple[int, ...]]:
        return [
            (each.output.data_ptr(), *(buffer.data_ptr() for buffer in each.inputs))
            for each in tapes._captured.values()
        ]

    before, cache = addresses(), decoder.cache.keys.data_ptr()
    for slot, length in ((0, 5), (3, 700), (2, 40)):
        decoder.prefill(slot, [1] * length, b"", 0)
        decoder.step([SlotInput(slot, 1000 + slot, length, 1.0, 0.9, 0.3)])
    assert addresses() == before
    assert decoder.cache.keys.data_ptr() == cache


def test_a_tape_finds_what_a_graph_would_get_wrong() -> None:
    tapes, count = Tapes(), [0]

    def forgetful(value: torch.Tensor) -> torch.Tensor:
        count[0] += 1
        return value + count[0]  # Python's number, of the time when it was captured

    results = [tapes.run("forgetful", 1, forgetful, torch.tensor([n])).item() for n in (0, 10)]
    assert results == [2, 12]
    first = tapes.run("double", 1, double, torch.tensor([1.0]))
    tapes.run("double", 2, double, torch.tensor([1.0, 2.0]))
    assert first.isnan(), "it does not hold any longer"


def test_a_value_for_the_host_cannot_be_captured(caplog: pytest.LogCaptureFixture) -> None:
    tapes = Tapes()
    tapes.run("host", 1, lambda value: value * int(value.sum()), torch.tensor([3]))
    assert "tells the host" in caplog.text
