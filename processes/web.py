"""`commandcenter web`: the web process."""

import uvicorn

from commandcenter.settings import Settings
from web.application import create_application
from web.server import server_configuration


def serve_web(settings: Settings) -> None:
    """Serve until a signal asks to stop."""
    uvicorn.Server(server_configuration(create_application, settings)).run()
