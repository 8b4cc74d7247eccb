"""Writes docs/configuration.md from the settings' own descriptions; `--check` only compares."""

import json
import sys
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from commandcenter.settings import Settings
from runtime.settings import RuntimeSettings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"

_INTRODUCTION = """\
# Configuration

Every process reads these environment variables. None is needed: `commandcenter up` runs on what stands
under "Otherwise", and gives its own processes the rest. A value that makes no sense stops the start with
a message that names the variable.

This page is written by `make docs` from `commandcenter/settings.py` and `runtime/settings.py`.
"""
_RUNTIME = """\
## The embedded runtime

`commandcenter runtime` reads these; sizes are in bytes and times in seconds. [What they mean](runtime.md).
"""


def page() -> str:
    """The page as it should be."""
    return "\n".join((_INTRODUCTION, _table(Settings), _RUNTIME, _table(RuntimeSettings)))


def main() -> int:
    """Write the page, or with `--check` say whether it is as it should be."""
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page())
        return 0
    if PAGE.exists() and PAGE.read_text() == page():
        return 0
    print("docs/configuration.md is not what the settings say: run `make docs`.", file=sys.stderr)
    return 1


def _table(settings: type[BaseSettings]) -> str:
    rows = [
        f"| `{_variable(settings, name, field)}` | {field.description} | {_otherwise(field)} |"
        for name, field in settings.model_fields.items()
    ]
    return "\n".join(["| Variable | What it sets | Otherwise |", "|---|---|---|", *rows]) + "\n"


def _variable(settings: type[BaseSettings], name: str, field: FieldInfo) -> str:
    if isinstance(field.validation_alias, str):
        return field.validation_alias
    return f"{settings.model_config.get('env_prefix', '')}{name}".upper()


def _otherwise(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "as said"
    default = field.default
    if default is None or default is PydanticUndefined:
        return "unset"
    if isinstance(default, SecretStr):
        return "a secret"
    return f"`{default if isinstance(default, str | Path) else json.dumps(default)}`"


if __name__ == "__main__":
    sys.exit(main())
