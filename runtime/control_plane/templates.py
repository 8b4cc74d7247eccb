"""E2B's control plane for templates: asked for, built, followed, listed, removed."""

from datetime import datetime
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.control_plane.bodies import read_body, read_query
from runtime.control_plane.teams import team_of
from runtime.control_plane.template_answers import (
    base_template,
    build_row,
    build_status,
    requested,
    template_row,
)
from runtime.control_plane.template_bodies import (
    BuildLogsQuery,
    BuildStart,
    NewBuild,
    Page,
    StatusQuery,
    TemplateUpdate,
)
from runtime.control_plane.template_uploads import UPLOADS_PREFIX
from runtime.templates.catalogue import BASE
from runtime.templates.errors import InvalidTemplateError
from runtime.templates.logs import LogEntry, of_level
from runtime.templates.names import parse_name
from runtime.templates.record import Build, Template
from runtime.templates.templates import Templates


class TemplateEndpoints:
    """The endpoints; `routes` says where each is. An id in a path may be a name, with a slash in it."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    def routes(self) -> list[Route]:
        """The paths, the special ones first."""
        one = "/templates/{id:path}"
        build = one + "/builds/{build}"
        return [
            Route("/default-templates", self.defaults, methods=["GET"]),
            Route("/v3/templates", self.ask, methods=["POST"]),
            Route("/templates", self.list_all, methods=["GET"]),
            Route("/v2/templates", self.list_page, methods=["GET"]),
            Route("/templates/aliases/{id:path}", self.find_alias, methods=["GET"]),
            Route(one + "/files/{hash}", self.find_files, methods=["GET"]),
            Route("/v2" + build, self.begin, methods=["POST"]),
            Route(build + "/status", self.status, methods=["GET"]),
            Route(build + "/logs", self.logs, methods=["GET"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.remove, methods=["DELETE"]),
            Route(one, self.update, methods=["PATCH"]),
            Route("/v2" + one, self.update, methods=["PATCH"]),
        ]

    async def defaults(self, _: Request) -> Response:
        """What everybody can use."""
        return JSONResponse([self._row(self._base()) | {"isDefault": True}])

    async def list_all(self, request: Request) -> Response:
        """The team's own templates."""
        return JSONResponse([self._row(each) for each in self._own(request)])

    async def list_page(self, request: Request) -> Response:
        """The team's own templates, in pages."""
        wanted = read_query(request, Page)
        own = self._own(request)
        page = own[wanted.nextToken : wanted.nextToken + wanted.limit]
        headers = _next_page(wanted, len(own))
        return JSONResponse([self._row(each) for each in page], headers=headers)

    async def find_alias(self, request: Request) -> Response:
        """Whether a name is taken."""
        template = self._find(request)
        return JSONResponse({"templateID": template.id, "public": template.public})

    async def get(self, request: Request) -> Response:
        """One template with its builds, the youngest first."""
        wanted = read_query(request, Page)
        template = self._find(request)
        builds = template.builds[::-1]
        page = builds[wanted.nextToken : wanted.nextToken + wanted.limit]
        answer = self._row(template) | {"builds": [build_row(each) for each in page]}
        return JSONResponse(answer, headers=_next_page(wanted, len(builds)))

    async def update(self, request: Request) -> Response:
        """Let others use it, or not."""
        body = await read_body(request, TemplateUpdate)
        template = self._templates.catalogue.find_own(team_of(request), request.path_params["id"])
        if body.public is not None:
            self._templates.catalogue.publish(template, public=body.public)
        return JSONResponse({"names": [template.alias]})

    async def remove(self, request: Request) -> Response:
        """Remove a template."""
        await self._templates.remove(team_of(request), request.path_params["id"])
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def ask(self, request: Request) -> Response:
        """Ask for a build of a template, that is there or new."""
        body = await read_body(request, NewBuild)
        name = body.name or body.alias
        if name is None:
            raise InvalidTemplateError("Name is required")
        template, build, tags = self._templates.ask(
            team_of(request), name, body.tags, processors=body.cpuCount, memory_mebibytes=body.memoryMB
        )
        return JSONResponse(requested(template, build, tags), HTTPStatus.ACCEPTED)

    async def find_files(self, request: Request) -> Response:
        """Whether an archive is here, and where to send it."""
        team, files_hash = team_of(request), request.path_params["hash"]
        self._templates.catalogue.find_own(team, request.path_params["id"])
        present = self._templates.uploads.has(team, files_hash)
        query = self._templates.uploads.sign(team, files_hash)
        url = f"{str(request.base_url).rstrip('/')}{UPLOADS_PREFIX}{files_hash}?{query}"
        return JSONResponse({"present": present, "url": url}, HTTPStatus.CREATED)

    async def begin(self, request: Request) -> Response:
        """Start a build that was asked for."""
        body = await read_body(request, BuildStart)
        await self._templates.begin(*self._build(request), body.definition())
        return Response(status_code=HTTPStatus.ACCEPTED)

    async def status(self, request: Request) -> Response:
        """How far a build is, and what it has told since the client last asked."""
        wanted = read_query(request, StatusQuery)
        template, build = self._build(request)
        entries = await self._templates.builds.entries(template, build)
        chosen = of_level(entries, wanted.level)[wanted.logsOffset :][: wanted.limit]
        return JSONResponse(build_status(template, build, chosen, entries))

    async def logs(self, request: Request) -> Response:
        """What a build has told, from a time on or backward from it."""
        wanted = read_query(request, BuildLogsQuery)
        entries = of_level(await self._templates.builds.entries(*self._build(request)), wanted.level)
        if wanted.direction == "backward":
            entries = [each for each in entries if _up_to(wanted.cursor, each)][::-1]
        else:
            entries = [each for each in entries if _from(wanted.cursor, each)]
        return JSONResponse({"logs": [entry.to_json() for entry in entries[: wanted.limit]]})

    def _find(self, request: Request) -> Template:
        name = parse_name(request.path_params["id"])
        if name.alias == BASE and name.team is None:
            return self._base()
        return self._templates.catalogue.find(team_of(request), name)

    def _own(self, request: Request) -> list[Template]:
        own = self._templates.catalogue.of_team(team_of(request))
        return [each for each in own if not each.is_snapshot]

    def _build(self, request: Request) -> tuple[Template, Build]:
        found = request.path_params
        return self._templates.catalogue.build(team_of(request), found["id"], found["build"])

    def _base(self) -> Template:
        return base_template(self._templates.default_limits)

    def _row(self, template: Template) -> dict[str, object]:
        return template_row(template, self._templates.free_bytes())


def _next_page(wanted: Page, total: int) -> dict[str, str] | None:
    end = wanted.nextToken + wanted.limit
    return {"x-next-token": str(end)} if end < total else None


def _milliseconds(entry: LogEntry) -> int:
    return int(datetime.fromisoformat(entry.timestamp).timestamp() * 1000)


def _from(cursor: int | None, entry: LogEntry) -> bool:
    return cursor is None or _milliseconds(entry) >= cursor


def _up_to(cursor: int | None, entry: LogEntry) -> bool:
    return cursor is None or _milliseconds(entry) <= cursor
