"""The agent's side: what is asked of the engine, what its events do to a reply, and what is left of one that is
dropped."""

from agent import events as e
from agent.engine.base import Cue, Done, Next, ToolCall, ToolResult, Turn, Word
from agent.listening.caller_turn import CallerTurn
from agent.memory import Memory
from agent.speaking.agent_turn import MAX_ROUNDS, AgentTurn, OfReply
from agent.speaking.reply import Reply
from config.settings import TurnSettings
from tests.agent.phone import FRAME

NOW_MS = 5000.0
BOOKING = ToolCall("book", {"day": "monday"})


class Desk:
    """An agent whose caller has just said something."""

    def __init__(self) -> None:
        self.caller = CallerTurn(TurnSettings())
        self.memory = Memory("CA1", "desk", 20)
        self.agent_turn = AgentTurn(self.caller, self.memory)
        self.caller.begin()
        self.caller.hear(FRAME)

    def ask(self, cue: Cue = Cue.ANSWER) -> Reply:
        self.agent_turn.ask(cue, NOW_MS)
        assert self.agent_turn.current is not None
        return self.agent_turn.current

    def take(self, *events: OfReply) -> list[e.Command]:
        return [command for event in events for command in self.agent_turn.take(event, NOW_MS)]

    def speaking(self, text: str = "We are open.", done: Done | None = None) -> Reply:
        """An answer of which everything was made, and nothing heard."""
        reply = self.ask()
        self.take(e.CallerSaid(reply.number, "hello"), e.ReplyText(reply.number, text))
        self.take(*(word(reply, text) for text in text.split()))
        self.take(e.ReplyDone(reply.number, done or Done()), e.ReplyEnded(reply.number))
        return reply

    @property
    def history(self) -> list[Turn]:
        return list(self.memory.history.turns())


def word(reply: Reply, text: str) -> e.ReplyAudio:
    """One of 300 ms, the last 10 of them silent."""
    return e.ReplyAudio(reply.number, bytes(16 * 300), (Word(text, 0, 290),))


def test_asking_gives_the_rest_of_the_turn_away_first() -> None:
    desk = Desk()
    hear, decided, start = desk.agent_turn.ask(Cue.ANSWER, NOW_MS)
    assert isinstance(hear, e.Hear)
    assert hear.pcm == FRAME
    assert decided == e.TurnDecided(1, Cue.ANSWER, NOW_MS, desk.caller.speech_end_ms)
    assert isinstance(start, e.StartReply)
    assert (start.reply, start.utterance, start.request.audio) == (1, desk.caller.utterance.number, FRAME)


def test_only_an_answer_is_given_what_the_caller_said() -> None:
    start = Desk().agent_turn.ask(Cue.REPROMPT, NOW_MS)[-1]
    assert isinstance(start, e.StartReply)
    assert (start.utterance, start.request.cue, start.request.audio) == (None, Cue.REPROMPT, b"")


def test_the_turn_goes_into_the_history_with_the_first_piece_of_audio() -> None:
    desk = Desk()
    reply = desk.ask()
    assert desk.take(e.CallerSaid(reply.number, "when do you open"), e.ReplyText(reply.number, "At nine.")) == []
    assert (desk.history, reply.begun) == ([], False)
    first, second = desk.take(word(reply, "At"))
    assert first == e.Said("caller", "when do you open", False, NOW_MS)
    assert isinstance(second, e.Play)
    assert (reply.begun, desk.caller.utterance.open) == (True, False)
    assert [type(command) for command in desk.take(word(reply, "nine."))] == [e.Play]
    assert desk.history == [Turn("caller", "when do you open")]


