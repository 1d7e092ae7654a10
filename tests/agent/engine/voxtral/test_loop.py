import queue
import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.engine.voxtral.checkpoint import Checkpoint
from agent.engine.voxtral.decoder import Decoder, SlotInput
from agent.engine.voxtral.loop import DecodeEvent, DecodeJob, DecodeLoop
from agent.exceptions import DeviceLost, EngineError, OutOfMemory
from audio.rate import RATE
from tests.agent.engine.voxtral.speaking import CONTEXT, INSTRUCTIONS, SLOTS, generate, pcm, prompt

WAIT_S = 20.0
END = 2
Start = Callable[..., "Listener"]


class Listener:
    """Hears what a loop delivers; a `stepped` loop goes on only when it is let."""

    def __init__(self, decoder: Decoder, *, stepped: bool = False, waiting: int = 8, end: int = END) -> None:
        self.batches: queue.Queue[list[DecodeEvent]] = queue.Queue()
        self.stepped = stepped
        self.go = threading.Semaphore(0)
        self.tokens: dict[str, list[int]] = {}
        self.ended: dict[str, EngineError | None] = {}
        self.loop = DecodeLoop(
            decoder, waiting=waiting, end=end, forbidden=[], prefixes=[INSTRUCTIONS], deliver=self.deliver
        )
        self.loop.start()

    def deliver(self, events: list[DecodeEvent]) -> None:
        self.batches.put(events)
        if self.stepped:
            self.go.acquire()

    def next(self) -> list[DecodeEvent]:
        """The next batch; a stepped loop waits after it."""
        events = self.batches.get(timeout=WAIT_S)
        for job, what in events:
            assert job.id not in self.ended, "something came after the end"
            if isinstance(what, int):
                self.tokens.setdefault(job.id, []).append(what)
            else:
                self.ended[job.id] = what
        return events

    def until_ended(self, *jobs: DecodeJob) -> None:
        while not all(job.id in self.ended for job in jobs):
            self.next()

    def close(self) -> None:
        self.stepped = False
        self.go.release(1000)
        self.loop.close()


@pytest.fixture
def start() -> Iterator[Start]:
    listeners: list[Listener] = []

    def begin(decoder: Decoder, **options: object) -> Listener:
        listeners.append(Listener(decoder, **options))  # type: ignore[arg-type]
        return listeners[-1]

    yield begin
    for listener in listeners:
        listener.close()


def job(voxtral: Checkpoint, seed: int, words: int = 10, **options: object) -> DecodeJob:
    ids = prompt(voxtral, seed, words)
    return DecodeJob(f"job{seed}", ids, pcm(seed), **{"max_tokens": 12, **options})  # type: ignore[arg-type]


def endless(seed: int, **options: object) -> DecodeJob:
    """A job without audio that goes on for long: </s> is not its end where `end` is -1."""
    return DecodeJob(f"endless{seed}", [*INSTRUCTIONS, 1000 + seed, 4], **{"max_tokens": 500, **options})  # type: ignore[arg-type]


def test_jobs_get_the_tokens_that_transformers_generates(voxtral: Checkpoint, decoder: Decoder, start: Start) -> None:
    """More than there are slots, some of one call with a common beginning, so that slots are used again."""
    jobs = [
        job(voxtral, seed, 30 * (seed % 3), max_tokens=6 + seed, call=f"call{seed % 2}", shared=len(INSTRUCTIONS))
        for seed in range(7)
    ]
    listener = start(decoder)
    for each in jobs:
        listener.loop.submit(each)
    listener.until_ended(*jobs)
    for each in jobs:
        assert listener.tokens.get(each.id, []) == generate(voxtral, each.ids, each.audio, each.max_tokens)
    assert listener.loop.slots.free == SLOTS


def test_a_call_goes_on_from_what_its_last_prompt_left(voxtral: Checkpoint, decoder: Decoder, start: Start) -> None:
    read: list[int] = []

    class Counting(Decoder):
        def prefill(self, slot: int, ids: list[int], audio: bytes, start: int, rate: int = RATE) -> torch.Tensor:
            read.append(len(ids))
            return super().prefill(slot, ids, audio, start, rate)

    listener = start(Counting(voxtral, SLOTS, CONTEXT))
    shared = len(INSTRUCTIONS) + 60
    first = job(voxtral, 3, 60, call="a", shared=shared)
    second = DecodeJob("again", first.ids, pcm(9), call="a", shared=shared, max_tokens=12)
    other = DecodeJob("other", first.ids, pcm(9), call="b", shared=shared, max_tokens=12)
    read.clear()
    for each in (first, second, other):
        listener.loop.submit(each)
        listener.until_ended(each)
    assert read == [len(first.ids) - len(INSTRUCTIONS), len(first.ids) - shared, len(first.ids) - len(INSTRUCTIONS)]
    assert listener.tokens["again"] == generate(voxtral, first.ids, pcm(9), 12) == listener.tokens["other"]


