"""The one place for configuration: what can be set, by which environment variable, and what holds otherwise.

`docs/configuration.md` is generated from this class.
"""

from datetime import timedelta
from functools import cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Everything that can be configured; each process reads the same class from its environment."""

    model_config = SettingsConfigDict(env_prefix="COMMANDCENTER_", populate_by_name=True, extra="ignore")

    home: Path = Field(
        default=Path("~/.local/share/commandcenter"),
        description="Folder for everything that the embedded defaults keep: data, sandboxes, keys, logs.",
    )
    database_url: str | None = Field(
        default=None,
        validation_alias="DATABASE_URL",
        description="PostgreSQL 15 or later, as `postgresql://role:password@host:port/database`. The role "
        "must own the database and must not be a superuser. Unset: `commandcenter up` runs an embedded one.",
    )
    redis_url: str | None = Field(
        default=None,
        validation_alias="REDIS_URL",
        description="Valkey or Redis 6 or later, as `redis://host:port/0` or `unix:///path`. "
        "Unset: `commandcenter up` runs an embedded Valkey.",
    )
    host: str = Field(default="127.0.0.1", description="Address that the web process listens on.")
    port: int = Field(default=8420, ge=0, le=65535, description="Port that the web process listens on.")
    public_url: str | None = Field(
        default=None,
        description="Where people reach the web process, such as `https://sandboxes.example.com`; "
        "used in links. Unset: made from host and port.",
    )
    runtime_url: str | None = Field(
        default=None,
        description="Address of the embedded runtime. Unset: the provider `local` is not configured.",
    )
    runtime_api_key: SecretStr | None = Field(
        default=None, description="The runtime's API key; `commandcenter up` makes one."
    )
    e2b_api_key: SecretStr | None = Field(
        default=None,
        validation_alias="E2B_API_KEY",
        description="Key of an E2B account: configures the provider `e2b`.",
    )
    e2b_domain: str = Field(
        default="e2b.app", validation_alias="E2B_DOMAIN", description="Domain of the E2B service."
    )
    e2b_api_url: str | None = Field(
        default=None,
        validation_alias="E2B_API_URL",
        description="Address of an E2B-compatible control plane other than `https://api.<domain>`.",
    )
    e2b_sandbox_url: str | None = Field(
        default=None,
        validation_alias="E2B_SANDBOX_URL",
        description="Address of an E2B-compatible data plane that finds sandboxes by header.",
    )
    e2b_creates_per_second: float = Field(
        default=1,
        ge=0,
        le=1000,
        description="Sandboxes made a second at `e2b`; more wait for their turn. E2B's limit is 1 on its "
        "Hobby plan and 5 on Pro. 0: no limit of ours.",
    )
    e2b_sandboxes_at_once: int = Field(
        default=20,
        ge=0,
        description="Sandboxes that run or are being made at `e2b`; more wait for their turn. E2B's limit "
        "is 20 on its Hobby plan and from 100 on Pro. 0: no limit of ours.",
    )
    local_creates_per_second: float = Field(
        default=0, ge=0, le=1000, description="The same of the embedded runtime. 0: no limit."
    )
    local_sandboxes_at_once: int = Field(
        default=0, ge=0, description="The same of the embedded runtime. 0: no limit."
    )
    most_waiting_creations: int = Field(
        default=500,
        ge=1,
        le=10_000,
        description="Sandboxes that may wait for their turn at one provider. Beyond it `createSandbox` is "
        "refused for projects that have one waiting already.",
    )
    creation_answer_seconds: float = Field(
        default=30,
        ge=0.1,
        le=600,
        description="`createSandbox` answers when the sandbox runs, or after so many seconds while it is "
        "still being made.",
    )
    creation_seconds: float = Field(
        default=600,
        ge=1,
        le=86_400,
        description="A sandbox that has waited for its provider for so many seconds becomes FAILED.",
    )
    e2b_spool_mb: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="How much of each output stream of a command is kept in sandboxes of the provider `e2b`, "
        "in MiB of their disk, for when the process that reads it dies.",
    )
    default_provider: str = Field(
        default="local", description="Provider of sandboxes whose request names none: `local` or `e2b`."
    )
    default_template: str = Field(
        default="base", description="Template of sandboxes whose request names none."
    )
    secrets_key: SecretStr | None = Field(
        default=None,
        description="Encrypts the projects' secrets: 32 bytes in base64 (`openssl rand -base64 32`). "
        "Several, with commas between: the first encrypts, all decrypt. Unset: the file `secrets.key` in "
        "`COMMANDCENTER_HOME`, which the first start makes.",
    )
    database_pool_size: int = Field(
        default=20, ge=2, le=200, description="Most database connections that one process holds open."
    )
    key_requests_per_minute: int = Field(
        default=12_000,
        ge=1,
        le=10_000_000,
        description="Requests that one API key may make in a minute, a sixth of them at once.",
    )
    key_points_per_minute: int = Field(
        default=240_000,
        ge=20_000,
        le=1_000_000_000,
        description="Points that one API key may spend on operations in a minute; see `docs/limits.md`.",
    )
    sign_ins_per_minute: int = Field(
        default=20, ge=1, le=100_000, description="Attempts to sign in that one address may make in a minute."
    )
    most_output_mb: int = Field(
        default=1024,
        ge=1,
        description="How much of each output stream of a command is stored, in MiB. What follows is read and "
        "not kept, and a gap says so; the command goes on, and its end is told.",
    )
    lease_seconds: float = Field(
        default=8.0,
        ge=1,
        le=60,
        description="How long a process may be silent before others take over the executions that it reads "
        "and the sandboxes that it makes. "
        "Takeover is begun within this time, a quarter of it, and two seconds.",
    )
    log_level: str = Field(
        default="info", description="Least severe level logged: debug, info, warning or error."
    )

    @property
    def lease(self) -> timedelta:
        """`lease_seconds` as a length of time."""
        return timedelta(seconds=self.lease_seconds)

    @property
    def address(self) -> str:
        """The base URL for links, without a slash at its end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def home_folder(self) -> Path:
        """`home` with `~` resolved."""
        return self.home.expanduser().absolute()


@cache
def get_settings() -> Settings:
    """The settings of this process, read once from its environment."""
    return Settings()
