"""Start the runtime: settle its state, then serve until told to stop."""

import asyncio
import logging
import resource
import signal
import socket
import sys

import structlog
import uvicorn
import uvloop

from runtime.application import Application
from runtime.clients import client_variables, exports
from runtime.data_plane.connect_protocol import StreamAbortedError
from runtime.data_plane.upgrades import UpgradedConnection
from runtime.door.listening import Certificate, certificate_of, listen
from runtime.door.protocol import bounded_protocol
from runtime.host.errors import HostError
from runtime.host.layout import Layout, prepare_layout
from runtime.instance import Runtime
from runtime.keys import Keys, teams_by_key
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


def serve(settings: RuntimeSettings) -> None:
    """Serve until told to stop; a machine that can't is told by the error."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level.upper()]
        )
    )
    _raise_open_files()
    keep_freed_pieces()
    try:
        uvloop.run(_serve(settings))
    except asyncio.CancelledError:
        log.info("stopped_while_starting")


async def _serve(settings: RuntimeSettings) -> None:
    layout = prepare_layout(settings.state_directory)
    keys = teams_by_key(settings, layout)
    certificate = certificate_of(settings)
    listener = listen(settings, encrypted=certificate is not None)
    port = listener.getsockname()[1]
    runtime = Runtime(settings, layout)
    await _start(runtime)
    application = Application(
        runtime,
        keys=Keys(keys),
        domain=settings.domain or f"localhost:{port}",
    )
    config = uvicorn.Config(
        application,
        http=bounded_protocol(
            connection_limit=settings.connection_limit, head_seconds=settings.request_timeout
        ),
        ws=UpgradedConnection,
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_CONNECTION_SECONDS,
        timeout_graceful_shutdown=LEAVE_SECONDS,
        ssl_context_factory=None if certificate is None else lambda *_: certificate.context,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_no_abort)
    listener.listen(CONNECTIONS_WAITING)
    url = _url(listener, "http" if certificate is None else "https")
    log.info("runtime_listening", url=url, state=str(layout.state))
    announce(layout, url)
    if certificate is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _renew, certificate)
    if sys.stdout.isatty():
        print(exports(client_variables(settings, url, next(iter(keys)))), flush=True)
    try:
        await _Server(config, runtime).serve(sockets=[listener])
    finally:
        layout.address_file.unlink(missing_ok=True)


def announce(layout: Layout, url: str) -> None:
    """Write our address in one step: whoever finds the file finds it whole."""
    new = layout.address_file.with_suffix(".new")
    new.write_text(f"{url}\n")
    new.replace(layout.address_file)


def _url(listener: socket.socket, scheme: str) -> str:
    """Where this machine's programs reach us; who listens everywhere listens on loopback too."""
    address, port = listener.getsockname()[:2]
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - it is looked up
    return f"{scheme}://[{address}]:{port}" if ":" in address else f"{scheme}://{address}:{port}"


def _renew(certificate: Certificate) -> None:
    """Read a renewed certificate; where it can't be used, the one before serves on."""
    try:
        certificate.load()
    except HostError as error:
        log.error("certificate_not_renewed", error=str(error))  # noqa: TRY400 - the message says it all
    else:
        log.info("certificate_renewed")


async def _start(runtime: Runtime) -> None:
    """Start; told to stop meanwhile, leave nothing running. A start that fails leaves all to the next."""
    loop = asyncio.get_running_loop()
    starting = asyncio.ensure_future(runtime.start())
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, starting.cancel)
    try:
        await starting
    except asyncio.CancelledError:
        await runtime.stop()
        raise
    except BaseException:
        await runtime.give_up()
        raise
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
            # uvicorn has its own handlers while it serves, and afterwards raises the signal once more.
            signal.signal(number, lambda *_: None)


def _raise_open_files() -> None:
    """Each process inside takes six descriptors here."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _is_no_abort(entry: logging.LogRecord) -> bool:
    """Streams that we break off on purpose are no errors of the server."""
    return not (entry.exc_info and isinstance(entry.exc_info[1], StreamAbortedError))
