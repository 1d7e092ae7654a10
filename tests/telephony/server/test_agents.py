"""Agents in editions: what calls begin with, what they keep, and when an edition is forgotten."""

from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from config.agent import AgentSettings
from config.settings import load_settings
from telephony.server.agents import MAX_GONE, Agents, Edition, named_agents, read_agents


def edition(name: str, number: int = 1) -> Edition:
    return Edition(AgentSettings(name=name), f"{name}#{number}")


class Forgotten(list[str]):
    def __init__(self, agents: Agents) -> None:
        super().__init__()
        agents.forgotten = self.extend


def test_a_call_keeps_its_edition_until_it_is_over() -> None:
    old, new = edition("desk"), edition("desk", 2)
    agents = Agents([old])
    forgotten = Forgotten(agents)
    agents.enter(old)
    agents.change([new], [])
    assert (agents.find("desk"), forgotten) == (new, [])
    agents.enter(new)
    agents.leave(new)
    assert forgotten == []
    agents.leave(old)
    assert forgotten == ["desk#1"]


def test_a_removed_agent_takes_no_new_calls_but_those_it_was_promised_to() -> None:
    old = edition("desk")
    agents = Agents([old, edition("bakery")])
    forgotten = Forgotten(agents)
    agents.change([], ["desk"])
    assert list(agents) == ["bakery"]
    assert agents.find("desk") is old
    agents.change([edition("desk", 2)], [])
    assert sorted(agents) == ["bakery", "desk"]
    assert forgotten == ["desk#1"]


def test_what_is_removed_is_bounded() -> None:
    agents = Agents([edition("desk")])
    forgotten = Forgotten(agents)
    for number in range(MAX_GONE + 5):
        agents.change([edition(f"a{number}")], [])
        agents.change([], [f"a{number}"])
    assert forgotten == [f"a{number}#1" for number in range(5)]
    assert agents.find("a4") is None


class Editions(RuleBasedStateMachine):
    """Whatever is read, removed and called: an edition is forgotten exactly when no call has it or can get it."""

    calls: Bundle[Edition] = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.agents = Agents([edition("a"), edition("b")])
        self.forgotten = Forgotten(self.agents)
        self.made = 1
        self.known = {"a#1", "b#1"}
        self.on: list[Edition] = []

    @rule(name=st.sampled_from("abc"))
    def read(self, name: str) -> None:
        self.made += 1
        new = edition(name, self.made)
        self.known.add(new.known_as)
        self.agents.change([new], [])

    @rule(name=st.sampled_from("abc"))
    def remove(self, name: str) -> None:
        if name in self.agents:
            self.agents.change([], [name])

    @rule(target=calls, name=st.sampled_from("ab"))
    def begin(self, name: str) -> Edition:
        found = self.agents.find(name)
        assert found
        self.agents.enter(found)
        self.on.append(found)
        return found

    @rule(call=consumes(calls))
    def end(self, call: Edition) -> None:
        self.on.remove(call)
        self.agents.leave(call)

    @invariant()
    def nothing_is_forgotten_that_is_used(self) -> None:
        used = {each.known_as for each in self.on}
        used |= {found.known_as for name in "abc" if (found := self.agents.find(name))}
        assert self.known - set(self.forgotten) == used
        assert len(self.forgotten) == len(set(self.forgotten))


TestEditions = Editions.TestCase


def test_which_settings_name_agents(tmp_path: Path) -> None:
    settings = load_settings(
        None,
        {
            "call.agent": "desk",
            "routes": {"+31*": "bakery", "7": "desk"},
            "sip.enabled": True,
            "sip.trunks": {"carrier": {"server": "sip:pbx.example", "agent": "night"}},
        },
    )
    assert named_agents(settings) == {
        "desk": "call.agent",
        "bakery": "routes.+31*",
        "night": "sip.trunks.carrier.agent",
    }


def test_agents_are_read_with_their_files(tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text("name: desk\n")
    agents = read_agents(tmp_path, 5)
    [found] = agents.editions
    assert (found.name, found.known_as, found.file, found.read_ms) == ("desk", "desk", str(tmp_path / "desk.yaml"), 5)
    assert len(found.sha256) == 64
    with pytest.raises(KeyError):
        agents["nobody"]
