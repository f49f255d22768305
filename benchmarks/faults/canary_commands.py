"""Commands over the archive of canaries, each a process of its own, and what each of them may say and leave behind.

What may hold what is stated here, once: `STORE`, `NAMED` and `NOTHING`. Everything else that a canary is found in is a leak.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from canary_archive import Archive
from canary_words import FILE, REPORT, Person, found

SOURCE = Path(__file__).resolve().parents[2] / "src"
#: The archive's copy: what was asked for lies in it. Patients go by hashes.
STORE = frozenset({REPORT, FILE})
#: Records go by the names of their files; messages must say which file they mean.
NAMED = frozenset({FILE})
NOTHING: frozenset[str] = frozenset()

TASK = """
classes:
  afib: {labels: [afib], prompts: [vorhofflimmern, atrial fibrillation]}
  norm: {labels: [norm], prompts: [sinusrhythmus normales ekg]}
"""
STUDY = """
name: canaries
data: {all: {stores: {store: {}}}}
models: {tiny: {recipe: recipe.yaml}}
seeds: [0]
reference: {model: tiny}
evaluate: [{kind: zero-shot, store: store, tasks: [task.yaml]}, {kind: retrieval, store: store}]
bootstrap: 20
least_positives: 2
threads: 1
workers: 1
"""
#: Files of a folder that may hold more than the rest of it, by the end of their names.
_BY_NAME: Mapping[str, frozenset[str]] = {
    "store/index.parquet": STORE,
    "store/quarantine.jsonl": NAMED,
    "named/index.parquet": frozenset({REPORT}),
    "index/records.arrow": STORE,
    "eval/report.html": frozenset({REPORT}),  # its examples; without them, below, nothing
}


@dataclass(frozen=True)
class Step:
    """A command.

    Attributes:
        says, tells: what its stdout and its stderr may hold.
        status: its exit status.
        made: what it leaves, and what of it each file may hold, `_BY_NAME` apart.
        fault: what is put in its way, see canary_faults.py.
    """

    name: str
    arguments: tuple[object, ...]
    says: frozenset[str] = NOTHING
    tells: frozenset[str] = NOTHING
    status: int = 0
    made: tuple[str, ...] = ()
    holds: frozenset[str] = NOTHING
    fault: str = ""


@dataclass(frozen=True)
class Done:
    """What a command left: exit status and what it said."""

    status: int
    stdout: bytes
    stderr: bytes


@dataclass
class Leak:
    """Canaries where none may be: of which kinds, how many, and one of them."""

    where: str
    kinds: dict[str, int]
    example: str


@dataclass
class Search:
    """What has been searched, and what was found.

    Attributes:
        places: searched: outputs, files, answers; `size` in bytes.
        rightly: canaries where they may be, by place: the search works.
    """

    canaries: Mapping[str, str]
    places: int = 0
    size: int = 0
    leaks: list[Leak] = field(default_factory=list)
    rightly: dict[str, int] = field(default_factory=dict)

    def look(self, where: str, content: bytes, may: frozenset[str] = NOTHING) -> None:
        """Search `content`, in which canaries of the kinds `may` are no leak."""
        self.places += 1
        self.size += len(content)
        met = found(content, self.canaries)
        wrong = sorted(key for key in met if self.canaries[key] not in may)
        if len(met) > len(wrong):
            self.rightly[where] = len(met) - len(wrong)
        if wrong:
            kinds: dict[str, int] = {}
            for key in wrong:
                kinds[self.canaries[key]] = kinds.get(self.canaries[key], 0) + 1
            self.leaks.append(Leak(where, kinds, _around(content, wrong[0])))

    def look_below(self, root: Path, folder: Path, may: frozenset[str]) -> None:
        """Search every file at or below `folder`, names too; what it may hold goes by `_BY_NAME`, else by `may`."""
        for path in sorted([folder, *folder.rglob("*")] if folder.is_dir() else [folder]):
            place = path.relative_to(root).as_posix()
            rule = next((rule for name, rule in _BY_NAME.items() if place.endswith(name)), may)
            self.look(f"name {place}", place.encode(), may)
            if path.is_file():
                self.look(place, path.read_bytes(), rule)


def _around(content: bytes, key: str) -> str:
    place = content.lower().find(key.encode())
    return key if place < 0 else content[max(place - 60, 0) : place + 40].decode("utf-8", "replace")


def environment_of(root: Path, said: str) -> dict[str, str]:
    """What a process is started with: its temporary files lie below `root`, and a fault quotes `said`."""
    (root / "temporary").mkdir(exist_ok=True)
    ours = {"PYTHONPATH": str(SOURCE), "TMPDIR": str(root / "temporary"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return {**os.environ, **ours, "CANARY_SAID": said, "COLUMNS": "300"}


def fault_of(person: Person) -> str:
    """All that a library's error could quote."""
    return (
        f"{person.name}; {person.patient}; {person.born}; {person.accession}; {person.physician}; {person.report}; {person.file}"
    )


