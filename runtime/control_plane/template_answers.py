"""Templates as E2B's control plane describes them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from runtime.control_plane.answers import ENVD_VERSION, MEBIBYTE, moment
from runtime.host.record import Limits
from runtime.templates.catalogue import BASE, BASE_BUILD
from runtime.templates.logs import LogEntry
from runtime.templates.record import Build, Tag, Template

BASE_SINCE = datetime(2026, 11, 1, tzinfo=UTC)


def template_row(template: Template, disk_bytes: int) -> dict[str, Any]:
    """A template, as the list has it; it is what its newest build is."""
    build = template.newest()
    return {
        "templateID": template.id,
        "buildID": build.id,
        "cpuCount": round(build.processors),
        "memoryMB": build.memory // MEBIBYTE,
        "diskSizeMB": disk_bytes // MEBIBYTE,
        "public": template.public,
        "aliases": [template.alias],
        "names": [template.alias],
        "createdAt": moment(template.created_at),
        "updatedAt": moment(template.updated_at),
        "createdBy": None,
        "lastSpawnedAt": None if template.spawned_at is None else moment(template.spawned_at),
        "spawnCount": template.spawned,
        "buildCount": template.asked,
        "envdVersion": ENVD_VERSION,
        "buildStatus": build.status,
    }


def base_template(limits: Limits) -> Template:
    """The template that is always there, as a record like the others."""
    build = Build(
        BASE_BUILD, limits.processors, limits.memory, BASE_SINCE, BASE_SINCE, "ready", BASE_SINCE
    )  # fmt: skip
    tags = [Tag("default", BASE_BUILD, BASE_SINCE)]
    return Template(BASE, "", BASE, BASE_SINCE, BASE_SINCE, public=True, builds=[build], tags=tags, asked=1)


def build_row(build: Build) -> dict[str, Any]:
    """A build, as its template's list has it."""
    row = {
        "buildID": build.id,
        "status": build.status,
        "createdAt": moment(build.created_at),
        "updatedAt": moment(build.updated_at),
        "cpuCount": round(build.processors),
        "memoryMB": build.memory // MEBIBYTE,
        "envdVersion": ENVD_VERSION,
    }
    return row if build.finished_at is None else row | {"finishedAt": moment(build.finished_at)}


def requested(template: Template, build: Build, tags: Sequence[str]) -> dict[str, Any]:
    """The answer to who asked for a build."""
    return {
        "templateID": template.id,
        "buildID": build.id,
        "public": template.public,
        "names": [template.alias],
        "aliases": [template.alias],
        "tags": list(tags),
    }


def build_status(
    template: Template, build: Build, entries: Sequence[LogEntry], all_entries: Sequence[LogEntry]
) -> dict[str, Any]:
    """How far a build is, with the part of its log that was asked for."""
    status: dict[str, Any] = {
        "templateID": template.id,
        "buildID": build.id,
        "status": build.status,
        "logs": [],
        "logEntries": [entry.to_json() for entry in entries],
    }
    if build.reason is not None:
        step = {} if build.reason.step is None else {"step": build.reason.step}
        told = [entry.to_json() for entry in all_entries[-20:] if entry.step == build.reason.step]
        status["reason"] = {"message": build.reason.message, "logEntries": told} | step
    return status


def tag_row(tag: Tag) -> dict[str, Any]:
    """A tag as it stands."""
    return {"tag": tag.name, "buildID": tag.build_id, "createdAt": moment(tag.at)}
