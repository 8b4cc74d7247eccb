"""The protocols, judged by the clients and audits that others wrote."""

import pytest

from tests.web.node import install_packages, run_script
from tests.web.serving import Site

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    install_packages()


async def test_every_audit_of_graphql_over_http_passes(site: Site) -> None:
    audits = await run_script("audit.mjs", f"{site.address}/graphql", site.key)
    assert len(audits) >= 61
    assert [audit for audit in audits if audit["status"] != "ok"] == []


async def test_the_graphql_ws_client_subscribes(site: Site) -> None:
    address = site.address.replace("http", "ws") + "/graphql"
    results = await run_script("subscribe.mjs", address, site.key, "subscription { count(to: 3) }")
    assert [result["data"]["count"] for result in results] == [1, 2, 3]


async def test_the_graphql_sse_and_apollo_clients_subscribe_over_http(site: Site) -> None:
    results = await run_script(
        "stream.mjs", f"{site.address}/graphql", site.key, "subscription { count(to: 3) }"
    )
    assert [result["data"]["count"] for result in results["events"]] == [1, 2, 3]
    assert [result["data"]["count"] for result in results["parts"]] == [1, 2, 3]
