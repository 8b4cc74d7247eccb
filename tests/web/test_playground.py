"""The playground in a real browser, and how its files are served."""

from pathlib import Path

import pytest

from tests.web.node import install_packages, run_script
from tests.web.serving import Site
from tests.web.test_sign_in import PAGE, link_token, sign_in
from web.playground import DIST

pytestmark = pytest.mark.timeout(300)


def assets() -> list[Path]:
    files = sorted((DIST / "assets").glob("*"))
    assert files, "Build the playground first: make set-up"
    return files


async def test_a_person_signs_in_asks_and_watches(site: Site) -> None:
    install_packages()
    link = f"{site.address}/sign-in?token={await link_token(site)}"
    seen = await run_script("playground.mjs", link, "{ actor }", "subscription { tick }")
    assert seen["signedInAt"] == f"{site.address}/graphql"
    assert [tab.strip() for tab in seen["tabs"]] == ["CreateSandbox", "Run", "Watch", "Files", "Sandboxes"]
    assert "ttlSeconds" in seen["firstVariables"]
    assert "key:cc_" in seen["query"]
    assert len(seen["subscription"]) == 3
    assert all("tick" in text for text in seen["subscription"])
    assert seen["problems"] == []
    assert seen["foreign"] == []


async def test_the_page_is_never_kept_and_its_files_for_ever(site: Site) -> None:
    script = next(file.name for file in assets() if file.suffix == ".js")
    async with site.client(**PAGE) as client:
        await sign_in(site, client, key=site.key)
        page = await client.get("/graphql")
        file = await client.get(f"/playground/assets/{script}")
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert file.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("path", ["../__init__.py", "..%2f__init__.py", "%2e%2e/__init__.py", "nothing.js"])
async def test_only_built_files_are_served(site: Site, path: str) -> None:
    async with site.client() as client:
        answer = await client.get(f"/playground/assets/{path}")
    assert answer.status_code == 404
