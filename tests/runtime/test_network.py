"""What sandboxes reach outside: tried from inside, with a server on an address that a setting lets pass."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from e2b import AsyncSandbox, CommandExitException, SandboxException
from e2b.sandbox.sandbox_api import SandboxNetworkRule

from tests.fixtures.runtime import RuntimeProcess, runtime_folder
from tests.runtime.outside import ADDRESS, HOSTS, Outside, outside, own_address

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="names of one's own take a mount namespace")

EVERYTHING = "0.0.0.0/0"


@pytest.fixture(scope="module")
async def networked(server: Outside) -> AsyncIterator[RuntimeProcess]:
    """A runtime that finds our names, and lets sandboxes reach our server."""
    with runtime_folder() as state:
        hosts = state.parent / "hosts"
        hosts.write_text(HOSTS)
        allowed = f"{ADDRESS}/32,{own_address()}/32:{server.port}"
        process = RuntimeProcess(state, hosts=hosts, network_private_allowed=allowed)
        await process.start()
        yield process
        await process.stop()


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Outside]:
    async with outside() as server:
        yield server


@pytest.fixture(scope="module")
async def shared(networked: RuntimeProcess) -> AsyncIterator[AsyncSandbox]:
    sandbox = await networked.client.AsyncSandbox.create(timeout=600)
    yield sandbox
    await sandbox.kill()


@pytest.fixture
async def inside(shared: AsyncSandbox) -> AsyncSandbox:
    """The shared sandbox, with the network of one that asked for nothing."""
    await shared.update_network({})
    return shared


async def get(sandbox: AsyncSandbox, url: str, options: str = "") -> tuple[int, str]:
    """Status and body of a request from inside; a refused CONNECT counts with its status."""
    command = f"curl -s -m 10 -o body -w '%{{http_code}} %{{http_connect}}' {options} '{url}' || true"
    status, connect = (await sandbox.commands.run(f"rm -f body; {command}")).stdout.split()
    body = (await sandbox.commands.run("cat body 2>/dev/null || true")).stdout
    return int(status) or int(connect), body


async def speak(sandbox: AsyncSandbox, text: bytes) -> str:
    """What the proxy answers to these bytes."""
    program = f"""
import socket
proxy = socket.create_connection(("127.0.0.1", 3128), 5)
proxy.sendall({text!r})
answer = b""
try:
    while part := proxy.recv(65536): answer += part
except OSError: pass
print(answer.decode("latin-1"))
"""
    return (await sandbox.commands.run(f"python3 - <<'END'\n{program}\nEND")).stdout


async def figures(sandbox: AsyncSandbox, runtime: RuntimeProcess) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=runtime.url, headers={"X-API-Key": runtime.api_key}) as client:
        answer = await client.get(f"/runtime/sandboxes/{sandbox.sandbox_id}")
    shown: dict[str, Any] = answer.json()["network"]
    return shown


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


async def test_a_sandbox_without_network_is_told_how_to_get_one(networked: RuntimeProcess) -> None:
    sandbox = await networked.client.AsyncSandbox.create(timeout=60, allow_internet_access=False)
    status, body = await get(sandbox, "http://allowed.test/")
    assert (status, "create it with allow_internet_access=True" in body) == (403, True)
    assert (await sandbox.get_info()).allow_internet_access is False
    assert (await sandbox.commands.run("tail -n +2 /proc/net/route")).stdout == ""
    with pytest.raises(CommandExitException, match="403"):
        await sandbox.commands.run("curl -sS https://allowed.test/")
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


DIRECTLY = "env -u http_proxy -u https_proxy -u HTTP_PROXY -u HTTPS_PROXY"


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


async def test_what_is_closed_is_closed_for_programs_that_ask_no_proxy(
    networked: RuntimeProcess, inside: AsyncSandbox
) -> None:
    program = """
import socket
for address in (("169.254.169.254", 80), ("10.1.2.3", 22), ("192.168.0.1", 443), ("0.0.0.0", 1)):
    probe = socket.socket(); probe.settimeout(5)
    try:
        probe.connect(address)
        probe.send(b"GET / HTTP/1.0\\r\\n\\r\\n")
        print(probe.recv(1))
    except OSError:
        print(b"")
