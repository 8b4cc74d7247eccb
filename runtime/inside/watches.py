"""Watching a directory, or a whole tree, and saying what changed in the caller's words."""

from __future__ import annotations

import errno
import os
import stat

from runtime.inside import inotify
from runtime.inside.entries import describe
from runtime.inside.refusals import RefusalError, refusal_of
from runtime.inside.uploads import is_unfinished_upload, replaces_a_file

TYPE_CHECKING = False  # as in typing, whose import costs a sandbox milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Report = Callable[[bytes, bytes, bytes], None]  # type of event, name below the root, packed entry or b""

CREATED, WRITTEN, REMOVED, RENAMED, CHMODDED = b"create", b"write", b"remove", b"rename", b"chmod"
OVERFLOWED = b"overflow"

# In the order in which several changes of one file are told.
_MEANINGS = (
    (inotify.CREATE | inotify.MOVED_TO, CREATED),
    (inotify.MOVED_FROM | inotify.MOVE_SELF, RENAMED),
    (inotify.ATTRIB, CHMODDED),
    (inotify.MODIFY, WRITTEN),
    (inotify.DELETE | inotify.DELETE_SELF, REMOVED),
)
_WITH_ENTRY = (CREATED, WRITTEN, CHMODDED)


class Watch:
    """One watched directory. `report` is called for each change, on the thread that calls `read`."""

    def __init__(self, root: bytes, recursive: bool, include_entry: bool, report: Report) -> None:
        self._root = root
        self._recursive = recursive
        self._include_entry = include_entry
        self._report = report
        self._names: dict[int, bytes] = {}  # watch number → path below the root, b"" for the root itself
        self._finished_uploads: dict[int, bytes] = {}  # cookie of a rename → the upload's name before
        self._refuse_unless_directory()
        self._inotify = inotify.Inotify()
        try:
            for name in self._directories_below(b""):
                self._add(name)
        except BaseException:
            self.close()
            raise
        self.descriptor = self._inotify.descriptor

    def _refuse_unless_directory(self) -> None:
        try:
            mode = os.stat(self._root).st_mode
        except OSError as error:
            raise refusal_of(error, b"path " + self._root + b" not found") from error
        if not stat.S_ISDIR(mode):
            raise RefusalError(b"invalid_argument", b"path " + self._root + b" not a directory")

    def close(self) -> None:
        """Stop watching."""
        self._inotify.close()

    def read(self) -> None:
        """Report everything that happened since the last call."""
        for number, mask, cookie, name in self._inotify.read():
            if mask & inotify.QUEUE_OVERFLOW:
                self._report(OVERFLOWED, b"", b"")
            elif mask & inotify.IGNORED:
                self._names.pop(number, None)
            elif number in self._names:
                self._changed(self._names[number], mask, cookie, name)

    def _changed(self, parent: bytes, mask: int, cookie: int, name: bytes) -> None:
        if is_unfinished_upload(name):
            if mask & inotify.MOVED_FROM:
                self._finished_uploads = {cookie: name}
            return
        if not name and parent:
            return  # a directory below the root itself: its parent told already
        path = os.path.join(parent, name) if name else b"."
        upload = self._finished_uploads.pop(cookie, None) if mask & inotify.MOVED_TO else None
        if upload is not None:
            if not replaces_a_file(upload):
                self._tell(CREATED, path)
            self._tell(WRITTEN, path)
            return
        for bits, meaning in _MEANINGS:
            if mask & bits:
                self._tell(meaning, path)
        if self._recursive and name and mask & inotify.IS_DIRECTORY:
            self._follow_directory(path, mask)

    def _follow_directory(self, path: bytes, mask: int) -> None:
        """Keep up with a tree that grows and moves."""
        if mask & inotify.MOVED_FROM:
            for number, name in list(self._names.items()):
                if name == path or name.startswith(path + b"/"):
                    self._inotify.remove(number)
        elif mask & (inotify.CREATE | inotify.MOVED_TO):
            for directory in self._directories_below(path):
                try:
                    self._add(directory)
                except RefusalError:
                    self._report(OVERFLOWED, b"", b"")
                    return
                if mask & inotify.CREATE:
                    self._tell_what_came_before_the_watch(directory)

    def _tell_what_came_before_the_watch(self, directory: bytes) -> None:
        """What was made in a new directory before it could be watched would otherwise never be told."""
        try:
            names = sorted(os.listdir(os.path.join(self._root, directory)))
        except OSError:
            return
        for name in names:
            if not is_unfinished_upload(name):
                self._tell(CREATED, os.path.join(directory, name))

    def _tell(self, meaning: bytes, path: bytes) -> None:
        entry = b""
        if self._include_entry and meaning in _WITH_ENTRY:
            try:
                entry = describe(os.path.join(self._root, path))
            except RefusalError:
                entry = b""  # gone again already: the change is told, without what it left
        self._report(meaning, path, entry)

    def _directories_below(self, name: bytes) -> Iterator[bytes]:
        yield name
        if not self._recursive:
            return
        pending = [name]
        while pending:
            parent = pending.pop()
            try:
                with os.scandir(os.path.join(self._root, parent)) as found:
                    below = [
                        os.path.join(parent, entry.name)
                        for entry in found
                        if entry.is_dir(follow_symlinks=False)
                    ]
            except OSError:
                continue  # gone or closed in the meantime
            yield from below
            pending += below

    def _add(self, name: bytes) -> None:
        try:
            self._names[self._inotify.add(os.path.join(self._root, name))] = name
        except OSError as error:
            if error.errno == errno.ENOSPC:
                message = b"too many directories to watch below " + self._root
                raise RefusalError(b"resource_exhausted", message) from error
            if name or error.errno not in (errno.ENOENT, errno.EACCES, errno.ENOTDIR):
                return  # one directory gone or closed does not end the watch of its neighbours
            raise refusal_of(error, b"error adding path " + self._root + b" to watcher") from error
