"""Loading, retries, time-outs, cancelling and secrets, over a socket; with the chat model, whose requests say most."""

import asyncio
import logging
import socket
import time
from contextlib import aclosing
from typing import Any

import pytest

from agent.engine.base import Cue, Done, ModelEvent, ReplyRequest, SpeakRequest, Text
from agent.engine.openai.chat import ChatModel
from agent.engine.openai.client import MAX_BODY, MAX_MESSAGE, Client, Failure
from agent.engine.openai.synthesizer import OpenAISynthesizer
from agent.exceptions import EngineError
from config.agent import AgentSettings
from config.engine import OpenAISettings
from tests.agent.engine.openai.server import BREAK, KEY, SILENT_END, Server, Status

AGENTS = {"desk": AgentSettings(name="desk", instructions="You are the desk.")}
BUSY = Status(429, {"error": {"message": "busy", "code": 429}}, {"Retry-After": "0"})
BROKEN = Status(500, {"error": {"message": "out of memory"}})


def model(server: Server, **changes: Any) -> ChatModel:
    return ChatModel(server.settings(**{"audio": False} | changes), AGENTS)


def request(number: int = 1, transcript: str = "hello") -> ReplyRequest:
    return ReplyRequest(f"CA{number}/1.0", f"CA{number}", "desk", Cue.ANSWER, transcript)


async def events_of(chat: ChatModel, asked: ReplyRequest | None = None) -> list[ModelEvent]:
    return [event async for event in chat.reply(asked or request())]


async def text_of(chat: ChatModel, asked: ReplyRequest | None = None) -> str:
    return "".join(event.text for event in await events_of(chat, asked) if isinstance(event, Text))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


# Loading


async def test_a_server_that_knows_the_model_is_loaded(server: Server) -> None:
    chat = model(server)
    await chat.load()
    assert server.asked[0].path == "/v1/models"
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    await chat.close()


async def test_without_a_key_none_is_sent(server: Server) -> None:
    chat = model(server, api_key="", url=server.url + "/")
    await chat.load()
    assert "authorization" not in server.asked[0].headers
    await chat.close()


async def test_a_model_that_the_server_does_not_have_is_named_with_those_it_has(server: Server) -> None:
    chat = model(server, chat_model="other")
    with pytest.raises(EngineError, match=r"/v1 has no model 'other', only 'chat', 'tts', 'stt'; set .*chat_model"):
        await chat.load()
    await chat.close()


async def test_a_server_without_a_list_of_models_is_believed(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.models = Status(404, {"detail": "Not Found"})
    chat = model(server)
    await chat.load()
    assert "is not known" in caplog.text
    await chat.close()


@pytest.mark.parametrize(
    ("models", "complaint"),
    [
        (Status(401, {"error": "Unauthorized"}), "401 Unauthorized; set engine.openai.api_key"),
        (Status(403, "no"), "403 no; set engine.openai.api_key"),
        (Status(503, ""), "503 Service Unavailable"),
        ({"models": []}, "otherwise than OpenAI's API"),
        (Status(200, "<html>"), "otherwise than OpenAI's API"),
        (Status(200, '{"data": ' + "[" * 100_000), "otherwise than OpenAI's API"),
        (Status(200, "x" * (MAX_BODY + 1)), f"more than {MAX_BODY} bytes"),
    ],
)
async def test_what_is_wrong_with_a_server_is_said(server: Server, models: Any, complaint: str) -> None:
    server.models = models
    chat = model(server)
    with pytest.raises(EngineError, match=complaint):
        await chat.load()
    await chat.close()


async def test_a_server_that_is_not_there_is_named() -> None:
    url = f"http://user:secret@127.0.0.1:{free_port()}/v1"
    chat = ChatModel(OpenAISettings(url=url, retries=1), AGENTS)
    for attempt in (chat.load(), events_of(chat)):
        with pytest.raises(EngineError, match=r"http://127.0.0.1:\d+/v1 cannot be reached .*: start the server"):
            await attempt
    await chat.close()


# Retries


@pytest.mark.parametrize("trouble", [BUSY, BROKEN, Status(503, "")])
async def test_a_refusal_that_may_pass_is_tried_again(server: Server, trouble: Status) -> None:
    server.script("chat", [trouble], ["Hello ", "there."])
    chat = model(server)
    assert await events_of(chat) == [Text("Hello "), Text("there."), Done()]
    assert len(server.asked) == 2
    await chat.close()


@pytest.mark.parametrize("end", [[BREAK], [SILENT_END], [b'data: {"error": {"message": "lost", "code": 500}}\n\n']])
async def test_what_breaks_before_the_first_word_is_tried_again(server: Server, end: list[Any]) -> None:
    server.script("chat", end, ["Hello."])
    chat = model(server)
    assert await text_of(chat) == "Hello."
    await chat.close()


@pytest.mark.parametrize(
    ("end", "complaint"),
    [
        (BREAK, "broken off"),
        (SILENT_END, "broke off"),
        (b'data: {"error": {"message": "lost", "code": 500}}\n\n', ": lost"),
        (b'data: {"error": "lost"}\n\n', ": lost"),
        (b"data: {no json\n\n", "otherwise than OpenAI's API"),
    ],
)
async def test_what_breaks_after_the_first_word_is_an_error(server: Server, end: Any, complaint: str) -> None:
    server.script("chat", ["Hello ", end], ["again"])
    chat = model(server, retries=5)
    events = []
    with pytest.raises(EngineError, match=complaint):
        async for event in chat.reply(request()):
            events.append(event)
    assert events == [Text("Hello ")]
    assert len(server.asked) == 1
    await chat.close()
    await server.until_no_connection()


async def test_it_is_tried_no_more_often_than_the_settings_say(server: Server) -> None:
    server.script("chat", [BUSY])
    for retries in (0, 3):
        server.asked.clear()
        chat = model(server, retries=retries)
        with pytest.raises(EngineError, match="429 busy"):
            await events_of(chat)
        assert len(server.asked) == 1 + retries
        await chat.close()


async def test_a_server_that_asks_for_a_long_wait_is_not_asked_again(server: Server) -> None:
    server.script("chat", [Status(429, "later", {"Retry-After": "30"})], ["Hello."])
    chat = model(server)
    with pytest.raises(EngineError, match="429 later"):
        await events_of(chat)
    await chat.close()


async def test_a_short_wait_is_kept(server: Server) -> None:
    server.script("chat", [Status(503, "", {"Retry-After": "0.3"})], ["Hello."])
    chat = model(server)
    started = time.monotonic()
    assert await text_of(chat) == "Hello."
    assert time.monotonic() - started >= 0.3
    await chat.close()


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"error": {"message": "too\n  long", "type": "BadRequest"}}, "400 too long"),
        ({"object": "error", "message": "older vLLM"}, "400 older vLLM"),
        ({"error": "a word"}, "400 a word"),
        ({"detail": [{"msg": "Field required", "input": "what the caller said"}]}, "400 Field required"),
        ({"detail": "Nope"}, "400 Nope"),
        ({"other": 1}, "400 Bad Request"),
        ("plain text", "400 plain text"),
        ("", "400 Bad Request"),
        ([1], r"400 \[1\]"),
        ("[" * 100_000, r"400 \[+…"),
        ("x" * 1000, "400 " + "x" * MAX_MESSAGE + "…"),
    ],
)
async def test_a_refusal_is_shown_in_the_servers_words_on_one_line(server: Server, body: Any, shown: str) -> None:
    server.script("chat", [Status(400, body)])
    chat = model(server)
    with pytest.raises(EngineError, match=shown + "$") as caught:
        await events_of(chat)
    assert "caller" not in str(caught.value)
    assert len(server.asked) == 1
    await chat.close()


