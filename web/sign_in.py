"""Signing a browser in and out: `/sign-in` and `/sign-out`.

A one-time link leads to a page that posts the token: programs that only look at links don't use it up.
"""

from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from commandcenter.access.sign_in import SESSION_LIFETIME, sign_in_with_key, sign_in_with_link, sign_out
from commandcenter.database import Database
from web.authentication import MAXIMUM_CREDENTIAL_LENGTH, SESSION_COOKIE, caller_address, session_of_request
from web.body_limit import BodyTooLargeError, BodyTooSlowError, read_body
from web.origin import comes_from_foreign_page
from web.pages import render_page
from web.parts import parts_of
from web.rates import note_verdict, refusal_payload

PLAYGROUND = "/graphql"
FORM_BYTES = 4_096


async def show_sign_in(request: Request) -> Response:
    """The page to sign in on; with a one-time link's token, the one that uses it."""
    token = request.query_params.get("token")
    if token is not None:
        return render_page("Sign in", "sign_in_link", token=token)
    return sign_in_page()


def sign_in_page(problem: str = "", *, status: int = 200) -> Response:
    """How to sign in; `problem` says why the last try failed."""
    return render_page("Sign in", "sign_in", status=status, problem=problem)


async def submit_sign_in(request: Request) -> Response:
    """Exchange a one-time token or an API key for a session cookie, and go to the playground."""
    if comes_from_foreign_page(request):
        return sign_in_page("Sign in on this page: the request came from another site.", status=403)
    try:
        form = await _read_form(request)
    except (BodyTooLargeError, BodyTooSlowError) as error:
        return sign_in_page(str(error), status=413)
    database = parts_of(request).database
    address = caller_address(request)
    verdict = parts_of(request).graphql.rates.take_sign_in(address)
    note_verdict(request.scope, verdict)
    if verdict.refused_by is not None:
        return sign_in_page(refusal_payload(verdict)["message"], status=429)
    if "token" in form:
        session = await sign_in_with_link(database, form["token"], address=address)
        problem = "This link was used already or has expired. Make another one."
    else:
        session = await _session_by_key(database, form.get("key", ""), address)
        problem = "This key is unknown, expired or revoked."
    if session is None:
        return sign_in_page(problem, status=401)
    response = RedirectResponse(PLAYGROUND, status_code=303)
    response.set_cookie(
        SESSION_COOKIE,
        session,
        max_age=int(SESSION_LIFETIME.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=parts_of(request).is_secure or request.url.scheme == "https",
    )
    return response


async def submit_sign_out(request: Request) -> Response:
    """End the browser's session."""
    if comes_from_foreign_page(request):
        return sign_in_page("Sign out on this page: the request came from another site.", status=403)
    session = session_of_request(request)
    if session is not None:
        await sign_out(parts_of(request).database, session.secret)
    response = RedirectResponse("/sign-in", status_code=303)
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="lax")
    return response


async def _read_form(request: Request) -> dict[str, str]:
    body = await read_body(request, maximum_bytes=FORM_BYTES)
    fields = parse_qs(body.decode(errors="replace"), max_num_fields=8)
    return {name: values[0].strip() for name, values in fields.items()}


async def _session_by_key(database: Database, secret: str, address: str | None) -> str | None:
    if not 0 < len(secret) <= MAXIMUM_CREDENTIAL_LENGTH:
        return None
    return await sign_in_with_key(database, secret, address=address)
