"""Reading kept output from an offset on, while the command writes more of it."""

from collections.abc import Mapping

from commandcenter.providers.attachments import Attachment
from commandcenter.providers.output import OutputStream, RunningProcess
from commandcenter.providers.spool.keeping import Kept
from commandcenter.providers.spool.programs import run_program

# It is started again after this: one whose reader died must not stay for ever.
FOLLOWER_SECONDS = 300.0

# Exits with 0 once the command has ended and both streams were read to where they end by now; with 10 where
# the pieces must be looked at again: one was removed before it was read, or is shorter than it should be.
_FOLLOW = r"""
PATH=/usr/local/bin:/usr/bin:/bin:$PATH
exec 3>&1 4>&2 1>/dev/null 2>&1
place=$1 piece=$2 pid=$5
declare -A number=([out]=$(($3 / piece)) [err]=$(($4 / piece)))
declare -A position=([out]=$(($3 % piece)) [err]=$(($4 % piece)))
exec 9<> <(:)
shopt -s nullglob
is_whole() {
    local pieces=("$place.$1".*)
    ((${#pieces[@]})) && ((10#${pieces[-1]##*.} > number[$1]))
}
open_piece() {
    local stream=$1 descriptor=$2 file
    printf -v file '%s.%s.%09d' "$place" "$stream" "${number[$stream]}"
    [[ -e $file ]] || return 1
    if [[ $stream == out ]]; then exec 5<"$file"; else exec 6<"$file"; fi
    opened[$stream]=1
    tail -c "+$((position[$stream] + 1))" <&"$descriptor"
}
note_position() {
    local key value
    while read -r key value; do
        [[ $key == pos: ]] || continue
        [[ $value == "${position[$1]}" ]] || came=1
        position[$1]=$value
        return
    done <"/proc/$$/fdinfo/$2"
}
read_more() {
    local stream=$1 descriptor=$2 whole
    while :; do
        whole=
        is_whole "$stream" && whole=1
        if [[ ${opened[$stream]} ]]; then
            cat <&"$descriptor"
        elif ! open_piece "$stream" "$descriptor"; then
            [[ ! $whole ]] || exit 10
            return
        fi
        note_position "$stream" "$descriptor"
        [[ $whole ]] || return
        ((position[$stream] == piece)) || exit 10
        ((number[$stream]++))
        opened[$stream]= position[$stream]=0
    done
}
declare -A opened=()
pause=0.01
while :; do
    came= gone=
    [[ -e /proc/$pid ]] || gone=1
    read -r _ _ state _ <"$place.status" || exit 10
    read_more out 5 >&3
    read_more err 6 >&4
    [[ $state == running ]] || exit 0
    [[ ! $gone ]] || exit 10
    case $came$pause in 1*) pause=0.01 ;; 0.01) pause=0.03 ;; *) pause=0.08 ;; esac
    LC_ALL=C read -r -t "$pause" -u 9
done
"""


async def follow(
    attachment: Attachment, kept: Kept, offsets: Mapping[OutputStream, int], user: str | None
) -> RunningProcess:
    """What is kept from `offsets` on, each stream as the same stream, and what is added to it.

    Ends with exit code 0 once the command has ended, with 10 where `look` is due again, or at its own
    deadline after `FOLLOWER_SECONDS`.
    """
    arguments = [kept.place, str(kept.piece_bytes), str(offsets["stdout"]), str(offsets["stderr"])]
    arguments.append(str(kept.pid))
    return await run_program(attachment, _FOLLOW, arguments, user=user, timeout_seconds=FOLLOWER_SECONDS)
