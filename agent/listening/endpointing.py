"""How long a silence ends the caller's turn. Pure functions, each with a switch in the settings.

Callers pause to think or breathe, and dislike a gap of a second. What is known of this caller and this turn
says how long to wait, between a shortest and a longest silence.
"""

from collections.abc import Sequence

from agent.engine.base import Expect
from config.settings import TurnSettings

QUESTION = {Expect.OPEN: 1.0, Expect.YES_NO: 0.8, Expect.DIGITS: 2.0, Expect.SPELLING: 2.0}
QUESTION |= {Expect.DATE: 1.0, Expect.TIME: 1.0, Expect.TEXT: 1.5}
COMPLETE, ANSWERED, INCOMPLETE = 0.8, 0.9, 2.2
PAUSES_KEPT = 12
PAUSE_MARGIN = 1.15


def wait_ms(
    settings: TurnSettings,
    *,
    expect: Expect = Expect.OPEN,
    pauses: Sequence[float] = (),
    complete: bool | None = None,
    answered: bool | None = None,
    finished: bool | None = None,
    may_go_on: bool = False,
) -> float:
    """Silence after which the turn is over: every hint counts, within the bounds. Where its final words tell whether it
    is `finished`, or whether the caller `may_go_on`, they decide, and of the rest only how long this caller pauses
    counts."""
    wait = float(settings.endpoint_ms)
    if settings.adapt_question:
        wait = by_question(wait, expect)
    if settings.adapt_words:
        wait = by_words(wait, complete)
    if settings.adapt_reply:
        wait = by_reply(wait, answered)
    wait = max(wait, settings.endpoint_min_ms)
    if settings.adapt_transcript:
        wait = by_transcript(wait, finished, settings, may_go_on=may_go_on)
    if settings.adapt_pauses:
        wait = by_pauses(wait, pauses)
    return min(wait, settings.endpoint_max_ms)


def by_question(wait: float, expect: Expect) -> float:
    """A yes or no is quickly said; digits and letters are read out in groups, names and addresses nearly so."""
    return wait * QUESTION[expect]


def by_words(wait: float, complete: bool | None) -> float:
    """A complete request needs nothing more; half a number does."""
    return wait if complete is None else wait * (COMPLETE if complete else INCOMPLETE)


def by_reply(wait: float, answered: bool | None) -> float:
    """A speculative reply has begun, or the model has said that the turn is incomplete."""
    return wait if answered is None else wait * (ANSWERED if answered else INCOMPLETE)


def by_transcript(wait: float, finished: bool | None, settings: TurnSettings, *, may_go_on: bool = False) -> float:
    """A whole answer or request is over soon; half of one, or "I'd like to", is given all the time there is. A request
    without its day may be followed by it, and words that mean nothing yet by those that do."""
    if finished is False:
        return float(settings.endpoint_max_ms)
    if may_go_on:
        return max(wait, settings.endpoint_open_ms)
    return float(settings.endpoint_complete_ms) if finished else wait


def by_pauses(wait: float, pauses: Sequence[float]) -> float:
    """A caller who has paused for so long and gone on may do so again."""
    if not pauses:
        return wait
    ordered = sorted(pauses)
    return max(wait, PAUSE_MARGIN * ordered[int(0.8 * (len(ordered) - 1))])
