"""The playground: GraphiQL, built from `src/` into `dist/`, for people who are signed in."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from web.authentication import authenticate, caller_address, session_of_request
from web.pages import render_page
from web.parts import parts_of
from web.sign_in import sign_in_page

DIST = Path(__file__).parent / "dist"
ASSETS_PATH = "/playground/assets"
ONE_YEAR_SECONDS = 31_536_000

_HEADERS = {
    # GraphiQL's editor writes style elements and starts its workers from blobs.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


async def show_playground(request: Request) -> Response:
    """The playground for a signed-in browser, else how to sign in."""
    session = session_of_request(request)
    if session is None:
        return sign_in_page(status=401)
    if await authenticate(parts_of(request).database, session, caller_address(request)) is None:
        return sign_in_page("You were signed out: the session or its key has ended.", status=401)
    index = DIST / "index.html"
    if not index.is_file():
        return render_page("Not built", "not_built", status=503)
    return FileResponse(index, media_type="text/html", headers=_HEADERS)


class PlaygroundAssets(StaticFiles):
    """The playground's scripts and styles: their names hold their hashes, so browsers keep them."""

    def __init__(self) -> None:
        super().__init__(directory=DIST / "assets", check_dir=False)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, to be kept for a year."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = f"public, max-age={ONE_YEAR_SECONDS}, immutable"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
