"""The memory file of an output stream's last part."""

import fcntl
import mmap
import os
import stat

HEADER = mmap.PAGESIZE
BASE, NEXT_BASE = slice(0, 8), slice(8, 16)
LARGEST_OFFSET = 1 << 62
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class Ring:
    """The last `capacity` bytes of a stream, addressed by their offset from its beginning.

    A pipe is spliced into the file at the file's own position, which the kernel moves in the same call. The
    supervisor shares that position, so whoever takes the file up after a crash knows to the byte what was
    read: had we to write it down ourselves, a kill between the two would lose bytes (it did).
    """

    def __init__(self, memory_file: int, capacity: int) -> None:
        self.memory_file = memory_file
        self.capacity = capacity
        self._map = mmap.mmap(memory_file, HEADER + capacity)
        self._bytes = memoryview(self._map)
        self._base = self._recover_base()
        self.end = self._base + self._position() - HEADER

    @classmethod
    def create(cls, capacity: int) -> "Ring":
        """An empty ring; its pages take memory only once they are written."""
        memory_file = os.memfd_create("output", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.truncate(memory_file, HEADER + capacity)
        fcntl.fcntl(memory_file, fcntl.F_ADD_SEALS, SEALS)
        os.lseek(memory_file, HEADER, os.SEEK_SET)
        return cls(memory_file, capacity)

    @classmethod
    def reopen(cls, memory_file: int) -> "Ring":
        """A ring that a supervisor kept; refused where the file could still shrink below our map."""
        size = os.fstat(memory_file).st_size
        if fcntl.fcntl(memory_file, fcntl.F_GET_SEALS) & SEALS != SEALS or size <= HEADER:
            raise ValueError("not an output ring")
        if not HEADER <= os.lseek(memory_file, 0, os.SEEK_CUR) <= size:
            raise ValueError("an output ring's position lies outside of it")
        return cls(memory_file, size - HEADER)

    @property
    def start(self) -> int:
        """The offset of the oldest byte that is still here."""
        return max(0, self.end - self.capacity)

    def fill(self, descriptor: int, limit: int) -> int:
        """Read up to `limit` bytes from a descriptor; returns how many, 0 at the end of the stream."""
        if self.end - self._base == self.capacity:
            self._begin_anew()
        room = min(limit, self._base + self.capacity - self.end)
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            count = os.splice(descriptor, self.memory_file, room)
        else:
            count = self._read(descriptor, room)
        self.end += count
        return count

    def view(self, offset: int, limit: int) -> memoryview:
        """Bytes from an offset on, as many as lie together; valid until the next `fill`."""
        place = offset % self.capacity
        count = min(limit, self.end - offset, self.capacity - place)
        return self._bytes[HEADER + place : HEADER + place + count]

    def close(self) -> None:
        """Give the memory back; a second time is harmless."""
        self._bytes.release()
        self._map.close()
        if self.memory_file >= 0:
            os.close(self.memory_file)
            self.memory_file = -1

    def _read(self, descriptor: int, room: int) -> int:
        """From a terminal, which can't be spliced everywhere."""
        place = self._position()
        count = os.readv(descriptor, [self._bytes[place : place + room]])
        os.lseek(self.memory_file, count, os.SEEK_CUR)
        return count

    def _begin_anew(self) -> None:
        """Go on at the front, in steps that can be told apart should we be killed between them."""
        following = self._base + self.capacity
        self._map[NEXT_BASE] = following.to_bytes(8, "little")
        os.lseek(self.memory_file, HEADER, os.SEEK_SET)
        self._map[BASE] = following.to_bytes(8, "little")
        self._base = following

    def _recover_base(self) -> int:
        """The offset of the byte at the front."""
        base = int.from_bytes(self._map[BASE], "little")
        following = int.from_bytes(self._map[NEXT_BASE], "little")
        if base not in (following, following - self.capacity) or following > LARGEST_OFFSET:
            raise ValueError("an output ring's header is damaged")
        if following != base and self._position() == HEADER:
            self._map[BASE] = following.to_bytes(8, "little")
            return following
        return base

    def _position(self) -> int:
        return os.lseek(self.memory_file, 0, os.SEEK_CUR)