def test_what_is_held_waits_and_runs_no_tool() -> None:
    desk = Desk()
    start = desk.agent_turn.speculate()[-1]
    speculative = desk.agent_turn.speculative
    assert isinstance(start, e.StartReply)
    assert start.request.early
    assert speculative is not None
    said = e.CallerSaid(speculative.number, "book monday")
    assert desk.take(said, word(speculative, "Wait."), e.ReplyDone(speculative.number, Done(), (BOOKING,))) == []
    assert desk.agent_turn.unheard_ms == 300
    commands = desk.agent_turn.accept(NOW_MS)
    assert [type(command) for command in commands] == [e.TurnDecided, e.Said, e.RunTools, e.Play]
    assert (desk.agent_turn.current, desk.agent_turn.speculative, speculative.speculative) == (speculative, None, False)
    assert desk.agent_turn.unheard_ms == 300


def test_what_is_held_and_not_wanted_is_wasted_and_the_turn_heard_again() -> None:
    desk = Desk()
    desk.agent_turn.speculate()
    utterance = desk.caller.utterance.number
    assert desk.agent_turn.discard_speculative() == [e.CancelReply(1), e.ForgetUtterance(utterance)]
    assert (desk.agent_turn.discarded, desk.caller.utterance.number) == (1, utterance + 1)
    assert desk.agent_turn.discard_speculative() == []
    assert desk.agent_turn.discarded == 1


def test_while_a_reply_is_paused_what_was_heard_of_it_is_told_with_the_early_question() -> None:
    desk = Desk()
    reply = desk.speaking()
    desk.agent_turn.played(e.Played(reply.number, 590))
    desk.caller.begin(over=True)
    start = desk.agent_turn.speculate()[-1]
    assert isinstance(start, e.StartReply)
    assert start.request.history[-1] == Turn("agent", "We are", interrupted=True)
    assert desk.history == [Turn("caller", "hello")]


def test_of_a_reply_that_was_thrown_away_only_its_tools_still_count() -> None:
    desk = Desk()
    reply = desk.ask()
    utterance = desk.caller.utterance.number
    assert desk.agent_turn.discard() == [e.CancelReply(reply.number), e.ForgetUtterance(utterance)]
    assert desk.take(word(reply, "late"), e.ReplyEnded(reply.number)) == []
    result = ToolResult("book", {}, {"ok": True})
    assert desk.take(e.ToolsFinished(reply.number, (result,))) == []
    start = desk.agent_turn.ask(Cue.ANSWER, NOW_MS)[-1]
    assert isinstance(start, e.StartReply)
    assert start.request.tool_results == (result,)


def test_a_goodbye_that_was_thrown_away_is_said_later() -> None:
    desk = Desk()
    reply = desk.ask()
    desk.take(e.ReplyDone(reply.number, Done(next=Next.HANG_UP)))
    desk.agent_turn.discard()
    assert desk.agent_turn.closing is Cue.FAREWELL


def test_tools_lead_to_another_round_of_the_same_reply_and_not_for_ever() -> None:
    desk = Desk()
    reply = desk.ask()
    ids = set()
    for _ in range(MAX_ROUNDS):
        run = desk.take(e.ReplyDone(reply.number, Done(), (BOOKING,)), e.ReplyEnded(reply.number))[-1]
        assert run == e.RunTools(reply.number, (BOOKING,))
        assert not reply.over
        (start,) = desk.take(e.ToolsFinished(reply.number, (ToolResult("book", {}),)))
        assert isinstance(start, e.StartReply)
        assert (start.reply, start.request.cue) == (reply.number, Cue.TOOL)
        ids.add(start.request.id)
    assert len(ids) == MAX_ROUNDS
    assert desk.take(e.ReplyDone(reply.number, Done(), (BOOKING,)), e.ReplyEnded(reply.number)) == []
    assert reply.over


def test_a_models_state_counts_once_its_reply_is_for_real() -> None:
    desk = Desk()
    reply = desk.ask()
    desk.take(e.ReplyDone(reply.number, Done(state={"step": "lost"})))
    desk.agent_turn.discard()
    reply = desk.ask()
    desk.take(word(reply, "Yes."), e.ReplyDone(reply.number, Done(state={"step": "kept"})))
    start = desk.agent_turn.ask(Cue.REPROMPT, NOW_MS)[-1]
    assert isinstance(start, e.StartReply)
    assert start.request.state == {"step": "kept"}


