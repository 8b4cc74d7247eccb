"""`commandcenter web`: the web process."""

import uvicorn
from web.application import create_application
from web.server import server_configuration

from commandcenter.settings import Settings


def serve_web(settings: Settings) -> None:
    """Serve until a signal asks to stop."""
    uvicorn.Server(server_configuration(create_application, settings)).run()
