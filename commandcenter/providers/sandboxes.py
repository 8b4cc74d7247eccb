"""Making, ending, pausing and finding sandboxes at one provider."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

import httpx
from e2b import AsyncSandbox
from e2b.client import E2B
from e2b.sandbox.sandbox_api import SandboxInfo, SandboxQuery

from commandcenter.errors import DomainError
from commandcenter.providers.accounts import ProviderAccount, ProviderKind
from commandcenter.providers.attachments import (
    KEEPALIVE_SECONDS,
    Attachment,
    AttachmentDetails,
    SandboxState,
)
from commandcenter.providers.endings import EndReason
from commandcenter.providers.errors import ProviderSandboxGoneError, ProviderUnavailableError
from commandcenter.providers.mapping import Subject, control_plane_call

_REQUEST_SECONDS = 30.0
_HEALTH_SECONDS = 5.0
# Asking again is harmless for what only reads; everything else is tried once and judged by the domain.
_READ_RETRIES = 2
_PAGE_SIZE = 100
_MOST_PAGES = 200


@dataclass(frozen=True)
class ProviderSandbox:
    """A sandbox that a provider has just started or resumed.

    `cpu_count` and `memory_mb` are None where the provider did not tell; `Provider.info` asks again.
    """

    attachment: AttachmentDetails
    cpu_count: int | None
    memory_mb: int | None

    @property
    def id(self) -> str:
        """The provider's name for the sandbox."""
        return self.attachment.sandbox_id


@dataclass(frozen=True)
class ProviderSandboxInfo:
    """What a provider says of a sandbox that it has. Times are aware; `memory_mb` is in MiB."""

    id: str
    template: str
    state: SandboxState
    metadata: Mapping[str, str]
    started_at: datetime
    ends_at: datetime
    cpu_count: int
    memory_mb: int


@dataclass(frozen=True)
class ProviderMetrics:
    """A sandbox's use of its resources at one moment; sizes in bytes, `cpu_percent` of all its CPUs."""

    at: datetime
    cpu_count: int
    cpu_percent: float
    memory_used: int
    memory_total: int
    disk_used: int
    disk_total: int


