"""What there is to say about a file: one packed row of fields that the host checks and translates."""

from __future__ import annotations

import grp
import os
import pwd
import stat

from runtime.inside.framing import pack
from runtime.inside.refusals import refusal_of

METADATA_PREFIX = "user.e2b."
MAX_METADATA_BYTES = 16_384

_owners: dict[int, bytes] = {}
_groups: dict[int, bytes] = {}


def describe(path: bytes, shown: bytes | None = None) -> bytes:
    """The entry at `path` (a link itself, not what it leads to), under the path `shown` to the caller."""
    try:
        status = os.lstat(path)
    except OSError as error:
        raise refusal_of(error, b"file not found: " + path) from error
    shown = path if shown is None else shown
    is_link = stat.S_ISLNK(status.st_mode)
    target, target_mode = _follow(path) if is_link else (b"", status.st_mode)
    return pack(
        os.path.basename(shown),
        _kind(target_mode),
        shown,
        b"%d" % status.st_size,
        b"%d" % (0 if stat.S_ISLNK(target_mode) else stat.S_IMODE(target_mode) & 0o777),
        _permissions(status.st_mode),
        _owner(status.st_uid),
        _group(status.st_gid),
        b"%d" % status.st_mtime_ns,
        b"link" if is_link else b"",
        target,
        *(field for pair in metadata(path).items() for field in pair),
    )


def metadata(path: bytes) -> dict[bytes, bytes]:
    """The caller's own metadata on a file, as `user.e2b.*` attributes keep it; bounded in size."""
    found: dict[bytes, bytes] = {}
    size = 0
    try:
        for name in os.listxattr(path):
            if name.startswith(METADATA_PREFIX):
                key = name[len(METADATA_PREFIX) :].encode("utf-8", "surrogateescape")
                value = os.getxattr(path, name)
                size += len(key) + len(value)
                if size > MAX_METADATA_BYTES:
                    break
                found[key] = value
    except OSError:
        return found  # attributes are an extra: a file system without them, or a dangling link, has none
    return found


def _follow(path: bytes) -> tuple[bytes, int]:
    """Where a link leads and what is there; a dangling or cyclic one stays a link."""
    try:
        return os.path.realpath(path), os.stat(path).st_mode
    except OSError:
        return path, stat.S_IFLNK


def _kind(mode: int) -> bytes:
    if stat.S_ISREG(mode):
        return b"file"
    if stat.S_ISDIR(mode):
        return b"directory"
    return b"symlink" if stat.S_ISLNK(mode) else b"other"


def _permissions(mode: int) -> bytes:
    text = stat.filemode(mode)
    return ("L" + text[1:] if text[0] == "l" else text).encode()


def _owner(uid: int) -> bytes:
    if uid not in _owners:
        try:
            _owners[uid] = pwd.getpwuid(uid).pw_name.encode()
        except KeyError:
            _owners[uid] = b"%d" % uid
    return _owners[uid]


def _group(gid: int) -> bytes:
    if gid not in _groups:
        try:
            _groups[gid] = grp.getgrgid(gid).gr_name.encode()
        except KeyError:
            _groups[gid] = b"%d" % gid
    return _groups[gid]
