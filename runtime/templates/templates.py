"""Templates and their builds, put together: what the control plane asks."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from runtime.host.layout import Layout
from runtime.host.limits.asked import limited
from runtime.host.record import Limits, SandboxRecord
from runtime.host.requests import largest_of, limits_of
from runtime.settings import RuntimeSettings
from runtime.templates.builder import Builder
from runtime.templates.builds import Builds
from runtime.templates.cache import StepCache
from runtime.templates.catalogue import Catalogue, Found
from runtime.templates.definition import Definition
from runtime.templates.errors import TemplateInUseError
from runtime.templates.record import Build, Template
from runtime.templates.steps import Steps
from runtime.templates.store import TemplateStore
from runtime.templates.uploads import Uploads
from runtime.templates.workshop import Workshop


class Templates:
    """All of this runtime. `sandboxes` gives the records of those that there are."""

    def __init__(
        self,
        settings: RuntimeSettings,
        layout: Layout,
        workshop: Workshop,
        sandboxes: Callable[[], Iterable[SandboxRecord]],
    ) -> None:
        store = TemplateStore(layout.templates)
        self.default_limits = limits_of(settings)
        self._largest = largest_of(settings)
        self.catalogue = Catalogue(store)
        self.uploads = Uploads(layout.uploads, settings.upload_limit)
        self._workshop = workshop
        self._cache = StepCache(layout.cached_steps)
        builder = Builder(self.catalogue, workshop, self._cache, Steps(self.uploads), settings.build_timeout)
        self.builds = Builds(
            self.catalogue, store, builder, limit=settings.build_limit, seconds=settings.build_timeout
        )
        self._sandboxes = sandboxes

    def ask(
        self,
        team: str,
        name: str,
        tags: Iterable[str],
        *,
        processors: int | None,
        memory_mebibytes: int | None,
    ) -> tuple[Template, Build, list[str]]:
        """A build to come, with its tags; what is not said about its sandboxes is what the settings say.

        Raises `InvalidSandboxRequestError` where they would be larger than a sandbox may be.
        """
        self.builds.refuse_when_full()
        named: dict[str, float | None] = {"processors": processors, "memoryMB": memory_mebibytes}
        limits = limited(
            {name: value for name, value in named.items() if value is not None},
            self.default_limits,
            self._largest,
        )
        return self.catalogue.ask(team, name, tags, processors=limits.processors, memory=limits.memory)

    async def begin(self, template: Template, build: Build, definition: Definition) -> None:
        """Start a build that was asked for."""
        limits = replace(self.default_limits, processors=build.processors, memory=build.memory)
        await self.builds.begin(template, build, definition, limits)

    def limits(self, found: Found) -> Limits:
        """What a sandbox made from a template may use."""
        return replace(
            self.default_limits,
            processors=found.processors or self.default_limits.processors,
            memory=found.memory or self.default_limits.memory,
        )

    async def remove(self, team: str, text: str) -> None:
        """Remove a template; one that paused sandboxes were made from stays, as on E2B."""
        template = self.catalogue.find_own(team, text)
        if any(each.template == template.id and each.state == "paused" for each in self._sandboxes()):
            raise TemplateInUseError(
                f"cannot delete template '{template.id}' because there are paused sandboxes using it"
            )
        await self.builds.cancel(template)
        await self.catalogue.remove(template)
        self._workshop.sweep()

    def free_bytes(self) -> int:
        """Room for what sandboxes write, all together."""
        return self._workshop.free_bytes()

    def layers(self) -> set[str]:
        """All layers that some template, build or cached step needs."""
        return self.catalogue.layers() | self.builds.layers() | self._cache.layers()
