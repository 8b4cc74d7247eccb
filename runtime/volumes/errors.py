"""What can go wrong with a volume; each message tells what to do about it."""

from runtime.host.errors import HostError


class VolumeNotFoundError(HostError):
    """No such volume."""


class VolumeTokenError(HostError):
    """A request for a volume's content without its token."""


class InvalidVolumeError(HostError):
    """A name, path or mount that can't be."""


class VolumeInUseError(HostError):
    """Sandboxes have it mounted."""


class VolumeLimitError(HostError):
    """As many volumes as the settings allow."""


class PathNotFoundError(HostError):
    """Nothing is at this path of a volume."""


class PathTakenError(HostError):
    """Something is at this path of a volume already."""


class PathRefusedError(HostError):
    """The system doesn't let us do this to a path of a volume."""