def in_a_process(step: Step, root: Path, person: Person) -> Done:
    """Run the command as its user does, in `root`."""
    launcher = [str(Path(__file__).with_name("canary_faults.py")), step.fault] if step.fault else ["-m", "cmelt.cli"]
    command, environment = [sys.executable, *launcher, *map(str, step.arguments)], environment_of(root, fault_of(person))
    ended = subprocess.run(command, cwd=root, env=environment, capture_output=True, check=False, timeout=600)
    return Done(ended.returncode, ended.stdout, ended.stderr)


def run(step: Step, root: Path, person: Person, search: Search, how: Callable[[Step, Path, Person], Done] = in_a_process) -> int:
    """Run the command in `root`, search what it says and what it leaves; its exit status."""
    done = how(step, root, person)
    (root / "log").mkdir(exist_ok=True)
    (root / "log" / f"{step.name}.txt").write_bytes(done.stdout + b"\n---\n" + done.stderr)
    search.look(f"{step.name}: stdout", done.stdout, step.says)
    search.look(f"{step.name}: stderr", done.stderr, step.tells)
    for name in step.made:
        if not (root / name).exists():
            raise RuntimeError(f"{step.name} has left no {name}: {done.stderr.decode(errors='replace')[-2000:]}")
        search.look_below(root, root / name, step.holds)
    return done.status


def prepare_steps(archive: Archive, root: Path) -> list[Step]:
    """The archive into stores, in every way; tables that are refused; a look at what came of it."""
    tree, torn = archive.tree, ("prepare", "ptb-xl", archive.torn, "--out", root / "torn-store")
    folder = ("prepare", "folder", tree, "--out")
    short, listed = ("--shard-records", 40), ("--table", archive.table)
    overlap = ("inspect", "store", "--overlap", "bare/store", "--out", "overlap.csv")
    steps = [
        Step("prepare", (*folder, "store", *listed, "--workers", 2, *short), made=("store",)),
        Step("prepare, files alone", (*folder, "bare/store", "--strict"), status=1, made=("bare",)),
        Step("prepare, pseudonyms", (*folder, "named", "--table", archive.named, *short), made=("named",)),
        Step("prepare, parquet", (*folder, "again/store", "--table", archive.parquet), made=("again",)),
        Step("prepare, torn table", torn, status=1),
        Step("prepare, a fault inside", (*folder, "broken", *listed), status=1, fault="cmelt.store.shard:rows_bytes"),
        Step("inspect", ("inspect", "store")),
        Step("inspect, JSON", ("inspect", "store", "--json", "--full")),
        Step("inspect, page", ("inspect", "store", "--html", "--out", "store.html"), made=("store.html",), holds=STORE),
        Step("inspect, overlap", overlap, made=("overlap.csv",), holds=NAMED),
    ]  # fmt: skip
    for table in archive.bad:
        steps.append(Step(f"prepare, {table.name}", (*folder, "refused", "--table", table), status=1, tells=NOTHING))
    return steps


def dask_steps(archive: Archive) -> list[Step]:
    """Workers of a scheduler, whose own logs say what they could not do."""
    folder = ("prepare", "folder", archive.tree, "--table", archive.table, "--dask", "local", "--workers", 1, "--out")
    return [Step("prepare, Dask", (*folder, "dask/store"), made=("dask",))]