def test_one_batch_of_events_a_step(voxtral: Checkpoint, decoder: Decoder, start: Start) -> None:
    listener = start(decoder, stepped=True, end=-1)
    for seed in range(3):
        listener.loop.submit(endless(seed))
    sizes = []
    for _ in range(8):
        sizes.append(len(listener.next()))
        listener.go.release()
    # Between steps one job is admitted, which writes its first token.
    assert sizes == [1, 1, 1, 2, 1, 3, 3, 3]


def test_cancelling_ends_a_job_before_the_next_step(decoder: Decoder, start: Start) -> None:
    listener = start(decoder, stepped=True, end=-1)
    jobs = [endless(0), endless(1)]
    for each in jobs:
        listener.loop.submit(each)
    while len({event.job for event in listener.next()}) < 2:
        listener.go.release()
    listener.loop.cancel(jobs[0])
    for _ in range(3):
        listener.go.release()
        assert {event.job for event in listener.next()} == {jobs[1]}
    assert listener.loop.slots.free == SLOTS - 1


def test_a_job_that_waits_can_be_cancelled(decoder: Decoder, start: Start) -> None:
    listener = start(decoder, stepped=True, end=-1)
    jobs = [endless(seed, max_tokens=30) for seed in range(SLOTS + 1)]
    for each in jobs:
        listener.loop.submit(each)
    listener.loop.cancel(jobs[-1])
    listener.stepped = False
    listener.go.release(100)
    listener.until_ended(*jobs[:-1])
    assert jobs[-1].id not in listener.tokens


def test_who_comes_when_too_many_wait_is_refused(voxtral: Checkpoint, decoder: Decoder, start: Start) -> None:
    listener = start(decoder, stepped=True, end=-1, waiting=SLOTS)
    running = [endless(seed) for seed in range(SLOTS)]
    for each in running:
        listener.loop.submit(each)
    while listener.loop.slots.free:
        listener.next()
        listener.go.release()
    listener.next()
    patient = job(voxtral, 50, patient=True)
    for each in (job(voxtral, 51), job(voxtral, 55), job(voxtral, 56), patient):
        listener.loop.submit(each)
    with pytest.raises(EngineError, match="4 replies wait already"):
        listener.loop.submit(job(voxtral, 52, patient=True))
    listener.loop.submit(job(voxtral, 53))  # takes the place of the transcript
    with pytest.raises(EngineError, match="4 replies wait already"):
        listener.loop.submit(job(voxtral, 54))
    listener.go.release()
    listener.next()
    assert "needs its place" in str(listener.ended[patient.id])


def test_transcripts_wait_for_replies_and_leave_them_a_slot(decoder: Decoder, start: Start) -> None:
    listener = start(decoder, stepped=True, end=-1, waiting=20)
    patient = [endless(seed, patient=True, max_tokens=50) for seed in range(SLOTS)]
    replies = [endless(10 + seed, max_tokens=4) for seed in range(2)]
    listener.loop.submit(patient[0])
    listener.next()
    for each in [*patient[1:], *replies]:
        listener.loop.submit(each)
    order = [patient[0]]
    for _ in range(24):
        listener.go.release()
        for event in listener.next():
            if event.job not in order:
                order.append(event.job)
    assert order[:3] == [patient[0], *replies]
    assert len(order) == SLOTS + 1, "one slot is left for whoever wants to be answered"


class Faulty(Decoder):
    """Fails when it is told to."""

    fault: Exception | None = None
    on_prefill = True

    def _fail(self, *, prefill: bool) -> None:
        if self.fault and self.on_prefill is prefill:
            fault, self.fault = self.fault, None
            raise fault

    def prefill(self, slot: int, ids: list[int], audio: bytes, start: int, rate: int = RATE) -> torch.Tensor:
        self._fail(prefill=True)
        return super().prefill(slot, ids, audio, start, rate)

    def step(self, rows: list[SlotInput]) -> list[int]:
        self._fail(prefill=False)
        return super().step(rows)


