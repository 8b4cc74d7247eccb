"""What is kept of a command's output in its sandbox: looking at it, and removing it."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from commandcenter.providers.attachments import Attachment
from commandcenter.providers.endings import Ended
from commandcenter.providers.errors import ProviderTimeoutError, ProviderUnavailableError
from commandcenter.providers.output import Output, OutputStream
from commandcenter.providers.spool.marks import end_of
from commandcenter.providers.spool.programs import run_program
from commandcenter.providers.spool.wrapper import KEPT_IN

# Commands whose end was recorded are removed at once; of others this many are left, each of bounded size.
_MOST_ENDED = 50
_LONGEST_LISTING = 64 * 1024
_SECONDS = 30.0

_BEGIN = (
    KEPT_IN
    + r"""
PATH=/usr/local/bin:/usr/bin:/bin:$PATH
shopt -s nullglob
"""
)
_LOOK = (
    _BEGIN
    + r"""
for folder in "${spool_folders[@]}"; do
    spool=$folder/$1
    [[ -O $folder && -e $spool.status ]] || continue
    printf 'place %s\n' "$spool"
    read -r status <"$spool.status" && printf 'status %s\n' "$status"
    pieces=("$spool".out.* "$spool".err.*)
    ((!${#pieces[@]})) || stat -c 'piece %s %n' -- "${pieces[@]}"
    exit 0
done
"""
)
_FORGET = (
    _BEGIN
    + r"""
most=$1
shift
for folder in "${spool_folders[@]}"; do
    [[ -O $folder ]] && cd -- "$folder" || continue
    files=()
    for tag; do files+=("$tag".*); done
    ((!${#files[@]})) || rm -f -- "${files[@]}"
    kept=(*.status)
    ((${#kept[@]} > most)) || continue
    left=$most
    ls -t -- "${kept[@]}" | while read -r file; do
        read -r pid _ state _ <"$file"
        [[ $state == running && -e /proc/$pid ]] && continue
        ((left-- > 0)) || rm -f -- "${file%.status}".*
    done
done
exit 0
"""
)
_STATUS = re.compile(r"(?P<pid>\d+) (?P<piece>\d+) (?P<state>.+?) *$")
_PIECE = re.compile(r"(?P<size>\d+) .*\.(?P<stream>out|err)\.(?P<number>\d+)$")


@dataclass(frozen=True)
class Kept:
    """What is kept of one command.

    `place` is what its files' names begin with. `end` is None while it runs, or where it ended without being
    able to say so. `pieces` holds the sizes of the pieces of a stream by their numbers; each but the last has
    `piece_bytes`, unless the disk was full.
    """

    place: str
    pid: int
    piece_bytes: int
    end: Ended | None
    pieces: Mapping[OutputStream, Mapping[int, int]]


async def look(attachment: Attachment, tag: str, user: str | None) -> Kept | None:
    """What is kept of the command with `tag` that runs or ran as `user`; None where there is nothing."""
    lines = (await _run(attachment, _LOOK, [tag], user)).decode("utf-8", "replace").splitlines()
    place, status = None, None
    pieces: dict[OutputStream, dict[int, int]] = {"stdout": {}, "stderr": {}}
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "place":
            place = rest
        elif word == "status":
            status = _STATUS.match(rest)
        elif found := _PIECE.match(rest):
            stream: OutputStream = "stdout" if found["stream"] == "out" else "stderr"
            pieces[stream][int(found["number"])] = int(found["size"])
    if place is None or status is None:
        return None
    return Kept(place, int(status["pid"]), int(status["piece"]), end_of(status["state"]), pieces)


async def forget(attachment: Attachment, tags: Sequence[str], user: str | None) -> None:
    """Remove what is kept of a user's commands, and the oldest of what nobody removed."""
    await _run(attachment, _FORGET, [str(_MOST_ENDED), *tags], user)


async def _run(attachment: Attachment, program: str, arguments: list[str], user: str | None) -> bytes:
    said = bytearray()
    process = await run_program(attachment, program, arguments, user=user, timeout_seconds=_SECONDS)
    try:
        async with process, asyncio.timeout(_SECONDS):
            async for event in process:
                match event:
                    case Output(stream="stdout", data=data) if len(said) < _LONGEST_LISTING:
                        said += data
                    case Ended(timed_out=True):
                        raise ProviderTimeoutError("Kept output could not be looked at in time.")
                    case Ended(signal=str()):
                        raise ProviderUnavailableError("Looking at kept output was ended from outside.")
    except TimeoutError as error:
        raise ProviderTimeoutError("Kept output could not be looked at in time.") from error
    return bytes(said)
