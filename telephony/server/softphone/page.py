"""The files of the softphone under /browser/, read once. There is no build step: browsers get them as they are."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

ASSETS = Path(__file__).parent / "assets"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; "
    "style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class Softphone:
    """The page of one server. Pages of `origins` may load its modules."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._origins = origins
        self._files = {path.name: path.read_bytes() for path in ASSETS.iterdir() if path.suffix in TYPES}

    def routes(self) -> list[Route]:
        """Where it is."""
        return [
            Route("/browser", self._there, methods=["GET"]),
            Route("/browser/", self._page, methods=["GET"]),
            Route("/browser/{file}", self._file, methods=["GET"]),
        ]

    async def _there(self, _: Request) -> Response:
        return RedirectResponse("/browser/", 308)

    async def _page(self, request: Request) -> Response:
        return self._answer(request, "index.html")

    async def _file(self, request: Request) -> Response:
        return self._answer(request, request.path_params["file"])

    def _answer(self, request: Request, name: str) -> Response:
        content = self._files.get(name)
        if content is None:
            return Response("there is nothing at this path\n", 404, media_type="text/plain")
        answer = Response(content, headers=SECURITY, media_type=TYPES[Path(name).suffix])
        if self._origins:
            answer.headers["Vary"] = "Origin"
            origin = request.headers.get("origin")
            if origin in self._origins:
                answer.headers["Access-Control-Allow-Origin"] = origin
        return answer
