"""What the rules about the outside mean, and that what was checked is what is connected to."""

import ipaddress
from collections.abc import AsyncIterator

import pytest

from runtime.host.errors import InvalidSandboxRequestError, MachineUnfitError
from runtime.network.addresses import Address, Wall, is_own, is_public, parse_allowances
from runtime.network.fields import read_policy
from runtime.network.offer import NetworkOffer
from runtime.network.outward import Destination, RefusedError, UnreachableError, connect
from runtime.network.policy import Policy
from tests.runtime.outside import Outside, outside

EVERYTHING = ["0.0.0.0/0"]


def address(text: str) -> Address:
    return ipaddress.ip_address(text)


class ChangingNames:
    """A name server that answers otherwise each time it is asked."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def addresses(self, name: str) -> list[Address]:
        return [address(text) for text in self.answers.pop(0)]


@pytest.fixture
async def server() -> AsyncIterator[Outside]:
    async with outside() as server:
        yield server


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0", "10.0.0.1", "100.127.255.255", "127.9.9.9", "169.254.169.254", "172.31.0.1", "192.168.1.1",
        "192.0.2.1", "198.19.0.1", "224.0.0.251", "255.255.255.255", "::", "::1", "::ffff:8.8.8.8", "fe80::1",
        "fe80::1%lo", "fd00::1", "ff02::1", "64:ff9b::808:808", "2001::1", "2002:808:808::1", "2001:db8::1",
    ],
)  # fmt: skip
def test_no_address_but_a_public_one_passes(text: str) -> None:
    assert not is_public(address(text))
    assert not Wall().passes(address(text), 443)


@pytest.mark.parametrize("text", ["1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111"])
def test_public_addresses_pass(text: str) -> None:
    assert Wall().passes(address(text), 443)


def test_an_allowance_opens_its_network_and_port_alone() -> None:
    wall = Wall(parse_allowances("10.1.0.0/16:443, [fd00::]/8, 10.9.9.9"))
    assert wall.passes(address("10.1.2.3"), 443)
    assert not wall.passes(address("10.1.2.3"), 80)
    assert not wall.passes(address("10.2.2.3"), 443)
    assert wall.passes(address("fd12::1"), 22)
    assert wall.passes(address("10.9.9.9"), 1)
    assert not wall.passes(address("::ffff:10.9.9.9"), 1)


@pytest.mark.parametrize(
    "text", ["10.0.0.0/33", "example.com", "10.0.0.1:0", "fd00::1", "10.0.0.1:x", "0," * 40]
)
def test_an_allowance_that_makes_no_sense_stops_the_start(text: str) -> None:
    with pytest.raises(MachineUnfitError, match="RUNTIME_NETWORK_PRIVATE_ALLOWED"):
        parse_allowances(text)


def test_the_machine_knows_its_own_addresses() -> None:
    assert is_own(address("127.0.0.1"))
    assert not is_own(address("1.1.1.1"))


async def test_the_address_that_was_checked_is_the_one_connected_to(server: Outside) -> None:
    wall = Wall(parse_allowances(f"127.0.0.5/32:{server.port}"))
    names = ChangingNames(["127.0.0.5"], ["127.0.0.1"])
    outward = await connect(Destination("rebinding.test", server.port), Policy, wall, names)
    assert outward.connection.getpeername() == ("127.0.0.5", server.port)
    outward.connection.close()
    assert names.answers == [["127.0.0.1"]]
    with pytest.raises(RefusedError, match="not on the public internet"):
        await connect(Destination("rebinding.test", server.port), Policy, wall, names)


async def test_of_several_addresses_only_those_that_pass_are_tried(server: Outside) -> None:
    wall = Wall(parse_allowances("127.0.0.5/32,127.0.0.6/32"))
    names = ChangingNames(["127.0.0.1", "127.0.0.6", "127.0.0.5"])
    outward = await connect(Destination("many.test", server.port), Policy, wall, names)
    assert outward.connection.getpeername()[0] == "127.0.0.5"
    outward.connection.close()
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.6"):
        await connect(Destination("one.test", server.port), Policy, wall, ChangingNames(["127.0.0.6"]))


async def test_rules_that_change_while_a_connection_is_made_hold_for_it(server: Outside) -> None:
    policies = iter([Policy(), Policy(), Policy(open_by_default=False), Policy(open_by_default=False)])
    wall = Wall(parse_allowances("127.0.0.5/32"))
    with pytest.raises(RefusedError):
        await connect(
            Destination("slow.test", server.port), lambda: next(policies), wall, ChangingNames(["127.0.0.5"])
        )


async def test_a_name_that_is_not_on_the_list_is_not_asked_for() -> None:
    policy = read_policy(
        None, {"allowOut": ["example.com", "1.1.1.1"], "denyOut": EVERYTHING}, open_by_default=True
    )
    with pytest.raises(RefusedError, match=r"network\.allowOut"):
        await connect(Destination("secret-data.evil.test", 443), lambda: policy, Wall(), ChangingNames())


def test_patterns_match_names_below_theirs_and_exact_ones_go_first() -> None:
    rules = {
        "*.example.com": [{"transform": {"headers": {"A": "wide"}}}],
        "*.api.example.com": [{"transform": {"headers": {"A": "narrow"}}}],
        "V1.api.example.com": [{"transform": {"headers": {"A": "exact"}}}],
    }
    policy = read_policy(None, {"rules": rules}, open_by_default=True)
    assert policy.headers_for("x.example.com") == {"a": "wide"}
    assert policy.headers_for("x.y.api.example.com") == {"a": "narrow"}
    assert policy.headers_for("v1.api.example.com") == {"a": "exact"}
    assert policy.headers_for("example.com") == {}
    assert policy.headers_for("notexample.com") == {}


def test_all_of_ipv4_denied_denies_ipv6_with_it() -> None:
    policy = read_policy(None, {"denyOut": EVERYTHING}, open_by_default=True)
    assert not policy.permits(None, address("2606:4700::1111"))


def test_the_machines_default_is_for_sandboxes_that_ask_for_nothing() -> None:
    offer = NetworkOffer("none", "", no_secret)
    assert offer.policy(None, None).allows_nothing
    assert not offer.policy(True, None).allows_nothing
    allowed = offer.policy(None, {"allowOut": ["example.com"]})
    assert allowed.allows_name("example.com")
    assert not allowed.may_ask_for("other.com")


def test_a_network_that_is_switched_off_cannot_be_asked_for() -> None:
    offer = NetworkOffer("off", "", no_secret)
    assert offer.capabilities() == ["none"]
    assert offer.policy(False, {"denyOut": EVERYTHING}).allows_nothing
    with pytest.raises(InvalidSandboxRequestError, match="allow_internet_access out"):
        offer.policy(True, None)
    with pytest.raises(InvalidSandboxRequestError, match=r"network\.allowOut out"):
        offer.policy(None, {"allowOut": ["1.1.1.1"]})


def no_secret(team: str, name: str) -> str:
    raise LookupError(f"{team} has no secret {name}")
