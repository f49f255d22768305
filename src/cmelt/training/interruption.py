"""SIGTERM, SIGINT and SIGUSR1 (SLURM's notice): the step in hand is finished and saved; a second signal leaves at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 138}


class Interruption:
    """Within the block, the first signal sets `code`; the handlers of before come back for the second."""

    def __init__(self) -> None:
        self.code: int | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interruption:
        # Only the main thread may set handlers; elsewhere (a notebook's worker, a test) signals stay as they are.
        if threading.current_thread() is threading.main_thread():
            for name in EXIT_CODES:
                self._before[name] = signal.signal(name, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._restore()

    def pass_on(self) -> None:
        """After the block: a signal that was noted there too late for anybody to heed is raised again."""
        if self.code is not None:
            signal.raise_signal(self.code - 128)

    def _note(self, number: int, _: FrameType | None) -> None:
        self.code = EXIT_CODES[signal.Signals(number)]
        self._restore()

    def _restore(self) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)  # type: ignore[arg-type]
        self._before = {}
