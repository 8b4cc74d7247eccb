"""The runtime's settings: environment variables that begin with `RUNTIME_`."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

MEBIBYTE = 1 << 20


def default_state_directory() -> Path:
    """A system directory for root, whose home is closed to the sandboxes' users; else one's own."""
    if os.geteuid() == 0:
        return Path("/var/lib/commandcenter/runtime")
    return Path.home() / ".local" / "share" / "commandcenter" / "runtime"


class RuntimeSettings(BaseSettings):
    """What can be set; sizes are in bytes and times in seconds unless a name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="RUNTIME_", extra="ignore")

    state_directory: Path = Field(
        default_factory=default_state_directory,
        description="Where sandboxes and their files are kept: `/var/lib/commandcenter/runtime` for root, "
        "else `~/.local/share/commandcenter/runtime`.",
    )
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(49980, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    domain: str | None = Field(
        None,
        description="The domain of the names `api.…`, `sandbox.…` and `PORT-ID.…`, with its port where it is "
        "not the usual one; by default localhost with the port.",
    )
    tls_certificate: Path | None = Field(
        None, description="Certificate with its chain, in PEM: from here on TLS. Read anew at SIGHUP."
    )
    tls_key: Path | None = Field(None, description="The certificate's key, in PEM.")
    insecure_plain_http: bool = Field(
        False,
        description="Listen beyond loopback without TLS, as behind a proxy that speaks it: who can read the "
        "network reads keys and files.",
    )
    api_key: SecretStr | None = Field(
        None, description="The key of the control plane; made once and kept in `api.key` where none is given."
    )
    api_keys: SecretStr | None = Field(
        None,
        description="Keys of several teams, each with sandboxes of its own: `team:key,team:key`, or the path "
        "of a JSON file of teams and their keys. `RUNTIME_API_KEY` is the team `default`'s.",
    )
    connection_limit: int = Field(10_000, ge=1, description="How many connections are served at once.")
    request_timeout: int = Field(
        20, ge=1, description="How long a client may take to send a request's headers, and a body of JSON."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")

    sandbox_limit: int = Field(200, ge=1, description="How many sandboxes may exist at once.")
    sandbox_processors: float = Field(
        2.0, gt=0, description="Processor share of a sandbox, in whole processors."
    )
    sandbox_memory: int = Field(1024 * MEBIBYTE, ge=64 * MEBIBYTE, description="Memory of a sandbox.")
    sandbox_processes: int = Field(512, ge=16, description="Processes and threads of a sandbox.")
    sandbox_open_files: int = Field(65536, ge=256, description="Open files of each process in a sandbox.")
    volume_limit: int = Field(1000, ge=0, description="How many volumes may exist at once.")
    warm_sandboxes: int = Field(
        4,
        ge=0,
        le=1000,
        description="Sandboxes of the base template that are kept ready for whoever asks next; 0 keeps none.",
    )
    sandbox_disk: int = Field(
        10240 * MEBIBYTE, ge=32 * MEBIBYTE, description="What a sandbox may keep on disk of its own."
    )
    sandbox_output_rate: int = Field(
        0, ge=0, description="Output of a sandbox's processes together, in bytes a second; 0 is unbounded."
    )
    largest_sandbox: str = Field(
        "",
        description="The most that a request may ask for, as in the header Runtime-Limits "
        "(`memoryMB=4096,processes=2048`); what it doesn't name follows from the machine.",
    )
    require: str = Field(
        "",
        description="Guarantees without which the runtime doesn't start, such as `own_user,memory,disk`; "
        "`python -m runtime doctor` names them all.",
    )
    default_timeout: int = Field(300, ge=0, description="Life of a sandbox that asks for none.")
    longest_timeout: int = Field(
        24 * 3600, ge=1, description="The longest life that can be asked for at once."
    )
    ended_kept: int = Field(
        7 * 24 * 3600, ge=0, description="How long the log and the end of a sandbox are kept after it ended."
    )
    build_limit: int = Field(4, ge=1, description="How many templates may be built at once.")
    build_timeout: int = Field(3600, ge=1, description="How long a build may take.")
    upload_limit: int = Field(
        2048 * MEBIBYTE, ge=MEBIBYTE, description="The largest archive of files that a build may copy."
    )
    ready_timeout: int = Field(
        30,
        ge=1,
        description="How long a new sandbox waits for its template's start command to be ready; "
        "a build waits for the time that it has.",
    )
    user_id_first: int = Field(
        0x3000_0000,
        ge=65_536,
        description="First host id given to sandboxes (as root); each gets 65,536, users and groups alike.",
    )
    user_id_count: int = Field(10_000, ge=1, description="How many host user ids there are for sandboxes.")
    network: Literal["off", "none", "proxy"] = Field(
        "proxy",
        description="What a sandbox may reach that asks for nothing: the public internet through the "
        "runtime's proxy, or `none`. With `off` none may reach anything, and asking for it is refused.",
    )
    network_private_allowed: str = Field(
        "",
        description="Addresses that sandboxes may reach though they are private or this machine's own: up "
        "to 32 of `10.1.2.0/24`, `10.1.2.3:443`, `[fd00::]/8:443`, with commas between.",
    )
    supervisor_lease: int = Field(
        900,
        ge=1,
        description="How long a sandbox lives on without a runtime, so that a restarted one finds it.",
    )
    at_stop: Literal["pause", "leave"] = Field(
        "pause",
        description="What a runtime that is told to stop does with its sandboxes: end their processes, and "
        "keep their files, or leave them running for the next one, as long as `RUNTIME_SUPERVISOR_LEASE`.",
    )
    output_retained: int = Field(
        MEBIBYTE, ge=256 * 1024, description="How much of each output stream is kept for replay."
    )
    unattended_output: Literal["wait", "drop"] = Field(
        "wait",
        description="What happens to output that nobody takes: the process waits, or the oldest is dropped.",
    )
