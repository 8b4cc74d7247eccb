"""Snapshots: what a sandbox's files were, kept as templates that sandboxes can be made from."""

from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from runtime.host.sandbox_host import SandboxHost
from runtime.host.start import Context
from runtime.templates.catalogue import Catalogue
from runtime.templates.names import parse_name
from runtime.templates.record import Build, Template

log = structlog.get_logger("runtime.snapshots")


@dataclass(frozen=True)
class Snapshot:
    """One capture, under the tag that it has."""

    template: Template
    build: Build
    tag: str

    @property
    def names(self) -> list[str]:
        """Its name with team and tag; none where it was given none."""
        if self.template.alias == self.template.id:
            return []
        return [f"{self.template.team}/{self.template.alias}:{self.tag}"]

    @property
    def id(self) -> str:
        """What a sandbox is made from it by."""
        return next(iter(self.names), f"{self.template.id}:{self.tag}")


class Snapshots:
    """The snapshots of this runtime."""

    def __init__(self, host: SandboxHost, catalogue: Catalogue) -> None:
        self._host = host
        self._catalogue = catalogue

    async def create(self, team: str, sandbox_id: str, name: str | None) -> Snapshot:
        """Capture a team's sandbox; under a name that exists, this is what the name means from now on."""
        wanted = None if name is None else self._catalogue.check_snapshot_name(team, name)
        self._host.find(sandbox_id, team)
        async with self._host.captured(sandbox_id) as (record, layers):
            build = Build.new(record.limits.processors, record.limits.memory)
            build.sandbox = record.id
            build.layers = layers
            build.context = Context(record.user, record.directory, dict(record.environment))
            build.start = record.start
            build.finish()
            template = self._catalogue.add_snapshot(team, wanted, build)
        snapshot = Snapshot(template, build, template.tags[-1].name)
        log.info("snapshot_created", sandbox=sandbox_id, snapshot=snapshot.id)
        return snapshot

    def of_team(self, team: str, *, sandbox_id: str | None, name: str | None) -> list[Snapshot]:
        """A team's snapshots, the youngest first; of one sandbox or under one name where that is asked."""
        wanted = None if name is None else parse_name(name)
        found = [
            each
            for each in self._all(team)
            if sandbox_id in (None, each.build.sandbox)
            and (wanted is None or wanted.alias in (each.template.id, each.template.alias))
            and (wanted is None or wanted.team in (None, team))
            and (wanted is None or wanted.tag in (None, each.tag))
        ]
        return sorted(found, key=lambda each: (each.build.created_at, each.build.id, each.tag), reverse=True)

    def _all(self, team: str) -> Iterator[Snapshot]:
        for template in self._catalogue.of_team(team):
            for tag in template.current_tags():
                build = template.build(tag.build_id)
                if build is not None and build.sandbox is not None:
                    yield Snapshot(template, build, tag.name)
