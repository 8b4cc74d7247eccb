"""All templates: found by name, asked for, tagged, published, removed.

A template belongs to a team; what is public can be used, not changed, by every team. `base` is everybody's
and is always there: it has no layers of its own.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from runtime.host.errors import TemplateNotFoundError
from runtime.host.start import Context, Start
from runtime.templates.errors import BuildNotFoundError, InvalidTemplateError, TemplateTakenError
from runtime.templates.names import DEFAULT_TAG, TemplateName, parse_name, parse_tags
from runtime.templates.record import Build, Reason, Template, new_template_id
from runtime.templates.store import TemplateStore

log = structlog.get_logger("runtime.templates")

BASE = "base"
BASE_BUILD = "00000000-0000-4000-8000-000000000000"
TEMPLATES_LIMIT = 1000
BUILDS_KEPT = 100
SUPERSEDED = "The build was canceled because it was superseded by a newer one."
INTERRUPTED = "The runtime ended while it was built. Build again: the steps that were done are kept."


@dataclass(frozen=True)
class Found:
    """What a sandbox is made from: a template with one ready build of it."""

    template_id: str
    alias: str
    build_id: str
    layers: tuple[str, ...] = ()
    context: Context = field(default_factory=Context)
    start: Start | None = None
    processors: float | None = None
    memory: int | None = None
    """In bytes; None is what the settings say."""


BASE_FOUND = Found(BASE, BASE, BASE_BUILD)


class Catalogue:
    """The templates of this runtime, each saved with every change."""

    def __init__(self, store: TemplateStore) -> None:
        self._store = store
        self._templates = {template.id: template for template in store.load_all()}
        for template in self._templates.values():
            self._fail_interrupted(template)

    def of_team(self, team: str) -> list[Template]:
        """A team's own templates, the oldest first."""
        own = (each for each in self._templates.values() if each.team == team)
        return sorted(own, key=lambda each: (each.created_at, each.id))

    def find(self, team: str, name: TemplateName) -> Template:
        """A template that a team may use, by alias or id; `TemplateNotFoundError` tells what there is."""
        candidates = [
            each
            for each in self._templates.values()
            if name.alias in (each.id, each.alias) and name.team in (None, each.team)
        ]
        # One's own comes before what others have published under the same name.
        for each in sorted(candidates, key=lambda candidate: candidate.team != team):
            if each.team == team or each.public:
                return each
        raise TemplateNotFoundError(f"template '{name.alias}' not found; there are: {self.names(team)}")

    def find_own(self, team: str, text: str) -> Template:
        """A template that a team may change, by alias or id; raises `TemplateNotFoundError`."""
        name = parse_name(text)
        if name.alias == BASE and name.team is None:
            raise TemplateTakenError(f"template '{BASE}' is everybody's; it can be used, not changed")
        template = self.find(team, name)
        if template.team != team:
            raise TemplateNotFoundError(f"template '{text}' is another team's; it can be used, not changed")
        return template

    def resolve(self, team: str, text: str) -> Found:
        """What a name or id means for a new sandbox; raises `TemplateNotFoundError`."""
        name = parse_name(text)
        if name.alias == BASE and name.team is None:
            return BASE_FOUND
        template = self.find(team, name)
        build = template.tagged(name.effective_tag)
        if build is None and name.tag is not None:
            raise TemplateNotFoundError(f"template '{name.alias}' with tag '{name.tag}' not found")
        if build is None:
            raise TemplateNotFoundError(f"template '{name.alias}' has no ready build")
        return Found(
            template_id=template.id,
            alias=template.alias,
            build_id=build.id,
            layers=tuple(build.layers),
            context=build.context,
            start=build.start,
            processors=build.processors,
            memory=build.memory,
        )

    def ask(
        self, team: str, text: str, tags: Iterable[str], *, processors: float, memory: int
    ) -> tuple[Template, Build, list[str]]:
        """A build to come, of a new template or of one that is there; gives its tags too."""
        name = parse_name(text)
        if name.team not in (None, team):
            raise InvalidTemplateError(f"namespace '{name.team}' must match your team '{team}'")
        if name.alias == BASE:
            raise TemplateTakenError(f"Alias '{BASE}' is already used; choose another name")
        names = parse_tags([*([name.tag] if name.tag else []), *tags]) or [DEFAULT_TAG]
        template = self._own_or_new(team, name.alias)
        for build in template.builds:
            asked = {tag.name for tag in template.tags if tag.build_id == build.id}
            if build.status == "waiting" and asked & set(names):
                build.finish(Reason(SUPERSEDED))
        build = Build.new(processors, memory)
        template.builds.append(build)
        template.asked += 1
        template.assign(build.id, names)
        self._forget_old_builds(template)
        self._templates[template.id] = template
        self.save(template)
        return template, build, names

    def check_snapshot_name(self, team: str, text: str) -> TemplateName:
        """The name that a team's snapshot is to have; raises `InvalidTemplateError`."""
        name = parse_name(text)
        if name.team not in (None, team):
            raise InvalidTemplateError(f"namespace '{name.team}' must match your team '{team}'")
        if name.alias == BASE:
            raise TemplateTakenError(f"Alias '{BASE}' is already used; choose another name")
        return name

    def add_snapshot(self, team: str, name: TemplateName | None, build: Build) -> Template:
        """Keep what was captured from a sandbox: under a name that may be there already, or none."""
        template = None
        if name is not None:
            own = (each for each in self.of_team(team) if name.alias in (each.id, each.alias))
            template = next(own, None)
        if template is None:
            template = _new_template(team, name.alias if name is not None else "")
            template.alias = template.alias or template.id
        template.builds.append(build)
        template.assign(build.id, [name.effective_tag if name is not None else DEFAULT_TAG])
        self._forget_old_builds(template)
        self._templates[template.id] = template
        self.save(template)
        return template

    def build(self, team: str, template_id: str, build_id: str) -> tuple[Template, Build]:
        """A build by its ids; raises `BuildNotFoundError`."""
        template = self.find_own(team, template_id)
        build = template.build(build_id)
        if build is None:
            raise BuildNotFoundError(f"Build '{build_id}' of template '{template_id}' not found")
        return template, build

    def assign(self, team: str, target: str, tags: Iterable[str]) -> tuple[Build, list[str]]:
        """Give tags to the build that a `name:tag` means."""
        names = parse_tags(tags)
        if not names:
            raise InvalidTemplateError("At least one tag is required")
        template = self.find_own(team, target)
        build = template.tagged(parse_name(target).effective_tag)
        if build is None:
            raise TemplateNotFoundError(f"Template '{target}' not found: no ready build has this tag")
        template.assign(build.id, names)
        self.save(template)
        return build, names

    def unassign(self, team: str, text: str, tags: Iterable[str]) -> None:
        """Take tags away; the default one stays."""
        names = parse_tags(tags)
        if parse_name(text).tag is not None:
            raise InvalidTemplateError("Template name should not contain a tag, use the 'tags' field instead")
        if not names:
            raise InvalidTemplateError("At least one tag is required")
        if DEFAULT_TAG in names:
            raise InvalidTemplateError(f"Cannot delete the '{DEFAULT_TAG}' tag")
        template = self.find_own(team, text)
        template.tags = [tag for tag in template.tags if tag.name not in names]
        self.save(template)

    def publish(self, template: Template, *, public: bool) -> None:
        """Let every team use it, or its own team alone."""
        template.public = public
        template.updated_at = datetime.now(UTC)
        self.save(template)

    def count_spawn(self, template_id: str) -> None:
        """A sandbox was made from it."""
        template = self._templates.get(template_id)
        if template is not None:
            template.spawned += 1
            template.spawned_at = datetime.now(UTC)
            self.save(template)

    async def remove(self, template: Template) -> None:
        """Forget it; sandboxes that were made from it keep their layers."""
        self._templates.pop(template.id, None)
        await asyncio.to_thread(self._store.remove, template.id)
        log.info("template_removed", template=template.id, alias=template.alias)

    def save(self, template: Template) -> None:
        """Write down a change; one that was removed meanwhile stays so."""
        if template.id in self._templates:
            self._store.save(template)

    def layers(self) -> set[str]:
        """All layers that some build needs."""
        return {
            layer
            for template in self._templates.values()
            for build in template.builds
            for layer in build.layers
        }

    def names(self, team: str) -> str:
        """What a team can make sandboxes from, for messages."""
        usable = (each for each in self._templates.values() if each.team == team or each.public)
        aliases = [each.alias for each in usable if each.alias != each.id]
        return ", ".join([BASE, *sorted(set(aliases))])

    def _own_or_new(self, team: str, alias: str) -> Template:
        own = self.of_team(team)
        for template in own:
            if alias in (template.id, template.alias):
                return template
        if len(own) >= TEMPLATES_LIMIT:
            raise InvalidTemplateError(f"A team has at most {TEMPLATES_LIMIT} templates; delete some")
        return _new_template(team, alias)

    def _forget_old_builds(self, template: Template) -> None:
        tagged = {tag.build_id for tag in template.current_tags()}
        old = [each for each in template.builds if each.is_over and each.id not in tagged]
        for build in old[: max(0, len(template.builds) - BUILDS_KEPT)]:
            template.builds.remove(build)
            self._store.log_path(template.id, build.id).unlink(missing_ok=True)
        known = {build.id for build in template.builds}
        template.tags = [tag for tag in template.tags if tag.build_id in known]

    def _fail_interrupted(self, template: Template) -> None:
        under_way = [build for build in template.builds if build.status == "building"]
        for build in under_way:
            build.finish(Reason(INTERRUPTED))
        if under_way:
            self._store.save(template)


def _new_template(team: str, alias: str) -> Template:
    now = datetime.now(UTC)
    return Template(new_template_id(), team, alias, created_at=now, updated_at=now)