@pytest.mark.parametrize("fault", [torch.OutOfMemoryError("too much"), RuntimeError("broken")])
def test_a_prompt_that_fails_costs_nobody_else_anything(voxtral: Checkpoint, start: Start, fault: Exception) -> None:
    decoder = Faulty(voxtral, SLOTS, CONTEXT)
    listener = start(decoder, stepped=True)
    good, bad = job(voxtral, 1), job(voxtral, 2)
    listener.loop.submit(good)
    listener.next()
    decoder.fault = fault
    listener.loop.submit(bad)
    listener.stepped = False
    listener.go.release()
    listener.until_ended(good, bad)
    assert listener.ended[good.id] is None
    assert listener.tokens[good.id] == generate(voxtral, good.ids, good.audio, 12)
    assert ("out of memory" in str(listener.ended[bad.id])) == isinstance(fault, torch.OutOfMemoryError)
    assert listener.loop.slots.free == SLOTS


def test_what_a_failed_prompt_has_overwritten_is_not_used(voxtral: Checkpoint, start: Start) -> None:
    class Late(Faulty):
        def prefill(self, slot: int, ids: list[int], audio: bytes, start: int, rate: int = RATE) -> torch.Tensor:
            logits = Decoder.prefill(self, slot, ids, audio, start, rate)
            self._fail(prefill=True)
            return logits

    decoder = Late(voxtral, SLOTS, CONTEXT)
    listener = start(decoder)
    shared = len(INSTRUCTIONS) + 60
    first = job(voxtral, 1, 60, call="a", shared=shared)
    again = DecodeJob("again", first.ids, first.audio, call="a", shared=shared, max_tokens=12)
    others = [job(voxtral, seed, 60) for seed in range(2, 2 + SLOTS)]  # the last of them gets the first one's slot
    for each in (first, *others, again):
        decoder.fault = RuntimeError("broken") if each is others[-1] else None
        listener.loop.submit(each)
        listener.until_ended(each)
    assert isinstance(listener.ended[others[-1].id], EngineError)
    assert listener.tokens["again"] == listener.tokens[first.id] == generate(voxtral, first.ids, first.audio, 12)


def test_where_a_step_needs_too_much_memory_the_newest_gives_way(voxtral: Checkpoint, start: Start) -> None:
    decoder = Faulty(voxtral, SLOTS, CONTEXT)
    decoder.on_prefill = False
    listener = start(decoder, stepped=True)
    old, new = job(voxtral, 1, max_tokens=20), job(voxtral, 2, max_tokens=20)
    listener.loop.submit(old)
    listener.next()
    listener.loop.submit(new)
    listener.go.release()
    listener.next()
    decoder.fault = torch.OutOfMemoryError("too much")
    listener.stepped = False
    listener.go.release()
    listener.until_ended(old, new)
    assert listener.tokens[old.id] == generate(voxtral, old.ids, old.audio, 20)
    assert "lower engine.voxtral.slots" in str(listener.ended[new.id])


def test_after_a_step_that_failed_the_next_jobs_are_served(voxtral: Checkpoint, start: Start) -> None:
    decoder = Faulty(voxtral, SLOTS, CONTEXT)
    decoder.on_prefill = False
    listener = start(decoder)
    decoder.fault = RuntimeError("broken")
    first, second = job(voxtral, 1), job(voxtral, 2)
    listener.loop.submit(first)
    listener.until_ended(first)
    assert "broken" in str(listener.ended[first.id])
    listener.loop.submit(second)
    listener.until_ended(second)
    assert listener.tokens[second.id] == generate(voxtral, second.ids, second.audio, 12)


def test_a_gpu_that_is_lost_ends_everything(voxtral: Checkpoint, start: Start) -> None:
    """The model itself raises what torch raises; nobody waits for ever, and nobody is taken any more."""
    listener = start(Decoder(voxtral, SLOTS, CONTEXT), stepped=True, end=-1)
    running, waiting, late = endless(1), endless(2), endless(3)
    listener.loop.submit(running)
    listener.next()

    def lose(*_: object) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    hook = voxtral.model.lm_head.register_forward_pre_hook(lose)
    try:
        listener.loop.submit(waiting)
        listener.stepped = False
        listener.go.release()
        listener.until_ended(running, waiting)
    finally:
        hook.remove()
    for each in (running, waiting):
        assert isinstance(listener.ended[each.id], DeviceLost)
    with pytest.raises(DeviceLost, match="illegal memory access"):
        listener.loop.submit(late)


def test_memory_that_the_model_wants_in_vain_costs_the_newest_job(voxtral: Checkpoint, start: Start) -> None:
    listener = start(Decoder(voxtral, SLOTS, CONTEXT), stepped=True)
    old, new = job(voxtral, 1, max_tokens=20), job(voxtral, 2, max_tokens=20)
    listener.loop.submit(old)
    listener.next()

    def greedy(*_: object) -> None:
        hook.remove()
        torch.empty(1 << 60)

    listener.loop.submit(new)
    while new.id not in listener.tokens:
        listener.go.release()
        listener.next()
    hook = voxtral.model.lm_head.register_forward_pre_hook(greedy)
    listener.stepped = False
    listener.go.release()
    listener.until_ended(old, new)
    assert listener.tokens[old.id] == generate(voxtral, old.ids, old.audio, 20)
    assert isinstance(listener.ended[new.id], OutOfMemory)


