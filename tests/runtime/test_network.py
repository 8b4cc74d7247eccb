"""What sandboxes reach outside: tried from inside, with a server on an address that a setting lets pass."""

import asyncio
import json
import os
from typing import Any

import httpx
import pytest
from e2b import AsyncSandbox, CommandExitException, SandboxException
from e2b.sandbox.sandbox_api import SandboxNetworkRule

from tests.fixtures.runtime import RuntimeProcess, runtime_folder
from tests.runtime.networking import DIRECTLY, EVERYTHING, figures, get
from tests.runtime.outside import ADDRESS, Outside, own_address

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="names of one's own take a mount namespace")


async def test_a_sandbox_that_asks_for_nothing_reaches_the_outside(
    inside: AsyncSandbox, server: Outside
) -> None:
    url = f"http://allowed.test:{server.port}/plain"
    assert (await get(inside, url))[0] == 200
    assert (await get(inside, url, "--proxytunnel"))[0] == 200
    assert (await get(inside, f"http://{ADDRESS}:{server.port}/"))[0] == 200
    by_python = await inside.commands.run(
        f"python3 -c \"import urllib.request; print(urllib.request.urlopen('{url}').status)\""
    )
    assert by_python.stdout == "200\n"
    by_socks = await inside.commands.run(
        f"env -u http_proxy -u no_proxy -u NO_PROXY curl -s --socks5-hostname 127.0.0.1:3128 '{url}'"
    )
    assert by_socks.stdout.startswith("GET /plain")


async def test_a_request_arrives_as_it_was_but_for_the_proxys_own_headers(
    inside: AsyncSandbox, server: Outside
) -> None:
    options = (
        "-X POST -H 'X-Own: 1' -H 'Connection: X-Hop' -H 'X-Hop: 2' -H 'Transfer-Encoding: chunked' -d body"
    )
    status, body = await get(inside, f"http://allowed.test:{server.port}/upload", options)
    assert (status, body) == (200, "read")
    head, sent = (text.lower() for text in server.requests[-2:])
    assert f"host: allowed.test:{server.port}".encode() in head
    assert b"x-own: 1" in head
    assert b"x-hop" not in head
    assert b"proxy" not in head
    assert b"body" in sent


async def test_a_sandbox_without_network_is_told_how_to_get_one(
    networked: RuntimeProcess, server: Outside
) -> None:
    sandbox = await networked.client.AsyncSandbox.create(timeout=60, allow_internet_access=False)
    status, body = await get(sandbox, "http://allowed.test/")
    assert (status, "create it with allow_internet_access=True" in body) == (403, True)
    assert (await sandbox.get_info()).allow_internet_access is False
    with pytest.raises(CommandExitException, match="403"):
        await sandbox.commands.run("curl -sS https://allowed.test/")
    direct = f"{DIRECTLY} curl -s -m 10 http://{own_address()}:{server.port}/"
    with pytest.raises(CommandExitException):
        await sandbox.commands.run(direct)
    await sandbox.update_network({"allow_internet_access": True})
    assert (await sandbox.commands.run(direct)).stdout.startswith("GET /")
    await sandbox.kill()


async def test_only_what_is_on_the_list_is_reached(inside: AsyncSandbox, server: Outside) -> None:
    await inside.update_network(
        {"allow_out": ["*.Allowed.test."], "deny_out": lambda context: [context.all_traffic]}
    )
    assert (await get(inside, f"http://api.allowed.test:{server.port}/"))[0] == 200
    for url in ("http://allowed.test", "http://other.test", f"http://{ADDRESS}", "http://notallowed.test"):
        status, body = await get(inside, f"{url}:{server.port}/")
        assert (status, "is not in this sandbox's network.allowOut" in body) == (403, True), url
    await inside.update_network({"allow_out": [f"{ADDRESS}/31"], "deny_out": [EVERYTHING]})
    assert (await get(inside, f"http://{ADDRESS}:{server.port}/"))[0] == 200
    assert (await get(inside, f"http://allowed.test:{server.port}/"))[0] == 403


async def test_what_is_denied_is_not_reached_unless_it_is_allowed_too(
    inside: AsyncSandbox, server: Outside
) -> None:
    await inside.update_network({"deny_out": ["127.0.0.0/29"]})
    status, body = await get(inside, f"http://allowed.test:{server.port}/")
    assert (status, "network.denyOut" in body) == (403, True)
    await inside.update_network({"deny_out": ["127.0.0.0/29"], "allow_out": [ADDRESS]})
    assert (await get(inside, f"http://allowed.test:{server.port}/"))[0] == 200


