"""E2B's fields about a sandbox's network, read and checked; messages are E2B's where it has one."""

import re
from collections.abc import Mapping
from typing import Any

from runtime.host.errors import InvalidSandboxRequestError
from runtime.network.addresses import Network, parse_network
from runtime.network.placeholders import names_only_secrets
from runtime.network.policy import Policy

ENTRIES_LIMIT = 1000
RULE_NAMES_LIMIT = 10
RULE_NAME_LENGTH = 128
HEADERS_LIMIT = 20
HEADER_NAME_LENGTH = 64
HEADER_VALUE_LENGTH = 2048
ENVD_PORT = 49983
EGRESS_FIELDS = ("allowOut", "denyOut", "rules", "dnsServers", "egressProxy")
"""What an update replaces; the other fields are about requests that come in, and stay."""

ALL_TRAFFIC = "0.0.0.0/0"
NAMES_NEED_DENIAL = (
    "When specifying allowed domains in allow out, you must include 'ALL_TRAFFIC' in deny out to block all "
    "other traffic."
)
NAME = re.compile(
    r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
)
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\x20-\x7e\x80-\xff\t]*")
MASK = re.compile(r"[A-Za-z0-9._-]*(\$\{PORT\}[A-Za-z0-9._-]*)?(:(\d{1,5}|\$\{PORT\}))?")
# They decide how far a request goes: replacing one could smuggle a second request behind the first.
FRAMING_HEADERS = {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"}


def read_policy(
    allow_internet_access: bool | None, network: Mapping[str, Any] | None, *, open_by_default: bool
) -> Policy:
    """What these fields allow; `InvalidSandboxRequestError` says which field is wrong and why."""
    fields = network or {}
    denied = tuple(_denied(entry) for entry in _texts(fields, "denyOut"))
    names, networks = _allowed(_texts(fields, "allowOut"))
    is_open = open_by_default if allow_internet_access is None else allow_internet_access
    policy = Policy(is_open, names, networks, denied, _headers(fields.get("rules")))
    if names and not policy.denies_everything:
        raise InvalidSandboxRequestError(NAMES_NEED_DENIAL)
    _check_others(fields)
    return policy


def with_egress(network: Mapping[str, Any] | None, egress: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with other rules for what goes out, and the same for what comes in."""
    incoming = {name: value for name, value in (network or {}).items() if name not in EGRESS_FIELDS}
    return incoming | {name: value for name, value in egress.items() if value is not None}


def normal_name(text: str) -> str | None:
    """A host name as it is compared, or None where it is none."""
    name = text.lower().removesuffix(".")
    return name if NAME.fullmatch(name) else None


def _texts(fields: Mapping[str, Any], name: str) -> list[str]:
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise InvalidSandboxRequestError(f"network.{name}: expected a list of texts")
    if len(value) > ENTRIES_LIMIT:
        raise InvalidSandboxRequestError(f"network.{name}: at most {ENTRIES_LIMIT} entries")
    return value


def _denied(entry: str) -> Network:
    network = parse_network(entry)
    if network is None:
        raise InvalidSandboxRequestError(f"invalid denied CIDR {entry}")
    return network


def _allowed(entries: list[str]) -> tuple[tuple[str, ...], tuple[Network, ...]]:
    names, networks = [], []
    for entry in entries:
        network = parse_network(entry)
        if network is not None:
            networks.append(network)
        else:
            names.append(_pattern(entry, f"invalid allowed address {entry}"))
    return tuple(names), tuple(networks)


def _pattern(entry: str, complaint: str) -> str:
    """`example.com`, `*.example.com` or `*`."""
    if entry == "*":
        return entry
    wildcard = "*." if entry.startswith("*.") else ""
    name = normal_name(entry.removeprefix("*."))
    # A name whose last part is a number would be read as an address by the resolver.
    if name is None or name.rpartition(".")[2].isdigit():
        raise InvalidSandboxRequestError(
            f"{complaint}: expected an address, a CIDR block, or a name such as example.com or "
            "*.example.com, without a port"
        )
    return wildcard + name


def _headers(rules: Any) -> dict[str, dict[str, str]]:
    if rules is None:
        return {}
    if not isinstance(rules, dict):
        raise InvalidSandboxRequestError("network.rules: expected lists of rules by domain")
    if len(rules) > RULE_NAMES_LIMIT:
        raise InvalidSandboxRequestError(f"Network rules can have at most {RULE_NAMES_LIMIT} domains.")
    found = {}
    for name, listed in rules.items():
        complaint = f'Rule domain "{name}" is not a valid domain name.'
        if len(name) > RULE_NAME_LENGTH or name == "*" or parse_network(name) is not None:
            raise InvalidSandboxRequestError(complaint)
        pattern = _pattern(name, complaint)
        if not isinstance(listed, list) or not all(isinstance(rule, dict) for rule in listed):
            raise InvalidSandboxRequestError(f"network.rules.{name}: expected a list of rules")
        if len(listed) > 1:
            raise InvalidSandboxRequestError(f'Domain "{name}" can have at most 1 transform rule.')
        found[pattern] = _transform(name, listed[0] if listed else {})
    return found


def _transform(domain: str, rule: Mapping[str, Any]) -> dict[str, str]:
    transform = rule.get("transform") or {}
    headers = (transform.get("headers") if isinstance(transform, dict) else None) or {}
    if not isinstance(headers, dict) or len(headers) > HEADERS_LIMIT:
        raise InvalidSandboxRequestError(
            f'Domain "{domain}" can have at most {HEADERS_LIMIT} headers per rule.'
        )
    for name, value in headers.items():
        place = f'header "{name}" in rule for domain "{domain}"'
        if not HEADER_NAME.fullmatch(name) or len(name) > HEADER_NAME_LENGTH:
            raise InvalidSandboxRequestError(f"The name of {place} is not valid.")
        if name.lower() in FRAMING_HEADERS:
            raise InvalidSandboxRequestError(f"The {place} can't be set: the connection needs it.")
        if (
            not isinstance(value, str)
            or not HEADER_VALUE.fullmatch(value)
            or len(value) > HEADER_VALUE_LENGTH
        ):
            raise InvalidSandboxRequestError(f"The value of {place} is not valid.")
        if not names_only_secrets(value):
            raise InvalidSandboxRequestError(
                f"The value of {place} has a placeholder other than ${{e2b.secrets.NAME}}; leave it out."
            )
    return {name.lower(): value for name, value in headers.items()}


def _check_others(fields: Mapping[str, Any]) -> None:
    if fields.get("egressProxy") is not None:
        raise InvalidSandboxRequestError(
            "network.egressProxy: this runtime doesn't offer it, as E2B's open source one; leave it out"
        )
    for server in _texts(fields, "dnsServers"):
        network = parse_network(server)
        if network is None or network.version != 4 or network.prefixlen != 32:
            raise InvalidSandboxRequestError(f"network.dnsServers: {server!r} is no IPv4 address")
    public = fields.get("allowPublicTraffic")
    if public is not None and not isinstance(public, bool):
        raise InvalidSandboxRequestError("network.allowPublicTraffic: expected true or false")
    mask = fields.get("maskRequestHost")
    if mask is not None and not (isinstance(mask, str) and 0 < len(mask) < 254 and MASK.fullmatch(mask)):
        raise InvalidSandboxRequestError(f"mask request host is not valid: {mask}")
    ports = fields.get("httpsPorts")
    if ports is not None and not (
        isinstance(ports, list) and len(ports) <= 100 and all(map(_is_port, ports))
    ):
        raise InvalidSandboxRequestError(
            f"network.httpsPorts: expected ports from 1 to 65535, and not {ENVD_PORT}"
        )


def _is_port(value: Any) -> bool:
    return type(value) is int and 0 < value < 65536 and value != ENVD_PORT