"""
    shown = await inside.commands.run(
        'python3 -c "$PROGRAM"', envs={"PROGRAM": program.replace("\\\\", "\\")}
    )
    assert shown.stdout == "b''\n" * 4
    assert "169.254.169.254 is not on the public internet" in str(
        (await figures(inside, networked))["lastRefusals"]
    )


async def test_a_sandbox_cannot_change_where_its_connections_are_turned_to(inside: AsyncSandbox) -> None:
    for command in ("ip route add 10.0.0.0/8 dev lo", "ip link set lo down", "ip addr add 10.0.0.1/8 dev lo"):
        with pytest.raises(CommandExitException, match=r"(?i)not permitted"):
            await inside.commands.run(command, user="root")


HOSTILE = [
    "http://loop.test/",
    "http://loop6.test/",
    "http://mapped.test/",
    "http://metadata.test/latest/meta-data/",
    "http://private.test/",
    "http://translated.test/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.1/",
    "http://0/",
    "http://169.254.169.254/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[fe80::1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://127.0.0.1:3128/",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
]


async def test_private_and_local_addresses_are_closed_in_every_notation(inside: AsyncSandbox) -> None:
    await inside.update_network({"allow_out": ["0.0.0.0/0", "::/0", "*"], "deny_out": [EVERYTHING]})
    script = "\n".join(
        f"curl -s -m 5 -o /dev/null {way} --noproxy '' '{url}' "
        f"-w '%{{http_code}} %{{http_connect}} {url}\\n' || true"
        for url in HOSTILE
        for way in ("-x http://127.0.0.1:3128", "-p -x http://127.0.0.1:3128")
    )
    shown = (await inside.commands.run(script)).stdout.splitlines()
    assert len(shown) == 2 * len(HOSTILE)
    assert [line for line in shown if not line.startswith(("403 ", "000 403"))] == []


async def test_this_machines_own_addresses_are_closed(inside: AsyncSandbox) -> None:
    assert (await get(inside, f"http://{own_address()}/"))[0] == 403


async def test_a_redirect_leads_to_no_place_that_is_closed(inside: AsyncSandbox, server: Outside) -> None:
    for place in ("http://169.254.169.254/", "http://loop.test/"):
        status, body = await get(inside, f"http://allowed.test:{server.port}/redirect?{place}", "-L")
        assert (status, "not on the public internet" in body) == (403, True)


async def test_nothing_rides_along_behind_a_request(inside: AsyncSandbox, server: Outside) -> None:
    await inside.update_network({"allow_out": ["allowed.test"], "deny_out": [EVERYTHING]})
    here = b"http://allowed.test:%d" % server.port
    host = b"Host: allowed.test\r\n"
    count = len(server.requests)
    hidden = b"GET http://other.test:%d/hidden HTTP/1.1\r\nHost: other.test\r\n\r\n" % server.port
    answer = await speak(inside, b"GET " + here + b"/ HTTP/1.1\r\n" + host + b"\r\n" + hidden)
    assert "200 OK" in answer
    assert "403 other.test is not" in answer
    for headers in (
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Content-Length: +5\r\n",
        b"X: 1\r\n folded: 2\r\nHost: other.test\r\n",
    ):
        answer = await speak(inside, b"POST " + here + b"/ HTTP/1.1\r\n" + host + headers + b"\r\n" + hidden)
        assert answer.startswith(("HTTP/1.1 400", "HTTP/1.1 501")), headers
    fronted = await speak(
        inside, b"GET " + here + b"/ HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n"
    )
    assert "host: allowed.test" in fronted
    assert len(server.requests) == count + 2
    assert not any(b"other.test" in request for request in server.requests[count:])


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "400 this is the sandbox's way out"),
        (
            b"GET https://allowed.test/ HTTP/1.1\r\nHost: x\r\n\r\n",
            "400 https:// goes through the proxy by CONNECT",
        ),
        (b"GET http://a@allowed.test/ HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
        (b"CONNECT allowed.test HTTP/1.1\r\nHost: x\r\n\r\n", "400 CONNECT needs a host and a port"),
        (b"CONNECT allowed.test:0 HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
        (b"CONNECT allowed.test:1 HTTP/1.1\r\nHost: x\r\n\r\n", "502 port 1 can't be connected to"),
        (b"CONNECT nowhere.test:1 HTTP/1.1\r\nHost: x\r\n\r\n", "502 nowhere.test is not known"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\n" * 9, "400"),
    ],
)
async def test_what_cannot_be_done_is_told(inside: AsyncSandbox, sent: bytes, answered: str) -> None:
    assert (await speak(inside, sent)).startswith(f"HTTP/1.1 {answered}")


async def test_a_sandbox_that_opens_thousands_of_connections_harms_no_other(
    networked: RuntimeProcess, inside: AsyncSandbox, server: Outside
) -> None:
    greedy = await networked.client.AsyncSandbox.create(timeout=60)
    opening = asyncio.Event()
    program = """
import socket, resource
kept = []
print("begun", flush=True)
for _ in range(10000):
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", 3128))
    kept.append(one)
print("opened", flush=True)
input()
"""
    await greedy.files.write("/home/user/greedy.py", program)
    await greedy.commands.run(
        "exec python3 greedy.py",
        background=True,
        cwd="/home/user",
        stdin=True,
        on_stdout=lambda text: opening.set() if "opened" in text else None,
    )
    async with asyncio.timeout(20):
        await opening.wait()
        while not (await figures(greedy, networked))["turnedAway"]:
            await asyncio.sleep(0.05)
    assert (await get(inside, f"http://allowed.test:{server.port}/"))[0] == 200
    assert (await figures(greedy, networked))["openConnections"] <= 256
    await greedy.kill()


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