async def test_a_change_breaks_off_open_connections_that_it_does_not_allow(
    inside: AsyncSandbox, server: Outside
) -> None:
    held = asyncio.Event()
    handle = await inside.commands.run(
        f"curl -sN --proxytunnel http://allowed.test:{server.port}/hold",
        background=True,
        on_stdout=lambda _: held.set(),
    )
    async with asyncio.timeout(10):
        await held.wait()
        await inside.update_network({"allow_out": ["allowed.test"], "deny_out": [EVERYTHING]})
        assert (await get(inside, f"http://allowed.test:{server.port}/"))[0] == 200
        assert handle.exit_code is None
        await inside.update_network({"allow_internet_access": False})
        with pytest.raises(CommandExitException):
            await handle.wait()


async def test_programs_that_ask_no_proxy_reach_the_outside_too(
    inside: AsyncSandbox, server: Outside
) -> None:
    for host in (own_address(), "outside.test"):
        shown = await inside.commands.run(f"{DIRECTLY} curl -s -m 10 http://{host}:{server.port}/direct")
        assert shown.stdout.startswith("GET /direct"), host
    named = await inside.commands.run(
        "getent ahostsv4 outside.test | head -1; getent ahosts nowhere.test || true"
    )
    assert named.stdout.split() == [own_address(), "STREAM", "outside.test"]


async def test_the_list_holds_for_programs_that_ask_no_proxy(inside: AsyncSandbox, server: Outside) -> None:
    await inside.update_network({"allow_out": ["outside.test"], "deny_out": [EVERYTHING]})
    fetch = f"{DIRECTLY} curl -s -m 10"
    assert (await inside.commands.run(f"{fetch} http://outside.test:{server.port}/")).exit_code == 0
    with pytest.raises(CommandExitException):
        await inside.commands.run(f"{fetch} http://other.test:{server.port}/")
    await inside.update_network({"allow_internet_access": False})
    with pytest.raises(CommandExitException):
        await inside.commands.run(f"{fetch} http://{own_address()}:{server.port}/")


async def test_rules_set_headers_that_the_sandbox_does_not_know(
    inside: AsyncSandbox, server: Outside
) -> None:
    rules: dict[str, list[SandboxNetworkRule]] = {
        "*.allowed.test": [{"transform": {"headers": {"Authorization": "Bearer sealed"}}}]
    }
    await inside.update_network({"rules": rules})
    url = f"api.allowed.test:{server.port}/"
    status, seen = await get(inside, f"http://{url}", "-H 'authorization: own'")
    assert (status, seen.count("uthorization")) == (200, 1)
    assert "authorization: Bearer sealed" in seen
    assert "sealed" not in (await get(inside, f"http://other.test:{server.port}/"))[1]
    assert (await get(inside, f"https://{url}"))[0] == 403


async def test_rules_fill_in_secrets_that_the_sandbox_does_not_know(
    networked: RuntimeProcess, inside: AsyncSandbox, server: Outside
) -> None:
    secrets = networked.client.Secret
    secrets.create("outside-key", "sealed")
    headers = {"X-Key": f"Bearer {secrets.fill('outside-key')}"}
    await inside.update_network({"rules": {"allowed.test": [{"transform": {"headers": headers}}]}})
    url = f"http://allowed.test:{server.port}/"
    assert "x-key: Bearer sealed" in (await get(inside, url))[1]
    secrets.update("outside-key", "sealed anew")
    assert "x-key: Bearer sealed anew" in (await get(inside, url))[1]
    secrets.update("outside-key", "a\r\nInjected: b")
    assert (await get(inside, url))[0] == 403
    secrets.destroy("outside-key")
    status, why = await get(inside, url)
    assert (status, why) == (403, 'network.rules set the header x-key, but secret "outside-key" not found\n')
    assert "sealed" not in str((await inside.get_info()).network)


async def test_what_went_through_and_what_was_refused_is_shown(
    networked: RuntimeProcess, inside: AsyncSandbox, server: Outside
) -> None:
    before = await figures(inside, networked)
    await get(inside, f"http://allowed.test:{server.port}/")
    await get(inside, "http://metadata.test/")
    after = await figures(inside, networked)
    assert after["connections"] == before["connections"] + 2
    assert after["receivedBytes"] > before["receivedBytes"]
    assert after["refused"] == before["refused"] + 1
    assert after["lastRefusals"][-1].startswith("metadata.test is 169.254.169.254")


