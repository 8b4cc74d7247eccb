"""A sandbox's life: made, used, paused, resumed, extended, ended."""

from datetime import UTC, datetime, timedelta

from tests.fixtures.client import Client


async def test_one_session_makes_uses_pauses_resumes_extends_and_ends_a_sandbox(client: Client) -> None:
    made = await client.create_sandbox(name="first", ttlSeconds=120)
    assert (made["name"], made["status"], made["provider"], made["template"]) == (
        "first",
        "RUNNING",
        "local",
        "base",
    )
    assert expires_in(made) == timedelta(seconds=120)

    ran = await client.run(made["id"], "echo kept > file; echo hello")
    assert (ran["status"], ran["exitCode"], ran["stdout"]) == ("SUCCEEDED", 0, "hello\n")

    paused = await client.mutate("pauseSandbox", "status expiresAt", sandboxId=made["id"])
    assert paused == {"status": "PAUSED", "expiresAt": None}

    resumed = await client.mutate("resumeSandbox", "status expiresAt", sandboxId=made["id"])
    assert resumed["status"] == "RUNNING"
    assert expires_in(resumed) == timedelta(seconds=120)
    assert (await client.run(made["id"], "cat file"))["stdout"] == "kept\n"

    extended = await client.mutate("extendSandbox", "expiresAt", sandboxId=made["id"], ttlSeconds=600)
    assert expires_in(extended) == timedelta(seconds=600)

    ended = await client.mutate(
        "terminateSandbox", "status terminationReason expiresAt", sandboxId=made["id"]
    )
    assert ended == {"status": "TERMINATED", "terminationReason": "USER", "expiresAt": None}


def expires_in(sandbox: dict[str, str]) -> timedelta:
    """The time that is left, to the nearest 5 seconds."""
    left = datetime.fromisoformat(sandbox["expiresAt"]) - datetime.now(UTC)
    return timedelta(seconds=5 * round(left.total_seconds() / 5))
