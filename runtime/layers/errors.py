"""What can go wrong with layers; each message tells what to do about it."""

from runtime.host.errors import HostError, InvalidSandboxRequestError, TemplateNotFoundError


class DiskFullError(HostError):
    """There is no room for another layer."""


class CaptureTooSlowError(HostError):
    """Copying took longer than its bound."""


class TreeTooDeepError(InvalidSandboxRequestError):
    """Folders are nested deeper than anything here follows."""


class LayerNotFoundError(TemplateNotFoundError):
    """A layer that something is based on isn't there any more."""