async def test_a_silent_server_is_given_up(server: Server) -> None:
    chat = model(server, read_s=0.2)
    for script in ([asyncio.Event()], ["Hello ", asyncio.Event()]):
        server.asked.clear()
        server.script("chat", script)
        with pytest.raises(EngineError, match=r"nothing came for 0.2 s; engine.openai.read_s"):
            await events_of(chat)
        assert len(server.asked) == 1
        await server.until(server.asked[0].gone.is_set)
    await chat.close()


def test_an_error_inside_an_answer_without_a_number_may_pass() -> None:
    client = Client(OpenAISettings())
    assert client.failure(Failure("x", "overloaded")).passing
    assert client.failure("x").passing
    assert not client.failure(Failure("x", 400)).passing


# Many at once, and cancelling


async def test_fifty_replies_at_once_each_get_their_own(server: Server) -> None:
    gate = asyncio.Event()
    server.script("chat", *([[gate, f"Answer {number}."] for number in range(50)]))
    chat = model(server)
    replies = [asyncio.create_task(text_of(chat, request(number))) for number in range(50)]
    await server.until(lambda: len(server.asked) == 50)
    assert server.connections == 50
    gate.set()
    assert sorted(await asyncio.gather(*replies)) == sorted(f"Answer {number}." for number in range(50))
    await chat.close()
    await server.until_no_connection()


async def test_one_that_fails_loses_nothing_for_others(server: Server) -> None:
    server.script("chat", *([["One ", BREAK], ["Two ", "words."]] * 10), ["Two words."])
    chat = model(server)
    results = await asyncio.gather(*(text_of(chat, request(number)) for number in range(20)), return_exceptions=True)
    assert sum(isinstance(result, EngineError) for result in results) == 10
    assert sum(result == "Two words." for result in results) == 10
    await chat.close()


async def test_connections_are_used_again(server: Server) -> None:
    chat = model(server)
    for number in range(5):
        assert await text_of(chat, request(number, "again")) == "again"
    assert server.connections == 1
    await chat.close()


@pytest.mark.parametrize("words", [0, 1])
async def test_cancel_hangs_up_at_once_and_ends_the_reply(server: Server, words: int) -> None:
    server.script("chat", [*["Hello "] * words, asyncio.Event()])
    chat = model(server)
    reply = asyncio.create_task(events_of(chat))
    await server.until(lambda: server.asked)
    chat.cancel("someone else")
    chat.cancel(request().id)
    await server.until(server.asked[0].gone.is_set)
    assert await reply in ([], [Text("Hello ")])
    chat.cancel(request().id)
    await server.until_no_connection()
    await chat.close()