def test_a_job_without_room_fails_alone(decoder: Decoder, start: Start) -> None:
    listener = start(decoder)
    too_long = DecodeJob("long", [1] * (CONTEXT + 5))
    fits = DecodeJob("full", [1] * (CONTEXT - 3), max_tokens=100)
    for each in (too_long, fits):
        listener.loop.submit(each)
    listener.until_ended(too_long, fits)
    assert isinstance(listener.ended["long"], EngineError)
    assert listener.ended["full"] is None
    assert len(listener.tokens["full"]) <= 4


def test_draws_depend_on_the_seed_alone(voxtral: Checkpoint, decoder: Decoder, start: Start) -> None:
    listener = start(decoder)
    options = {"temperature": 1.0, "top_p": 0.95, "max_tokens": 20}

    def run(name: str, seed: int | None, *others: DecodeJob) -> list[int]:
        each = DecodeJob(name, prompt(voxtral, 1, 10), pcm(1), seed=seed, **options)  # type: ignore[arg-type]
        for one in (*others, each):
            listener.loop.submit(one)
        listener.until_ended(each, *others)
        return listener.tokens[name]

    alone = run("alone", 7)
    crowd = [job(voxtral, seed, 20, **options) for seed in range(60, 63)]
    assert run("among others", 7, *crowd) == alone
    assert run("another seed", 8) != alone
    assert run("no seed", None) != run("nor here", None)


def test_closing_ends_every_job(voxtral: Checkpoint, decoder: Decoder, start: Start) -> None:
    listener = start(decoder, stepped=True, end=-1)
    jobs = [endless(seed) for seed in range(SLOTS + 2)]
    for each in jobs:
        listener.loop.submit(each)
    listener.next()
    closing = threading.Thread(target=listener.close)
    closing.start()
    listener.until_ended(*jobs)
    closing.join(WAIT_S)
    assert all("closed" in str(error) for error in listener.ended.values())
    with pytest.raises(EngineError, match="closed"):
        listener.loop.submit(job(voxtral, 1))


def test_a_warm_up_that_fails_is_told(voxtral: Checkpoint) -> None:
    decoder = Faulty(voxtral, SLOTS, CONTEXT)
    decoder.fault = RuntimeError("no such kernel")
    with pytest.raises(EngineError, match="no such kernel"):
        Listener(decoder)


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["submit", "patient", "fail", "cancel", "wait"]), st.integers(0, 30)), max_size=40
)


@given(ACTIONS)
@settings(max_examples=25, deadline=None)
def test_whatever_comes_every_job_ends_once_and_no_slot_is_lost(
    everything: tuple[Faulty, Listener], actions: list[tuple[str, int]]
) -> None:
    decoder, listener = everything
    listener.tokens.clear()
    listener.ended.clear()
    jobs: list[DecodeJob] = []
    for place, (action, number) in enumerate(actions):
        if action == "cancel" and jobs:
            listener.loop.cancel(jobs[number % len(jobs)])
        elif action == "wait":
            while not listener.batches.empty():
                listener.next()
        elif action in ("submit", "patient", "fail"):
            decoder.fault = RuntimeError("broken") if action == "fail" else None
            decoder.on_prefill = bool(number % 2)
            new = DecodeJob(
                f"{place}",
                [*INSTRUCTIONS, *range(1000, 1000 + number)],
                call=f"{number % 3}",
                shared=len(INSTRUCTIONS) + number // 2,
                max_tokens=1 + number,
                patient=action == "patient",
            )
            try:
                listener.loop.submit(new)
                jobs.append(new)
            except EngineError:
                assert len(jobs) >= 3
    wanted = [each for each in jobs if not each.cancelled]
    listener.until_ended(*wanted)
    last = DecodeJob("last", INSTRUCTIONS, max_tokens=1)
    decoder.fault = None
    listener.loop.submit(last)
    listener.until_ended(last)
    assert listener.loop.slots.free == SLOTS
    for each in wanted:
        assert len(listener.tokens.get(each.id, [])) <= each.max_tokens


@pytest.fixture(scope="module")
def everything(voxtral: Checkpoint) -> Iterator[tuple[Faulty, Listener]]:
    decoder = Faulty(voxtral, SLOTS, CONTEXT)
    listener = Listener(decoder, waiting=3)
    yield decoder, listener
    listener.close()
