"""HTTP towards a server with OpenAI's API: one pool of connections, retries before the first word, cancel by id."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from itertools import count
from typing import Any, TypeVar

import httpx
import msgspec

from agent.exceptions import EngineError
from config.engine import OpenAISettings
from config.settings import is_loopback

MAX_WAITING = 16  # items of one request that wait to be taken
MAX_BODY = 1 << 20  # bytes of an answer that is read as a whole
MAX_MESSAGE = 200  # characters of a server's message
KEEP_ALIVE_S = 4.0  # of idle connections; uvicorn, and so vLLM, closes them after 5
BACK_OFF_S = 0.1  # before the first retry, twice as long before each further one
MAX_WAIT_S = 2.0  # before a retry; a server that asks for more is not asked again
TOO_MANY, SERVER_ERROR = 429, 500
HINTS = {
    401: "; set engine.openai.api_key",
    403: "; set engine.openai.api_key",
    404: "; check engine.openai.url and the models' names",
}

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # not JSON of the expected form

T = TypeVar("T")
logger = logging.getLogger("voxline.engine.openai")


class ModelServerError(EngineError):
    """The server cannot be reached, refuses, or breaks off. `status` is that of its answer, 0 when there was none."""

    def __init__(self, message: str, status: int = 0, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.wait_s = wait_s  # what the server asks for before a retry

    @property
    def passing(self) -> bool:
        """Whether another try may help."""
        return self.status in (0, TOO_MANY) or self.status >= SERVER_ERROR


class Cancelled(EngineError):
    """The request was cancelled by its id."""


class RequestUnderWay:
    """One request that is under way: a task that reads, and what it has read."""

    def __init__(self, items: "asyncio.Queue[Any]", task: "asyncio.Task[None]") -> None:
        self.items = items
        self.task = task

    def stop(self) -> None:
        """Close the connection at once. Only the first time: a second cancellation would interrupt that."""
        if not self.task.cancelling():
            self.task.cancel()

    def cancel(self) -> None:
        """Stop, and wake up whoever waits."""
        self.stop()
        while not self.items.empty():
            self.items.get_nowait()
        self.items.put_nowait(Cancelled("cancelled"))


class Client:
    """What the parts of the engine share. Neither logs nor errors show the key."""

    def __init__(self, settings: OpenAISettings) -> None:
        self._settings = settings
        self._key = settings.api_key.get_secret_value().strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise EngineError("engine.openai.api_key holds characters that cannot be sent")
        url = httpx.URL(settings.url)
        self.url = str(url.copy_with(userinfo=b"")).rstrip("/")
        self._http = httpx.AsyncClient(
            base_url=url,
            # Compressed answers are held back until there is enough to compress.
            headers={"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {}),
            timeout=httpx.Timeout(settings.read_s, connect=settings.connect_s, pool=settings.connect_s),
            limits=httpx.Limits(
                max_connections=settings.connections,
                max_keepalive_connections=settings.connections,
                keepalive_expiry=KEEP_ALIVE_S,
            ),
            trust_env=not is_loopback(url.host),  # calls do not leave the host through a proxy of the environment's
        )
        self._streams: dict[str, RequestUnderWay] = {}

    async def load(self, model: str, setting: str) -> None:
        """Check that the server is there and knows the model; EngineError says what to do. One that does not
        list its models is trusted."""
        try:
            async with self.request("GET", "/models") as response:
                body = await read(response)
        except ModelServerError as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
            logger.warning("%s/models is not there: whether the server has %r is not known", self.url, model)
            return
        known = [each.id for each in self.parse(body, _Models).data]
        if model not in known:
            names = ", ".join(map(repr, known)) or "none"
            raise EngineError(f"{self.url} has no model {model!r}, only {names}; set engine.openai.{setting}")

    @asynccontextmanager
    async def request(self, method: str, path: str, **arguments: Any) -> AsyncGenerator[httpx.Response, None]:
        """Send one request; the answer's body is to be read inside. ModelServerError when it fails, there or here."""
        url, settings = self.url + path, self._settings
        try:
            async with self._http.stream(method, path, **arguments) as response:
                if not response.is_success:
                    raise await self._refusal(url, response)
                yield response
        except httpx.PoolTimeout:
            raise EngineError(f"all {settings.connections} connections are in use; engine.openai.connections") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            reason = str(error) or f"no connection within {settings.connect_s} s"
            raise ModelServerError(
                f"{self.url} cannot be reached ({reason}): start the server, or set engine.openai.url"
            ) from None
        except httpx.TimeoutException:
            raise EngineError(f"{url}: nothing came for {settings.read_s} s; engine.openai.read_s") from None
        except httpx.HTTPError as error:
            raise ModelServerError(f"{url}: broken off: {self._shown(str(error)) or type(error).__name__}") from None

    async def stream(self, name: str, attempt: Callable[[], AsyncGenerator[T, None]]) -> AsyncGenerator[T, None]:
        """What `attempt` yields, tried again while it fails before its first item. Ends at once, with Cancelled, when
        `cancel` is called with the same name; closing this generator closes the connection."""
        items: asyncio.Queue[T | Exception | None] = asyncio.Queue(MAX_WAITING)
        task = asyncio.create_task(self._pump(items, attempt), name=f"openai {name}")
        stream = self._streams[name] = RequestUnderWay(items, task)
        try:
            while (item := await items.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            if self._streams.get(name) is stream:
                del self._streams[name]
            stream.stop()
            await asyncio.wait([task])

    def cancel(self, name: str) -> None:
        """Stop one request; unknown names are ignored."""
        if stream := self._streams.pop(name, None):
            stream.cancel()

    async def close(self) -> None:
        """Stop all requests and close all connections."""
        streams = list(self._streams.values())
        self._streams.clear()
        for stream in streams:
            stream.cancel()
        if streams:
            await asyncio.wait([stream.task for stream in streams])
        await self._http.aclose()

    def parse(self, data: str | bytes, kind: type[T]) -> T:
        """JSON from the server, as a struct; EngineError when it is something else."""
        try:
            return msgspec.json.decode(data, type=kind)
        except UNREADABLE as error:
            raise EngineError(f"{self.url} answers otherwise than OpenAI's API: {error}") from None

    def failure(self, error: "Failure | str") -> ModelServerError:
        """An error that the server reports in the middle of an answer."""
        if isinstance(error, str):
            error = Failure(error)
        status = error.code if isinstance(error.code, int) else SERVER_ERROR
        return ModelServerError(f"{self.url}: {self._shown(error.message)}", status)

    async def _pump(
        self, items: "asyncio.Queue[T | Exception | None]", attempt: Callable[[], AsyncGenerator[T, None]]
    ) -> None:
        try:
            for number in count():
                begun = False
                try:
                    async with aclosing(attempt()) as stream:
                        async for item in stream:
                            begun = True
                            await items.put(item)
                    break
                except ModelServerError as error:
                    if begun or number >= self._settings.retries or not error.passing or error.wait_s > MAX_WAIT_S:
                        raise
                    logger.info("trying again: %s", error)
                    await asyncio.sleep(max(error.wait_s, _back_off_s(number)))
            await items.put(None)
        except Exception as error:  # noqa: BLE001 (raised where the items are taken)
            await items.put(error)

    async def _refusal(self, url: str, response: httpx.Response) -> ModelServerError:
        status = response.status_code
        message = self._shown(_message(await read(response))) or response.reason_phrase
        return ModelServerError(f"{url}: {status} {message}{HINTS.get(status, '')}", status, _wait_s(response))

    def _shown(self, message: str) -> str:
        """A message of the server's, as it may be shown: one line, without the key."""
        line = " ".join((message.replace(self._key, "***") if self._key else message).split())
        return line if len(line) <= MAX_MESSAGE else line[:MAX_MESSAGE] + "…"


class Failure(msgspec.Struct):
    """What an answer that failed holds."""

    message: str = ""
    code: int | str | None = None


class _Refused(msgspec.Struct):
    """The ways in which servers say what went wrong."""

    error: Failure | str | None = None
    message: str = ""
    detail: Any = None


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


async def read(response: httpx.Response) -> bytes:
    """The whole body; EngineError when it is longer than MAX_BODY."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MAX_BODY:
            raise EngineError(f"{response.url.path}: an answer of more than {MAX_BODY} bytes")
    return bytes(body)


def _message(body: bytes) -> str:
    try:
        refused = msgspec.json.decode(body, type=_Refused)
    except UNREADABLE:
        return body.decode(errors="replace")
    error = refused.error.message if isinstance(refused.error, Failure) else refused.error
    detail = refused.detail
    if isinstance(detail, list):  # of what is wrong with the request; the rest of it repeats the caller's words
        detail = "; ".join(str(each.get("msg", "")) for each in detail if isinstance(each, dict))
    return error or refused.message or str(detail or "")


def _wait_s(response: httpx.Response) -> float:
    """Retry-After in seconds; a date, which servers of models do not send, is as good as none."""
    try:
        return max(0.0, float(response.headers.get("retry-after", "0")))
    except ValueError:
        return 0.0


def _back_off_s(number: int) -> float:
    jitter = random.uniform(0.5, 1.5)  # noqa: S311 (so that calls do not come back all at once)
    return min(MAX_WAIT_S, jitter * BACK_OFF_S * 2.0**number)
