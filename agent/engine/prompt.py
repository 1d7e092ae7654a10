"""What language models are told: who they are, what they may do, why they are asked. Pure functions over plain data.

A model ends or transfers a call by calling a tool that every agent has, and presses keys with another one where its
agent may; `conclude` turns those calls into what the session does next.
"""

from typing import Any

import msgspec

from agent.engine.base import TRANSFER, Cue, Done, Next, ReplyRequest, ToolCall, ToolResult
from config.agent import AgentSettings
from config.keys import ALLOWED, MOST, checked
from config.parties import NOBODY, Parties

INCOMPLETE = "…"  # a whole reply: the caller has not finished
BACKCHANNEL = "~"  # a whole reply: the caller only shows that they are listening
HANG_UP, PRESS_KEYS = "hang_up", "press_keys"
PAUSE_RECORDING, RESUME_RECORDING = "pause_recording", "resume_recording"

MANNERS = (
    "You are on a phone call, and what you write is spoken aloud: one or two short sentences, with no lists, symbols "
    "or emojis. Never say that something has been done before its tool has confirmed it; if the tool returns an error, "
    f"say in plain words that it could not be done. Where a turn of yours ends in {INCOMPLETE}, the caller interrupted "
    "you there and did not hear the rest."
)
MARKERS = (
    f"If the caller has clearly not finished their sentence, reply with {INCOMPLETE} and nothing else. "
    f"If they only show that they are listening, as with uh-huh, reply with {BACKCHANNEL} and nothing else."
)
CUES = {
    Cue.GREET: "(The call has just begun. Greet the caller and ask how you can help.)",
    Cue.UNREACHED: "(Nobody could be reached, and the caller is back with you. Say so, and what else you can do.)",
    Cue.REPROMPT: "(The caller said nothing, or could not be understood. Ask again in different words.)",
    Cue.FAREWELL: "(The call has to end now. Say goodbye in one sentence.)",
    Cue.SHUTDOWN: "(The call has to end now for technical reasons. Apologize and say goodbye in one sentence.)",
    Cue.TOOL: "(Tell the caller the result.)",
}
UNKNOWN_WORDS = "(words that were not transcribed)"
# By roles of the history, in which neither caller nor agent speaks.
NOTES = {
    "keys": "(You pressed {}.)",
    "operator": "(Your operator, whom the caller does not hear, tells you: {})",
    "taken_over": "(Here a person took over and talked with the caller. You do not know what that person said.)",
    "given_back": "(The person has left. You are talking with the caller again.)",
}


def instructions(agent: AgentSettings, *, markers: bool, parties: Parties = NOBODY) -> str:
    """The system prompt; with `markers` for a model that may say that the caller's turn needs no answer yet."""
    parts = [parties.fill(agent.instructions), MANNERS, MARKERS if markers else ""]
    return "\n".join(part for part in parts if part)


def tools(agent: AgentSettings) -> list[dict[str, Any]]:
    """The agent's tools, and those that every agent has, in the format of OpenAI's and Mistral's models."""
    own = [_tool(name, tool.description, tool.parameters) for name, tool in agent.tools.items()]
    if agent.transfers:
        to = f"one of: {', '.join(agent.transfers)}"
        own.append(_tool(TRANSFER, "Transfer the caller, after telling them so.", {"to": to}))
    if agent.press_keys:
        use = "Press keys on the phone, such as those that a phone menu asks for. Do not talk to the menu."
        own.append(_tool(PRESS_KEYS, use, {"keys": f"the keys in order, such as 2 or 104#: {ALLOWED}"}))
    if agent.pause_recording:
        use = "Pause the recording of the call, before asking for what must not be kept, such as a card's number."
        own.append(_tool(PAUSE_RECORDING, use, {}))
        own.append(_tool(RESUME_RECORDING, "Let the recording go on, once the caller has given it.", {}))
    return [*own, _tool(HANG_UP, "End the call, after saying goodbye.", {})]


def turns(request: ReplyRequest) -> list[tuple[str, str]]:
    """The history as ("user" or "assistant", text), alternating, the caller first; without the present turn."""
    alternating: list[tuple[str, str]] = []
    for turn in request.history:
        role = "assistant" if turn.role == "agent" else "user"
        text = turn.text + (INCOMPLETE if turn.interrupted else "") or UNKNOWN_WORDS
        if turn.role in NOTES:
            text = NOTES[turn.role].format(" ".join(turn.text) if turn.role == "keys" else turn.text)
        if alternating and alternating[-1][0] == role:
            alternating[-1] = (role, f"{alternating[-1][1]} {text}")
        else:
            alternating += [("user", CUES[Cue.GREET])] if role == "assistant" and not alternating else []
            alternating.append((role, text))
    return alternating


def present(request: ReplyRequest) -> str:
    """The present turn as text, without its audio: what was dialled, what was understood, why the model is asked."""
    parts = [CUES.get(request.cue, "")]
    if request.transcript:
        parts.append(request.transcript)
    if request.digits:
        parts.append(f"(The caller pressed {' '.join(request.digits)}.)")
    return " ".join(part for part in parts if part)


def result_text(result: ToolResult) -> str:
    """A tool's result, for the model, as JSON."""
    return msgspec.json.encode({"error": result.error} if result.error else result.result).decode()


def conclude(calls: list[ToolCall], agent: AgentSettings) -> tuple[list[ToolCall], Done]:
    """The calls that are the session's to run, and what follows the reply.

    A transfer to nowhere is left to the session, which knows no such tool and tells the model so. The same goes for
    invalid keys, or too many.
    """
    done = Done()
    own = []
    for call in calls:
        to = call.arguments.get("to")
        if call.name == TRANSFER and isinstance(to, str) and to in agent.transfers:
            done = msgspec.structs.replace(done, next=Next.TRANSFER, transfer_to=to)
        elif call.name == PRESS_KEYS and agent.press_keys and (keys := _keys(call)) and len(done.keys + keys) <= MOST:
            done = msgspec.structs.replace(done, keys=done.keys + keys)
        elif call.name in (PAUSE_RECORDING, RESUME_RECORDING) and agent.pause_recording:
            done = msgspec.structs.replace(done, recording="pause" if call.name == PAUSE_RECORDING else "resume")
        elif call.name != HANG_UP:
            own.append(call)
        elif done.next is Next.LISTEN:
            done = msgspec.structs.replace(done, next=Next.HANG_UP)
    return own, done


def _keys(call: ToolCall) -> str:
    """The keys that a model wants pressed, however it has spaced them; empty where they are not keys."""
    try:
        return checked("".join(str(call.arguments.get("keys", "")).split()))
    except ValueError:
        return ""


def _tool(name: str, description: str, parameters: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": {key: {"type": "string", "description": text} for key, text in parameters.items()},
                "required": list(parameters),
            },
        },
    }
