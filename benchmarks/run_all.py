"""Run the benchmarks one after the other, and write what they measured as a table and a picture.

    make bench                                                  all of them
    python benchmarks/run_all.py --only quality fingerprint     these; the others' figures stay as they were kept
    python benchmarks/run_all.py --table                        none: table and picture anew from what is kept
    python benchmarks/run_all.py --release FOLDER               compare with the authors' release that lies there

The figures of each script are kept in `benchmarks/results/NAME.json`, with the machine and the date. `benchmarks/RESULTS.md` and
`RESULTS.svg` are made of these and of nothing else. One that fails or takes too long is named, in the table too; the others run
all the same, and this ends with 1.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from results_page import Kept, contradiction_in, write_page
from results_picture import write_picture

HERE = Path(__file__).resolve().parent
RELEASE = "CMELT_DBETA"


@dataclass(frozen=True)
class Script:
    """One benchmark: its file's name, the heading that its figures stand under, and how it is run.

    Attributes:
        limit: seconds after which it is stopped.
        release: whether it compares with the authors' release, and takes its folder as `--release`.
        arguments: what it is given beside `--json`.
    """

    name: str
    heading: str
    limit: float = 150.0
    release: bool = False
    arguments: tuple[str, ...] = ()


#: Hours of one core, or pages of what these have found: asked for by their own names, and no part of `make bench`.
APART = ("mutation", "robustness", "robustness_page")

#: Every other benchmark, in the order of the table.
SCRIPTS = (
    Script("training_step", "Training step", limit=300.0, release=True),
    Script("roofline", "What the work is, and what this machine could do"),
    Script("gpu", "On a GPU", limit=600.0),  # kernels for three batch sizes are made before anything runs
    Script("scaling", "Several processes"),
    Script("loading", "Loading for training"),
    Script("negatives", "Negatives (N3S)", release=True),
    Script("search_index", "Vector search"),
    Script("growth", "Growth with the number of pairs"),
    Script("embedding", "Embedding", release=True),
    Script("bundled_model", "The bundled model on one core"),
    Script("explanation", "Explanations", limit=300.0, arguments=("--records", "2")),
    Script("prepare_wfdb", "Preparing a store"),
    Script("prepare_memory", "Preparing a very long source"),
    Script("quality", "Quality checks", limit=300.0),
    Script("fingerprint", "Fingerprints"),
    Script("simulation_speed", "Simulation"),
)


def run(script: Script, folder: Path, kept: Path, release: str | None) -> Kept:
    """Run one script of `folder`; what it told is returned and kept as `kept`/NAME.json, and so is how it failed."""
    with tempfile.TemporaryDirectory(prefix="cmelt-bench-") as scratch:
        told = Path(scratch) / "figures.json"
        command = [sys.executable, str(folder / f"{script.name}.py"), "--json", str(told), *script.arguments]
        if release is not None and script.release:
            command += ["--release", release]
        begin = time.perf_counter()
        failed = _failure(command, script.limit)
        seconds = time.perf_counter() - begin
        if not failed and not told.is_file():
            failed = "wrote no figures"
        content: dict[str, Any] = {"date": date.today().isoformat(), "machine": {}, "figures": [], "skipped": []}
        if not failed:
            content = json.loads(told.read_text(encoding="utf-8"))
    content |= {"heading": script.heading, "seconds": round(seconds, 1), "failed": failed}
    if contradiction := contradiction_in(content):
        content |= {"figures": [], "failed": contradiction}
    kept.mkdir(exist_ok=True)
    (kept / f"{script.name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return Kept.of(script.name, content)


def _failure(command: Sequence[str], limit: float) -> str:
    """Run the command, its output going where ours goes; how it failed, or nothing. Its own processes end with it."""
    # One thread each, as figures a core are told; a script that uses more sets the number itself.
    environment = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **os.environ}
    # What is measured is the package beside these scripts, installed or not.
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(HERE.parent / "src"), os.environ.get("PYTHONPATH"))))
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        return f"stopped after its {limit:g} s"
    finally:
        _end(process)
    return f"ended with {code}" if code else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the script and whatever it has started: they are a session of their own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kept_results(folder: Path, scripts: Sequence[Script]) -> list[Kept]:
    """What is kept of these scripts, in their order; those that were never run are left out."""
    places = [(script, folder / f"{script.name}.json") for script in scripts]
    found = [(script, json.loads(place.read_text(encoding="utf-8"))) for script, place in places if place.is_file()]
    # The heading is the list's of today, whatever it was when the figures were taken.
    return [Kept.of(script.name, content | {"heading": script.heading}) for script, content in found]


def write(out: Path, kept: Sequence[Kept]) -> None:
    """RESULTS.md and RESULTS.svg into `out`."""
    write_page(out / "RESULTS.md", kept, "RESULTS.svg")
    write_picture(out / "RESULTS.svg", kept)


def run_all(scripts: Sequence[Script], names: Sequence[str], folder: Path, out: Path, release: str | None) -> list[str]:
    """Run the scripts of these names in `folder`, write table and picture into `out`; returns the names of those that failed."""
    chosen = [script for script in scripts if script.name in names]
    failed, begin = [], time.perf_counter()
    for number, script in enumerate(chosen, 1):
        print(f"== {number} of {len(chosen)}: {script.name}", flush=True)
        ended = run(script, folder, out / "results", release)
        failed += [script.name] if ended.failed else []
        told = ended.failed or f"{len(ended.figures)} figures" + (f", {len(ended.skipped)} skipped" if ended.skipped else "")
        print(f"   {script.name}: {told}; {ended.seconds:.0f} s, {time.perf_counter() - begin:.0f} s in all", flush=True)
    write(out, kept_results(out / "results", scripts))
    print(f"written: {out / 'RESULTS.md'}, {out / 'RESULTS.svg'}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return failed


def main() -> int:
    """Run what is asked for; 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [script.name for script in SCRIPTS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", default=names, help=f"of: {', '.join(names)}")
    parser.add_argument("--table", action="store_true", help="run none")
    parser.add_argument("--release", default=os.environ.get(RELEASE), help=f"folder of the authors' release (or ${RELEASE})")
    chosen = parser.parse_args()
    return 1 if run_all(SCRIPTS, [] if chosen.table else chosen.only, HERE, HERE, chosen.release) else 0


if __name__ == "__main__":
    sys.exit(main())
