"""Headers for content that programs in sandboxes made: it is saved, never shown or run as a page of ours."""

import re
from urllib.parse import quote

_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\/]")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 ._-]")


def attachment_headers(name: str) -> dict[str, str]:
    """The headers of a download that is to be saved under `name` (RFC 6266)."""
    safe = _UNSAFE.sub("_", name) or "download"
    plain = _NOT_PLAIN.sub("_", safe)
    return {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(safe, safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "private, no-store",
    }
