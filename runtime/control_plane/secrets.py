"""E2B's control plane for secrets. Their values come in and never go out."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.control_plane.answers import moment
from runtime.control_plane.bodies import Paging, read_body, read_query
from runtime.control_plane.teams import team_of
from runtime.secrets import Secret, Secrets


class NewSecret(BaseModel):
    """A secret to be kept."""

    name: str
    value: str
    metadata: dict[str, str] = {}


class SecretUpdate(BaseModel):
    """A secret's next value."""

    value: str
    metadata: dict[str, str] | None = None


class SecretEndpoints:
    """The endpoints; a secret is named by its id or its name."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def routes(self) -> list[Route]:
        """Their paths."""
        one = "/secrets/{secret:path}"
        return [
            Route("/secrets", self.create, methods=["POST"]),
            Route("/secrets", self.list_secrets, methods=["GET"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.update, methods=["POST"]),
            Route(one, self.destroy, methods=["DELETE"]),
        ]

    async def create(self, request: Request) -> Response:
        """Keep a new one."""
        body = await read_body(request, NewSecret)
        secret = self._secrets.create(team_of(request), body.name, body.value, body.metadata)
        return JSONResponse(_described(secret), HTTPStatus.CREATED)

    async def list_secrets(self, request: Request) -> Response:
        """The team's, in pages; a page's token is the id of its last."""
        wanted = read_query(request, Paging)
        secrets = self._secrets.of_team(team_of(request))
        ids = [secret.id for secret in secrets]
        begin = ids.index(wanted.nextToken) + 1 if wanted.nextToken in ids else 0
        page = secrets[begin : begin + wanted.limit]
        more = begin + len(page) < len(secrets)
        headers = {"x-next-token": page[-1].id} if more else None
        return JSONResponse([_described(secret) for secret in page], headers=headers)

    async def get(self, request: Request) -> Response:
        """All about one, but its value."""
        return JSONResponse(_described(self._secrets.find(team_of(request), _name(request))))

    async def update(self, request: Request) -> Response:
        """Give it its next value."""
        body = await read_body(request, SecretUpdate)
        return JSONResponse(
            _described(self._secrets.update(team_of(request), _name(request), body.value, body.metadata))
        )

    async def destroy(self, request: Request) -> Response:
        """Forget it."""
        self._secrets.destroy(team_of(request), _name(request))
        return Response(status_code=HTTPStatus.NO_CONTENT)


def _name(request: Request) -> str:
    name: str = request.path_params["secret"]
    return name


def _described(secret: Secret) -> dict[str, Any]:
    return {
        "secretID": secret.id,
        "name": secret.name,
        "currentVersion": secret.version,
        "metadata": secret.metadata,
        "createdAt": moment(secret.created_at),
        "updatedAt": moment(secret.updated_at),
    }
