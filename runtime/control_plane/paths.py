"""What a request's path names."""

from starlette.requests import Request


def sandbox_id(request: Request) -> str:
    """The sandbox; older clients write the client's id behind a dash."""
    whole: str = request.path_params["id"]
    return whole.partition("-")[0]
