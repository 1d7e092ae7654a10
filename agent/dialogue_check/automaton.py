"""Phrases as automata, and the shortest words that two of them have in common. Pure functions."""

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import product

from agent.engine.embedded.contractions import written_out
from config.phrase import Choice, Slot, Word
from config.slots import SlotType

MAX_STEPS = 3_000_000  # of one check: edges and pairs of states that are looked at, and examples that are tried
MAX_PAIRS = 20_000  # of two automata


class TooLarge(Exception):
    """The dialogue is too large to be looked at as a whole."""


class Steps:
    """Counts what a check has done, so that it ends."""

    def __init__(self, most: int = MAX_STEPS) -> None:
        self.most = most
        self.taken = 0

    def take(self) -> None:
        """One more; raises TooLarge when it was the last."""
        self.taken += 1
        if self.taken > self.most:
            raise TooLarge


class Automaton:
    """Accepts what one of some phrases says: words without contractions, and slots whose values are not listed, each as
    the {name} of the first of its kind."""

    def __init__(self, slots: Mapping[str, SlotType], steps: Steps) -> None:
        self.edges: list[list[tuple[str, int]]] = [[], []]  # by state: the word ("": none) and where it leads
        self.start, self.end = 0, 1
        self._moves: dict[int, tuple[dict[str, list[int]], bool]] = {}
        self._slots = slots
        firsts: dict[tuple[str, int, int], str] = {}
        self._signs = {
            name: firsts.setdefault((slot.type, slot.shortest, slot.longest), f"{{{name}}}")
            for name, slot in slots.items()
        }
        self._steps = steps

    def add(self, phrases: Iterable[Choice], start: int | None = None, end: int | None = None) -> None:
        """Accept these too, from one state to another: if none are named, as a whole."""
        for phrase in phrases:
            self._choice(written_out(phrase), self.start if start is None else start, self.end if end is None else end)

    def allow_around(self, fillers: Iterable[Choice]) -> None:
        """Accept fillers before and after, as often as one likes."""
        fillers = list(fillers)
        for at in (self.start, self.end):
            self.add(fillers, at, at)

    def moves(self, state: int) -> tuple[dict[str, list[int]], bool]:
        """Where each word leads from there, and whether what was said so far is accepted."""
        if state not in self._moves:
            closure, waiting = {state}, [state]
            words: dict[str, list[int]] = {}
            while waiting:
                for word, to in self.edges[waiting.pop()]:
                    self._steps.take()
                    if word:
                        words.setdefault(word, []).append(to)
                    elif to not in closure:
                        closure.add(to)
                        waiting.append(to)
            self._moves[state] = words, self.end in closure
        return self._moves[state]

    def _choice(self, choice: Choice, start: int, end: int) -> None:
        for option in (*choice.options, *([()] if choice.optional else [])):
            at = start
            for node in option:
                to = self._state()
                self._node(node, at, to)
                at = to
            self._edge(at, "", end)

    def _node(self, node: Word | Slot | Choice, start: int, end: int) -> None:
        match node:
            case Word():
                self._edge(start, node.text, end)
            case Choice():
                self._choice(node, start, end)
            case Slot():
                values = [phrase for _, phrase in self._slots[node.name].phrases()]
                self.add(values, start, end)
                if not values:
                    self._edge(start, self._signs[node.name], end)

    def _edge(self, start: int, word: str, end: int) -> None:
        self._steps.take()
        self.edges[start].append((word, end))

    def _state(self) -> int:
        self.edges.append([])
        return len(self.edges) - 1


def common(one: Automaton, other: Automaton, steps: Steps) -> list[str]:
    """One of the shortest rows of words that both accept; empty if there is none (or it takes too long)."""
    begin = (one.start, other.start)
    came: dict[tuple[int, int], tuple[tuple[int, int], str]] = {begin: (begin, "")}
    waiting = deque([begin])
    while waiting and len(came) <= MAX_PAIRS:
        steps.take()
        pair = waiting.popleft()
        (mine, mine_ends), (theirs, their_ends) = one.moves(pair[0]), other.moves(pair[1])
        if mine_ends and their_ends:
            return _words_to(pair, came)
        for word in mine if len(mine) < len(theirs) else theirs:
            for after in product(mine.get(word, ()), theirs.get(word, ())):
                steps.take()
                if after not in came:
                    came[after] = (pair, word)
                    waiting.append(after)
    return []


def _words_to(pair: tuple[int, int], came: dict[tuple[int, int], tuple[tuple[int, int], str]]) -> list[str]:
    words: list[str] = []
    while came[pair][0] != pair:
        pair, word = came[pair]
        words.append(word)
    return words[::-1]
