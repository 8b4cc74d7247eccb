"""What means harm to the way out: addresses in disguise, smuggled requests, thousands of connections."""

import asyncio
import os

import pytest
from e2b import AsyncSandbox, CommandExitException

from tests.fixtures.runtime import RuntimeProcess
from tests.runtime.networking import EVERYTHING, figures, get, speak
from tests.runtime.outside import Outside, own_address

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="names of one's own take a mount namespace")


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
