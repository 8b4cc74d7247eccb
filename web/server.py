"""How the web process is served: uvicorn, with every bound that it offers set."""

from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette

from commandcenter.settings import Settings
from web.stall_limit import StallLimitedHTTP, StallLimitedWebSocket

WEBSOCKET_MESSAGE_BYTES = 1_048_576
KEEP_ALIVE_SECONDS = 30
PING_SECONDS = 20.0
SHUTDOWN_SECONDS = 10
CONNECTIONS = 4_096


def server_configuration(
    application: Callable[[], Starlette], settings: Settings, **overrides: Any
) -> uvicorn.Config:
    """uvicorn's configuration for an application factory; `overrides` go before what is set here.

    Nothing is compressed: answers with secrets of different origin in one body, and streams, must not be.
    """
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "factory": True,
        "loop": "uvloop",
        "http": StallLimitedHTTP,
        "ws": StallLimitedWebSocket,
        "ws_max_size": WEBSOCKET_MESSAGE_BYTES,
        "ws_per_message_deflate": False,
        "ws_ping_interval": PING_SECONDS,
        "ws_ping_timeout": PING_SECONDS,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        # An open stream would hold the exit up for ever.
        "timeout_graceful_shutdown": SHUTDOWN_SECONDS,
        "limit_concurrency": CONNECTIONS,
        "proxy_headers": settings.public_url is not None,
        "server_header": False,
        "access_log": False,
        "log_config": None,
        "lifespan": "on",
    }
    return uvicorn.Config(application, **(options | overrides))