class Provider:
    """One provider account, driven through E2B's SDK.

    Every call is bounded by `request_seconds` and raises the errors of `commandcenter.providers.errors`.
    A stream of which nothing is heard for `silence_seconds`, not even a keep-alive, counts as broken.
    """

    def __init__(
        self,
        account: ProviderAccount,
        *,
        request_seconds: float = _REQUEST_SECONDS,
        silence_seconds: float = 3 * KEEPALIVE_SECONDS + 10,
    ) -> None:
        self.account = account
        self._request_seconds = request_seconds
        self._silence_seconds = silence_seconds
        self._client = E2B(
            api_key=account.api_key,
            api_url=account.api_url,
            sandbox_url=account.sandbox_url,
            domain=account.domain,
            debug=False,
            retries=0,
            request_timeout=request_seconds,
        )

    @property
    def name(self) -> str:
        """What requests call this provider."""
        return self.account.name

    @property
    def kind(self) -> ProviderKind:
        """`local` or `e2b`."""
        return self.account.kind

    async def create(
        self,
        *,
        template: str,
        ttl_seconds: int,
        metadata: Mapping[str, str],
        envs: Mapping[str, str],
        allow_internet: bool,
        on_timeout: Literal["kill", "pause"],
        idempotency_key: str,
    ) -> ProviderSandbox:
        """Start a sandbox.

        `idempotency_key` holds lowercase letters, digits and hyphens. A provider may not honour it, and a
        timeout leaves the outcome open: put an id of your own into `metadata` and look for it with `list`.
        """
        async with self._call(Subject.TEMPLATE):
            sandbox = await self._client.AsyncSandbox.create(
                template=template,
                timeout=ttl_seconds,
                metadata=dict(metadata),
                envs=dict(envs),
                allow_internet_access=allow_internet,
                lifecycle={"on_timeout": on_timeout, "auto_resume": False},
                idempotency_key=idempotency_key,
            )
        return await self._started(sandbox)

    async def kill(self, sandbox_id: str) -> bool:
        """End a sandbox, running or paused. False: it was gone already."""
        async with self._call(Subject.SANDBOX):
            return await self._client.AsyncSandbox.kill(sandbox_id)

    async def pause(self, sandbox_id: str) -> None:
        """Pause a sandbox; one that is paused already stays so."""
        async with self._call(Subject.SANDBOX):
            await self._client.AsyncSandbox.pause(sandbox_id)

    async def resume(self, sandbox_id: str, ttl_seconds: int) -> ProviderSandbox:
        """Resume a paused sandbox, or extend a running one to at least `ttl_seconds` from now."""
        async with self._call(Subject.SANDBOX):
            sandbox = await self._client.AsyncSandbox.connect(sandbox_id, timeout=ttl_seconds)
        return await self._started(sandbox)

    async def set_ttl(self, sandbox_id: str, seconds: int) -> None:
        """Let a running sandbox end `seconds` from now, sooner or later than before."""
        async with self._call(Subject.SANDBOX):
            await self._client.AsyncSandbox.set_timeout(sandbox_id, seconds)

    async def info(self, sandbox_id: str) -> ProviderSandboxInfo:
        """What the provider knows of a sandbox; raises `ProviderSandboxGoneError` if nothing."""
        async with self._call(Subject.SANDBOX):
            info = await self._client.AsyncSandbox.get_info(sandbox_id, retries=_READ_RETRIES)
        return _info(info)

    async def list(self, metadata: Mapping[str, str]) -> AsyncIterator[list[ProviderSandboxInfo]]:
        """Pages of the sandboxes, running and paused, that carry all of `metadata`.

        Raises rather than leave sandboxes out: who sweeps may believe a list that ended without an error.
        """
        pages = self._client.AsyncSandbox.list(
            query=SandboxQuery(metadata=dict(metadata)), limit=_PAGE_SIZE, retries=_READ_RETRIES
        )
        for _ in range(_MOST_PAGES):
            if not pages.has_next:
                return
            async with self._call(Subject.SANDBOX):
                page = await pages.next_items()
            yield [_info(info) for info in page]
        if pages.has_next:
            raise ProviderUnavailableError(
                f"Provider {self.name} lists more than {_MOST_PAGES * _PAGE_SIZE} sandboxes."
            )

    async def end_reason(self, sandbox_id: str) -> EndReason | None:
        """Why a sandbox that is gone ended; None where that is not known. Only our runtime tells."""
        if self.kind != "local":
            return None
        async with self._call(Subject.SANDBOX), httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(
                f"{self.account.api_url}/runtime/sandboxes/{sandbox_id}",
                headers={"X-API-Key": self.account.api_key},
            )
            reason = answer.json().get("endReason") if answer.is_success else None
        return reason if reason in get_args(EndReason) else None

    async def create_snapshot(self, sandbox_id: str, name: str) -> str:
        """Keep a running sandbox's files under a name; the template that makes sandboxes of them.

        Processes are not kept, as not every provider can. Raises as `create` does: a timeout leaves the
        outcome open.
        """
        async with self._call(Subject.SANDBOX):
            made = await self._client.AsyncSandbox.create_snapshot(sandbox_id, name, mode="filesystem")
        return made.snapshot_id

    async def find_snapshot(self, name: str) -> str | None:
        """The template under a snapshot's name; None where there is none."""
        async with self._call(Subject.TEMPLATE):
            pages = self._client.AsyncSandbox.list_snapshots(name=name, retries=_READ_RETRIES)
            for _ in range(_MOST_PAGES):
                for snapshot in await pages.next_items() if pages.has_next else ():
                    if name in snapshot.snapshot_id or any(name in each for each in snapshot.names):
                        return snapshot.snapshot_id
                if not pages.has_next:
                    return None
        raise ProviderUnavailableError(f"Provider {self.name} lists more snapshots than can be read.")

    async def delete_snapshot(self, template: str) -> bool:
        """Delete a snapshot. False: it was gone already."""
        async with self._call(Subject.TEMPLATE):
            return await self._client.AsyncSandbox.delete_snapshot(template)

    async def metrics(self, sandbox_id: str) -> ProviderMetrics | None:
        """The latest measurement of a sandbox; None before the first."""
        async with self._call(Subject.SANDBOX):
            measured = await self._client.AsyncSandbox.get_metrics(sandbox_id, retries=_READ_RETRIES)
        if not measured:
            return None
        latest = max(measured, key=lambda metrics: metrics.timestamp)
        return ProviderMetrics(
            at=latest.timestamp,
            cpu_count=latest.cpu_count,
            cpu_percent=latest.cpu_used_pct,
            memory_used=latest.mem_used,
            memory_total=latest.mem_total,
            disk_used=latest.disk_used,
            disk_total=latest.disk_total,
        )

    async def healthy(self) -> tuple[bool, str]:
        """Whether the provider answers and takes the key, and if not, why."""
        pages = self._client.AsyncSandbox.list(limit=1)
        try:
            async with control_plane_call(self.name, Subject.SANDBOX, _HEALTH_SECONDS):
                await pages.next_items()
        except DomainError as error:
            return False, error.message
        return True, f"Provider {self.name} answers."

    async def capabilities(self) -> dict[str, Any] | None:
        """What holds at our own runtime, as it tells it; None where it doesn't answer, and from others."""
        if self.kind != "local":
            return None
        try:
            async with httpx.AsyncClient(timeout=_HEALTH_SECONDS, trust_env=False) as client:
                answer = await client.get(
                    f"{self.account.api_url}/runtime/capabilities",
                    headers={"X-API-Key": self.account.api_key},
                )
                answer.raise_for_status()
                told = answer.json()
        except (httpx.HTTPError, ValueError):
            return None
        return told if isinstance(told, dict) else None

    def attach(self, details: AttachmentDetails) -> Attachment:
        """A way into a sandbox's processes and files; asks nobody and changes no time to live."""
        return Attachment(
            self.account,
            details,
            request_seconds=self._request_seconds,
            silence_seconds=self._silence_seconds,
            state_of=self._state_of,
        )

    def _call(self, subject: Subject) -> AbstractAsyncContextManager[None]:
        return control_plane_call(self.name, subject, self._request_seconds)

    async def _state_of(self, sandbox_id: str) -> SandboxState:
        return (await self.info(sandbox_id)).state

    async def _started(self, sandbox: AsyncSandbox) -> ProviderSandbox:
        details = AttachmentDetails(
            sandbox_id=sandbox.sandbox_id,
            domain=sandbox.sandbox_domain,
            envd_version=str(sandbox._envd_version),
            access_token=sandbox._envd_access_token or None,
            traffic_token=sandbox.traffic_access_token or None,
        )
        # The answer to "create" holds no sizes. The sandbox is there already: not to know them is no failure.
        try:
            info = await self.info(sandbox.sandbox_id)
        except ProviderSandboxGoneError:
            raise
        except DomainError:
            return ProviderSandbox(details, cpu_count=None, memory_mb=None)
        return ProviderSandbox(details, cpu_count=info.cpu_count, memory_mb=info.memory_mb)


def _info(info: SandboxInfo) -> ProviderSandboxInfo:
    return ProviderSandboxInfo(
        id=info.sandbox_id,
        template=info.name or info.template_id,
        state="paused" if info.state == "paused" else "running",
        metadata=info.metadata,
        started_at=info.started_at,
        ends_at=info.end_at,
        cpu_count=info.cpu_count,
        memory_mb=info.memory_mb,
    )
