"""The phrases of a turn, one after another: which row of them makes the most of its words. Pure functions."""

import re
from collections.abc import Sequence

import msgspec

MIN_SHARE = 0.7  # of the words, in one piece, that must belong to phrases; else they were a stranger's
MAX_WISHES = 2  # intents and built-in ones that one turn may consist of, such as "no" and "book a table"
MAX_ANSWERS = 6  # slots that it may give or correct besides, such as day, time, name and number in one breath

INTENT, COURTESY, BUILT_IN = "intent", "courtesy", "built_in"
ANSWER, CORRECTION = "answer", "correction"
FILLER, NEGATION = "filler", "negation"
WISHES, ANSWERS = (INTENT, COURTESY, BUILT_IN), (ANSWER, CORRECTION)


AROUND = "around"  # fillers that say nothing, however many there are
DENYING = frozenset(("not", "never", "unless", "without"))
HAVING = frozenset(("have", "has", "had", "booked", "ordered"))
SUBJECTS = frozenset(("i", "we", "you", "he", "she", "they"))
_NEEDED = re.compile(r"\b(do|did|will|would|should) (i|we) (really |still |also )?(need|require|have to)\b")
_THERE_IS_NO = re.compile(r"\b(is|are|was|have|has|got) no$")


class Span(msgspec.Struct, frozen=True):
    """A phrase that was found: its words are those from `start` up to before `end`."""

    kind: str
    name: str
    start: int
    end: int
    slots: tuple[tuple[str, str], ...]
    free: int = 0  # words of texts, which could be anything
    bare: bool = False  # no more than a word or two of a slot: behind a text they are part of it


Found = list[list[Span]]  # by the word they begin at; of equal ones the first counts


class _Row(msgspec.Struct, frozen=True):
    spans: tuple[Span, ...] = ()
    free: int = 0

    def longer(self, span: Span) -> "_Row":
        return _Row((*self.spans, span), self.free + span.free)


def longest_run(found: Found) -> list[Span]:
    """The longest row of phrases without a word between them; of those, the one with the fewest words of texts, and
    then the one with the fewest phrases."""
    best: list[Span] = []
    best_rank = (0, 0, 0)
    for start in (place for place, spans in enumerate(found) if spans):
        if len(found) - start < best_rank[0]:
            break
        for end, rows in _rows(found, start).items():
            for (wishes, answers), row in rows.items():
                rank = (end - start, -row.free, -wishes - answers)
                if wishes + answers and rank > best_rank:
                    best, best_rank = list(row.spans), rank
    return best


def _rows(found: Found, start: int) -> dict[int, dict[tuple[int, int], _Row]]:
    """For each place that can be reached from `start`, and each number of phrases, the best row that leads there."""
    rows: dict[int, dict[tuple[int, int], _Row]] = {start: {(0, 0): _Row()}}
    for place in range(start, len(found)):
        for (wishes, answers), row in rows.get(place, {}).items():
            for span in found[place]:
                count = (wishes + (span.kind in WISHES), answers + (span.kind in ANSWERS))
                part_of_text = span.bare and row.spans and row.spans[-1].free
                if count[0] > MAX_WISHES or count[1] > MAX_ANSWERS or part_of_text:
                    continue
                there = rows.setdefault(span.end, {})
                if count not in there or row.free + span.free < there[count].free:
                    there[count] = row.longer(span)
    return rows


def ends(found: Found) -> set[int]:
    """Where any phrase ends."""
    return {span.end for spans in found for span in spans}


def within(found: Found, start: int, end: int) -> Found:
    """The phrases between two words."""
    inside = [[span for span in spans if span.end <= end] for spans in found[start:end]]
    return [*([] for _ in range(start)), *inside]


def is_enough(run: Sequence[Span], words: tuple[str, ...]) -> bool:
    """Whether it is most of the words that say something; what is less a stranger may have said."""
    around = sum(span.end - span.start for span in run if span.name == AROUND)
    return bool(run) and run[-1].end - run[0].start - around >= MIN_SHARE * (len(words) - around)


def is_wish(span: Span) -> bool:
    """Whether the agent can do something for it."""
    return span.kind == INTENT or (span.kind == BUILT_IN and span.name == "person")


def is_asked_if_needed(words: Sequence[str]) -> bool:
    """Whether it is a question such as "do I need an appointment?"."""
    return bool(_NEEDED.search(" ".join(words)))


def is_denied(run: Sequence[Span], words: tuple[str, ...], clauses: Sequence[tuple[int, int]]) -> bool:
    """Whether a wish in it is what the caller does not wish ("please don't cancel my appointment"), or has ("I have an
    appointment on Monday"), or may not need."""
    for span in filter(is_wish, run):
        begin = max(start for start, _ in clauses if start <= span.start)
        if is_asked_if_needed(words[begin : span.end]):
            return True
        before = words[begin : span.start]
        last = before[-1] if before and span is run[0] else ""
        has = last in HAVING or (last in SUBJECTS and words[span.start] == "have")
        if has or not DENYING.isdisjoint(before) or _THERE_IS_NO.search(" ".join(before)):
            return True
    return False
