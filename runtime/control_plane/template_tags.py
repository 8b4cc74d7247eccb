"""E2B's control plane for tags: names of a template's builds."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.control_plane.bodies import read_body
from runtime.control_plane.teams import team_of
from runtime.control_plane.template_answers import tag_row
from runtime.control_plane.template_bodies import TagsToAssign, TagsToRemove
from runtime.templates.catalogue import Catalogue
from runtime.templates.names import clean_tag, parse_name


class TagEndpoints:
    """The endpoints; their paths come before those of templates."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def routes(self) -> list[Route]:
        """The paths."""
        one = "/templates/{id:path}/tags"
        return [
            Route("/templates/tags", self.assign, methods=["POST"]),
            Route("/templates/tags", self.remove, methods=["DELETE"]),
            Route(one, self.list_all, methods=["GET"]),
            Route(one + "/count", self.count, methods=["GET"]),
            Route(one + "/exists", self.exists, methods=["GET"]),
        ]

    async def assign(self, request: Request) -> Response:
        """Give tags to a build."""
        body = await read_body(request, TagsToAssign)
        build, tags = self._catalogue.assign(team_of(request), body.target, body.tags)
        return JSONResponse({"tags": tags, "buildID": build.id}, HTTPStatus.CREATED)

    async def remove(self, request: Request) -> Response:
        """Take tags away."""
        body = await read_body(request, TagsToRemove)
        self._catalogue.unassign(team_of(request), body.name, body.tags)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def list_all(self, request: Request) -> Response:
        """The tags of a template, the youngest first."""
        template = self._catalogue.find(team_of(request), parse_name(request.path_params["id"]))
        return JSONResponse([tag_row(tag) for tag in template.current_tags()])

    async def count(self, request: Request) -> Response:
        """How many tags a template has."""
        template = self._catalogue.find(team_of(request), parse_name(request.path_params["id"]))
        return JSONResponse({"total": len(template.current_tags())})

    async def exists(self, request: Request) -> Response:
        """Whether a template has a tag."""
        template = self._catalogue.find(team_of(request), parse_name(request.path_params["id"]))
        tag = clean_tag(request.query_params.get("tag", ""))
        return JSONResponse({"exists": template.tagged(tag) is not None, "normalizedTag": tag})
