"""COPY: an uploaded archive, unpacked inside the sandbox and put where the step says."""

import asyncio
import posixpath
import re
from collections.abc import AsyncIterator
from pathlib import Path

from runtime.host.commands import Command
from runtime.host.start import Context
from runtime.templates.definition import Step
from runtime.templates.uploads import is_packed

PART_BYTES = 1 << 18
_PATTERN = re.compile(r"[*?\[{]")

MAKE_FOLDER = """
# Make a folder and what is missing above it; all that is new belongs to the owner.
make_folder() {
    [ -d "$1" ] && return
    first_new=$1
    while [ ! -d "$(dirname "$first_new")" ]; do first_new=$(dirname "$first_new"); done
    mkdir -p "$1"
    give "$first_new"
}
# Only root can give files away; where there is no root, everything belongs to the one user.
give() { [ "$(id -u)" != 0 ] || chown -hR "$owner" "$1"; }
"""

COPY_SCRIPT = f"""
set -eu
umask 022
packing=$1 source=$2 target=$3 owner=$4 mode=$5 user=$6
{MAKE_FOLDER}
home() {{ getent passwd "$user" | cut -d: -f6; }}
case $target in
    /*) ;;
    *) target=${{BUILD_DIRECTORY:-$(home)}}/$target ;;
esac
unpacked=$(mktemp -d /.build-XXXXXXXX)
mkdir "$unpacked/files"
trap 'chmod -R u+rwX "$unpacked" 2>/dev/null; rm -rf "$unpacked"' EXIT
tar --extract $packing --no-same-owner --directory "$unpacked/files" --file -
entry=$unpacked/files/$source
entry=${{entry%/.}}
if [ ! -e "$entry" ] && [ ! -L "$entry" ]; then
    echo "source path does not exist: $source" >&2
    exit 1
fi
give "$entry"
if [ -d "$entry" ] && [ ! -L "$entry" ]; then
    target=${{target%/}}
    if [ -e "$target" ] || [ -L "$target" ]; then
        same_owner=--no-same-owner
        [ "$(id -u)" != 0 ] || same_owner=--same-owner
        # A folder is merged into one that is there; links to folders there are followed, others replaced.
        tar --create ${{mode:+--mode "$mode"}} --directory "$entry" --file - . |
            tar --extract $same_owner --preserve-permissions --keep-directory-symlink --no-overwrite-dir \\
                --directory "$target" --file -
    else
        make_folder "$(dirname "$target")"
        [ -z "$mode" ] || find "$entry" -depth ! -type l -exec chmod "$mode" {{}} +
        mv -T "$entry" "$target"
    fi
else
    case $target in
        */) make_folder "$target" ;;
        *) make_folder "$(dirname "$target")" ;;
    esac
    if [ -n "$mode" ] && [ ! -L "$entry" ]; then chmod "$mode" "$entry"; fi
    mv -f "$entry" "$target"
fi
"""


def copy_command(step: Step, context: Context, archive: Path) -> Command:
    """What puts an archive's files in their place; the archive is its input."""
    source, target, owner, mode = (*step.arguments, "", "")[:4]
    owner = owner or context.user
    environment = {} if context.directory is None else {"BUILD_DIRECTORY": context.directory}
    return Command.shell(
        COPY_SCRIPT,
        Context(user="root", directory="/", environment=environment),
        "--gzip" if is_packed(archive) else "",
        _source_folder(source),
        target + "/" if target in (".", "..") else target,
        owner if ":" in owner else f"{owner}:",
        mode,
        context.user,
    )


async def read_archive(path: Path) -> AsyncIterator[bytes]:
    """An archive, part by part."""
    with path.open("rb") as file:
        while part := await asyncio.to_thread(file.read, PART_BYTES):
            yield part


def _source_folder(source: str) -> str:
    """What of a source stands before its first pattern: the client has chosen the files already."""
    names = posixpath.normpath(source).split("/")
    fixed = [name for index, name in enumerate(names) if not any(map(_PATTERN.search, names[: index + 1]))]
    return "/".join(fixed) or "."
