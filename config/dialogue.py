"""The scripted dialogue of an agent, as its YAML states it: what callers say, and what they are told.

It is enough for the `embedded` engine to hold a whole conversation without a language model. An intent is recognized by
its phrases; missing slots are asked for; everything is read back and confirmed; then its tool runs and its answer is
spoken. Seven intents are built in (`PHRASES`); every text has a default but the greeting.
"""

import re
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from config.intent import FIELD, Intent, Wordings
from config.phrase import Choice, Phrase, Slot, parse_phrase
from config.slots import SlotOfKind

BuiltIn = Literal["yes", "no", "repeat", "person", "never_mind", "goodbye", "stop"]

PHRASES: dict[BuiltIn, list[str]] = {
    "yes": [
        "yes [yes] [it is | i do | i would | that's (right | correct | fine)]",
        "(yeah | yep | sure | certainly | absolutely | correct | exactly)",
        "(that's | that is) (right | correct | fine | good | perfect)",
        "that works [for me]",
        "go ahead",
    ],
    "no": [
        "no [no] [it isn't | i don't | that's wrong | that's not right | that's all | that's it]",
        "(nope | wrong)",
        "(that's | that is) (wrong | not right | not correct | all | it)",
        "nothing else",
    ],
    "repeat": [
        "(repeat that | say (that | it) again | come again | once more)",
        "(repeat | say) it [once more | one more time]",
        "what did you say",
        "i (didn't | did not) (hear | catch | get | understand) (you | that)",
        "pardon [me]",
    ],
    "person": [
        "[speak to | talk to | speak with | talk with | get | have] "
        "(a | an | the | some) [real | human] (person | human | human being | operator | receptionist)",
        "(speak | talk) (to | with) (someone | somebody | reception)",
        "(transfer me | put me through) [to (someone | somebody | reception)]",
        "(operator | reception)",
    ],
    "never_mind": ["never mind", "forget (it | about it | that)", "start over [again]"],
    "goodbye": ["(goodbye | good bye | bye | bye bye)", "hang up", "have a (good | nice) (day | one | evening)"],
    "stop": [
        "[no | oh | sorry | excuse me] (stop | wait | hold on | hang on) [a (minute | moment | second)]",
        "(stop | wait | no) (stop | wait | no) (stop | wait)",
        "(one | just a) (moment | minute | second)",
        "[no] [wait] that's not what i (meant | said | want | wanted | asked)",
        "(excuse me | sorry)",
    ],
}
OPENINGS = [
    "(i'd like to | i would like to | i want to | i need to | i have to | i'm calling to | can i | could i | may i)",
    "(we'd like to | we would like to | we want to | we need to | we have to | can we | could we | let me)",
    "(can i | could i | may i | can we | could we) (have | get)",
    "(can you | could you | would you) [please] [tell me | give me]",
]
BEFORE = [
    "(um | uh | oh | well | so | and | okay | alright | actually | sorry | please | hello | hi | good morning)",
    "(thanks | thank you [very much | so much])",
    *OPENINGS,
]
HANGING = [*OPENINGS, "(um | uh | well | so | and | actually)", "(hello | hi | good morning)"]  # who ends so will go on
AFTER = ["(please | then | again | for me | thanks | thank you [very much | so much])"]

# What callers say to show that they listen; as the answer to a question the first of them are a yes.
AGREEING = ["(okay | right)", "yeah"]
LISTENING = ["uh huh", "mhm", "hmm", "i see"]

# What callers say instead of an answer; where any text would be one, these are not.
NO_ANSWERS = [
    "i (do not | really do not) know",
    "(i am not sure | i have no idea | no idea | i forgot | i can't remember | i do not remember)",
    "what (do | did) you (mean | want | say)",
    "what (is | was) that",
    "(what | huh | hm)",
    "(i do not | i didn't) understand",
    "[let me | i have to] (think | see | check | look) [about (it | that)]",
    "(let me | i have to) look it up",
]

# How a slot is given on its own, unless the dialogue's `answers` say so: by its kind, and by its names.
_SUITS = "[(is | would be) (good | fine | best | okay) [for (me | us)] | works [for (me | us)] | suits (me | us)]"
_ASKS = "would {%s} be (good | fine | okay | possible) | (would | does) {%s} (work | suit you)"
ANSWERS = {
    "choice": "[it's | it is | make it | let's say | a | an | the | for | in | at | on] {%s}",
    "number": "[it's | it is | the number is | my number is | that's | that is] {%s}",
    "date": f"[on | for | it's | it is | make it | let's say | how about] {{%s}} {_SUITS} | {_ASKS}",
    "time": f"[at | around | about | for | it's | it is | make it | let's say | how about] {{%s}} {_SUITS} | {_ASKS}",
    "spell": "[it's | it is | that's | that is] [spelled] {%s}",
}
NAMED_ANSWER = "[it's | and] (my | the) (%s) is {%s}"

