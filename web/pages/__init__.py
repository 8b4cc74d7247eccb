"""The few pages that need no build: signing in, and what to do when something is missing."""

import html
import secrets
from pathlib import Path
from string import Template

from starlette.responses import HTMLResponse

_FOLDER = Path(__file__).parent


def render_page(title: str, name: str, *, status: int = 200, **values: str) -> HTMLResponse:
    """The page `<name>.html` in the common frame; `values` are text, and are escaped."""
    nonce = secrets.token_urlsafe(16)
    escaped = {key: html.escape(value) for key, value in values.items()}
    content = _template(name).substitute(escaped, nonce=nonce)
    page = _template("page").substitute(title=html.escape(title), nonce=nonce, content=content)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(
        page,
        status_code=status,
        headers={
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            # With no-referrer, browsers would send `Origin: null`, and the form looked like a forged one.
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _template(name: str) -> Template:
    return Template((_FOLDER / f"{name}.html").read_text(encoding="utf-8"))
