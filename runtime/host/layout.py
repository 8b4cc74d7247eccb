"""Where the runtime keeps things on disk, and who may reach them.

`state` holds records and keys, for us alone. `shared` holds what a sandbox's own user must reach: the
programs and the sandboxes' files. Both are the state directory, unless that lies below a closed folder
(root's home, say); then `shared` is a folder in /var/lib named after it.
"""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from runtime.host.errors import MachineUnfitError

FALLBACK = Path("/var/lib/commandcenter-runtime")
TREES = ("root", "usr")
"""The trees of a sandbox, and of a layer: `/`, and `/usr`, which lies upon the host's own."""


@dataclass(frozen=True)
class Layout:
    """The folders of one runtime; made by `prepare_layout`."""

    state: Path
    shared: Path

    @property
    def programs(self) -> Path:
        """bubblewrap, the programs for inside, and the sandboxes' /etc: readable for everyone."""
        return self.shared / "programs"

    @property
    def staging(self) -> Path:
        """Where the launcher mounts a sandbox's trees, in a namespace of its own; on disk it stays empty."""
        return self.programs / "mounts"

    @property
    def layers(self) -> Path:
        """What sandboxes lie upon: a folder for each layer, never changed once it is there.

        Files in it bear the owners and modes that they have inside, so nobody else comes in.
        """
        return self.shared / "layers"

    @property
    def volumes(self) -> Path:
        """A folder for each volume; closed to others, as the layers are."""
        return self.shared / "volumes"

    def volume_files(self, volume_id: str) -> Path:
        """What sandboxes see of a volume."""
        return self.volumes / volume_id / "files"

    @property
    def sandboxes(self) -> Path:
        """A folder for each sandbox."""
        return self.shared / "sandboxes"

    @property
    def journals(self) -> Path:
        """What happened to each sandbox."""
        return self.state / "journals"

    @property
    def endings(self) -> Path:
        """How sandboxes ended."""
        return self.state / "endings"

    @property
    def secrets_file(self) -> Path:
        """The teams' secrets."""
        return self.state / "secrets.json"

    @property
    def templates(self) -> Path:
        """A folder for each template, with its builds' logs."""
        return self.state / "templates"

    @property
    def uploads(self) -> Path:
        """Files that builds copy."""
        return self.state / "uploads"

    @property
    def cached_steps(self) -> Path:
        """What the steps of builds made."""
        return self.state / "cached-steps"

    @property
    def key_file(self) -> Path:
        """The API key that was made here."""
        return self.state / "api.key"

    @property
    def address_file(self) -> Path:
        """The address of the runtime that serves, there as long as it does."""
        return self.state / "address"

    @property
    def lock_file(self) -> Path:
        """Held by the runtime that serves from this state."""
        return self.state / "lock"


def prepare_layout(state_directory: Path) -> Layout:
    """Make the folders, or say why the place can't be used."""
    state = state_directory.absolute()
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o711)
        shared = state
        if os.geteuid() == 0:
            state.chmod(0o711)
            if not open_to_others(state):
                name = hashlib.sha256(bytes(state)).hexdigest()[:12]
                shared = FALLBACK / name
                for folder in (FALLBACK, shared):
                    folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        layout = Layout(state=state, shared=shared)
        layout.programs.mkdir(exist_ok=True, mode=0o755)
        layout.staging.mkdir(exist_ok=True, mode=0o755)
        layout.layers.mkdir(exist_ok=True, mode=0o700)
        layout.volumes.mkdir(exist_ok=True, mode=0o700)
        layout.sandboxes.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise MachineUnfitError(
            f"The state directory {state} can't be used ({error}). Set RUNTIME_STATE_DIRECTORY to a place "
            "that this user may write."
        ) from error
    if os.geteuid() == 0 and not open_to_others(shared):
        raise MachineUnfitError(
            f"Users other than root can't reach {shared}; open its parent folders (chmod o+x)."
        )
    return layout


def open_to_others(path: Path) -> bool:
    """Whether any user can pass through every folder down to this one."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))