_NAME = re.compile(r"[a-z]+(_[a-z]+)*")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Texts(_Model):
    """What the agent says besides the answers of its intents."""

    greeting: str = Field(min_length=1)
    anything_else: Wordings = ("Is there anything else I can do for you?", "What else can I do for you?")
    go_ahead: str = "Sure. What can I do for you?"  # when the caller says yes to anything_else, or "wait"
    help: Wordings = ("What can I do for you?",)  # what the caller can say, when no question is open
    part: Wordings = ("{heard}. And then?", "So far {heard}. What comes next?")  # to part of a number; {heard} so far
    part_secret: Wordings = ("And then?", "What comes next?")  # the same, where the number is secret
    no_such_date: str = "I'm sorry, there is no such date."  # 30 February; the open question follows
    date_over: str = "I'm sorry, that day is over. Please name one to come."  # yesterday; the open question follows
    not_understood: Wordings = ("Sorry, I didn't get that.", "I'm sorry, I still didn't understand.")
    way_out: str = "I'm sorry, I can't make that out. Let me find somebody who can help."  # one time more
    still_there: Wordings = ("Are you still there?", "Hello?")  # after silence; the open question follows
    person: str = "Of course. One moment please, I'll put you through."
    nobody: str = "I'm sorry, there is nobody I can put you through to."  # there is no transfer
    unreached: str = "I'm sorry, nobody is answering just now."  # the transfer failed; the open question follows
    greeting_closed: str = ""  # outside the agent's `hours`; empty: the greeting
    did_you_mean: str = "Are you calling about {this}?"  # {this} is what the intent is `about`
    which: str = "Are you calling about {this}, or about {that}?"  # two intents fit
    second: str = "You also asked about {this}."  # what the intent is `about`, once the first of two is done
    never_mind: str = "All right, never mind."
    goodbye: str = "Thank you for calling. Goodbye!"  # when the caller has said it
    farewell: str = "I'll hang up now. Thank you for calling, and goodbye!"  # when the agent ends the call
    shutdown: str = "I'm sorry, I have to end this call now. Please call again a little later. Goodbye!"


