"""Which way of bounding files this machine allows."""

import structlog

from runtime.host.disk.disks import Disks, Folders
from runtime.host.disk.images import Images
from runtime.host.disk.mounting import enter_own_mounts
from runtime.host.layout import Layout

log = structlog.get_logger("runtime.disk")


def choose_disks(layout: Layout) -> Disks:
    """File systems of their own where we may mount them, else watched folders.

    Moves this process to mounts of its own; must be called before it starts a thread.
    """
    if not Images.available():
        return Folders()
    try:
        enter_own_mounts()
        return Images(layout.sandboxes, layout.state / "formatted")
    except OSError as error:
        log.warning("no_own_file_systems", error=str(error))
        return Folders()
