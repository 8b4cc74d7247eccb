"""Ending a process with everything that it started.

E2B's protocol signals single processes, and its agent drops the output that follows. So the group is
ended from inside the sandbox, by a small program that finds it in /proc.
"""

import asyncio
import contextlib

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from commandcenter.providers.attachments import Attachment
from commandcenter.providers.endings import Ended
from commandcenter.providers.errors import (
    ProcessNotFoundError,
    ProviderRateLimitedError,
    ProviderRefusedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from commandcenter.providers.output import Output
from commandcenter.providers.processes import list_processes, send_signal, start_program
from commandcenter.providers.spool.programs import NAME, NAME_PLACE

_NOTHING_TO_END = 3
_DIAGNOSIS_BYTES = 2000

# The group is whatever shares the target's process group or session, if it leads them, and its
# descendants. Members are remembered with their start time: a number that is used again is not theirs.
# Builtins alone, as a group that filled the sandbox leaves no room for another process: `pause` waits
# on input that never comes.
# Where the target is the program that keeps a command's output (`commandcenter.providers.spool`), it and what
# works for it share a process group, which is spared: they end by themselves, with the last output.
_END_GROUP = r"""
target=$1 grace_rounds=$2 keeper_name=$3 keeper_place=$4
declare -A began
{ mapfile -d '' -t words <"/proc/$target/cmdline"; } 2>/dev/null
[[ ${words[keeper_place]} == "$keeper_name" ]] && is_keeper=1
survey() {
    local directory stat fields pid grown=1
    local -A parent=() started=() group=()
    alive=() keepers=()
    for directory in /proc/[0-9]*; do
        stat=
        { read -r -d '' stat < "$directory/stat"; } 2>/dev/null
        [[ $stat ]] || continue
        fields=(${stat##*) })
        [[ ${fields[0]} == [ZX] ]] && continue
        pid=${directory#/proc/}
        parent[$pid]=${fields[1]} started[$pid]=${fields[19]} group[$pid]=${fields[2]}
        [[ $is_keeper && $pid == "$target" ]] && spared=${fields[2]}
        if [[ $pid == "$target" || ${fields[2]} == "$target" || ${fields[3]} == "$target" ]]; then
            began[$pid]=${fields[19]}
        fi
    done
    while ((grown)); do
        grown=0
        for pid in "${!parent[@]}"; do
            if [[ -z ${began[$pid]} && ${began[${parent[$pid]:-none}]} ]]; then
                began[$pid]=${started[$pid]} grown=1
            fi
        done
    done
    for pid in "${!began[@]}"; do
        [[ ${started[$pid]} == "${began[$pid]}" && $pid != $$ ]] || continue
        if [[ ${group[$pid]} == "$spared" ]]; then keepers+=("$pid"); else alive+=("$pid"); fi
    done
}
signal() { kill -s "$1" -- "${alive[@]}" 2>/dev/null; }
pause() { read -rt 0.02; }
survey
kill -s CONT -- "${keepers[@]}" 2>/dev/null
((${#alive[@]})) || exit 3
signal TERM
signal CONT
for ((round = 0; round < grace_rounds; round++)); do
    survey
    ((${#alive[@]})) || exit 0
    pause
done
for ((round = 0; round < 100; round++)); do
    survey
    ((${#alive[@]})) || exit 0
    signal KILL
    pause
done
echo "still running: ${alive[*]}" >&2
exit 4
"""
_BASH = ("/bin/bash", "--noprofile", "--norc", "-c")
_ROUND_SECONDS = 0.02
# Two signals at the same moment are one.
_SIGNAL_SECONDS = 0.05
_KILL_SECONDS = 10.0
_BURIAL_SECONDS = 5.0
_MAY_BE_FULL = (ProviderRefusedError, ProviderRateLimitedError, ProviderUnavailableError)


async def cancel(
    attachment: Attachment, pid: int, *, user: str | None = None, grace_seconds: float = 2.0
) -> bool:
    """End a process and all that it started: SIGTERM, and SIGKILL after `grace_seconds`.

    `user` is the one that the process was started as. False: there was nothing left to end. What the
    processes still write reaches their own streams, and so does their end. Raises `ProviderTimeoutError`
    where something can't be ended.
    """
    try:
        return await _end_group(attachment, pid, user, grace_seconds)
    except _MAY_BE_FULL:
        return await _make_room_and_end_group(attachment, pid, user, grace_seconds)


async def _make_room_and_end_group(
    attachment: Attachment, pid: int, user: str | None, grace_seconds: float
) -> bool:
    """End a group that filled its sandbox, where nothing else can be started before part of it is gone."""
    if await _is_kept(attachment, pid):
        with contextlib.suppress(*_MAY_BE_FULL):
            return await _through_the_keeper(attachment, pid, user, grace_seconds)
    signalled = True
    try:
        await send_signal(attachment, pid, "SIGKILL")
    except ProcessNotFoundError:
        signalled = False
    return await _end_rest(attachment, pid, user, grace_seconds) or signalled


async def _is_kept(attachment: Attachment, pid: int) -> bool:
    """Whether it is the program that keeps a command's output."""
    started = await list_processes(attachment)
    return any(each.pid == pid and each.arguments[NAME_PLACE : NAME_PLACE + 1] == (NAME,) for each in started)


async def _through_the_keeper(
    attachment: Attachment, pid: int, user: str | None, grace_seconds: float
) -> bool:
    """Have the program that keeps a command's output end the command's group: its second SIGTERM kills."""
    try:
        await send_signal(attachment, pid, "SIGTERM")
        await asyncio.sleep(min(max(grace_seconds, _SIGNAL_SECONDS), _BURIAL_SECONDS))
        await send_signal(attachment, pid, "SIGTERM")
    except ProcessNotFoundError:
        return await _end_rest(attachment, pid, user, grace_seconds)
    await _end_rest(attachment, pid, user, grace_seconds)
    return True


async def _end_rest(attachment: Attachment, pid: int, user: str | None, grace_seconds: float) -> bool:
    # The kernel takes its time to bury hundreds of processes.
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(_MAY_BE_FULL),
        stop=stop_after_delay(_BURIAL_SECONDS),
        wait=wait_exponential(multiplier=0.02, max=0.5),
        reraise=True,
    ):
        with attempt:
            ended = await _end_group(attachment, pid, user, grace_seconds)
    return ended


async def _end_group(attachment: Attachment, pid: int, user: str | None, grace_seconds: float) -> bool:
    rounds = max(0, round(grace_seconds / _ROUND_SECONDS))
    ender = await start_program(
        attachment,
        [*_BASH, _END_GROUP, "end-group", str(pid), str(rounds), NAME, str(NAME_PLACE)],
        user=user,
        cwd="/",
        stdin=True,
    )
    said = b""
    try:
        async with ender, asyncio.timeout(grace_seconds * 2 + _KILL_SECONDS):
            async for event in ender:
                match event:
                    case Output(data=data):
                        said = (said + data)[:_DIAGNOSIS_BYTES]
                    case Ended(exit_code=code) if code in (0, _NOTHING_TO_END):
                        return code == 0
    except TimeoutError as error:
        raise ProviderTimeoutError(f"Process {pid} could not be ended in time.") from error
    raise ProviderTimeoutError(f"Process {pid} could not be ended: {said.decode(errors='replace').strip()}")