class Dialogue(_Model):
    """A whole dialogue. Cross references inside it are checked here; tools and transfers by `AgentSettings`."""

    texts: Texts
    slots: dict[str, SlotOfKind] = {}
    intents: dict[str, Intent] = Field(min_length=1)
    answers: tuple[Phrase, ...] = ()  # how slots are given on their own: an answer, or a correction after "no"
    phrases: dict[BuiltIn, tuple[Phrase, ...]] = {}  # more phrases for the built-in intents
    before: tuple[Phrase, ...] = ()  # more that may come before anything, such as "good morning"
    after: tuple[Phrase, ...] = ()  # more that may come after anything, such as "please"
    person: str = ""  # the transfer for callers who want a person; empty: there is nobody
    person_closed: str = ""  # the same outside the agent's `hours`; empty: as `person`
    uninterruptible: tuple[str, ...] = ()  # texts, and intents for their answers, that are heard to their end
    pronunciations: dict[str, str] = {}  # words missing in the dictionary, in ARPAbet: {voxline: V AA K S L AY N}

    @model_validator(mode="after")
    def _references(self) -> "Dialogue":
        for name, intent in self.intents.items():
            if name in get_args(BuiltIn):
                raise ValueError(f"intents.{name}: the name is taken by a built-in intent")
            self._check_slots(f"intents.{name}.ask", set(intent.ask), set(self.slots))
            self._check_next(name)
            self._check_values(name, intent)
            self._check_secrets(name, intent)
            for phrase in intent.phrases:
                self._check_slots(f"intents.{name}.phrases", slots_of(phrase), set(intent.ask))
        for name in self.uninterruptible:
            if name not in Texts.model_fields and name not in self.intents:
                raise ValueError(f"uninterruptible: {name!r} is neither one of the texts nor an intent")
        for name in self.slots:
            if not _NAME.fullmatch(name):
                raise ValueError(f"slots.{name}: a slot's name is small letters and _, such as street_name")
        for phrase in self.answers:
            self._check_slots("answers", slots_of(phrase), set(self.slots))
        for phrase in (*self.answers, *(phrase for intent in self.intents.values() for phrase in intent.phrases)):
            self._check_kinds(phrase)
        for phrase in (*self.before, *self.after, *(more for each in self.phrases.values() for more in each)):
            self._check_slots("phrases, before and after", slots_of(phrase), set())
        return self

    @staticmethod
    def _check_slots(where: str, names: set[str], allowed: set[str]) -> None:
        for name in sorted(names - allowed):
            raise ValueError(f"{where}: the slot {name!r} is not there; allowed: {sorted(allowed) or 'none'}")

    def _check_next(self, name: str) -> None:
        """What follows an intent is there, and never leads back to it."""
        after, reached = [name], set[str]()
        while after:
            for following in self.intents[after.pop()].all_of("next"):
                if following not in self.intents:
                    raise ValueError(
                        f"intents.{name}.next: {following!r} is no intent; allowed: {sorted(self.intents)}"
                    )
                if following == name:
                    raise ValueError(f"intents.{name}.next: it leads back to {name!r}")
                if following not in reached:
                    reached.add(following)
                    after.append(following)

    def _check_values(self, name: str, intent: Intent) -> None:
        """Conditions compare slots with values that they can have."""
        for when in intent.conditions():
            for slot, values in when.slots.items():
                allowed = self.slots[slot].constants()
                for value in values:
                    if allowed is not None and value not in allowed:
                        where = f"intents.{name}: when.slots.{slot}"
                        raise ValueError(f"{where}: {value!r} is no value of it; allowed: {sorted(allowed)}")

    def _check_secrets(self, name: str, intent: Intent) -> None:
        """Secrets are asked for, and neither said nor compared with anything."""
        secrets = {slot for slot in intent.ask if self.slots[slot].secret}
        for text in intent.texts():
            for slot in sorted(secrets & set(FIELD.findall(text))):
                raise ValueError(f"intents.{name}: {{{slot}}} in {text!r} is secret, and is not said; leave it out")
        for slot in sorted(secrets & {slot for when in intent.conditions() for slot in when.slots}):
            raise ValueError(f"intents.{name}: when.slots.{slot}: it is secret, and nothing can depend on it")
        for slot in sorted(secrets & {slot for phrase in intent.phrases for slot in slots_of(phrase)}):
            raise ValueError(f"intents.{name}.phrases: {{{slot}}} is secret, and only asked for; no phrase can hold it")

    def _check_kinds(self, phrase: Choice) -> None:
        """A yes or no says nothing by itself, and a text at the beginning would be anything."""
        for name in slots_of(phrase):
            if self.slots[name].type == "yes_no":
                raise ValueError(f"{{{name}}} is a yes_no, which is only asked for: no phrase can hold it")
        for name in _first_slots(phrase):
            if self.slots[name].type == "text":
                raise ValueError(f"a phrase cannot begin with {{{name}}}, a text: put a word before it")

    def slot_answers(self) -> tuple[Choice, ...]:
        """How slots are given on their own: `answers`, and for the slots that are not in them what is usual."""
        given = {name for phrase in self.answers for name in slots_of(phrase)}
        usual: list[Choice] = []
        for name, slot in self.slots.items():
            if name in given or slot.type == "yes_no":
                continue
            if slot.type in ANSWERS:
                usual.append(parse_phrase(ANSWERS[slot.type].replace("%s", name)))
            usual.append(parse_phrase(NAMED_ANSWER % (" | ".join(self.names_of(name)), name)))
        return (*self.answers, *usual)

    def names_of(self, slot: str) -> tuple[str, ...]:
        """What callers call a slot."""
        return (slot.replace("_", " ").strip(), *self.slots[slot].called)

    def built_in(self, name: BuiltIn) -> tuple[Choice, ...]:
        """All phrases of a built-in intent, the YAML's included."""
        return (*map(parse_phrase, PHRASES[name]), *self.phrases.get(name, ()))

    def is_uninterruptible(self, text: str) -> bool:
        """Whether a text as it is said, slots filled in, is to be heard to its end."""
        protected: list[str] = []
        for name in self.uninterruptible:
            if name in self.intents:
                protected += self.intents[name].all_of("answer")
                continue
            given = getattr(self.texts, name)
            protected += [given] if isinstance(given, str) else given
        return any(re.fullmatch(FIELD.sub(".*", re.sub(r"[^\w\s{}]", ".", each)), text) for each in protected)

    def around(self) -> tuple[tuple[Choice, ...], tuple[Choice, ...]]:
        """What may come before anything, and what may come after, as often as the caller likes."""
        return (*map(parse_phrase, BEFORE), *self.before), (*map(parse_phrase, AFTER), *self.after)


def slots_of(phrase: Choice) -> set[str]:
    """The names of the slots in a phrase."""
    return {part.name for part in phrase.parts() if isinstance(part, Slot)}


def _first_slots(phrase: Choice) -> set[str]:
    """The slots that a phrase can begin with."""
    first: set[str] = set()
    for option in phrase.options:
        for node in option:
            if isinstance(node, Slot):
                first.add(node.name)
            elif isinstance(node, Choice):
                first |= _first_slots(node)
            if not (isinstance(node, Choice) and node.can_be_empty()):
                break
    return first
