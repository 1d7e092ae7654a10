"""Makes pages, and decides by the gate who gets them: whoever is not signed in is sent to do so."""

from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from telephony.console import words
from telephony.lines.form import parse_form
from telephony.lines.request_body import read_body
from telephony.server.errands import Errands
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.person import Person, Role

TEMPLATES = Path(__file__).parent / "templates"
SIGN_IN = "/console/sign-in"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; media-src 'self' blob:; worker-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
THEMES = ("light", "dark")
THEME_COOKIE = "voxline-theme"
MAX_FORM_BYTES = 16_384
MAX_FIELDS = 32
MAX_NEXT = 500  # characters of the page to come back to

Form = dict[str, str]
Handler = Callable[[Request, Person], Awaitable[Response]]
FormHandler = Callable[[Request, Person, Form], Awaitable[Response]]


class Pages:
    """The pages of one server."""

    def __init__(self, gate: Gate, errands: Errands) -> None:
        self._gate = gate
        self._errands = errands
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(words.FILTERS)
        self._templates.globals.update(version=version("voxline"))
        for name in self._templates.list_templates():
            self._templates.get_template(name)  # compiled before the first call comes in

    def page(self, path: str, handler: Handler, role: Role = Role.VIEWER) -> Route:
        """A page for whoever has the role."""

        async def answer(request: Request) -> Response:
            admitted = await self._admitted(request, role)
            return guarded(admitted if isinstance(admitted, Response) else await handler(request, admitted))

        return Route(path, answer, methods=["GET"])

    def form(self, path: str, handler: FormHandler, role: Role) -> Route:
        """Where a form of a page is sent."""

        async def answer(request: Request) -> Response:
            admitted = await self._admitted(request, role)
            if isinstance(admitted, Response):
                return guarded(admitted)
            form = await read_form(request)
            if form is None or not self._gate.is_own(request, admitted, form.get("csrf", "")):
                text = "This form is out of date. Go back, reload the page and send it again."
                return guarded(await self.message(request, admitted, 403, text))
            return guarded(await handler(request, admitted, form))

        return Route(path, answer, methods=["POST"])

    async def show(
        self, request: Request, person: Person | None, template: str, status: int = 200, /, **values: Any
    ) -> Response:
        """A page as an answer. It is made in a thread, since long ones take a while."""
        theme = request.cookies.get(THEME_COOKIE, "")
        values |= {"person": person, "path": request.url.path, "theme": theme if theme in THEMES else ""}
        values["may_act"] = person is not None and person.role >= Role.OPERATOR
        values["may_all"] = person is not None and person.role >= Role.ADMIN
        text = await self._errands.run(self._templates.get_template(template).render, values)
        return Response(text, status, media_type="text/html")

    async def message(self, request: Request, person: Person, status: int, text: str) -> Response:
        """A page that says why there is nothing to see."""
        return await self.show(request, person, "message.html", status, text=text)

    async def _admitted(self, request: Request, role: Role) -> Person | Response:
        person = self._gate.person(request)
        if person is not None and person.role >= role:
            return person
        if person is not None:
            self._gate.refused(request, 403, "that needs the role %s", role.name.lower())
            return await self.message(request, person, 403, f"This needs the role {role.name.lower()}.")
        if why := self._gate.closed(request):
            self._gate.refused(request, 403, "the console is not served over this connection")
            return PlainTextResponse(why + "\n", 403)
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{SIGN_IN}?next={quote(here[:MAX_NEXT], safe='/')}", 303)


def guarded(response: Response, more: Mapping[str, str] | None = None) -> Response:
    """The answer with the headers that every one of the console's has."""
    response.headers.update({**HEADERS, **(more or {})})
    return response


async def read_form(request: Request) -> Form | None:
    """The fields of a form, of each the first; None if it is none, or too large."""
    body = await read_body(request, MAX_FORM_BYTES)
    try:
        fields = parse_form(body, MAX_FIELDS) if body is not None else None
    except ValueError:
        return None
    return None if fields is None else {name: values[0] for name, values in fields.items()}


def own_path(text: str) -> str:
    """A path of the console to go to, whatever a link says."""
    plain = text.isascii() and text.isprintable() and len(text) <= MAX_NEXT and "\\" not in text
    return text if plain and (text == "/console" or text.startswith(("/console/", "/console?"))) else "/console"


def not_served(connection: HTTPConnection, gate: Gate) -> Response | None:
    """The answer where nobody may even sign in."""
    why = gate.closed(connection)
    return guarded(PlainTextResponse(why + "\n", 403)) if why else None
