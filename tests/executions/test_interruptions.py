"""Commands outlive what interrupts the reading of their output, and nothing of it is lost or doubled."""

from tests.fixtures.client import Client
from tests.logs.reading import Reader

COMMAND = "for i in $(seq 60); do echo line $i; echo error $i >&2; sleep 0.05; done; exit 7"
STDOUT = b"".join(b"line %d\n" % number for number in range(1, 61))
STDERR = b"".join(b"error %d\n" % number for number in range(1, 61))


async def test_a_command_goes_on_where_it_was_after_a_pause(client: Client, sandbox_id: str) -> None:
    execution = await client.start(sandbox_id, COMMAND)
    reader = Reader()
    await reader.read_execution(client, execution, until=100)
    await client.mutate("pauseSandbox", "status", sandboxId=sandbox_id)
    paused = await client.show_execution(execution)
    assert (paused["status"], paused["exitCode"]) == ("RUNNING", None)
    await client.mutate("resumeSandbox", "status", sandboxId=sandbox_id)
    await reader.read_execution(client, execution)
    ended = await client.ended(execution)
    assert (ended["status"], ended["exitCode"]) == ("FAILED", 7)
    assert (reader.stream("STDOUT"), reader.stream("STDERR")) == (STDOUT, STDERR)
