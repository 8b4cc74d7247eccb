"""The whole examination: parts one by one, then a real sandbox."""

import asyncio
import os
import tempfile
from pathlib import Path

from runtime.doctor import kernel, resources
from runtime.doctor.findings import Finding, good, limited, unfit
from runtime.guarantees import MEND
from runtime.host.errors import HostError
from runtime.host.layout import prepare_layout
from runtime.instance import Runtime
from runtime.settings import RuntimeSettings


def examine(settings: RuntimeSettings) -> list[Finding]:
    """Look at everything; takes about a second. Findings come in the order in which to mend them."""
    parts = [
        kernel.architecture(),
        kernel.user_namespaces(),
        kernel.namespace_count(settings.sandbox_limit),
        kernel.overlay(),
        kernel.system_call_filter(),
        resources.interpreter(),
        resources.own_users(settings),
        resources.cgroups(),
        resources.disk_space(settings),
        resources.open_files(settings),
    ]
    return [*parts, *asyncio.run(_with_a_sandbox(settings))]


async def _with_a_sandbox(settings: RuntimeSettings) -> list[Finding]:
    """What the self-test of a runtime's start says, and which guarantees it keeps; in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="runtime-doctor-") as folder:
        os.chmod(folder, 0o711)  # noqa: PTH101, S103 - sandboxes' users pass through
        state = Path(folder) / "state"
        tried = settings.model_copy(update={"state_directory": state, "require": ""})
        try:
            runtime = Runtime(tried, prepare_layout(state))
            try:
                await runtime.start()
                walls, held = runtime.capabilities["isolation"]["walls"], runtime.guarantees
            finally:
                await runtime.stop()
        except (HostError, OSError) as error:
            return [unfit("a real sandbox", str(error), "Mend what stands above, then ask again.")]
    return [
        good("a real sandbox", f"starts, and {len(walls)} walls hold: {', '.join(walls)}"),
        *(_guarantee(name, holds, name in _required(settings)) for name, holds in held.items()),
    ]


def _guarantee(name: str, holds: bool, required: bool) -> Finding:
    title = f"guarantee {name}"
    if holds:
        return good(title, "can be kept")
    if required:
        return unfit(title, "is demanded by RUNTIME_REQUIRE and can't be kept", f"{MEND[name]}.")
    return limited(title, "can't be kept", f"{MEND[name]}.")


def _required(settings: RuntimeSettings) -> set[str]:
    return {name.strip() for name in settings.require.split(",")}
