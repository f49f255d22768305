"""A thousand canaries (names, numbers, dates, words of reports) through every command and the service: where do they turn up?

Run: OMP_NUM_THREADS=1 python benchmarks/faults/canaries.py [--people 143] [--only prepare train …] [--json FILE]

143 patients have seven canaries each, in the headers, tags and demographics of their ECG files (twelve formats, half of the
patients with files spoiled in every way that `canary_files.py` knows), in their reports, in tables good and bad, in the names of
files. Every command runs as a process; the service gets 200 requests that are answered and 200 that are refused. Searched are
stdout and stderr, every file that is left, whatever lies in the folder for temporary files, each answer's body and head, log,
figures and page: as text of any 8-bit coding, UTF-16, base64, and inside gzip, zip, npz, zlib, parquet and Arrow. Commands and
the service also run with a fault inside, whose error quotes a patient.

Records go by the names of their files: these may stand where a record is named (`NAMED`), and reports where the store's copy is
(`STORE`), in `canary_commands.py`; in a model, a log, an error of the service nothing may.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent), str(HERE.parents[1] / "tests")]
from canary_archive import Archive, write_archive  # noqa: E402
from canary_commands import (  # noqa: E402
    Search,
    Step,
    dask_steps,
    environment_of,
    evaluation_steps,
    fault_of,
    prepare_steps,
    provenance_step,
    run,
    training_steps,
    write_settings,
)
from canary_requests import ask_all, ask_no_http, bad_asks, good_asks  # noqa: E402
from canary_words import KINDS, Person, people, planted  # noqa: E402

from http_calls import Process, Service, process  # noqa: E402
from measuring import Figure, options, tell, verdict  # noqa: E402

PARTS = ("prepare", "dask", "train", "evaluate", "serve")
ASKS = 200
_FAULTS = (
    "cmelt.serving.http.question:merged",
    "cmelt.serving.http.service:judge",
    "cmelt.serving.http.uploads:read_uploaded",
)


def parts_of(archive: Archive, root: Path) -> Mapping[str, Sequence[Step]]:
    """The commands of each part."""
    return {
        "prepare": prepare_steps(archive, root),
        "dask": dask_steps(archive),
        "train": training_steps(),
        "evaluate": evaluation_steps(archive),
    }


def serve(root: Path, archive: Archive, person: Person, search: Search, asks: int = ASKS) -> dict[str, dict[int, int]]:
    """A service with the model and the index of `root`, asked well and badly; statuses of the answers."""
    model = ("--model", str(root / "run"), "--index", str(root / "index"))
    with process(root / "service", *model) as running:
        good = good_asks(archive, asks)
        statuses = {"good": ask_all(running.service, good, search, "good")}
        ask = next(one for one in good if one.path == "/v1/embed")
        (root / "answer.json").write_bytes(running.service.ask(ask.method, ask.path, ask.body, ask.headers).body)
        statuses["bad"] = ask_all(running.service, bad_asks(archive, asks), search, "bad")
        ask_no_http(running.service, person, search)
        _look_at_the_rest(running, search)
    with process(root / "hurried", *model, "--seconds", "0.1") as running:
        statuses["hurried"] = ask_all(running.service, good_asks(archive, 16)[:8], search, "hurried")
        _look_at_the_rest(running, search, ("/metrics",))  # the page takes longer than that
    for number, fault in enumerate(_FAULTS):
        with faulty(root / f"faulty-{number}", fault, person, *model) as running:
            statuses[fault] = ask_all(running.service, good_asks(archive, 16)[:8], search, f"faulty {number}")
            _look_at_the_rest(running, search)
    return statuses


def _look_at_the_rest(running: Process, search: Search, addresses: Sequence[str] = ("/metrics", "/", "/openapi.json")) -> None:
    """The figures, the page, and once it has ended the log and what it has left in its folder for temporary files."""
    place = running.log.parent.name
    for address in addresses:
        search.look(f"{place}: {address}", running.service.get(address).body)
    running.end()
    search.look(f"{place}: log", running.log.read_bytes())
    search.look_below(running.temporary.parent, running.temporary, frozenset())


@contextmanager
def faulty(folder: Path, fault: str, person: Person, *arguments: str) -> Iterator[Process]:
    """`cmelt serve` with a fault inside."""
    folder.mkdir()
    log = folder / "log"
    launcher = [
        sys.executable,
        str(HERE / "canary_faults.py"),
        fault,
        "serve",
        "--port",
        "0",
        "--threads",
        "1",
        "--device",
        "cpu",
    ]
    environment = environment_of(folder, fault_of(person))
    with (
        log.open("wb") as stream,
        subprocess.Popen([*launcher, *arguments], env=environment, stdout=stream, stderr=stream) as running,
    ):
        try:
            yield Process(running, _ready(log, running), log, folder / "temporary")
        finally:
            running.kill()


def _ready(log: Path, running: subprocess.Popen[bytes]) -> Service:
    end = time.monotonic() + 120
    while time.monotonic() < end and running.poll() is None:
        told = log.read_text()
        if " at http://" in told and told.endswith("\n"):
            service = Service(int(told.split(" at http://", 1)[1].split("\n")[0].rpartition(":")[2]))
            service.wait_until_ready()
            return service
        time.sleep(0.05)
    raise RuntimeError(f"no service: {log.read_text()}")


def campaign(
    root: Path, whom: Sequence[Person], parts: Sequence[str], said: Callable[[str], None]
) -> tuple[Search, dict[str, int]]:
    """Everything; what was searched and found, and counts."""
    archive, search = write_archive(root, whom), Search(planted(whom))
    write_settings(root)
    counts = {"commands": 0, "of another status": 0}
    for part, steps in parts_of(archive, root).items():
        for step in steps if part in parts else ():
            before = len(search.leaks)
            status = run(step, root, whom[0], search)
            counts["commands"] += 1
            counts["of another status"] += status != step.status
            told = f"{step.name}: exit {status}" + ("" if status == step.status else f", not {step.status}")
            said(f"{told}, {len(search.leaks) - before} leaks")
    if "train" in parts:
        counts |= vocabulary(root / "run", archive)
    if "serve" in parts:
        counts["commands"] += 1
        for what, statuses in serve(root, archive, whom[0], search).items():
            said(f"{what}: {statuses}")
            counts |= {f"{what} {'answered' if ok else 'refused'}": _count(statuses, ok) for ok in (True, False)}
        said(f"provenance: exit {run(provenance_step(), root, whom[0], search)}")
    search.look_below(root, root / "temporary", frozenset())
    return search, counts


def _count(statuses: Mapping[int, int], answered: bool) -> int:
    return sum(count for status, count in statuses.items() if (status < 400) == answered)


def vocabulary(run_folder: Path, archive: Archive) -> dict[str, int]:
    """How many words of one patient alone are pieces of the run's vocabulary, and would be without our rule."""
    from cmelt.text import clean_report, train_tokenizer

    model = json.loads((run_folder / "model" / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = set(model["model"]["vocab"])
    reports = [clean_report(who.report) for _, who in archive.good]
    without = set(train_tokenizer(reports, 4000).get_vocab())
    words = {who.word[:8] for _, who in archive.good}
    return {
        "words of one patient": len(words),
        "of them begun by one piece": sum(any(piece.startswith(word) for piece in pieces) for word in words),
        "of them begun by one piece without the rule": sum(any(piece.startswith(word) for piece in without) for word in words),
        "letters of them in one piece": max((len(piece) for piece in pieces if any(piece in word for word in words)), default=0),
    }


def figures_of(search: Search, counts: Mapping[str, int]) -> list[Figure]:
    """Counts of what was promised."""
    by_kind = {kind: sum(leak.kinds.get(kind, 0) for leak in search.leaks) for kind in KINDS}
    note = f"{len(search.canaries)} canaries, {search.places} places, {search.size / 1e6:.0f} MB; " + ", ".join(
        f"{count} {what}" for what, count in counts.items()
    )
    leaks = Figure(
        "places that tell what they must not",
        len(search.leaks),
        "",
        target="≤ 0",
        met=verdict(len(search.leaks), "≤ 0"),
        note=note,
    )
    found = Figure(
        "places where canaries rightly are, and were found", len(search.rightly), "", target="≥ 1", met=len(search.rightly) > 0
    )
    return [leaks, found, *(Figure(f"leaked: {kind}", count, "") for kind, count in by_kind.items() if count)]


def main() -> None:
    """Plant, run, search, tell."""
    parser = options(__doc__)
    parser.add_argument("--people", type=int, default=143, help="patients, of seven canaries each")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--folder", type=Path, help="work there, and leave it; else in a folder that goes")
    chosen = parser.parse_args()
    root = chosen.folder or Path(tempfile.mkdtemp(prefix="cmelt-canaries-"))
    root.mkdir(parents=True, exist_ok=True)
    try:
        search, counts = campaign(root, people(chosen.people), chosen.only, lambda line: print(line, flush=True))
    finally:
        if chosen.folder is None:
            shutil.rmtree(root)
    for leak in search.leaks:
        print(f"LEAK {leak.where}: {leak.kinds}: {leak.example!r}")
    tell(figures_of(search, counts), chosen.json)


if __name__ == "__main__":
    main()
