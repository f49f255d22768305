"""Threads that compute give way to the one that answers, so that a full service says so at once."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

#: Steps of niceness below the thread that answers.
STEPS = 5


def give_way() -> None:
    """Lower the calling thread's priority below that of the process, where threads have one of their own (Linux)."""
    thread = threading.get_native_id()
    if thread == os.getpid() or not os.path.isdir(f"/proc/self/task/{thread}"):
        return
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, os.getpid()) + STEPS)
