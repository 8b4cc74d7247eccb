"""Every stored class, imported so that `Record.metadata` is whole (migrations compare against it)."""

from commandcenter.access.records import BrowserSession, SignInLink
from commandcenter.database import Record
from commandcenter.events.records import Event
from commandcenter.executions.records import Execution
from commandcenter.instance import Instance
from commandcenter.keys.records import ApiKey
from commandcenter.logs.records import LogChunkRecord
from commandcenter.projects.records import Project
from commandcenter.sandboxes.records import ProviderQueue, Sandbox
from commandcenter.secrets.records import SandboxSecret, Secret, SecretVersion
from commandcenter.snapshots.records import Snapshot

__all__ = [
    "ApiKey",
    "BrowserSession",
    "Event",
    "Execution",
    "Instance",
    "LogChunkRecord",
    "Project",
    "ProviderQueue",
    "Record",
    "Sandbox",
    "SandboxSecret",
    "Secret",
    "SecretVersion",
    "SignInLink",
    "Snapshot",
]
