"""Negatives (N3S): the table's building, a step's look-up, and the release's way, which embeds and searches in the collator.

    python benchmarks/negatives.py                        20,000 distinct reports; the release's way among 100,000
    python benchmarks/negatives.py --reports 180000       as many as MIMIC-IV-ECG has; minutes

Reports are stood for by unit vectors of 512 numbers (Flan-T5-small's width): a hundred clusters in a cone, as a language model's
lie. What the two strategies cost for 180,000 is projected by the exponent that each must have (`growth.py` measures it): two for
the farthest, which are searched exactly, and one for a band, whose ranks are estimated. Where there is a GPU, the farthest are
searched there.

The release's way is written out here from what it does: per negative it embeds the row's report alone by Flan-T5-small, searches
all distinct reports with the negated vector, and reads a dictionary of them anew. Its weights cannot be had without a network,
and random ones of the same sizes cost the same. The dictionary is left out, in its favour. `--release` is taken and not needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmelt.negatives import build_table, draw
from cmelt.negatives.table import NegativeTable
from measuring import Figure, Taken, in_turns, options, peak_megabytes, ratio, tell

WIDTH, CANDIDATES, BATCH_NEGATIVES = 512, 64, 64
FULL = 180_000
BAND = (0.25, 0.95)
STRATEGIES: dict[str, dict[str, object]] = {"farthest": {}, "band, by counts": {"band": BAND}}


def embeddings(count: int, seed: int = 0) -> NDArray[np.float32]:
    """float32 [count, 512] unit vectors in a cone."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((100, WIDTH), dtype=np.float32) + 0.5
    vectors = centres[rng.integers(100, size=count)] + 0.7 * rng.standard_normal((count, WIDTH), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def counts_of(count: int) -> NDArray[np.int64]:
    """Records of each report: few reports are very frequent (Zipf), as in an archive."""
    return 1 + (0.1 * count / np.arange(1, count + 1)).astype(np.int64)


def built(strategy: str, vectors: NDArray[np.float32]) -> tuple[NegativeTable, Taken]:
    """A table and the seconds that it took."""
    options_of = dict(STRATEGIES[strategy])
    if "band" in options_of:
        options_of["counts"] = counts_of(len(vectors))
    clock, processor = time.perf_counter(), time.process_time()
    table = build_table(vectors, candidates=CANDIDATES, **options_of)  # type: ignore[arg-type]
    return table, Taken(time.perf_counter() - clock, time.process_time() - processor)


def building(sizes: list[int], gpu: bool) -> tuple[list[Figure], NegativeTable]:
    """Each strategy at each size, and what both make of 180,000. The last table, too."""
    figures, table = [], None
    for strategy in STRATEGIES:
        there = gpu and strategy == "farthest"
        for size in sizes:
            table, taken = built(strategy, embeddings(size))
            seconds = taken.clock if there else taken.processor
            note = "by the clock, on the GPU" if there else "of one core"
            figures.append(Figure(f"table of negatives, {strategy}, {size:,} reports", seconds, "s", note=note))
        # A band is mostly partitioning, on one core; the farthest are mostly products, on all.
        cores = 2 if strategy == "farthest" and not there else 1
        where = "a GPU" if there else f"{cores} core{'s' if cores > 1 else ''}"
        projected = seconds / 60 * (FULL / sizes[-1]) ** (2 if strategy == "farthest" else 1) / cores
        figures.append(
            Figure(
                f"table of negatives, {strategy}, {FULL:,} reports on {where}",
                projected,
                "min",
                target="≤ 1" if there else "≤ 10",
                met=projected <= (1 if there else 10),
                note=f"from {sizes[-1]:,} reports, by the power of {2 if strategy == 'farthest' else 1}",
            )
        )
    assert table is not None
    return figures, table


def release_way(reports: int) -> Callable[[int], object]:
    """How the release finds so many negatives: every one embedded alone, and searched alone."""
    import faiss
    import torch
    from transformers import T5Config, T5EncoderModel

    sizes = {"d_model": WIDTH, "d_kv": 64, "d_ff": 1024, "num_layers": 8, "num_heads": 6, "feed_forward_proj": "gated-gelu"}
    model = T5EncoderModel(T5Config(vocab_size=32128, **sizes)).eval()
    index = faiss.IndexFlatL2(WIDTH)
    index.add(embeddings(reports))
    rng = np.random.default_rng(0)

    @torch.no_grad()
    def negatives(count: int) -> None:
        for _ in range(count):
            pieces = torch.from_numpy(rng.integers(0, 32000, (1, 40)))
            mean = model(pieces).last_hidden_state.mean(dim=1).numpy()
            found = index.search(-mean / np.linalg.norm(mean), CANDIDATES)[1]
            rng.choice(found[0])

    return negatives


def looking_up(table: NegativeTable, reports: int) -> list[Figure]:
    """64 negatives: from the table, and the release's way."""
    rng = np.random.default_rng(0)
    groups = rng.integers(len(table.candidates), size=BATCH_NEGATIVES)
    ask = release_way(reports)
    # A look-up takes microseconds: a thousand of them. The release's way takes seconds: an eighth of the batch's.
    taken = in_turns(
        {"table": lambda: [draw(table, groups, rng) for _ in range(1000)], "release": lambda: ask(BATCH_NEGATIVES // 8)}, rounds=5
    )
    ours = [one.processor / 1000 for one in taken["table"]]
    theirs = [one.processor * 8 for one in taken["release"]]
    times, low, high = ratio(theirs, ours)
    milliseconds = sorted(1000 * one for one in ours)
    name = f"{BATCH_NEGATIVES} negatives of a batch of 128"
    return [
        Figure(name, milliseconds[2], "ms", low=milliseconds[0], high=milliseconds[-1], target="≤ 1", met=milliseconds[2] <= 1),
        Figure(
            f"{name}, the release's way among {reports:,} reports",
            sorted(theirs)[2],
            "s",
            low=min(theirs),
            high=max(theirs),
            note="one worker, of one core; 40 word pieces a report, weights at random",
        ),
        Figure(f"{name}: times quicker", times, "×", "the release's way", low, high),
    ]


def main() -> None:
    """Build at two sizes, look up, compare."""
    parser = options(__doc__)
    parser.add_argument("--reports", type=int, default=20_000, help="the larger of the two sizes that tables are built of")
    parser.add_argument("--among", type=int, default=100_000, help="reports that the release's way searches")
    parser.add_argument("--release", type=Path, help="not needed, see above")
    chosen = parser.parse_args()
    gpu = has_gpu()
    build_table(embeddings(200))  # what is imported is not counted
    figures, table = building([chosen.reports // 2, chosen.reports], gpu)
    figures.append(Figure("table of negatives: memory", peak_megabytes(), "MB", note=f"the process, {chosen.reports:,} reports"))
    tell([*figures, *looking_up(table, chosen.among)], chosen.json, [] if gpu else ["building on a GPU: there is none"])


def has_gpu() -> bool:
    """Whether there is a CUDA device."""
    import torch

    return torch.cuda.is_available()


if __name__ == "__main__":
    main()
