"""What a process gets at its start, and how a later runtime takes it up again.

The supervisor keeps a copy of what the host holds of each process. Their order is ours alone: the card, the
input's write end where there is one, and of each output stream the read end and the ring. For a process
with a terminal: the card, the ring, and the terminal.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import orjson

from runtime.host.output import OutputStream
from runtime.host.output_rate import OutputRate
from runtime.host.process import Process, ProcessRequest
from runtime.host.ring import Ring
from runtime.host.stored import known_fields

INPUT_PLACE = 1
CARD_LIMIT = 1 << 23
KEPT = "k"


@dataclass(frozen=True)
class OutputPolicy:
    """How output is held and read: bytes kept of each stream, and whether unattended output is dropped."""

    retained: int
    drop_unattended: bool
    rate: OutputRate


@dataclass
class Outfit:
    """Descriptors to be passed, where each goes inside, and those that the host closes afterwards."""

    passed: list[int] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    theirs: list[int] = field(default_factory=list)

    def add(self, descriptor: int, place: int | str) -> None:
        """Pass a descriptor; one that gets a number inside is not ours to hold."""
        self.passed.append(descriptor)
        self.places.append(str(place))
        if place != KEPT:
            self.theirs.append(descriptor)

    def close(self) -> None:
        """Close our copies of the process's own ends."""
        for descriptor in self.theirs:
            os.close(descriptor)


def fit_out(process: Process, policy: OutputPolicy) -> Outfit:
    """Make the pipes and rings of a process that is to be started."""
    outfit = Outfit()
    process.card = os.memfd_create("process", os.MFD_CLOEXEC)
    write_card(process)
    outfit.add(process.card, KEPT)
    if process.request.terminal is not None:
        # The terminal itself comes with the supervisor's answer; its ring is kept from the start.
        process.terminal_ring = Ring.create(_capacity(process, policy))
        outfit.add(process.terminal_ring.memory_file, KEPT)
        return outfit
    if process.request.stdin:
        read_end, process.input = os.pipe()
        os.set_blocking(process.input, False)
        outfit.add(process.input, KEPT)
        process.input_kept = True
        outfit.add(read_end, 0)
    else:
        outfit.add(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        read_end, write_end = os.pipe()
        ring = Ring.create(_capacity(process, policy))
        _add_stream(process, name, read_end, ring, policy)
        outfit.add(write_end, number)
        outfit.add(read_end, KEPT)
        outfit.add(ring.memory_file, KEPT)
    return outfit


def take_terminal(process: Process, descriptor: int, policy: OutputPolicy) -> None:
    """The terminal of a process: written by us, and read into its ring."""
    if process.terminal_ring is None:
        raise ValueError("the process asked for no terminal")
    process.terminal = descriptor
    _add_stream(process, "pty", os.dup(descriptor), process.terminal_ring, policy)


def take_up(key: str, kept: Sequence[int], policy: OutputPolicy) -> Process:
    """A process that an earlier runtime started, from what the supervisor kept of it."""
    request = read_card(kept[0])
    process = Process(key, request)
    process.card = kept[0]
    if request.terminal is not None:
        process.terminal_ring = Ring.reopen(kept[1])
        take_terminal(process, kept[2], policy)
        return process
    rest = list(kept[1:])
    if len(rest) == 5:
        process.input = rest.pop(0)
        process.input_kept = True
    for name, read_end, memory_file in (("stdout", rest[0], rest[1]), ("stderr", rest[2], rest[3])):
        _add_stream(process, name, read_end, Ring.reopen(memory_file), policy)
    if not request.keeps_output:
        process.detach(process.attach())  # only output that somebody once took is dropped
    return process


def write_card(process: Process) -> None:
    """Write down what the process is, with its deadline as it stands."""
    encoded = orjson.dumps(vars(process.request) | {"deadline": process.deadline})
    os.truncate(process.card, len(encoded))
    os.pwrite(process.card, encoded, 0)


def read_card(descriptor: int) -> ProcessRequest:
    """What `write_card` wrote, in this version or another; LookupError, TypeError, ValueError for less."""
    card = orjson.loads(os.pread(descriptor, CARD_LIMIT, 0))
    terminal = card["terminal"]
    return ProcessRequest(
        **known_fields(ProcessRequest, card)
        | {
            "arguments": tuple(card["arguments"]),
            "terminal": None if terminal is None else (int(terminal[0]), int(terminal[1])),
        }
    )


def _capacity(process: Process, policy: OutputPolicy) -> int:
    # Twice as much where a reader acknowledges only what it has stored, which takes it some time.
    return policy.retained * (2 if process.request.until_acknowledged else 1)


def _add_stream(process: Process, name: str, descriptor: int, ring: Ring, policy: OutputPolicy) -> None:
    changed: Callable[[], None] = process.changed
    stream = OutputStream(
        name,
        descriptor,
        ring,
        drop_unattended=policy.drop_unattended or not process.request.keeps_output,
        until_acknowledged=process.request.until_acknowledged,
        rate=policy.rate,
        changed=changed,
    )
    process.streams.append(stream)
