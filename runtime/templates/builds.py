"""The builds that run: bounded in number and time, followed by their logs, ended with the runtime."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from runtime.host.errors import HostError, HostStoppingError
from runtime.host.record import Limits
from runtime.templates.builder import Builder, Built, Job
from runtime.templates.catalogue import INTERRUPTED, SUPERSEDED, Catalogue
from runtime.templates.definition import Definition
from runtime.templates.errors import BuildFailedError, BuildLimitError, InvalidTemplateError
from runtime.templates.logs import BuildLog, LogEntry, read_log
from runtime.templates.record import Build, Reason, Template
from runtime.templates.store import TemplateStore

log = structlog.get_logger("runtime.templates")


@dataclass
class _Running:
    template: Template
    build: Build
    job: Job
    task: asyncio.Task[None]
    ended_by: str = INTERRUPTED


class Builds:
    """Jobs by build id; `limit` at once, each for `seconds` at most."""

    def __init__(
        self, catalogue: Catalogue, store: TemplateStore, builder: Builder, *, limit: int, seconds: float
    ) -> None:
        self._catalogue = catalogue
        self._store = store
        self._builder = builder
        self._limit = limit
        self._seconds = seconds
        self._running: dict[str, _Running] = {}
        self._closed = False

    def refuse_when_full(self, template_id: str | None = None) -> None:
        """Raise `BuildLimitError` where as many builds run as may; one of this template would be replaced."""
        others = [each for each in self._running.values() if each.template.id != template_id]
        if len(others) >= self._limit:
            raise BuildLimitError(
                f"you have reached the maximum number of concurrent template builds ({self._limit}). "
                "Please wait for existing builds to complete, or raise RUNTIME_BUILD_LIMIT."
            )

    async def begin(self, template: Template, build: Build, definition: Definition, limits: Limits) -> None:
        """Run a build that was asked for; an older one that runs for the same tags ends."""
        if build.status != "waiting":
            raise InvalidTemplateError("build is not in waiting state")
        self.refuse_when_full(template.id)
        if self._closed:
            raise HostStoppingError("The runtime is stopping; build again when it is back.")
        job = Job(template.team, definition, limits, BuildLog(self._store.log_path(template.id, build.id)))
        build.begin()
        try:
            self._catalogue.save(template)
        except OSError as error:
            _fail(build, job, Reason(f"The build could not begin: {error}"))
            job.log.close()
            raise
        await self._end(self._superseded(template, build), SUPERSEDED)
        task = asyncio.ensure_future(self._run(template, build, job))
        self._running[build.id] = _Running(template, build, job, task)

    async def entries(self, template: Template, build: Build) -> Sequence[LogEntry]:
        """What a build has told until now."""
        running = self._running.get(build.id)
        if running is not None:
            return running.job.log.entries
        return await asyncio.to_thread(read_log, self._store.log_path(template.id, build.id))

    async def cancel(self, template: Template) -> None:
        """End all builds of a template that is to be removed."""
        running = [each for each in self._running.values() if each.template is template]
        await self._end(running, "The template was deleted.")

    async def close(self) -> None:
        """End every build, and begin no more; the steps that were done are kept."""
        self._closed = True
        await self._end(list(self._running.values()), INTERRUPTED)

    def layers(self) -> set[str]:
        """All layers that some build works on."""
        return {layer for running in self._running.values() for layer in running.job.layers}

    def _superseded(self, template: Template, build: Build) -> list[_Running]:
        tags = {tag.name for tag in template.tags if tag.build_id == build.id}
        return [
            each
            for each in self._running.values()
            if each.template is template
            and tags & {tag.name for tag in template.tags if tag.build_id == each.build.id}
        ]

    async def _end(self, running: list[_Running], reason: str) -> None:
        for each in running:
            each.ended_by = reason
            each.task.cancel()
        await asyncio.gather(*(each.task for each in running), return_exceptions=True)

    async def _run(self, template: Template, build: Build, job: Job) -> None:
        log.info("build_began", template=template.id, build=build.id)
        try:
            async with asyncio.timeout(self._seconds):
                built = await self._builder.build(job)
            _finish(build, built)
            job.log.write("Build finished")
        except BuildFailedError as error:
            _fail(build, job, Reason(str(error), error.step))
        except TimeoutError:
            _fail(build, job, Reason(f"build timed out after {self._seconds:g} s"))
        except asyncio.CancelledError:
            _fail(build, job, Reason(self._running[build.id].ended_by))
        except (HostError, OSError) as error:
            log.exception("build_broke_off", template=template.id, build=build.id)
            _fail(build, job, Reason(f"The build could not go on: {error}"))
        finally:
            self._running.pop(build.id, None)
            job.log.close()
            self._save(template, build)
            log.info("build_ended", template=template.id, build=build.id, status=build.status)

    def _save(self, template: Template, build: Build) -> None:
        """Write down how a build ended; where that can't be, it ends so all the same, until a restart."""
        try:
            self._catalogue.save(template)
        except OSError as error:
            log.warning("template_not_saved", template=template.id, build=build.id, error=str(error))
            if build.status == "ready":
                build.finish(Reason(f"The template could not be saved: {error}"))


def _finish(build: Build, built: Built) -> None:
    build.layers = list(built.layers)
    build.context = built.context
    build.start = built.start
    build.finish()


def _fail(build: Build, job: Job, reason: Reason) -> None:
    build.finish(reason)
    # Who follows the build learns the reason even where the disk takes no more of the log.
    with suppress(OSError):
        job.log.write(f"Build failed: {reason.message}", level="error", step=reason.step)
