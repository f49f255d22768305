"""Growth: what each job costs against the number of pairs, and an embedding against text length, batch, leads, record length.

    python benchmarks/growth.py                              1,000 to 100,000 pairs
    python benchmarks/growth.py --pairs 1000000              to a million, where a job's sizes follow the pairs
    python benchmarks/growth.py --picture growth.svg         the lines, too

Every job is run at several sizes; the exponent is the slope of log seconds over log size, of least squares over the upper sizes
(what a job costs to begin with flattens the lower ones), with the lowest and highest slope between neighbours. One core, seconds
of the processor. Reports are made up of statements, four fifths of them repeats, without signals; records that are prepared are
five seconds of noise at 40 Hz, so that what a record costs beside its signal is measured.

A job is held to an exponent of 1.15 at most, the rest being noise of the measurement, unless `Job.why` says why it grows faster.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from measuring import Figure, options, tell

if TYPE_CHECKING:
    from cmelt.batches.corpus import Corpus

LINEAR = 1.15
BATCH = 128

FINDINGS = """sinus rhythm; sinus bradycardia; sinus tachycardia; atrial fibrillation; atrial flutter; paced rhythm
left axis deviation; right axis deviation; left bundle branch block; right bundle branch block; left anterior fascicular block
inferior infarct, age undetermined; anterior infarct, old; lateral st depression; t waves inverted in v1-v3; normal ecg
left ventricular hypertrophy; premature ventricular complexes; poor r wave progression; prolonged qt interval; low voltages
nonspecific t abnormalities; possible left atrial enlargement; no acute st changes; first degree av block; abnormal ecg"""
FINDINGS_EACH = FINDINGS.replace("\n", "; ").split("; ")


@dataclass(frozen=True)
class Job:
    """Something that costs more where there is more.

    Attributes:
        name: what it is.
        against: what is counted.
        sizes: how much of it, rising.
        prepared: makes the work of a size, uncounted; the work is what is measured.
        most: the exponent that it may have.
        why: the reason, where that is above one.
        upper: over how many of the largest sizes the exponent is taken.
    """

    name: str
    against: str
    sizes: Sequence[int]
    prepared: Callable[[int], Callable[[], object]]
    most: float = LINEAR
    why: str = ""
    upper: int = 3


@dataclass(frozen=True)
class Line:
    """What a job took at its sizes, in seconds of one core."""

    job: Job
    seconds: list[float]

    def slopes(self) -> tuple[float, float, float]:
        """The exponent; the lowest and highest between neighbours."""
        size, took = (np.log(values[-self.job.upper :]) for values in (self.job.sizes, self.seconds))
        between = np.diff(took) / np.diff(size)
        return float(np.polyfit(size, took, 1)[0]), float(between.min()), float(between.max())

    def figure(self) -> Figure:
        """As one is told."""
        slope, low, high = self.slopes()
        last = f"{self.seconds[-1]:.3g} s for {self.job.sizes[-1]:,}"
        return Figure(
            f"{self.job.name} against {self.job.against}: exponent",
            slope,
            "",
            low=low,
            high=high,
            target=f"≤ {self.job.most:g}",
            met=slope <= self.job.most,
            note=f"{last}{'; ' if self.job.why else ''}{self.job.why}",
        )


def measured(job: Job, rounds: int = 3) -> Line:
    """The least of a few rounds at each size; one round where it takes long, many in one where it is short."""
    seconds = []
    job.prepared(job.sizes[0])()  # what is imported is not counted
    for size in job.sizes:
        work, best = job.prepared(size), np.inf
        for _ in range(rounds):
            times, start = 0, time.process_time()
            while (took := time.process_time() - start) < 0.02:
                work()
                times += 1
            best = min(best, took / times)
            if took > 1.5:
                break
        seconds.append(best)
    return Line(job, seconds)


def reports(count: int, distinct: bool = False) -> list[str]:
    """Made-up reports: four fifths are repeats of others, or none is."""
    rng = np.random.default_rng(0)
    kinds = count if distinct else max(1, count // 5)
    numbers = np.arange(count) if distinct else rng.integers(kinds, size=count)
    found = []
    for number in numbers.tolist():
        own = np.random.default_rng(number).choice(len(FINDINGS_EACH), 1 + number % 5, replace=False)
        found.append(
            ". ".join(FINDINGS_EACH[place] for place in own) + f". ventricular rate {40 + number % 97} bpm. form {number // 97}"
        )
    return found


def vectors(count: int, width: int) -> NDArray[np.float32]:
    """Unit vectors in a cone of clusters."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((100, width), dtype=np.float32) + 0.5
    found = centres[rng.integers(100, size=count)] + 0.7 * rng.standard_normal((count, width), dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def grouping(count: int) -> Callable[[], object]:
    """Which reports say the same."""
    from cmelt.text import report_groups

    texts = reports(count)
    return lambda: report_groups(texts)


def mining(count: int) -> Callable[[], object]:
    """Which phrases recur."""
    from cmelt.text.phrases import mine_phrases

    texts = reports(count, distinct=True)
    return lambda: mine_phrases(texts, np.arange(count))


def asking(count: int) -> Callable[[], object]:
    """The phrases that a batch is asked for."""
    from cmelt.batches.phrases import PhraseBook
    from cmelt.text.phrases import mine_phrases

    phrases = mine_phrases(reports(count, distinct=True), np.arange(count), least=3, most=1000)
    book, rng = PhraseBook(phrases, np.zeros(len(phrases), np.int64)), np.random.default_rng(0)
    stores = np.zeros(BATCH, np.int64)
    book.ask(rng.integers(count, size=BATCH), stores, 64, rng)  # the first time it turns the table
    return lambda: book.ask(rng.integers(count, size=BATCH), stores, 64, rng)


def negatives(strategy: str) -> Callable[[int], Callable[[], object]]:
    """The table of N3S."""

    def prepared(count: int) -> Callable[[], object]:
        from cmelt.negatives import build_table

        found = vectors(count, 128)
        if strategy == "farthest":
            return lambda: build_table(found, device="cpu")
        return lambda: build_table(found, band=(0.25, 0.95), counts=np.ones(count))

    return prepared


def drawing(count: int) -> Callable[[], object]:
    """A step's negatives."""
    from cmelt.negatives import NegativeTable, draw

    rng = np.random.default_rng(0)
    table = NegativeTable(rng.integers(count, size=(count, 64), dtype=np.int32), "random", None, 0)
    return lambda: draw(table, rng.integers(count, size=BATCH // 2), rng)


def epoch_start(count: int) -> Callable[[], object]:
    """The first batch's pairs of a new pass over them."""
    from cmelt.batches.order import positions

    seeds = iter(range(10**9))
    return lambda: positions(count, BATCH, 0, next(seeds))


def gathering(count: int) -> Callable[[], object]:
    """A run's pairs, out of the store's index."""
    from cmelt.batches.corpus import corpus_of

    store = IndexOnly(count)

    def work() -> Corpus:
        return corpus_of(store)  # type: ignore[arg-type]

    return work


class IndexOnly:
    """What the gathering of pairs asks of a store, without signals."""

    leads = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    path = Path("made up")

    def __init__(self, count: int) -> None:
        """So many records with reports, a tenth of them without V6."""
        import pandas as pd

        none: tuple[str, ...] = ()
        absent = [("V6",) if number % 10 == 0 else none for number in range(count)]
        self.index = pd.DataFrame({"report": reports(count), "missing_leads": absent})

    def rows(self, split: str) -> NDArray[np.int64]:  # noqa: ARG002 (all are of it)
        """All."""
        return np.arange(len(self.index))


def preparing(folder: Path) -> Callable[[int], Callable[[], object]]:
    """Stores of tiny records."""

    def prepared(count: int) -> Callable[[], object]:
        from cmelt.store import ShardSettings, prepare_store
        from prepare_memory import RATE, SECONDS, ManyRecords

        settings = ShardSettings(RATE, SECONDS, "first", "a benchmark's key")
        return lambda: prepare_store(ManyRecords(count), folder / "store", settings, force=True)

    return prepared


def index_building(folder: Path) -> Callable[[int], Callable[[], object]]:
    """Search indexes with codes."""

    def prepared(count: int) -> Callable[[], object]:
        from cmelt.index import build_index

        found = vectors(count, 256)
        return lambda: build_index(found, folder / "index", kind="codes")

    return prepared


def index_asking(folder: Path) -> Callable[[int], Callable[[], object]]:
    """One query, alone."""

    def prepared(count: int) -> Callable[[], object]:
        from cmelt.index import build_index

        index = build_index(vectors(count, 256), folder / f"asked-{count}", kind="codes")
        queries = iter(np.random.default_rng(1).permutation(vectors(4000, 256)).repeat(50, axis=0))
        return lambda: index.search(next(queries)[None])

    return prepared


def ecg_embedding(what: str) -> Callable[[int], Callable[[], object]]:
    """The ECG encoder of `small`, weights at random."""

    def prepared(count: int) -> Callable[[], object]:
        import torch

        from cmelt.config import load_recipe
        from cmelt.model.ecg_encoder import EcgEncoder

        settings = load_recipe("small").model.ecg
        batch, leads, seconds = {"batch": (count, 12, 10), "leads": (8, count, 10), "seconds": (8, 12, count)}[what]
        settings = replace(settings, leads=leads, samples=round(settings.rate * seconds))
        encoder, ecg = EcgEncoder(settings).eval(), torch.randn(batch, leads, settings.samples)
        return lambda: encoder(ecg)

    return prepared


def text_embedding(count: int) -> Callable[[], object]:
    """The text encoder of `small`, weights at random, on texts of so many word pieces."""
    import torch

    from cmelt.config import load_recipe
    from cmelt.model.t5_encoder import T5Encoder, T5Sizes

    architecture = load_recipe("small").model.text.architecture
    encoder = T5Encoder(T5Sizes.of({**architecture, "vocab_size": 4000, "pad_token_id": 0})).eval()
    pieces = torch.randint(2, 4000, (8, count))
    mask = torch.ones_like(pieces)
    return lambda: encoder(input_ids=pieces, attention_mask=mask)


def jobs(pairs: int, folder: Path) -> list[Job]:
    """All of them."""
    to = [pairs // 100, pairs // 30, pairs // 10, pairs // 3, pairs]
    attention = "attention compares every token with every other"
    return [
        Job("preparing a store", "records", [200, 600, 1800], preparing(folder)),
        Job("grouping identical reports", "pairs", to, grouping),
        Job("gathering a run's pairs", "pairs", to, gathering),
        Job("mining phrases", "distinct reports", [n // 5 for n in to], mining),
        Job("asking a batch for phrases", "distinct reports", [n // 5 for n in to], asking),
        Job(
            "table of negatives, farthest",
            "distinct reports",
            [2000, 4000, 8000, 16000],
            negatives("farthest"),
            2.15,
            "exact: every report is compared with every other, once before training",
        ),
        Job("table of negatives, band", "distinct reports", [n // 2 for n in to[2:]], negatives("band"), LINEAR, "", 2),
        Job("a step's negatives", "distinct reports", to, drawing),
        Job("epoch start", "pairs", to, epoch_start),
        Job("building a search index", "rows", to[2:], index_building(folder)),
        Job("a query of the search index", "rows", to[2:], index_asking(folder)),
        Job("embedding ECGs", "batch", [4, 8, 16, 32], ecg_embedding("batch")),
        Job("embedding ECGs", "leads", [1, 3, 6, 12], ecg_embedding("leads")),
        Job("embedding ECGs", "seconds of record", [5, 10, 20, 40], ecg_embedding("seconds"), 2.0, attention),
        Job("embedding texts", "word pieces", [32, 64, 128, 256], text_embedding, 2.0, attention),
    ]


def draw_lines(lines: Sequence[Line], where: Path) -> None:
    """All lines in one picture, both axes logarithmic: a straight line of slope one is linear growth."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, sides = plt.subplots(1, 2, figsize=(13, 7), layout="constrained")
    counted = [line for line in lines if not line.job.name.startswith("embedding")]
    for side, drawn, title in zip(
        sides, (counted, [line for line in lines if line not in counted]), ("archive", "shape of a batch"), strict=True
    ):
        for number, line in enumerate(drawn):
            label = f"{line.job.name}, by {line.job.against}: {line.slopes()[0]:.2f}"
            side.loglog(line.job.sizes, line.seconds, marker="o", markersize=3, color=plt.colormaps["tab20"](number), label=label)
        side.set(title=title, xlabel="how much", ylabel="seconds of one core")
        side.grid(True, which="major", alpha=0.3)
        side.legend(fontsize=7, loc="upper left", bbox_to_anchor=(0, -0.12), ncols=2, title="exponent")
    figure.savefig(where)
    plt.close(figure)


def main() -> None:
    """Measure all jobs, tell their exponents."""
    import torch

    parser = options(__doc__)
    parser.add_argument("--pairs", type=int, default=100_000, help="the largest number of pairs")
    parser.add_argument("--picture", type=Path, help="where the picture goes: .svg or .png")
    parser.add_argument("--only", help="jobs whose names hold this")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="cmelt-growth-"))
    try:
        with torch.inference_mode():
            lines = [measured(job) for job in jobs(chosen.pairs, folder) if (chosen.only or "") in job.name]
    finally:
        shutil.rmtree(folder)
    if chosen.picture is not None:
        draw_lines(lines, chosen.picture)
    tell([line.figure() for line in lines], chosen.json)


if __name__ == "__main__":
    main()