def test_keys_are_on_their_way_until_they_are_out() -> None:
    desk = Desk()
    reply = desk.speaking("I dial.", Done(keys="12"))
    desk.agent_turn.played(e.Played(reply.number, 600))
    assert reply.over
    commands = desk.agent_turn.press(reply, NOW_MS)
    assert commands == [e.Said("agent", "I dial.", False, NOW_MS), e.Press(reply.number + 1, "12")]
    assert not reply.over
    desk.agent_turn.played(e.Played(reply.number + 1, 0.0))
    assert reply.over
    assert desk.agent_turn.finish(reply, NOW_MS) == []  # its words are in the history already
    assert desk.history[1:] == [Turn("agent", "I dial."), Turn("keys", "12")]


def test_a_reply_without_words_is_finished_with_the_turn_it_answers() -> None:
    desk = Desk()
    reply = desk.ask()
    desk.take(e.CallerSaid(reply.number, "thanks"), e.ReplyDone(reply.number, Done()), e.ReplyEnded(reply.number))
    assert reply.over
    assert desk.agent_turn.finish(reply, NOW_MS) == [e.Said("caller", "thanks", False, NOW_MS)]
    assert desk.agent_turn.current is None


def test_an_interruption_keeps_what_was_heard() -> None:
    desk = Desk()
    reply = desk.speaking()
    desk.agent_turn.played(e.Played(reply.number, 590))
    assert desk.agent_turn.interrupt(4900, NOW_MS) == [
        e.Drop(reply.number),
        e.CancelReply(reply.number),
        e.Interrupted(reply.number, NOW_MS, 4900, "We are"),
        e.Said("agent", "We are", True, NOW_MS),
    ]
    assert (desk.agent_turn.current, desk.agent_turn.cut) == (None, True)


def test_who_speaks_after_the_last_word_has_cut_nothing_off() -> None:
    desk = Desk()
    reply = desk.speaking()
    desk.agent_turn.played(e.Played(reply.number, 895))
    assert desk.agent_turn.interrupt(4900, NOW_MS)[-1] == e.Said("agent", "We are open.", False, NOW_MS)
    assert not desk.agent_turn.cut


def test_a_reply_that_fails_is_over_unless_the_line_has_something_of_it() -> None:
    desk = Desk()
    assert desk.agent_turn.fail(desk.ask()) == []
    assert (desk.agent_turn.current, desk.agent_turn.failures) == (None, 1)
    reply = desk.ask()
    desk.take(word(reply, "Well"))
    (rest,) = desk.agent_turn.fail(reply)
    assert rest == e.Play(reply.number, b"", (300.0,))
    assert (desk.agent_turn.current, desk.agent_turn.failures) == (reply, 2)
    desk.agent_turn.played(e.Played(reply.number, 300))
    assert reply.over


def test_what_was_no_turn_is_forgotten_with_what_was_made_for_it() -> None:
    desk = Desk()
    desk.agent_turn.speculate()
    number = desk.caller.utterance.number
    commands = desk.agent_turn.forget_turn()
    assert commands == [e.CancelReply(1), e.ForgetUtterance(number), e.ForgetUtterance(number + 1)]
    assert not desk.caller.utterance.open
    assert desk.agent_turn.forget_turn() == []


def test_when_the_line_is_gone_everything_is_cancelled_and_what_was_heard_kept() -> None:
    desk = Desk()
    reply = desk.speaking()
    desk.agent_turn.played(e.Played(reply.number, 290))
    desk.caller.begin(over=True)
    desk.agent_turn.speculate()
    number = desk.caller.utterance.number
    assert desk.agent_turn.hang_up(NOW_MS) == [
        e.CancelReply(reply.number + 1),
        e.ForgetUtterance(number),
        e.CancelReply(reply.number),
        e.Said("agent", "We", True, NOW_MS),
        e.ForgetUtterance(number + 1),
    ]
