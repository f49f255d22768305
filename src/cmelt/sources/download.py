"""A dataset from its publisher: every file whole and verified, several at a time, and on from where it was interrupted."""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cmelt.errors import SourceError
from cmelt.sources.about import About
from cmelt.sources.remote_files import LARGEST_RECORD, LARGEST_SUMS, SUMS, RemoteFile, chosen, in_sums, in_zenodo_record, place_of
from cmelt.sources.transfer import FIRST_PAUSE, DiskFullError, StoppedError, Wire, fetch_unverified, transfer
from cmelt.sources.web import check_url

#: Called with (done, in all), bytes where the publisher tells sizes, else files.
Progress = Callable[[int, int], None]

#: So many failures without a success between them: the server is gone, or the address wrong.
MOST_FAILURES_IN_A_ROW = 20
_RECORD = "zenodo-record.json"
_SECONDS_TO_STOP = 3.0


@dataclass(frozen=True)
class Downloaded:
    """What came of a download.

    Attributes:
        fetched: files that came.
        kept: files that lay there already, whole.
        failed: (path, reason) of every file that did not.
    """

    fetched: int
    kept: int
    failed: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Offer:
    """What is to be downloaded: `files` gives them one by one, `count` of them; `bytes` in all where the publisher says it."""

    files: Callable[[], Iterator[RemoteFile]] = field(repr=False)
    count: int
    bytes: int | None


def download(
    about: About,
    folder: str | Path,
    *,
    base: str | None = None,
    only: Sequence[str] = (),
    jobs: int = 4,
    progress: Progress | None = None,
    pause: float = FIRST_PAUSE,
) -> Downloaded:
    """Download the dataset of `about` into `folder`: the files of its list of checksums, or those that match a glob of `only`.

    Files that lie there whole are kept, parts of files are gone on with. Interrupted, it leaves whole files and parts.

    Args:
        base: another address of the same files, for a mirror: the folder with SHA256SUMS.txt, or the JSON of a Zenodo record.
        jobs: files at a time.
        progress: how far it is.
        pause: seconds before a first new try; it doubles.

    Raises:
        SourceError: it cannot be downloaded, the list cannot be had or trusted, nothing matches, the disk is full, or nothing
            but failures comes.
    """
    root = Path(folder)
    stop = threading.Event()
    offer = offered(about, root, base, only, stop, pause)
    if offer.bytes is not None and (free := shutil.disk_usage(root).free) < offer.bytes - _there(root, offer):
        raise SourceError(root, f"{free >> 20} MB free where {offer.bytes >> 20} MB are to come", "make room, or use --only")
    return _Crew(offer, root, stop, progress, pause).work(jobs)


def offered(
    about: About, root: Path, base: str | None, only: Sequence[str], stop: threading.Event, pause: float = FIRST_PAUSE
) -> Offer:
    """The files to download, by the publisher's list, which is fetched into `root`."""
    if about.access == "credentialed":
        raise SourceError(about.title, "is given only to signed-in users", f"download it at {about.where} and unpack it")
    if not about.download and base is None:
        raise SourceError(about.title, "cannot be downloaded from here", f"see {about.where}" if about.where else "it is yours")
    publisher, address = place_of(about.download) if about.download else ("physionet", "")
    address = check_url(base) if base is not None else address
    wanted = chosen(only)
    if publisher == "zenodo":
        record = root / _RECORD
        fetch_unverified(address, record, LARGEST_RECORD, stop, pause)
        listed = [file for file in in_zenodo_record(record.read_bytes(), address) if wanted(file.path)]
        offer = Offer(lambda: iter(listed), len(listed), sum(file.size or 0 for file in listed))
    else:
        sums = root / SUMS
        fetch_unverified(address.rstrip("/") + f"/{SUMS}", sums, LARGEST_SUMS, stop, pause)

        def files() -> Iterator[RemoteFile]:
            return (file for file in in_sums(sums, address) if wanted(file.path) and file.path != SUMS)

        offer = Offer(files, sum(1 for _ in files()), None)
    if offer.count == 0:
        raise SourceError(address, "no file of that name is offered", "check --only: patterns such as 'records100/*'")
    return offer


def _there(root: Path, offer: Offer) -> int:
    """Bytes of the offer that lie in `root` already, whole or in part."""
    found = 0
    for file in offer.files():
        for path in (root / file.path, root / f"{file.path}.part"):
            if path.is_file():
                found += min(path.stat().st_size, file.size or 0)
    return found


class _Crew:
    """Some threads that take one file after the other, and the one that counts."""

    def __init__(self, offer: Offer, root: Path, stop: threading.Event, progress: Progress | None, pause: float) -> None:
        self._offer, self._root, self._stop, self._progress = offer, root, stop, progress
        self._wire = Wire(stop, self._count, pause)
        self._pending = offer.files()
        self._turn = threading.Lock()
        self._bytes = 0
        #: (path, outcome or error) of each file; None from each thread when it ends.
        self._results: queue.Queue[tuple[str, str | BaseException] | None] = queue.Queue()

    def work(self, jobs: int) -> Downloaded:
        """Bring every file; returns when all are done, raises what ends it all."""
        # Daemons: a thread that waits for a silent server must not keep an interrupted command from ending.
        threads = [threading.Thread(target=self._take, daemon=True) for _ in range(max(1, jobs))]
        for thread in threads:
            thread.start()
        try:
            return self._collect(len(threads))
        finally:
            self._stop.set()
            deadline = time.monotonic() + _SECONDS_TO_STOP
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _take(self) -> None:
        path = ""
        try:
            while not self._stop.is_set():
                with self._turn:
                    file = next(self._pending, None)
                if file is None:
                    break
                path = file.path
                try:
                    self._results.put((path, transfer(file, self._root, self._wire)))
                except DiskFullError:
                    raise
                except SourceError as error:
                    self._results.put((path, error))
        except StoppedError:
            pass
        except Exception as error:  # whatever ends a thread must reach the one that waits for it
            self._results.put((path, error))
            self._stop.set()
        finally:
            self._results.put(None)

    def _collect(self, working: int) -> Downloaded:
        counts = {"fetched": 0, "kept": 0}
        failed: list[tuple[str, str]] = []
        in_a_row = 0
        while working:
            self._tell(counts["fetched"] + counts["kept"] + len(failed))
            try:
                result = self._results.get(timeout=0.25)
            except queue.Empty:
                continue
            if result is None:
                working -= 1
                continue
            path, outcome = result
            if isinstance(outcome, str):
                counts[outcome] += 1
                in_a_row = 0
                continue
            if not isinstance(outcome, SourceError) or isinstance(outcome, DiskFullError):
                raise outcome
            failed.append((path, outcome.fault))
            in_a_row += 1
            if in_a_row >= MOST_FAILURES_IN_A_ROW:
                raise SourceError(outcome.where, f"{outcome.fault}; so failed {in_a_row} files in a row", "try again later")
        self._tell(counts["fetched"] + counts["kept"] + len(failed))
        return Downloaded(counts["fetched"], counts["kept"], tuple(sorted(failed)))

    def _count(self, arrived: int) -> None:
        with self._turn:
            self._bytes += arrived

    def _tell(self, files: int) -> None:
        if self._progress is None:
            return
        if self._offer.bytes is None:
            self._progress(files, self._offer.count)
        else:
            self._progress(min(self._bytes, self._offer.bytes), self._offer.bytes)
