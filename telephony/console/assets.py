"""What browsers load beside pages: scripts and styles, those of telephony/report among them."""

import hashlib
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from telephony.console.pages import guarded
from telephony.report import bundle
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.person import Role

FOLDER = Path(__file__).parent / "assets"
STYLE = "console.css"  # with those of the report before it
OPEN = (STYLE, "page.js", "icon.svg")  # what the page to sign in at needs; it says nothing about anybody
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
ALWAYS_ASK = {"Cache-Control": "no-cache"}  # whether it is still the same


class _Asset(msgspec.Struct, frozen=True):
    content: bytes
    type: str
    tag: str


class Assets:
    """All of them, in memory."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        texts = {f"{name}.js": bundle.read(f"{name}.js") for name in bundle.SCRIPTS if name != "standalone"}
        texts |= {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}
        texts[STYLE] = bundle.style() + texts[STYLE]
        self._assets = {name: _asset(name, text.encode()) for name, text in texts.items()}

    def routes(self) -> list[Route]:
        """Where they are."""
        return [Route("/console/assets/{name}", self._serve, methods=["GET"])]

    async def _serve(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in OPEN and isinstance(refusal := self._gate.admit(request, Role.VIEWER), Response):
            return guarded(refusal)
        asset = self._assets.get(name)
        if asset is None:
            return guarded(self._gate.refused(request, 404, "there is no such file"))
        headers = {**ALWAYS_ASK, "ETag": asset.tag}
        if request.headers.get("if-none-match") == asset.tag:
            return guarded(Response(status_code=304), headers)
        return guarded(Response(asset.content, media_type=asset.type), headers)


def _asset(name: str, content: bytes) -> _Asset:
    return _Asset(content, TYPES[Path(name).suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')
