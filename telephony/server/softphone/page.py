"""The files of the softphone under /browser/, read once. There is no build step: browsers get them as they are.

Only the page itself differs: it has the CSRF token of whoever is signed in, as the console's pages have.
"""

from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from config.settings import Settings
from telephony.server.sign_in.gate import Gate

ASSETS = Path(__file__).parent / "assets"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; "
    "style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
CSRF, WHY = "<!-- csrf -->", "<!-- why -->"
DISABLED = "Calls from web pages are off: browser.enabled is false. Set browser.enabled: true and start voxline again."
CLOSED = (
    "Calls from web pages are off, since telephone calls come in here. For people who sign in, set console.tls_proxy: "
    "true (docs/console.md); for pages of other servers, name these in browser.origins (docs/browser.md)."
)


class Softphone:
    """The page of one server. Pages of browser.origins may load its modules."""

    def __init__(self, settings: Settings, gate: Gate) -> None:
        self._gate = gate
        self._origins = settings.browser.origins
        self._why = "" if settings.calls_from_pages else CLOSED if settings.browser.enabled else DISABLED
        self._files = {path.name: path.read_bytes() for path in ASSETS.iterdir() if path.suffix in TYPES}
        self._html = (ASSETS / ("off.html" if self._why else "index.html")).read_text(encoding="utf-8")

    def routes(self) -> list[Route]:
        """Where it is."""
        return [
            Route("/browser", self._there, methods=["GET"]),
            Route("/browser/", self._page, methods=["GET"]),
            *(Route(f"/browser/{name}", self._file, methods=["GET"]) for name in self._files),
        ]

    async def _there(self, _: Request) -> Response:
        return RedirectResponse("/browser/", 308)

    async def _page(self, request: Request) -> Response:
        """It is for nobody else's page to read. Where calls are off, it says why."""
        if self._why:
            text = self._html.replace(WHY, escape(self._why))
            return Response(text, 404, SECURITY, media_type="text/html")
        person = self._gate.person(request)
        csrf = f'<meta name="csrf" content="{escape(person.csrf)}">' if person and person.csrf else ""
        headers = {**SECURITY, "Cache-Control": "no-store"}
        return Response(self._html.replace(CSRF, csrf), headers=headers, media_type="text/html")

    async def _file(self, request: Request) -> Response:
        name = request.url.path.rpartition("/")[2]
        answer = Response(self._files[name], headers=SECURITY, media_type=TYPES[Path(name).suffix])
        if self._origins:
            answer.headers["Vary"] = "Origin"
            origin = request.headers.get("origin")
            if origin in self._origins:
                answer.headers["Access-Control-Allow-Origin"] = origin
        return answer
