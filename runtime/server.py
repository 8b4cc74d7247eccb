"""Start the runtime: settle its state, then serve until told to stop."""

import secrets
import socket

import structlog
import uvicorn

from runtime.application import Application
from runtime.host.layout import Layout, prepare_layout
from runtime.host.sandbox_host import SandboxHost
from runtime.host.staging import stage
from runtime.settings import RuntimeSettings

log = structlog.get_logger("runtime")


def main() -> None:
    """Serve with the settings of the environment."""
    settings = RuntimeSettings()
    layout = prepare_layout(settings.state_directory)
    programs = stage(layout)
    host = SandboxHost(settings, layout, programs)
    listener = _listen(settings)
    address, port = listener.getsockname()[:2]
    application = Application(
        host,
        settings,
        api_key=api_key(settings, layout),
        domain=settings.domain or f"localhost:{port}",
    )
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=600,
    )
    log.info("runtime_listening", url=f"http://{address}:{port}", state=str(layout.state))
    uvicorn.Server(config).run(sockets=[listener])


def api_key(settings: RuntimeSettings, layout: Layout) -> str:
    """The key that was given, or one made once and kept for this user's eyes alone."""
    if settings.api_key is not None:
        return settings.api_key.get_secret_value()
    if not layout.key_file.exists():
        layout.key_file.touch(mode=0o600)
        layout.key_file.write_text("e2b_" + secrets.token_hex(20) + "\n")
    return layout.key_file.read_text().strip()


def _listen(settings: RuntimeSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.host, settings.port))
    listener.listen(1024)
    return listener
