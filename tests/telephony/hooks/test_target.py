"""One address: signed, bounded, no redirects, and nothing of it in errors."""

import asyncio
import ssl

import pytest
from pydantic import SecretStr

from telephony.hooks.target import MAX_ANSWER, HookError, Target
from tests.telephony.conftest import MakeCertificate
from tests.telephony.hooks.receiver import SECRET, Receiver, receiving

PASSWORD = "rumpelstiltskin"


def target(url: str) -> Target:
    return Target(SecretStr(url), SecretStr(SECRET))


async def failing(url: str, limit_s: float = 10) -> HookError:
    one = target(url)
    with pytest.raises(HookError) as failed:
        await one.post(b"{}", "id", limit_s)
    await one.close()
    assert PASSWORD not in str(failed.value)
    return failed.value


async def test_requests_are_signed_and_named() -> None:
    async with receiving(b"yes") as receiver:
        one = target(receiver.url("/hook?token=5", f"ann:{PASSWORD}@"))
        assert await one.post(b'{"a":1}', "after-1", 10) == (200, b"yes")
        await one.close()
        [asked] = receiver.asked
    assert asked.is_signed()
    assert asked.body == b'{"a":1}'
    assert asked.headers["voxline-delivery"] == "after-1"
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (301, 301, "301: a redirect, which is not followed"),
        (307, 307, "307: a redirect, which is not followed"),
        (404, 404, "404: an error"),
        (500, 500, "500: an error"),
        (b"x" * (MAX_ANSWER + 1), 200, f"an answer of more than {MAX_ANSWER} bytes"),
    ],
)
async def test_what_is_no_answer(answer: int | bytes, status: int, reason: str) -> None:
    async with receiving(answer) as receiver:
        error = await failing(receiver.url(user=f"ann:{PASSWORD}@"))
        assert (error.status, str(error)) == (status, reason)
        assert len(receiver.asked) == 1


async def test_the_longest_answer_is_taken() -> None:
    async with receiving(b"x" * MAX_ANSWER) as receiver:
        one = target(receiver.url())
        assert len((await one.post(b"{}", "id", 10)).body) == MAX_ANSWER
        await one.close()


async def test_one_that_never_answers_is_waited_for_no_longer_than_said() -> None:
    async with receiving(None) as receiver:
        error = await failing(receiver.url(user=f"ann:{PASSWORD}@"), 0.2)
        assert str(error) == "no answer within 0.2 s"


async def test_nobody_there() -> None:
    receiver = Receiver()
    await receiver.start()
    url = receiver.url(user=f"ann:{PASSWORD}@")
    await receiver.stop()
    error = await failing(url)
    assert error.status is None


async def test_what_is_no_http_is_an_error() -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\x1b[2J nonsense\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    error = await failing(f"http://ann:{PASSWORD}@127.0.0.1:{port}/")
    assert str(error).isprintable()
    server.close()
    await server.wait_closed()


async def test_a_certificate_that_nobody_vouches_for_is_refused(make_certificate: MakeCertificate) -> None:
    files = make_certificate()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["tls_cert"], files["tls_key"])

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    error = await failing(f"https://ann:{PASSWORD}@127.0.0.1:{port}/")
    assert "certificate verify failed" in str(error).lower()
    server.close()
    await server.wait_closed()
