"""The lines that tell a call are in the order of time."""

from hypothesis import given
from hypothesis import strategies as st

from telephony.simulator.timeline import Timeline

CALL = [
    "   0.00  line   ▸ CA1 is connected",
    "   3.62  voxline ▸ said: Hello.",  # when it was heard to its end, before the caller can know that nothing follows
    "   4.06  caller ▸ What are your opening hours?",
    "   0.01  agent  ▸ speaks 3.3 s",
    "   6.01  voxline ▸ understood: what are your opening hours",
    "   7.64  caller ▸ talks over the agent: stop",
    "   6.03  agent  ▸ speaks 1.7 s; stopped 40 ms after being talked over",
    "   8.10  voxline ▸ said: We are open … (interrupted here)",
]


def test_what_is_told_late_stands_where_it_was() -> None:
    printed: list[str] = []
    with Timeline(printed.append) as timeline:
        for line in CALL[:4]:
            timeline.add(line)
        assert printed == [CALL[0], CALL[3]]  # as soon as nothing can come before them
        for line in CALL[4:]:
            timeline.add(line)
    assert printed == sorted(CALL)


@given(st.permutations(range(len(CALL))))
def test_nothing_is_lost_in_whatever_order_it_is_told(order: list[int]) -> None:
    printed: list[str] = []
    with Timeline(printed.append) as timeline:
        for number in order:
            timeline.add(CALL[number])
    assert sorted(printed) == sorted(CALL)
