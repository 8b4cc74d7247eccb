"""What the runtime has, asked without the product."""

from typing import Any

from tests.fixtures.product import Project


async def provider_sandboxes(project: Project) -> list[dict[str, Any]]:
    """The project's sandboxes that the runtime has."""
    runtime = project.product.runtime
    response = await project.product.http.get(
        f"{runtime.url}/v2/sandboxes",
        params={"metadata": f"commandcenter.project={project.id}"},
        headers={"X-API-Key": runtime.api_key},
    )
    found: list[dict[str, Any]] = response.raise_for_status().json()
    return found
