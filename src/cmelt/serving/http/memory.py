"""Memory that is free goes back: glibc's allocator is told what it cannot know of a service."""

from __future__ import annotations

import ctypes
from contextlib import suppress

#: glibc's name for the number of heaps, and how many our threads share.
_M_ARENA_MAX, _HEAPS = -8, 2


def share_heaps() -> None:
    """What one thread has freed serves the others; by default each keeps a heap of its own, as large as its largest batch."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS)


def give_back() -> None:
    """Hand what is free to the system. Takes some milliseconds: for a moment in which nothing is asked."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