def write_settings(root: Path) -> None:
    """A task of classes, and recipes of a model of moments: one that fits the store, one that does not."""
    import yaml

    from tiny_runs import TINY

    text = {**TINY["model"]["text"], "vocabulary": 4000}
    recipe = {
        **TINY,
        "model": {**TINY["model"], "text": text},
        "objectives": {"info_nce": 1.0, "phrases": 0.5, "phrase": {"least": 3}},
    }
    (root / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    misfit = {**TINY, "model": {**TINY["model"], "ecg": {**TINY["model"]["ecg"], "rate": 500.0, "samples": 5000}}}
    (root / "misfit.yaml").write_text(yaml.safe_dump(misfit))
    (root / "task.yaml").write_text(TASK)
    (root / "study.yaml").write_text(STUDY)


def training_steps() -> list[Step]:
    """Runs that end well, and in every other way."""
    train = ("pretrain", "--data", "store", "--recipe", "recipe.yaml", "--out")
    group = "cmelt.batches.corpus:report_groups"
    return [
        Step("pretrain", (*train, "run"), made=("run",)),
        Step("pretrain, NaN", (*train, "nan"), status=1, tells=NAMED, made=("nan",), fault="nan"),
        Step("pretrain, misfit", ("pretrain", "--data", "store", "--recipe", "misfit.yaml", "--out", "misfit"), status=1),
        Step("pretrain, another run there", (*train, "run", "--set", "seed=9"), status=1),
        Step("pretrain, a fault in the reports", (*train, "broken-run"), status=1, fault=group),
        Step("pretrain, a fault in a batch", (*train, "broken-run-2"), status=1, fault="cmelt.batches.assemble:Batches.batch"),
        Step("info", ("info", "run"), made=()),
    ]


def provenance_step() -> Step:
    """An answer of the service, kept as `answer.json`, followed back to the source's files."""
    asked = ("provenance", "answer.json", "--model", "run", "--data", "store", "--sources", "archive", "--json")
    return Step("provenance", asked, says=NAMED, tells=NAMED)


def evaluation_steps(archive: Archive) -> list[Step]:
    """All that measures and uses the model."""
    measure = ("evaluate", "run", "--data", "store", "--task", "task.yaml", "--bootstrap", 20, "--out")
    tune = ("finetune", "run", "--data", "store", "--task", "task.yaml", "--leads", 12, "--epochs", 1, "--fractions", 1)
    vectors = ("embed", "store", "--model", "run", "--out", "vectors.parquet")
    scores = ("classify", "store", "--model", "run", "--task", "task.yaml", "--out", "scores.parquet")
    compared = (*measure, "eval", "--retrieval", "--identification", "--json")
    file, spoiled = archive.good[0][0], archive.spoiled[0][0].parent
    asked, files = ("--model", "run", "--task", "task.yaml"), ("classify", archive.tree)
    explain = ("explain", file, "--model", "run", "--prompt", "vorhofflimmern", "--method", "occlusion", "--out", "why.svg")
    return [
        Step("evaluate", compared, made=("eval",), holds=NAMED),
        Step("evaluate, no examples", (*measure, "eval3", "--no-probe", "--no-examples"), made=("eval3",)),
        Step("evaluate, a fault", (*measure, "eval2", "--retrieval"), status=1, fault="cmelt.text.groups:report_groups"),
        Step("finetune", (*tune, "--no-supervised", "--bootstrap", 20, "--out", "tuned"), made=("tuned",)),
        Step("calibrate", ("calibrate", "run", "--data", "store", "--task", "task.yaml", "--bootstrap", 20), status=1),
        Step("embed", vectors, made=("vectors.parquet",), holds=NAMED),
        Step("embed, spoiled files", ("embed", spoiled, "--model", "run", "--out", "v2.parquet"), tells=NAMED, says=NAMED),
        Step("classify, a store", scores, made=("scores.parquet",), holds=NAMED),
        Step("classify, files", (*files, *asked, "--json"), says=NAMED, tells=NAMED, status=1),
        Step("explain", (*explain, "--json"), made=("why.svg",)),
        Step("plot", ("plot", file, "--out", "ecg.svg"), made=("ecg.svg",)),
        Step("plot, PDF", ("plot", file, "--out", "ecg.pdf"), made=("ecg.pdf",)),
        Step("show", ("show", file), says=STORE),
        Step("show, spoiled", ("show", archive.spoiled[0][0]), status=1, tells=NAMED),
        Step("index", ("index", "store", "--model", "run", "--out", "index", "--workers", 1), made=("index",)),
        Step("search", ("search", "index", "--text", "vorhofflimmern", "--model", "run", "--json"), says=STORE),
        Step("search, a fault", ("search", "index", "--text", "vorhofflimmern"), status=1, fault="cmelt.serving.search:search"),
        Step("study", ("study", "study.yaml", "--stores", ".", "--out", "study"), made=("study",)),
        Step("serve, a fault", ("serve", "--port", 0, "--model", "run"), status=1, fault="cmelt.serving.http.loaded:embed"),
        Step("export", ("export", "--onnx", "run", "--out", "onnx"), made=("onnx",)),
    ]  # fmt: skip
