"""A process's events as envelopes of `process.Process/Start` and `/Connect`, which have the same shape."""

from e2b.envd.process import process_pb as pb
from protobuf import Oneof

from runtime.data_plane.connect_protocol import Call, base64_of, envelope
from runtime.host.ending import Ending


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
    """Output. Most bytes go this way, so JSON is written by hand: base64 needs no escapes."""
    if call.is_json:
        return envelope(b'{"event":{"data":{"%b":"%b"}}}' % (stream.encode(), base64_of(data)))
    output = pb.ProcessEvent.DataEvent(output=Oneof(stream, bytes(data)))  # type: ignore[arg-type]
    return _event(call, Oneof("data", output))


def _event(call: Call, event: Oneof) -> bytes:  # type: ignore[type-arg]
    return envelope(call.encode(pb.StartResponse(event=pb.ProcessEvent(event=event))))
