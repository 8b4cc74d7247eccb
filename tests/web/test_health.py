"""Whether the process is alive, and whether it can serve."""

from tests.web.serving import Site


async def test_health_needs_no_key(site: Site) -> None:
    async with site.client() as client:
        alive, ready = await client.get("/healthz"), await client.get("/readyz")
    assert alive.json() == {"status": "alive"}
    assert ready.json() == {"status": "ready", "checks": {"database": "ok"}}


async def test_a_failing_check_makes_the_process_not_ready_and_says_no_more(site: Site) -> None:
    site.failing_checks.add("database")
    try:
        async with site.client() as client:
            alive, ready = await client.get("/healthz"), await client.get("/readyz")
    finally:
        site.failing_checks.clear()
    assert alive.status_code == 200
    assert ready.status_code == 503
    assert ready.json() == {"status": "not ready", "checks": {"database": "failing"}}
    assert "hunter2" not in ready.text
