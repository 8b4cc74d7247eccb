"""How this process's memory allocator treats large pieces."""

import ctypes

# Of malloc.h, the same on all architectures.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST_KEPT = 32 << 20
FREE_KEPT = 64 << 20


def keep_freed_pieces() -> None:
    """Let pieces of output be made from memory that was used before.

    Else glibc gives each large one back to the kernel at once, and takes the next one page by page: that cost
    twice the processor time of everything else that a stream needs. Another C library is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(M_TRIM_THRESHOLD, FREE_KEPT)
