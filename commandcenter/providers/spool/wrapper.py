"""The program that runs a command in a sandbox, passes its output on, and keeps the last of it.

Needs bash 4.4 and coreutils. Arguments: the tag, the bytes of a piece, how many pieces a stream keeps, after
how many seconds the command is ended (empty: never), the command.

In `/tmp/.commandcenter-<uid>` (or in the home, or in /var/tmp, whichever can be written) each command has
`<tag>.status`, and `<tag>.out.<number>` and `<tag>.err.<number>`, the pieces of its streams: each as large as
the others but for the last, so that a piece's number tells its offset. Where no place can be written, or the
disk is full, the output is passed on all the same.

- Variables begin with `spool_`: one that the command's environment has too would reach it changed.
- The beginning is marked in what is passed on: what bash itself may have said before (an unknown locale) is
  not the command's. The end is marked in what is kept too: a child left behind may hold the pipes for hours.
- The command is a group of its own, so that `kill 0` does not reach what passes its output on.
- What `wait` answers is the same for a signal and for an exit with 128 and more; `jobs` tells them apart, in
  a shell that has one job and whose `wait` no signal interrupts. The command gets one as its parent.
"""

KEPT_IN = """
spool_find_home() { local HOME; unset HOME; spool_home=~; }
spool_find_home
spool_folders=({/tmp,"$spool_home",/var/tmp}/.commandcenter-$EUID)
"""

WRAPPER = (
    r"""
exec 3>&1 4>&2 1>/dev/null 2>&1
spool_tag=$1 spool_piece=$2 spool_pieces=$3 spool_seconds=$4 spool_command=$5
spool_path=/usr/local/bin:/usr/bin:/bin:$PATH
SHLVL=$((SHLVL - 1))
"""
    + KEPT_IN
    + r"""
spool_status() { printf '%-60s\n' "$$ $spool_piece $1"; }
spool_choose() {
    local folder
    for folder in "${spool_folders[@]}"; do
        if [[ ! -d $folder || ! -O $folder || -L $folder ]]; then
            PATH=$spool_path mkdir -m 700 -- "$folder" || continue
        fi
        spool_files=$folder/$spool_tag
        spool_status running >"$spool_files.status" && return
    done
    spool_files=
}
spool_keep() {
    trap '' HUP INT QUIT PIPE TERM XFSZ
    unset LD_PRELOAD LD_LIBRARY_PATH
    export PATH=$spool_path SHELL=/bin/sh PIECES=$spool_pieces
    exec 3>&- 4>&-
    [[ $spool_files ]] || exec cat
    exec split -b "$spool_piece" -a 9 -d --filter='
        oldest=$((1${FILE##*.} - 1000000000 - PIECES))
        [ $oldest -lt 0 ] || rm -f "${FILE%.*}.$(printf %09d $oldest)"
        cat >"$FILE" || :' - "$spool_files.$1."
}
spool_pass_on() {
    trap '' HUP INT QUIT PIPE TERM XFSZ
    unset LD_PRELOAD LD_LIBRARY_PATH
    PATH=$spool_path
    exec tee "/dev/fd/$1"
}
spool_run() {
    set -m
    /bin/bash -l -c "$spool_command" <&0 >&6 2>&8 6>&- 8>&- &
    set +m
    exec 0</dev/null 6>&- 8>&-
    trap '' HUP INT QUIT PIPE TERM
    printf '%s\n' "$!"
    { wait "$!"; printf '%s ' "$?"; jobs -l %1; echo; }
}
spool_mark() { printf '\xff\x1e%s %s\x1e' "$spool_tag" "$1"; }

spool_choose
spool_mark begin >&3
spool_mark begin >&4
exec 5> >(spool_keep out)
exec 6> >(exec >&3 3>&- 4>&-; spool_pass_on 5)
spool_out=$!
exec 7> >(exec 5>&- 6>&-; spool_keep err)
exec 8> >(exec >&4 3>&- 4>&- 5>&- 6>&-; spool_pass_on 7)
spool_err=$!
exec 3>&- 4>&- 5>&- 7>&-
exec 9< <(spool_run)
exec 0</dev/null
read -r -u 9 spool_child || kill -s KILL $$
trap '' PIPE
trap : HUP INT QUIT
trap 'kill -s "${spool_signal:-TERM}" -- "-$spool_child"; spool_signal=KILL' TERM
trap 'spool_timed_out=1; kill -s KILL -- "-$spool_child"' USR1
if [[ $spool_seconds ]]; then
    {
        exec 6>&- 8>&- 9<> <(:)
        trap - TERM
        LC_ALL=C read -r -t "$spool_seconds" -u 9
        kill -s USR1 $$
    } &
    spool_sleeper=$!
fi
exec 5<> <(:)
until read -r -u 9 spool_code spool_ending; do
    (($? > 128)) || kill -s KILL $$
done
[[ ! $spool_sleeper ]] || kill -s KILL "$spool_sleeper"
if [[ $spool_timed_out ]]; then
    spool_end=timeout
elif ((spool_code > 128)) && [[ ! $spool_ending =~ $spool_child\ [^/]*$spool_code ]]; then
    spool_end="signal $((spool_code - 128))"
else
    spool_end="exit $spool_code"
fi
[[ ! $spool_files ]] || spool_status "$spool_end" 1<>"$spool_files.status"
spool_mark "$spool_end" >&6
spool_mark "$spool_end" >&8
exec 6>&- 8>&-
for ((spool_round = 0; spool_round < 30; spool_round++)); do
    kill -0 "$spool_out" || kill -0 "$spool_err" || break
    LC_ALL=C read -r -t 0.001 -u 5
done
case $spool_end in
    exit*) exit "$spool_code" ;;
    timeout) kill -s KILL $$ ;;
    *)
        ulimit -c 0
        trap - HUP INT QUIT PIPE TERM USR1
        kill -s "$((spool_code - 128))" $$
        ;;
esac
"""
)
