"""A process's events as envelopes of `process.Process/Start` and `/Connect`, which have the same shape."""

from e2b.envd.process import process_pb as pb
from protobuf import Oneof

from runtime.data_plane.connect_protocol import Call, base64_of, envelope
from runtime.host.ending import Ending

# Numbers of process.proto: StartResponse.event, ProcessEvent.data, and DataEvent's output.
EVENT_FIELD = 1
DATA_FIELD = 2
OUTPUT_FIELDS = {"stdout": 1, "stderr": 2, "pty": 3}
LENGTH_DELIMITED = 2
LAST_SEVEN_BITS, MORE = 0x7F, 0x80


def start_event(call: Call, pid: int) -> bytes:
    """The first event: the process runs."""
    return _event(call, Oneof("start", pb.ProcessEvent.StartEvent(pid=pid)))


def keepalive_event(call: Call) -> bytes:
    """Nothing new, but the connection lives."""
    return _event(call, Oneof("keepalive", pb.ProcessEvent.KeepAlive()))


def end_event(call: Call, ending: Ending) -> bytes:
    """How it ended."""
    end = pb.ProcessEvent.EndEvent(exit_code=ending.exit_code, exited=ending.exited, status=ending.status)
    if ending.error is not None:
        end.error = ending.error
    return _event(call, Oneof("end", end))


def data_event(call: Call, stream: str, data: memoryview) -> bytes:
    """Output. Most bytes go this way, so both forms are written by hand: base64 needs no escapes."""
    if call.is_json:
        return envelope(b'{"event":{"data":{"%b":"%b"}}}' % (stream.encode(), base64_of(data)))
    output = _field(OUTPUT_FIELDS[stream], data)
    return envelope(_field(EVENT_FIELD, _field(DATA_FIELD, output)))


def _field(number: int, content: bytes | memoryview) -> bytes:
    """A protobuf field that holds bytes or a message."""
    length = len(content)
    size = bytearray()
    while length > LAST_SEVEN_BITS:
        size.append(length & LAST_SEVEN_BITS | MORE)
        length >>= 7
    size.append(length)
    return b"".join((bytes((number << 3 | LENGTH_DELIMITED,)), size, content))


def _event(call: Call, event: Oneof) -> bytes:  # type: ignore[type-arg]
    return envelope(call.encode(pb.StartResponse(event=pb.ProcessEvent(event=event))))
