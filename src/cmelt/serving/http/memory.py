"""Memory that is free goes back, what stays is left alone: what allocator and collector cannot know of a service."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

#: glibc's name for the number of heaps, and how many our threads share.
_M_ARENA_MAX, _HEAPS = -8, 2


def share_heaps() -> None:
    """What one thread has freed serves the others; by default each keeps a heap of its own, as large as its largest batch."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS)


def leave_alone() -> None:
    """Exempt all that is there from Python's search for unreachable cycles.

    With PyTorch and the model loaded a full search stops every thread for long, again and again under load.
    """
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Hand what is free to the system. Takes some milliseconds: for a moment in which nothing is asked."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
