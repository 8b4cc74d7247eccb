"""A process's events as envelopes of `process.Process/Start` and `/Connect`, which have the same shape."""

from e2b.envd.process import process_pb as pb
from protobuf import Oneof
from pybase64 import b64encode

from runtime.data_plane.connect_protocol import Call, envelope, enveloped
from runtime.host.ending import Ending

# Numbers of process.proto: StartResponse.event, ProcessEvent.data, and DataEvent's output.
EVENT_FIELD = 1
DATA_FIELD = 2
OUTPUT_FIELDS = {"stdout": 1, "stderr": 2, "pty": 3}
JSON_HEADS = {name: b'{"event":{"data":{"%b":"' % name.encode() for name in OUTPUT_FIELDS}
JSON_TAIL = b'"}}}'
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
        return enveloped((JSON_HEADS[stream], b64encode(data), JSON_TAIL))
    output = _field_head(OUTPUT_FIELDS[stream], len(data))
    in_data = _field_head(DATA_FIELD, len(output) + len(data)) + output
    return enveloped((_field_head(EVENT_FIELD, len(in_data) + len(data)), in_data, data))


def _field_head(number: int, length: int) -> bytes:
    """What stands before a protobuf field's bytes or message of this length."""
    size = bytearray()
    while length > LAST_SEVEN_BITS:
        size.append(length & LAST_SEVEN_BITS | MORE)
        length >>= 7
    size.append(length)
    return bytes((number << 3 | LENGTH_DELIMITED, *size))


def _event(call: Call, event: Oneof) -> bytes:  # type: ignore[type-arg]
    return envelope(call.encode(pb.StartResponse(event=pb.ProcessEvent(event=event))))
