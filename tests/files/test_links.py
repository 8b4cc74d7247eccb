from datetime import timedelta

import pytest

from commandcenter.access.scope import Role, Scope
from commandcenter.clock import now
from commandcenter.database import Database
from commandcenter.files.links import FileLink, read_link, sign_link
from commandcenter.instance import load_instance
from commandcenter.keys.actions import revoke_key
from tests.files.transfers import code_of, url_of
from tests.fixtures.client import Client
from tests.fixtures.product import Product, Project


async def signing_key(database: Database) -> bytes:
    async with database.system_transaction() as session:
        return (await load_instance(session)).signing_key


async def test_a_link_needs_no_key_and_ends_in_time(product: Product, client: Client, digits: str) -> None:
    key = await signing_key(product.database)
    address, _, token = digits.rpartition("/")
    link = read_link(key, token)
    assert timedelta(minutes=5) < link.expires_at - now() < timedelta(minutes=15)
    assert (await client.http.get(digits)).status_code == 200

    ended = FileLink(link.key_id, link.sandbox_id, link.path, now() - timedelta(seconds=1))
    answer = await client.http.get(f"{address}/{sign_link(key, ended)}")
    assert (answer.status_code, code_of(answer)) == (410, "NOT_FOUND")
    assert "expired" in answer.text


async def test_a_link_that_was_not_signed_here_leads_nowhere(
    product: Product, client: Client, digits: str
) -> None:
    key = await signing_key(product.database)
    address, _, token = digits.rpartition("/")
    link = read_link(key, token)
    payload, _, signature = token.rpartition(".")
    forged = [
        sign_link(b"x" * 32, link),
        f"{payload}.{signature[:-1]}",
        f"{payload}x.{signature}",
        payload,
        signature,
        "x",
        "x" * 20_000,
        "%2e%2e%2fetc%2fpasswd",
        "\u00fc",
    ]
    for each in forged:
        answer = await client.http.get(f"{address}/{each}")
        assert answer.status_code == 404, each
        assert "0123" not in answer.text


async def test_a_link_sees_what_its_key_sees(product: Product, project: Project, digits: str) -> None:
    client = project.client()
    key = await signing_key(product.database)
    address, _, token = digits.rpartition("/")
    link = read_link(key, token)
    foreign_id, _ = await (await product.new_project()).new_key()
    foreign = FileLink(foreign_id, link.sandbox_id, link.path, link.expires_at)
    answer = await client.http.get(f"{address}/{sign_link(key, foreign)}")
    assert (answer.status_code, code_of(answer)) == (404, "NOT_FOUND")


async def test_a_link_ends_with_its_key(
    product: Product, project: Project, sandbox_id: str, digits: str
) -> None:
    key_id, secret = await project.new_key()
    url = await url_of(product.client(secret), sandbox_id, "/etc/hostname")
    assert (await project.client().http.get(url)).status_code == 200
    scope = Scope(project.id, Role.ADMINISTRATOR, "test")
    async with product.database.transaction(project.id) as session:
        await revoke_key(session, scope, key_id)
    answer = await project.client().http.get(url)
    assert (answer.status_code, code_of(answer)) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [("none", 404, "NOT_FOUND"), ("", 400, "INVALID"), ("pipe", 400, "INVALID"), ("shut", 403, "FORBIDDEN")],
)
async def test_what_is_no_file_to_read_is_no_download(
    product: Product,
    client: Client,
    sandbox_id: str,
    folder: str,
    digits: str,
    path: str,
    status: int,
    code: str,
) -> None:
    await client.run(sandbox_id, "mkfifo pipe; ln -s /proc/1/environ shut", cwd=folder)
    key = await signing_key(product.database)
    address, _, token = digits.rpartition("/")
    link = read_link(key, token)
    folder = link.path.removesuffix("/digits")
    await client.run(sandbox_id, "mkfifo pipe; ln -s /proc/1/environ shut", cwd=folder)
    other = FileLink(link.key_id, link.sandbox_id, f"{folder}/{path}", link.expires_at)
    for method in ("GET", "HEAD"):
        answer = await client.http.request(method, f"{address}/{sign_link(key, other)}")
        assert answer.status_code == status
        if method == "GET":
            assert code_of(answer) == code
