"""Places: never more than there are, none lost."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from config.parties import Parties
from telephony.lines.admission import Admission

RESERVE_S = 10


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_two_calls_never_get_the_one_place(clock: Clock) -> None:
    admission = Admission(1, RESERVE_S, clock)
    assert admission.reserve("a")
    assert not admission.reserve("b")
    assert not admission.claim("b")
    assert admission.claim("a")
    assert (admission.active, admission.reserved, admission.free) == (1, 0, 0)
    assert not admission.reserve("b")
    assert not admission.claim("b")
    admission.release("a")
    assert admission.claim("b")


def test_a_repeated_webhook_keeps_its_place(clock: Clock) -> None:
    admission = Admission(1, RESERVE_S, clock)
    assert admission.reserve("a")
    clock.now += 9
    assert admission.reserve("a")
    assert admission.reserved == 1
    clock.now += 9
    assert admission.claim("a")
    assert admission.reserve("a")
    assert (admission.active, admission.reserved) == (1, 0)


def test_a_reservation_ends_when_no_stream_comes(clock: Clock) -> None:
    admission = Admission(1, RESERVE_S, clock)
    assert admission.reserve("a")
    clock.now += RESERVE_S
    assert admission.free == 1
    assert admission.reserve("b")
    assert not admission.claim("a")  # too late: the place is b's
    admission.release("b")
    assert admission.claim("a")  # late, but there is a place


def test_a_caller_who_hung_up_before_the_stream_is_forgotten(clock: Clock) -> None:
    admission = Admission(2, RESERVE_S, clock)
    admission.reserve("a")
    admission.claim("b")
    for call in "abc":
        admission.forget(call)
    assert (admission.active, admission.reserved, admission.free) == (1, 0, 1)


def test_one_stream_a_call(clock: Clock) -> None:
    admission = Admission(2, RESERVE_S, clock)
    assert admission.claim("a")
    assert not admission.claim("a")
    assert admission.active == 1


def test_draining_admits_only_calls_with_a_place(clock: Clock) -> None:
    admission = Admission(3, RESERVE_S, clock)
    admission.claim("a")
    admission.reserve("b")
    admission.drain()
    assert admission.draining
    assert admission.free == 0
    assert not admission.reserve("c")
    assert not admission.claim("c")
    assert admission.reserve("b")
    assert admission.claim("b")
    admission.release("a")
    admission.release("b")
    assert not admission.claim("a")
    assert (admission.active, admission.reserved, admission.free) == (0, 0, 0)


def test_no_capacity(clock: Clock) -> None:
    admission = Admission(0, RESERVE_S, clock)
    assert not admission.reserve("a")
    assert not admission.claim("a")


calls = st.sampled_from("abcdef")


class AdmissionMachine(RuleBasedStateMachine):
    """Against a model that is a list of places."""

    @initialize(capacity=st.integers(0, 4))
    def begin(self, capacity: int) -> None:
        self.clock = Clock()
        self.capacity = capacity
        self.admission = Admission(capacity, RESERVE_S, self.clock)
        self.active: set[str] = set()
        self.expiry: dict[str, float] = {}
        self.draining = False

    def waiting(self) -> set[str]:
        return {call for call, expiry in self.expiry.items() if expiry > self.clock.now}

    def room(self) -> bool:
        return not self.draining and len(self.active) + len(self.waiting()) < self.capacity

    @rule(call=calls)
    def reserve(self, call: str) -> None:
        allowed = call in self.active or call in self.waiting() or self.room()
        assert self.admission.reserve(call) is allowed
        if allowed and call not in self.active:
            self.expiry[call] = self.clock.now + RESERVE_S

    @rule(call=calls)
    def claim(self, call: str) -> None:
        allowed = call not in self.active and (call in self.waiting() or self.room())
        assert self.admission.claim(call) is allowed
        if allowed:
            self.active.add(call)
            self.expiry.pop(call, None)

    @rule(call=calls)
    def release(self, call: str) -> None:
        self.admission.release(call)
        self.active.discard(call)
        self.expiry.pop(call, None)

    @rule(call=calls)
    def forget(self, call: str) -> None:
        self.admission.forget(call)
        self.expiry.pop(call, None)

    @rule(seconds=st.sampled_from([1, 4, 11]))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @rule(really=st.integers(0, 9))
    def drain(self, really: int) -> None:
        if really == 0:
            self.admission.drain()
            self.draining = True

    @invariant()
    def places_are_as_many_as_they_are(self) -> None:
        if not hasattr(self, "admission"):
            return
        active, reserved = self.admission.active, self.admission.reserved
        assert (active, reserved) == (len(self.active), len(self.waiting()))
        assert active + reserved <= self.capacity
        assert self.admission.free == (0 if self.draining else self.capacity - active - reserved)


TestAdmissionMachine = AdmissionMachine.TestCase
TestAdmissionMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_what_was_told_of_a_call_is_kept_as_long_as_its_place() -> None:
    now = [0.0]
    admission = Admission(2, 60, lambda: now[0])
    ann = Parties("+15550100123")
    assert admission.reserve("a", ann)
    assert admission.reserve("b", ann)
    assert admission.claim("a")
    now[0] = 61
    assert admission.free == 1
    assert (admission.parties("a"), admission.parties("b"), admission.parties("c")) == (ann, Parties(), Parties())
    admission.forget("a")
    assert admission.parties("a") == ann
    admission.release("a")
    assert admission.parties("a") == Parties()


def test_more_is_told_only_of_a_call_that_has_a_place() -> None:
    admission = Admission(2, 60, lambda: 0.0)
    ann = Parties("+15550100123")
    assert admission.reserve("a")
    for call_id in ("a", "b"):
        admission.know(call_id, ann)
    assert (admission.parties("a"), admission.parties("b")) == (ann, Parties())