async def test_the_network_is_the_same_after_the_runtime_was_killed(server: Outside) -> None:
    with runtime_folder() as state:
        runtime = RuntimeProcess(state, network_private_allowed=f"{ADDRESS}/32:{server.port}")
        await runtime.start()
        sandbox = await runtime.client.AsyncSandbox.create(timeout=120)
        await sandbox.update_network({"allow_out": [f"{ADDRESS}/32"], "deny_out": [EVERYTHING]})
        await runtime.kill()
        await runtime.start()
        sandbox = await runtime.client.AsyncSandbox.connect(sandbox.sandbox_id)
        assert (await get(sandbox, f"http://{ADDRESS}:{server.port}/"))[0] == 200
        assert (await get(sandbox, "http://192.0.2.1/"))[0] == 403
        info = await sandbox.get_info()
        assert info.network == {"allow_out": [f"{ADDRESS}/32"], "deny_out": [EVERYTHING]}
        await sandbox.pause(mode="filesystem")
        sandbox = await sandbox.connect()
        assert (await get(sandbox, f"http://{ADDRESS}:{server.port}/"))[0] == 200
        await sandbox.kill()
        await runtime.stop()


@pytest.mark.parametrize(
    ("network", "complaint"),
    [
        ({"allow_out": ["example.com"]}, "you must include 'ALL_TRAFFIC' in deny out"),
        ({"deny_out": ["example.com"]}, "invalid denied CIDR example.com"),
        ({"allow_out": ["8.8.8.8:53"], "deny_out": [EVERYTHING]}, "invalid allowed address 8.8.8.8:53"),
        ({"allow_out": ["a b"], "deny_out": [EVERYTHING]}, "invalid allowed address a b"),
        ({"allow_out": ["x"] * 1001}, "at most 1000 entries"),
        ({"dns_servers": ["::1"]}, "no IPv4 address"),
        ({"egress_proxy": {"address": "proxy:1080"}}, "egressProxy"),
        ({"rules": {"*": []}}, "not a valid domain name"),
        ({"rules": {"a.b": [{"transform": {"headers": {"X": "a\r\nb"}}}]}}, "value of header"),
        ({"rules": {"a.b": [{"transform": {"headers": {"Host": "x"}}}]}}, "the connection needs it"),
        (
            {"rules": {"a.b": [{"transform": {"headers": {"X": "${e2b.identity.tokens.A}"}}}]}},
            "other than",
        ),
    ],
)
async def test_a_network_that_makes_no_sense_is_refused_and_changes_nothing(
    inside: AsyncSandbox, network: Any, complaint: str
) -> None:
    with pytest.raises(SandboxException, match="400") as refused:
        await inside.update_network(network)
    assert complaint in str(refused.value)
    assert (await inside.get_info()).network in (None, {})


async def test_a_request_that_comes_in_is_checked_too(networked: RuntimeProcess) -> None:
    async with httpx.AsyncClient(base_url=networked.url, headers={"X-API-Key": networked.api_key}) as client:
        for network in (
            {"maskRequestHost": "bad host"},
            {"httpsPorts": [49983]},
            {"allowPublicTraffic": "no"},
        ):
            answer = await client.post("/v2/sandboxes", json={"templateID": "base", "network": network})
            assert (answer.status_code, json.loads(answer.text)["code"]) == (400, 400), network


async def test_an_ordinary_users_runtime_turns_connections_too(
    unprivileged_runtime: RuntimeProcess, networked: RuntimeProcess
) -> None:
    for runtime in (unprivileged_runtime, networked):
        async with httpx.AsyncClient(base_url=runtime.url, headers={"X-API-Key": runtime.api_key}) as client:
            offered = (await client.get("/runtime/capabilities")).json()["network"]
        assert offered == ["none", "allowlist", "full"]
        sandbox = await runtime.client.AsyncSandbox.create(timeout=60)
        with pytest.raises(CommandExitException):
            await sandbox.commands.run(f"{DIRECTLY} curl -s -m 10 http://169.254.169.254/")
        assert (await figures(sandbox, runtime))["lastRefusals"][0].startswith("169.254.169.254 is not on")
        await sandbox.kill()
