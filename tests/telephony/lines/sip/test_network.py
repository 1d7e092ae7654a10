"""Two user agents and a network that loses, doubles and reorders: in the end both agree, and nothing is left over."""

from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from telephony.lines.sip.dialogs.core import UserAgentConfig
from telephony.lines.sip.dialogs.events import (
    Acked,
    Answered,
    Cause,
    Ended,
    Event,
    Invited,
    Reanswered,
    Reinvited,
    ReinviteWithdrawn,
)
from telephony.lines.sip.dialogs.invite_dialog import Call, CallState
from telephony.lines.sip.dialogs.uac import Outgoing
from telephony.lines.sip.dialogs.uas import UasCall
from telephony.lines.sip.dialogs.user_agent import UserAgent
from telephony.lines.sip.transactions.answers import Refusal
from tests.telephony.lines.sip.peer import ME, OURS, SDP, Network, counter

A, B = ("10.0.0.1", 5060), ("10.0.0.2", 5060)
LONG = 400_000.0  # ms: beyond every time limit but that of the session


class Side:
    """One end: what its call layer knows."""

    def __init__(self, network: Network, address: tuple[str, int], random: Random, **config: Any) -> None:
        known = {"UDP": address}
        prefix = f"{address[0]}-".replace(".", "")
        self.ua = UserAgent(UserAgentConfig(known, **config), token=counter(prefix), random=random)
        self.network = network
        self.calls: list[Call] = []
        self.ended: dict[str, Cause] = {}
        self.up: set[str] = set()
        self.offered: dict[str, Call] = {}
        self.reanswered: list[int] = []
        network.join(self.ua, address, self.told)

    def told(self, event: Event) -> None:
        if isinstance(event, Ended):
            assert event.call not in self.ended, "ended twice"
            self.ended[event.call] = event.cause
            self.offered.pop(event.call, None)
        elif isinstance(event, Invited):
            self.calls.append(self.ua.call(event.call))
        elif isinstance(event, Acked | Answered):
            assert event.call not in self.ended, "told of a call that is over"
            self.up.add(event.call)
        elif isinstance(event, Reinvited):
            self.offered[event.call] = self.ua.call(event.call)
        elif isinstance(event, ReinviteWithdrawn):
            self.offered.pop(event.call)
        elif isinstance(event, Reanswered):
            assert event.call not in self.ended, "told of a call that is over"
            self.reanswered.append(event.status)

    @property
    def live(self) -> list[Call]:
        return [call for call in self.calls if call.id not in self.ended]


def outgoing(ring_ms: float = 60_000) -> Outgoing:
    return Outgoing("sip:bob@10.0.0.2", SDP, ME, ring_ms=ring_ms)


def both(seed: int, loss: float, twice: float, **config: Any) -> tuple[Network, Side, Side]:
    random = Random(seed)
    network = Network(random, loss, twice, delay_ms=120)
    return network, Side(network, A, random, **config), Side(network, B, random, **config)


class Line(RuleBasedStateMachine):
    """Ann calls Bob, and both do what they like."""

    @initialize(
        seed=st.integers(0, 2**32),
        loss=st.sampled_from([0.0, 0.1, 0.3]),
        twice=st.sampled_from([0.0, 0.3]),
    )
    def start(self, seed: int, loss: float, twice: float) -> None:
        self.network, self.ann, self.bob = both(seed, loss, twice, answer_ms=60_000.0)
        self.dialled = 0

    @precondition(lambda self: self.dialled < 3)
    @rule()
    def dial(self) -> None:
        self.dialled += 1
        self.ann.calls.append(self.ann.ua.invite(outgoing(), self.network.now))

    @rule(ms=st.sampled_from([1, 30, 100, 600, 5000, 33_000]))
    def wait(self, ms: int) -> None:
        self.network.run(ms)

    @rule(what=st.sampled_from(["ring", "answer", "reject"]))
    def called(self, what: str) -> None:
        self.network.flush()
        for call in self.bob.live:
            if call.state is CallState.RINGING and isinstance(call, UasCall):
                if what == "ring":
                    call.ringing(self.network.now)
                elif what == "answer":
                    call.accept(OURS, self.network.now)
                else:
                    call.reject(Refusal(486, "busy"), self.network.now)

    @rule(ann=st.booleans())
    def hang_up(self, ann: bool) -> None:
        for call in (self.ann if ann else self.bob).live:
            call.hang_up(self.network.now)

    @rule(ann=st.booleans(), bob=st.booleans())
    def hold(self, ann: bool, bob: bool) -> None:
        for side, wanted in ((self.ann, ann), (self.bob, bob)):
            for call in side.live if wanted else ():
                if call.state is CallState.UP and not call.reinvites.busy:
                    call.reinvite(SDP, self.network.now)

    @rule(ann=st.booleans(), accepted=st.booleans())
    def answer_hold(self, ann: bool, accepted: bool) -> None:
        side = self.ann if ann else self.bob
        for call in list(side.offered.values()):
            del side.offered[call.id]
            if accepted:
                call.answer_reinvite(OURS, self.network.now)
            else:
                call.refuse_reinvite(Refusal(488, "not now"), self.network.now)

    @invariant()
    def one_call_is_one_call(self) -> None:
        if hasattr(self, "network"):
            self.network.flush()
            assert len(self.bob.calls) <= self.dialled

    def teardown(self) -> None:
        if not hasattr(self, "network"):
            return
        self.network.loss = 0.0
        self.network.run(LONG)
        ann, bob = self.ann, self.bob
        for side in (ann, bob):
            assert all(call.state is CallState.UP for call in side.live)
        # Both agree on what is still up, ...
        assert {c.dialog.call_id for c in ann.live} == {c.dialog.call_id for c in bob.live}
        for call in [*ann.live, *bob.live][:1]:
            assert not call.reinvites.busy
        # ... and can end it, which leaves nothing behind.
        for call in ann.live:
            call.hang_up(self.network.now)
        self.network.run(LONG)
        assert not bob.live
        assert len(ann.ended) == len(ann.calls)
        assert len(bob.ended) == len(bob.calls)
        assert ann.ua.idle
        assert bob.ua.idle


