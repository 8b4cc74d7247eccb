"""TCP ports on this machine."""

import errno
import socket

from processes.errors import StartError


def require_free(host: str, port: int) -> int:
    """The port to listen on: `port`, or a free one for 0. Raises `StartError` when it is taken."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As the server does: connections of an earlier run that are still closing don't count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StartError(
                f"Port {port} on {host} is taken by another program. Stop that one, or choose another port "
                "(COMMANDCENTER_PORT, or commandcenter up --port)."
            ) from None
        raise StartError(
            f"Cannot listen on {host}, port {port}: {error.strerror}. Choose others with --host and --port."
        ) from error


def preferred_or_free(host: str, preferred: int) -> int:
    """`preferred` where it is free, else any free port."""
    try:
        return require_free(host, preferred)
    except StartError:
        return require_free(host, 0)
