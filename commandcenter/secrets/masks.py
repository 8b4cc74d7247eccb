"""What this process masks in which sandbox's output, shared by all who record it."""

from uuid import UUID
from weakref import WeakValueDictionary

from commandcenter.database import Database
from commandcenter.sandboxes.records import Sandbox
from commandcenter.secrets.given import NOTHING_GIVEN, GivenSecrets, read_given
from commandcenter.secrets.keyring import Keyring


class SandboxMask:
    """The secrets that a sandbox was given, as far as this process knows; `refresh` reads them again."""

    def __init__(self, database: Database, keyring: Keyring, project_id: UUID, sandbox_id: UUID) -> None:
        self.given: GivenSecrets = NOTHING_GIVEN
        self._database = database
        self._keyring = keyring
        self._project_id = project_id
        self._sandbox_id = sandbox_id

    async def refresh(self) -> None:
        """Read what the sandbox was given until now; `SecretUnreadableError`."""
        async with self._database.transaction(self._project_id) as session:
            given = await read_given(session, self._keyring, self._sandbox_id)
        if given.count > self.given.count:
            self.given = given


class SecretMasks:
    """The masks of the sandboxes that this process works with; each for as long as somebody uses it."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._masks: WeakValueDictionary[UUID, SandboxMask] = WeakValueDictionary()

    async def of(self, sandbox: Sandbox) -> SandboxMask:
        """The mask of a sandbox, with at least what its record says that it was given."""
        mask = self._masks.get(sandbox.id)
        if mask is None:
            mask = SandboxMask(self._database, self._keyring, sandbox.project_id, sandbox.id)
            self._masks[sandbox.id] = mask
        if mask.given.count < sandbox.secret_count:
            await mask.refresh()
        return mask
