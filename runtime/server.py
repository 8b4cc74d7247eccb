"""Start the runtime: settle its state, then serve until told to stop."""

import asyncio
import logging
import resource
import secrets
import signal
import socket
import sys

import structlog
import uvicorn
import uvloop

from runtime.application import Application
from runtime.data_plane.connect_protocol import StreamAbortedError
from runtime.data_plane.upgrades import UpgradedConnection
from runtime.host.errors import HostError
from runtime.host.layout import Layout, prepare_layout
from runtime.instance import Runtime
from runtime.memory import keep_freed_pieces
from runtime.settings import RuntimeSettings

log = structlog.get_logger("runtime")

CONNECTIONS_WAITING = 1024
IDLE_CONNECTION_SECONDS = 600
LEAVE_SECONDS = 5
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Server(uvicorn.Server):
    """uvicorn, but sandboxes end before it waits for their streams to end."""

    def __init__(self, config: uvicorn.Config, runtime: Runtime) -> None:
        super().__init__(config)
        self._runtime = runtime

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._runtime.stop()
        await super().shutdown(sockets)


def main() -> None:
    """Serve with the settings of the environment; a machine that can't is told in one line."""
    settings = RuntimeSettings()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level.upper()]
        )
    )
    _raise_open_files()
    keep_freed_pieces()
    try:
        uvloop.run(_serve(settings))
    except (HostError, OSError) as error:
        sys.exit(f"runtime: {error}")
    except asyncio.CancelledError:
        log.info("stopped_while_starting")


async def _serve(settings: RuntimeSettings) -> None:
    layout = prepare_layout(settings.state_directory)
    listener = _listen(settings)
    address, port = listener.getsockname()[:2]
    runtime = Runtime(settings, layout)
    await _start(runtime)
    application = Application(
        runtime,
        api_key=api_key(settings, layout),
        domain=settings.domain or f"localhost:{port}",
    )
    config = uvicorn.Config(
        application,
        http="httptools",
        ws=UpgradedConnection,
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=IDLE_CONNECTION_SECONDS,
        timeout_graceful_shutdown=LEAVE_SECONDS,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_no_abort)
    listener.listen(CONNECTIONS_WAITING)
    log.info("runtime_listening", url=f"http://{address}:{port}", state=str(layout.state))
    announce(layout, f"http://{address}:{port}")
    try:
        await _Server(config, runtime).serve(sockets=[listener])
    finally:
        layout.address_file.unlink(missing_ok=True)


def announce(layout: Layout, url: str) -> None:
    """Write our address in one step: whoever finds the file finds it whole."""
    new = layout.address_file.with_suffix(".new")
    new.write_text(f"{url}\n")
    new.replace(layout.address_file)


async def _start(runtime: Runtime) -> None:
    """Start; told to stop meanwhile, leave nothing behind."""
    loop = asyncio.get_running_loop()
    starting = asyncio.ensure_future(runtime.start())
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, starting.cancel)
    try:
        await starting
    except BaseException:
        await runtime.stop()
        raise
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
            # uvicorn has its own handlers while it serves, and afterwards raises the signal once more.
            signal.signal(number, lambda *_: None)


def api_key(settings: RuntimeSettings, layout: Layout) -> str:
    """The key that was given, or one made once and kept for this user's eyes alone."""
    if settings.api_key is not None:
        return settings.api_key.get_secret_value()
    if not layout.key_file.exists():
        layout.key_file.touch(mode=0o600)
        layout.key_file.write_text("e2b_" + secrets.token_hex(20) + "\n")
    return layout.key_file.read_text().strip()


def _listen(settings: RuntimeSettings) -> socket.socket:
    """Hold the address; nobody is let in before the self-test has passed."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise OSError(
            f"can't listen on {settings.host}:{settings.port} ({error.strerror}). "
            "Set RUNTIME_PORT to a free port."
        ) from error
    return listener


def _raise_open_files() -> None:
    """Each process inside takes six descriptors here."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _is_no_abort(entry: logging.LogRecord) -> bool:
    """Streams that we break off on purpose are no errors of the server."""
    return not (entry.exc_info and isinstance(entry.exc_info[1], StreamAbortedError))
