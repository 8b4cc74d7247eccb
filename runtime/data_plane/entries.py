"""Entries as the file agent packs them, checked and put into E2B's words."""

from e2b.envd.filesystem.filesystem_pb import EntryInfo, FileType
from protobuf.wkt import Timestamp

from runtime.data_plane.file_errors import FileOperationError
from runtime.inside.framing import MalformedMessageError, unpack

_TYPES = {
    b"file": FileType.FILE,
    b"directory": FileType.DIRECTORY,
    b"symlink": FileType.SYMLINK,
}
_FIXED_FIELDS = 9
_NANOSECONDS = 1_000_000_000
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799  # years 1 to 9999: what a Timestamp can hold


def entry_of(packed: bytes) -> EntryInfo:
    """The entry that an agent described; raises FileOperationError where it is none."""
    try:
        fields = unpack(packed)
        name, kind, path, size, mode, permissions, owner, group, modified = fields[:_FIXED_FIELDS]
        is_link, target = fields[_FIXED_FIELDS : _FIXED_FIELDS + 2]
        entry = EntryInfo(
            name=text_of(name),
            type=_TYPES.get(kind, FileType.UNSPECIFIED),
            path=text_of(path),
            size=_bounded(size, 0, (1 << 63) - 1),
            mode=_bounded(mode, 0, 0o7777),
            permissions=text_of(permissions),
            owner=text_of(owner),
            group=text_of(group),
            modified_time=_timestamp(modified),
            metadata=metadata_of(fields[_FIXED_FIELDS + 2 :]),
            is_symlink=bool(is_link),
        )
    except (MalformedMessageError, ValueError):
        raise FileOperationError("internal", "the sandbox's file agent described no file") from None
    if is_link:
        entry.symlink_target = text_of(target)
    return entry


def metadata_of(fields: list[bytes]) -> dict[str, str]:
    """Metadata from a row of keys and values by turns."""
    return {text_of(fields[index]): text_of(fields[index + 1]) for index in range(0, len(fields) - 1, 2)}


def text_of(name: bytes) -> str:
    """A file's name as text; bytes that are no UTF-8 become replacement characters."""
    return name.decode("utf-8", "replace")


def _bounded(field: bytes, least: int, most: int) -> int:
    if len(field) > 24:
        raise ValueError("too long for a number")
    number = int(field)
    if not least <= number <= most:
        raise ValueError("out of bounds")
    return number


def _timestamp(nanoseconds: bytes) -> Timestamp:
    seconds, nanos = divmod(_bounded(nanoseconds, -(1 << 70), 1 << 70), _NANOSECONDS)
    return Timestamp(seconds=min(max(seconds, _FIRST_SECOND), _LAST_SECOND), nanos=nanos)