async def test_cancel_hangs_up_while_nobody_takes_the_words(server: Server) -> None:
    server.script("chat", ["Hello ", *["and "] * 1000, asyncio.Event()])
    chat = model(server)
    reply = chat.reply(request())
    assert await anext(reply) == Text("Hello ")
    chat.cancel(request().id)
    await server.until(server.asked[0].gone.is_set)
    assert [event async for event in reply] == []
    await chat.close()


async def test_cancel_ends_the_wait_before_a_retry(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.engine.openai.client.MAX_WAIT_S", 3600)
    server.script("chat", [Status(503, "", {"Retry-After": "3600"})])
    chat = model(server)
    reply = asyncio.create_task(events_of(chat))
    await server.until(lambda: server.asked)
    chat.cancel(request().id)
    assert await reply == []
    await chat.close()


@pytest.mark.parametrize("script", [["Hello "], ["Hello ", "there "]])
async def test_closing_the_generator_hangs_up(server: Server, script: list[Any]) -> None:
    server.script("chat", [*script, asyncio.Event()])
    chat = model(server)
    async with aclosing(chat.reply(request())) as reply:
        assert await anext(reply) == Text("Hello ")
    await server.until(server.asked[0].gone.is_set)
    await chat.close()


async def test_who_is_cancelled_while_waiting_hangs_up(server: Server) -> None:
    server.script("chat", ["Hello ", asyncio.Event()])
    chat = model(server)
    reply = asyncio.create_task(events_of(chat))
    await server.until(lambda: server.asked)
    reply.cancel()
    await server.until(server.asked[0].gone.is_set)
    with pytest.raises(asyncio.CancelledError):
        await reply
    await chat.close()


async def test_replies_that_end_in_any_way_leave_no_connection_in_use(server: Server) -> None:
    chat = model(server, connections=2)
    for number in range(12):
        server.asked.clear()
        server.script("chat", *[[["Hello ", asyncio.Event()]], [["Hello ", BREAK]], [[BROKEN]]][number % 3])
        reply = asyncio.create_task(events_of(chat, request(number)))
        await server.until(lambda: server.asked)
        chat.cancel(request(number).id)
        await asyncio.wait([reply])
    server.script("chat", ["Still here."])
    assert await asyncio.gather(*(text_of(chat, request(number)) for number in range(2))) == ["Still here."] * 2
    assert server.connections <= 2
    await chat.close()
    await server.until_no_connection()


async def test_more_than_the_connections_allow_is_an_error_for_the_latest(server: Server) -> None:
    gate = asyncio.Event()
    server.script("chat", [gate, "Hello."])
    chat = model(server, connections=1, connect_s=0.2)
    first = asyncio.create_task(text_of(chat, request(1)))
    await server.until(lambda: server.asked)
    with pytest.raises(EngineError, match=r"all 1 connections are in use; engine.openai.connections"):
        await text_of(chat, request(2))
    gate.set()
    assert await first == "Hello."
    await chat.close()


async def test_close_ends_all_that_is_under_way(server: Server) -> None:
    server.script("chat", ["Hello ", asyncio.Event()])
    chat = model(server)
    replies = [asyncio.create_task(events_of(chat, request(number))) for number in range(5)]
    await server.until(lambda: len(server.asked) == 5)
    await chat.close()
    await asyncio.gather(*replies)
    await server.until_no_connection()


# Secrets


async def test_the_key_is_in_no_log_and_no_error(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tells = {"error": {"message": f"Incorrect API key provided: {KEY}\nSee {KEY}."}}
    server.models = Status(401, tells)
    server.script("chat", [Status(401, tells)], [Status(500, f"{KEY} {KEY}")], ["Hi", {"content": KEY}, BREAK])
    server.script("tts", [Status(400, tells)])
    chat, voice = model(server, retries=0), OpenAISynthesizer(server.settings())
    errors = []
    for attempt in (chat.load(), *(events_of(chat) for _ in range(3)), anext(voice.speak(SpeakRequest("1", "Hello.")))):
        with pytest.raises(EngineError) as caught:
            await attempt
        errors.append(caught.value)
    assert all(each.headers["authorization"] == f"Bearer {KEY}" for each in server.asked)
    assert len(errors) == 5
    shown = "\n".join(
        [str(errors), repr(chat), *(repr(error) for error in errors), *(str(e.__cause__) for e in errors)]
    )
    assert KEY not in shown
    assert "provided: ***" in str(errors[0])
    ours = [record for record in caplog.records if not record.name.startswith(("asyncio", "uvicorn"))]
    assert any(record.name.startswith("httpcore") for record in ours)
    assert all(KEY not in record.getMessage() for record in ours)
    await chat.close()
    await voice.close()


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel"])
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(EngineError, match="api_key holds characters") as caught:
        Client(OpenAISettings(api_key=key))
    assert key not in str(caught.value)


async def test_a_proxy_of_the_environment_is_not_used_on_this_host(
    monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    chat = model(server)
    await chat.load()
    await chat.close()
