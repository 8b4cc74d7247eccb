"""Builds a template: each step runs in a sandbox of its own, and what it changed becomes a layer.

A step whose result is known is not run again: a result is found by all that it depends on.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import structlog

from runtime.host.commands import OnLine
from runtime.host.errors import SandboxGoneError, TemplateNotFoundError
from runtime.host.record import Limits
from runtime.host.sandbox import Sandbox
from runtime.host.start import Context, Start
from runtime.host.starting import NotReadyError, bring_up
from runtime.templates.cache import Result, StepCache
from runtime.templates.catalogue import BASE, Catalogue, Found
from runtime.templates.definition import Definition, Step, digest
from runtime.templates.errors import BuildFailedError
from runtime.templates.logs import BuildLog, Level
from runtime.templates.steps import StepFailedError, Steps, done_without_sandbox
from runtime.templates.workshop import Workshop

log = structlog.get_logger("runtime.templates")

BASE_IMAGES = ("e2bdev/base", "e2bdev/base:latest", BASE)


@dataclass
class Job:
    """A build under way: what is asked for, and how far it has come."""

    team: str
    definition: Definition
    limits: Limits
    log: BuildLog
    layers: list[str] = field(default_factory=list)
    """Held as long as the job runs."""


@dataclass(frozen=True)
class Built:
    """What a build made."""

    layers: tuple[str, ...]
    context: Context
    start: Start | None


class Builder:
    """Runs jobs; `ready_seconds` bounds the wait for a start command."""

    def __init__(
        self, catalogue: Catalogue, workshop: Workshop, cache: StepCache, steps: Steps, ready_seconds: float
    ) -> None:
        self._catalogue = catalogue
        self._workshop = workshop
        self._cache = cache
        self._steps = steps
        self._ready_seconds = ready_seconds

    async def build(self, job: Job) -> Built:
        """Run a job; raises `BuildFailedError`. However it ends, no sandbox is left."""
        base = self._base(job)
        result = Result(base.layers, base.context)
        job.layers = list(base.layers)
        known = hashlib.sha256(f"{job.team}\0{base.build_id}".encode()).hexdigest()
        for index, step in enumerate(job.definition.steps):
            known = digest(known, step)
            result = await self._step(job, index, known, result)
            job.layers = list(result.layers)
        start = _start_of(job.definition, base, result.context)
        if start is not None:
            await self._try_start(job, result, start)
        return Built(result.layers, result.context, start)

    def _base(self, job: Job) -> Found:
        definition = job.definition
        try:
            if definition.template is not None:
                job.log.write(f"[base] FROM TEMPLATE {definition.template}", step="base")
                return self._catalogue.resolve(job.team, definition.template)
            job.log.write(f"[base] FROM {definition.image}", step="base")
            if definition.image in BASE_IMAGES:
                return self._catalogue.resolve(job.team, BASE)
        except TemplateNotFoundError as error:
            raise BuildFailedError("base", str(error)) from error
        raise BuildFailedError(
            "base",
            f"image '{definition.image}' not found: this runtime has no registry. There is the image "
            f"{BASE_IMAGES[0]} (from_base_image), and from_template takes {self._catalogue.names(job.team)}.",
        )

    async def _step(self, job: Job, index: int, known: str, before: Result) -> Result:
        step = job.definition.steps[index]
        number = str(index + 1)
        title = f"[builder {number}/{len(job.definition.steps)}] {step} [{known[:12]}]"
        context = done_without_sandbox(step, before.context)
        if context is not None:
            job.log.write(title, step=number)
            return Result(before.layers, context)
        cached = self._cache.find(known) if index < job.definition.forced_from else None
        if cached is not None and self._workshop.has(cached.layers):
            job.log.write(f"CACHED {title}", step=number)
            return cached
        job.log.write(title, step=number)
        return await self._run(job, step, number, known, before)

    async def _run(self, job: Job, step: Step, number: str, known: str, before: Result) -> Result:
        try:
            async with self._sandbox(job, before) as sandbox:
                on_line = _writer(job, number, f"builder {number}/{len(job.definition.steps)}")
                context = await self._steps.run(sandbox, step, before.context, job.team, on_line)
                async with self._workshop.kept(sandbox) as layers:
                    result = Result(tuple(layers), context)
                    self._cache.keep(known, result)
                    return result
        except StepFailedError as error:
            raise BuildFailedError(number, str(error)) from error
        except SandboxGoneError as error:
            raise BuildFailedError(number, f"{step}: the sandbox ended: {error}") from error

    async def _try_start(self, job: Job, result: Result, start: Start) -> None:
        """See that the template starts; what that changes is not kept, as every sandbox starts anew."""
        job.log.write(f"Running start command: {start.command}", step="finalize")
        job.log.write(f"Waiting for template to be ready: {start.ready}", step="finalize")
        try:
            async with self._sandbox(job, result) as sandbox:
                await bring_up(sandbox, start, _writer(job, "finalize", "start"), self._ready_seconds)
        except (NotReadyError, SandboxGoneError) as error:
            raise BuildFailedError("finalize", str(error)) from error
        job.log.write("Template is ready", step="finalize")

    @asynccontextmanager
    async def _sandbox(self, job: Job, result: Result) -> AsyncIterator[Sandbox]:
        sandbox = await self._workshop.open(result.layers, job.limits)
        try:
            yield sandbox
        finally:
            # Whoever cancels the build waits until nothing is left of it.
            await asyncio.shield(asyncio.ensure_future(self._workshop.close(sandbox)))


def _start_of(definition: Definition, base: Found, context: Context) -> Start | None:
    """What the template starts: its own commands, or else those of the template that it is made from."""
    if definition.start or definition.ready:
        return Start(definition.start or "", definition.ready or "", context)
    return None if base.start is None else replace(base.start)


def _writer(job: Job, step: str, prefix: str) -> OnLine:
    def write(stream: str, line: str) -> None:
        level: Level = "debug" if step == "finalize" else "info"
        job.log.write_output(f"[{prefix}] [{stream}]: {line}", step=step, level=level)

    return write
