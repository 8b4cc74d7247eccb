"""Signing a browser in and out."""

from http.cookies import SimpleCookie
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import select

from commandcenter.access.sign_in import create_sign_in_link
from commandcenter.keys.records import ApiKey
from tests.web.serving import Site

BROWSER = {"Sec-Fetch-Site": "same-origin"}
PAGE = {"Accept": "text/html,application/xhtml+xml"}


async def link_token(site: Site) -> str:
    async with site.database.system_transaction() as session:
        key = await session.scalar(select(ApiKey).where(ApiKey.is_instance_administrator))
    assert key is not None
    return await create_sign_in_link(site.database, key)


async def sign_in(site: Site, client: httpx.AsyncClient, **form: str) -> httpx.Response:
    return await client.post("/sign-in", data=form, headers={"Origin": site.address})


async def test_a_one_time_link_signs_one_browser_in(site: Site) -> None:
    token = await link_token(site)
    async with site.client(**PAGE) as client:
        page = await client.get("/sign-in", params={"token": token})
        assert page.status_code == 200
        assert token in page.text
        signed_in = await sign_in(site, client, token=token)
        assert signed_in.status_code == 303
        assert urlsplit(signed_in.headers["location"]).path == "/graphql"
        answer = await client.post(
            "/graphql", json={"query": "{ actor }"}, headers=BROWSER | {"Accept": "*/*"}
        )
        assert answer.json()["data"]["actor"].startswith("key:")
    async with site.client(**PAGE) as other:
        refused = await sign_in(site, other, token=token)
    assert refused.status_code == 401
    assert "used already" in refused.text


async def test_looking_at_a_link_does_not_use_it_up(site: Site) -> None:
    token = await link_token(site)
    async with site.client(**PAGE) as client:
        for method in ("GET", "HEAD", "GET"):
            page = await client.request(method, "/sign-in", params={"token": token})
            assert "set-cookie" not in page.headers
            assert page.headers["cache-control"] == "no-store"
        assert (await sign_in(site, client, token=token)).status_code == 303


async def test_the_bare_address_leads_to_the_playground(site: Site) -> None:
    async with site.client(**PAGE) as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/graphql")


async def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(site: Site) -> None:
    async with site.client() as client:
        answer = await sign_in(site, client, key=site.key)
    cookie = SimpleCookie(answer.headers["set-cookie"])["commandcenter_session"]
    assert cookie["httponly"]
    assert cookie["samesite"].lower() == "lax"
    assert cookie["path"] == "/"
    assert int(cookie["max-age"]) == 7 * 24 * 3600
    assert site.key not in answer.headers["set-cookie"]


@pytest.mark.parametrize("key", ["", "cc_unknown", "x" * 3_000, "\x00"])
async def test_a_wrong_key_signs_nobody_in(site: Site, key: str) -> None:
    async with site.client() as client:
        answer = await sign_in(site, client, key=key)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


async def test_a_form_over_the_limit_is_refused(site: Site) -> None:
    async with site.client() as client:
        assert (await sign_in(site, client, key="x" * 10_000)).status_code == 413


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_another_site_can_sign_nobody_in_or_out(site: Site, origin: str) -> None:
    async with site.client(Origin=origin) as client:
        assert (await client.post("/sign-in", data={"key": site.key})).status_code == 403
        assert (await client.post("/sign-out")).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_the_cookie_counts_only_for_our_own_pages(site: Site, headers: dict[str, str]) -> None:
    async with site.client() as client:
        await sign_in(site, client, key=site.key)
        posted = await client.post("/graphql", json={"query": "{ actor }"}, headers=headers)
        got = await client.get("/graphql", params={"query": "{ actor }"}, headers=headers)
    assert (posted.status_code, got.status_code) == (403, 403)
    assert posted.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_the_cookie_opens_a_socket_from_our_own_pages(site: Site) -> None:
    async with site.client() as client:
        await sign_in(site, client, key=site.key)
        cookie = client.cookies["commandcenter_session"]
    headers = {"Cookie": f"commandcenter_session={cookie}"}
    async with site.socket(additional_headers={**headers, "Origin": site.address}) as connection:
        await connection.send('{"type":"connection_init"}')
        assert await connection.recv() == '{"type":"connection_ack"}'
    async with site.socket(additional_headers=headers) as connection:
        await connection.send('{"type":"connection_init"}')
        await connection.wait_closed()
    assert connection.close_code == 4403


async def test_signing_out_ends_the_session_everywhere(site: Site) -> None:
    async with site.client() as client:
        await sign_in(site, client, key=site.key)
        cookie = client.cookies["commandcenter_session"]
        await client.post("/sign-out", headers={"Origin": site.address})
        assert "commandcenter_session" not in client.cookies
    async with site.client(Cookie=f"commandcenter_session={cookie}", **BROWSER) as thief:
        assert (await thief.post("/graphql", json={"query": "{ actor }"})).status_code == 401


async def test_a_visitor_who_is_not_signed_in_is_told_how_to(site: Site) -> None:
    async with site.client(**PAGE) as client:
        page = await client.get("/graphql")
    assert page.status_code == 401
    assert "one-time link" in page.text
    assert 'action="/sign-in"' in page.text


async def test_pages_run_no_script_but_their_own(site: Site) -> None:
    async with site.client(**PAGE) as client:
        page = await client.get("/sign-in", params={"token": '"><script>alert(1)</script>'})
    assert "<script>alert" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
