"""Reaching into a running sandbox without asking its provider's control plane.

An attachment is made from stored details alone: no call is made, and no time to live changes.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, Self

import httpx
from connectrpc.codec import Codec, proto_binary_codec
from connectrpc.errors import ConnectError
from e2b.api.client_async import get_envd_api, get_pyqwest_transport
from e2b.connection_config import ConnectionConfig
from e2b.envd.api import ENVD_API_FILE_DOWNLOAD_HTTP_VERSION, acheck_sandbox_health
from e2b.envd.client_async import PlainHTTPErrorTransport
from e2b.envd.client_shared import ENVD_JSON_CODEC
from e2b.envd.filesystem.filesystem_connect import FilesystemClient
from e2b.envd.interceptors import build_interceptors
from e2b.envd.process.process_connect import ProcessClient
from e2b.envd.rpc import is_ambiguous_unavailable, is_transport_failure
from e2b.envd.utils import authentication_header
from e2b.exceptions import SandboxUnreachableException
from packaging.version import Version
from pyqwest import Client

from commandcenter.errors import DomainError
from commandcenter.providers.accounts import ProviderAccount
from commandcenter.providers.errors import ProviderSandboxGoneError, ProviderSandboxPausedError
from commandcenter.providers.mapping import Subject, domain_error, raise_if_cancelled
from commandcenter.providers.phrasing import unavailable

SandboxState = Literal["running", "paused"]
Continuation = Literal["replay", "spool"]
"""Who keeps output that was not read: the provider itself, or a program of ours in the sandbox."""

# How often the provider is asked to send a sign of life on a silent stream.
KEEPALIVE_SECONDS = 50
# A message holds some kilobytes of output, or a listing. One of this size takes about 0.2 s to read, in which
# the process does nothing else.
_MESSAGE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class AttachmentDetails:
    """What is needed to reach a sandbox's processes and files; to be stored with the sandbox.

    `access_token` opens the sandbox, `traffic_token` its ports: both are secrets.
    """

    sandbox_id: str
    domain: str
    envd_version: str
    access_token: str | None = field(default=None, repr=False)
    traffic_token: str | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, str | None]:
        """A dictionary that JSON can hold; `from_json` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, str | None]) -> Self:
        """The details that `as_json` gave."""
        return cls(
            sandbox_id=stored["sandbox_id"] or "",
            domain=stored["domain"] or "",
            envd_version=stored["envd_version"] or "",
            access_token=stored["access_token"],
            traffic_token=stored["traffic_token"],
        )


class Attachment:
    """A sandbox's data plane: its process service, its file service, its transfers."""

    def __init__(
        self,
        account: ProviderAccount,
        details: AttachmentDetails,
        *,
        request_seconds: float,
        silence_seconds: float,
        state_of: Callable[[str], Awaitable[SandboxState]],
    ) -> None:
        self.details = details
        self.provider = account.name
        self.request_seconds = request_seconds
        self.silence_seconds = silence_seconds
        self.envd_version = Version(details.envd_version)
        self._account = account
        self._state_of = state_of
        headers = {
            "E2b-Sandbox-Id": details.sandbox_id,
            "E2b-Sandbox-Port": str(ConnectionConfig.envd_port),
        }
        if details.access_token:
            headers["X-Access-Token"] = details.access_token
        self._config = ConnectionConfig(
            api_key=account.api_key,
            api_url=account.api_url,
            sandbox_url=account.sandbox_url,
            domain=account.domain,
            debug=False,
            extra_sandbox_headers=headers,
        )
        self._url = self._config.get_sandbox_url(details.sandbox_id, details.domain)

    @property
    def continuation(self) -> Continuation:
        """How output can be had again from an offset; E2B's cloud itself drops what nobody reads."""
        return "replay" if self._account.kind == "local" else "spool"

    @cached_property
    def processes(self) -> ProcessClient:
        """The SDK's generated client of the process service."""
        return ProcessClient(
            self._url,
            codec=self._codec,
            interceptors=build_interceptors(self._config, self._url),
            http_client=self._http_client,
            send_compression=None,
            accept_compression=(),
            read_max_bytes=_MESSAGE_BYTES,
        )

    @cached_property
    def filesystem(self) -> FilesystemClient:
        """The SDK's generated client of the file service."""
        return FilesystemClient(
            self._url,
            codec=self._codec,
            interceptors=build_interceptors(self._config, self._url),
            http_client=self._http_client,
            send_compression=None,
            accept_compression=(),
            read_max_bytes=_MESSAGE_BYTES,
        )

    @cached_property
    def transfers(self) -> httpx.AsyncClient:
        """The SDK's client for uploads and downloads, over HTTP/1.1 as the SDK requires of downloads."""
        return get_envd_api(self._config, self._url, http_version=ENVD_API_FILE_DOWNLOAD_HTTP_VERSION)

    @property
    def _codec(self) -> Codec[Any, Any]:
        # The SDK speaks JSON to E2B. Our runtime also takes protobuf: smaller, and faster to read.
        return proto_binary_codec() if self._account.kind == "local" else ENVD_JSON_CODEC

    @property
    def _http_client(self) -> Client:
        return Client(
            PlainHTTPErrorTransport(get_pyqwest_transport(None, http_version=self._config.http_version))
        )

    def as_user(self, user: str | None) -> dict[str, str]:
        """The headers that make a call act as `user`; None is the sandbox's default user."""
        return authentication_header(self.envd_version, user)

    @asynccontextmanager
    async def errors(self, subject: Subject) -> AsyncIterator[None]:
        """Turn whatever the calls inside raise into a `DomainError`; a cancellation stays one."""
        try:
            yield
        except Exception as error:
            raise_if_cancelled(error)
            raise await self.explain(error, subject) from error

    async def explain(self, error: Exception, subject: Subject) -> DomainError:
        """What `error` means, asking the sandbox and its provider where the error does not say."""
        if not _says_nothing_of_the_sandbox(error):
            explained = domain_error(error, self.provider, subject)
            return await self.gone() if isinstance(explained, ProviderSandboxGoneError) else explained
        match await self._runs():
            case False:
                return await self.gone()
            case _:
                return unavailable(self.provider, str(error) or type(error).__name__)

    async def gone(self) -> DomainError:
        """The error of a sandbox whose data plane says that it does not run: paused, or gone."""
        sandbox = self.details.sandbox_id
        try:
            state = await self._state_of(sandbox)
        except DomainError as error:
            return error
        if state == "paused":
            return ProviderSandboxPausedError(f"Sandbox {sandbox} is paused: resume it first.")
        return unavailable(
            self.provider, f"sandbox {sandbox} can't be reached, though it is listed as running"
        )

    async def _runs(self) -> bool | None:
        """Whether the sandbox answers; None if that can't be told."""
        probe = get_envd_api(self._config, self._url, retry_connect=False)
        try:
            return await acheck_sandbox_health(probe)
        except (SandboxUnreachableException, httpx.HTTPError):
            return None


def _says_nothing_of_the_sandbox(error: Exception) -> bool:
    if isinstance(error, ConnectError):
        return is_transport_failure(error) or is_ambiguous_unavailable(error)
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.TimeoutException)