AS_LONG = settings(max_examples=250, stateful_step_count=25, suppress_health_check=list(HealthCheck))


class TestLine(Line.TestCase):  # type: ignore[misc,name-defined]
    settings = settings(AS_LONG, max_examples=80)


@pytest.mark.slow
class TestLineForLong(Line.TestCase):  # type: ignore[misc,name-defined]
    settings = AS_LONG


def answer(side: Side) -> Call:
    """The one call that has come in, answered."""
    (call,) = side.calls
    assert isinstance(call, UasCall)
    call.accept(OURS, side.network.now)
    return call


@pytest.mark.parametrize("seed", range(40))
def test_a_call_over_a_bad_line(seed: int) -> None:
    """A third of all packets lost, a third doubled: one call is made, answered, changed from both ends, and ended."""
    network, ann, bob = both(seed, 0.33, 0.33)
    call = ann.ua.invite(outgoing(), 0.0)
    network.run(16_000)
    there = answer(bob)
    network.run(31_000)
    assert call.state is there.state is CallState.UP
    for changing, asked in ((there, ann), (call, bob)):
        changing.reinvite(OURS, network.now)
        network.run(16_000)
        asked.offered.pop(asked.calls[0].id if asked.calls else call.id).answer_reinvite(SDP, network.now)
        network.run(31_000)
    assert (ann.reanswered, bob.reanswered) == ([200], [200])
    there.hang_up(network.now)
    network.run(70_000)
    assert (ann.ended, bob.ended) == ({call.id: Cause.REMOTE}, {there.id: Cause.LOCAL})
    assert len(bob.calls) == 1
    assert ann.ua.idle
    assert bob.ua.idle


@pytest.mark.parametrize("seed", range(40))
def test_given_up_while_it_is_answered(seed: int) -> None:
    """CANCEL and 200 cross, and a fifth of all packets is lost: nobody is left in a call."""
    network, ann, bob = both(seed, 0.2, 0.2)
    call = ann.ua.invite(outgoing(), 0.0)
    network.run(10_000)
    there = answer(bob)
    network.run(seed)
    call.hang_up(network.now)
    network.run(LONG)
    assert ann.ended == {call.id: Cause.LOCAL}
    assert set(bob.ended) == {there.id}
    assert ann.ua.idle
    assert bob.ua.idle


def test_nobody_is_there() -> None:
    network, ann, bob = both(1, 1.0, 0.0)
    call = ann.ua.invite(outgoing(), 0.0)
    network.run(31_000)
    assert ann.ended == {}
    network.run(2000)
    assert ann.ended == {call.id: Cause.UNANSWERED}
    assert bob.calls == []
    assert ann.ua.idle


@pytest.mark.parametrize("seed", range(20))
def test_both_offer_at_once(seed: int) -> None:
    """491 on both sides, then one comes first: both re-INVITEs are answered in the end."""
    network, ann, bob = both(seed, 0.0, 0.0)
    call = ann.ua.invite(outgoing(), 0.0)
    network.run(500)
    there = answer(bob)
    network.run(500)
    call.reinvite(SDP, network.now)
    there.reinvite(OURS, network.now)
    for _ in range(2000):
        network.run(10)
        for side in (ann, bob):
            for asked in list(side.offered.values()):
                asked.answer_reinvite(OURS, network.now)
            side.offered.clear()
    assert (ann.reanswered, bob.reanswered) == ([200], [200])


def test_the_line_goes_dead() -> None:
    """Everything is lost from some moment on: the session timers end the call on both sides."""
    network, ann, bob = both(1, 0.0, 0.0, session_s=90)
    call = ann.ua.invite(outgoing(), 0.0)
    network.run(500)
    there = answer(bob)
    network.run(300_000)
    assert call.state is there.state is CallState.UP  # refreshed again and again
    network.loss = 1.0
    network.run(130_000)
    assert {*ann.ended.values(), *bob.ended.values()} <= {Cause.EXPIRED, Cause.LOST}
    assert len(ann.ended) == len(bob.ended) == 1
    assert ann.ua.idle
    assert bob.ua.idle
