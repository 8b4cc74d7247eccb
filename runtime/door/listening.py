"""The address that the runtime listens on, and TLS: plain HTTP doesn't leave the machine unless told to."""

import ipaddress
import socket
import ssl
from pathlib import Path

from runtime.host.errors import MachineUnfitError
from runtime.settings import RuntimeSettings

# A peer that vanished without a word is let go after about two minutes.
KEEPALIVE = {socket.TCP_KEEPIDLE: 60, socket.TCP_KEEPINTVL: 15, socket.TCP_KEEPCNT: 4}


class Certificate:
    """The server's certificate; read anew when it was renewed, for connections made from then on."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.load()

    def load(self) -> None:
        """Read the files; raises MachineUnfitError where they can't be used."""
        certificate, key = self._files
        try:
            self.context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise MachineUnfitError(
                f"The certificate {certificate} with the key {key} can't be used ({error}). Set "
                "RUNTIME_TLS_CERTIFICATE and RUNTIME_TLS_KEY to files of PEM that belong together."
            ) from error


def certificate_of(settings: RuntimeSettings) -> Certificate | None:
    """The certificate that the settings name, or None for plain HTTP; raises MachineUnfitError."""
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise MachineUnfitError("RUNTIME_TLS_CERTIFICATE and RUNTIME_TLS_KEY are needed both, or neither.")
    return Certificate(certificate, key)


def listen(settings: RuntimeSettings, *, encrypted: bool) -> socket.socket:
    """Hold the address; nobody is let in before the self-test has passed."""
    if not encrypted and not settings.insecure_plain_http and not _is_loopback(settings.host):
        raise MachineUnfitError(
            f"On RUNTIME_HOST={settings.host}, keys and files would cross the network in the clear. Set "
            "RUNTIME_TLS_CERTIFICATE and RUNTIME_TLS_KEY; or, behind a proxy that speaks TLS, "
            "RUNTIME_INSECURE_PLAIN_HTTP=true."
        )
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE.items():
        listener.setsockopt(socket.IPPROTO_TCP, option, value)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise OSError(
            f"can't listen on {settings.host}:{settings.port} ({error.strerror}). "
            "Set RUNTIME_PORT to a free port."
        ) from error
    return listener


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
