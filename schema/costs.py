"""What fields cost whose work is not that of showing an object.

How the points of an operation are added up is in `docs/limits.md`.
"""

from typing import Any

# It asks a sandbox or its provider, and waits for the answer.
ASKS_PROVIDER: dict[Any, Any] = {"points": 10}
# It counts or reads what may be many rows.
READS_MANY: dict[Any, Any] = {"points": 5}
