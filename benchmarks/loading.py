"""From the store to the device: random access, whole batches as training gets them, the wait of a training loop, a pass's start.

Run: OMP_NUM_THREADS=1 python benchmarks/loading.py [--records 1536] [--rounds 5] [--batch 128]

Everything comes from the page cache. Beside it in the same run: copying as many bytes from memory to memory, which nothing can
beat; the loop that one writes first; and reading one file a record, as the authors' release (MATLAB files) and the archives
(WFDB) have them. 12 × 5000 int16 are 120 kB a record, 12 × 1000 are 24 kB.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from measuring import Figure, Taken, in_turns, options, ratio, tell, verdict

if TYPE_CHECKING:
    from cmelt.batches.assemble import Batches
    from cmelt.store import Store

STORE_TARGET, LOADERS_TARGET = "≥ 50,000", "≥ 20,000"
RATES = {100.0: "12 × 1000", 500.0: "12 × 5000"}
#: Milliseconds of a step on a large GPU: 128 pairs at 2,150 a second.
STEP_MS = 60.0
FILES = 200


def rate_of(what: str, records: int, taken: list[float], target: str = "", note: str = "") -> Figure:
    """Records a second of rounds that took so many seconds."""
    rates = [records / seconds for seconds in taken]
    middle = median(rates)
    met = verdict(middle, target) if target else None
    return Figure(what, middle, "records/s", low=min(rates), high=max(rates), target=target, met=met, note=note)


def processor(taken: list[Taken]) -> list[float]:
    """Processor seconds of each round: what one core needs, whatever else the machine does."""
    return [round_.processor for round_ in taken]


def random_access(store: Store, batch: int, rounds: int) -> list[Figure]:
    """`Store.signals` in random batches, against copying and against a loop."""
    rng, shape = np.random.default_rng(0), (batch, len(store.leads), store.samples)
    out, elsewhere = np.zeros(shape, dtype=np.int16), np.ones((8, *shape), dtype=np.int16)
    passes = max(1, len(store) // batch)

    def by_store() -> None:
        for _ in range(passes):
            store.signals(rng.integers(0, len(store), batch), out)

    def by_copying() -> None:
        for number in range(passes):
            np.copyto(out, elsewhere[number % 8])

    shards, places = store.index["shard"].to_numpy(), store.index["shard_row"].to_numpy()

    def by_hand() -> None:
        rows = rng.integers(0, len(store), batch)
        found = [np.array(np.load(store.path / f"shards/{shards[r]:05d}.npy", mmap_mode="r")[places[r]]) for r in rows]
        np.stack(found, out=out)

    taken = in_turns({"copying": by_copying, "store": by_store, "loop": by_hand}, rounds, warm=2)
    seconds = {name: processor(turns) for name, turns in taken.items()}
    size, records = RATES[store.rate], passes * batch
    share = ratio(seconds["copying"], seconds["store"])
    return [
        rate_of(f"store, {size}, random batches of {batch}, one core", records, seconds["store"], STORE_TARGET),
        Figure(f"store, {size}: its speed as a share of copying memory", share[0], "×", "copying", share[1], share[2]),
        rate_of(f"a loop over np.load, {size}", batch, seconds["loop"], note="opens the shard for every record"),
    ]


def whole_batches(name: str, batches: Batches, loaders: int, rounds: int) -> list[Figure]:
    """Batches as training gets them: on one core, and by several loaders at once."""
    from cmelt.batches.ahead import Ahead

    training, store = batches.recipe.training, batches.store
    count = max(8, 4096 // training.batch)
    size = f"12 × {batches.recipe.seen_samples} of {RATES[store.rate]}"

    def on_the_spot() -> None:
        for step in range(count):
            batches.batch(step)

    def ahead() -> None:
        with Ahead(batches.batch, count, loaders) as source:
            for step in range(count):
                source.batch(step)

    taken = in_turns({"spot": on_the_spot, "ahead": ahead}, rounds)
    records = count * training.batch
    what = f"batches of {training.batch}, recipe {name}, {size}"
    clock = [turn.clock for turn in taken["ahead"]]
    return [
        rate_of(f"{what}: one core", records, processor(taken["spot"]), note="signals, word pieces, masks, negatives, phrases"),
        rate_of(f"{what}: {loaders} loaders, by the clock", records, clock, LOADERS_TARGET, "to the training loop"),
    ]


def waiting(name: str, batches: Batches, loaders: int) -> Figure:
    """What a training loop waits for its batches, where each step takes as long as on a GPU."""
    from cmelt.batches.ahead import Ahead

    waits: dict[int, list[float]] = {0: [], loaders: []}
    for number, waited in waits.items():
        with Ahead(batches.batch, 30, number) as source:
            for step in range(30):
                begin = time.perf_counter()
                source.batch(step)
                waited.append(1000 * (time.perf_counter() - begin))
                time.sleep(STEP_MS / 1000)
    value, alone = median(waits[loaders][1:]), median(waits[0][1:])
    what = f"wait for a batch of {batches.recipe.training.batch}, recipe {name}, in steps of {STEP_MS:g} ms, {loaders} loaders"
    return Figure(what, value, "ms", f"{alone:.1f} ms without loaders", target="≤ 1", met=verdict(value, "≤ 1"))


def scaling(batches: Batches, rounds: int) -> list[Figure]:
    """To the device, and scaled, gained, noised and masked there."""
    import torch

    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    batch, records = replace(batches, pinned=on_gpu).batch(0), batches.recipe.training.batch

    def there() -> None:
        batch.to(device).views(batches.recipe.model.ecg.samples_per_token)
        if on_gpu:
            torch.cuda.synchronize()

    turns = in_turns({"there": there}, rounds, warm=3)["there"]
    seconds = [turn.clock for turn in turns] if on_gpu else processor(turns)
    what = f"int16 to the device, scaled and masked there, {RATES[batches.store.rate]}, {device.type}"
    return [rate_of(what, records, seconds, note="from pinned memory" if on_gpu else "one core")]


def epoch_order(pairs: int, rounds: int) -> list[Figure]:
    """What the start of a pass costs, and any other step."""
    from cmelt.batches.order import positions

    starts, steps, per_pass = [], [], -(-pairs // 128)
    for number in range(rounds):
        for kept, step in ((starts, number * per_pass), *((steps, number * per_pass + 1 + k) for k in range(50))):
            begin = time.process_time()
            positions(pairs, 128, step, seed=1)
            kept.append(1000 * (time.process_time() - begin))
    note = "the next pass's permutation; kept for the pass, 8 bytes a pair"
    return [
        Figure(f"start of a pass over {pairs:,} pairs", median(starts), "ms", low=min(starts), high=max(starts), note=note),
        Figure(f"which 128 of {pairs:,} pairs make a step", median(steps), "ms", low=min(steps), high=max(steps)),
    ]


def one_file_a_record(store: Store, folder: Path) -> tuple[list[Figure], list[str]]:
    """Records a second where each has a file of its own, one core."""
    from loading_records import write_mat, write_wfdb

    def rate(what: str, paths: list[Path], read: Callable[[Path], Any]) -> Figure:
        taken = in_turns({"read": lambda: [read(path) for path in paths]}, rounds=3)["read"]
        return rate_of(f"one file a record: {what}, 12 × 5000, one core", len(paths), processor(taken))

    from scipy.io import loadmat

    figures = [rate("MATLAB files, as the release has them", write_mat(folder / "mat", store, FILES), loadmat)]
    try:
        import wfdb

        paths = write_wfdb(folder / "wfdb", store, FILES // 2)
        figures.append(rate("WFDB, read by wfdb", paths, lambda path: wfdb.rdsamp(str(path))))
    except ImportError:
        return figures, ["WFDB files: the wfdb package is not installed"]
    return figures, []


def main() -> None:
    """Measure everything, one size after the other."""
    from cmelt.config import load_recipe
    from loading_records import batches_of, store_of

    parser = options(__doc__)
    parser.add_argument("--records", type=int, default=1536, help="of 12 × 5000; four times as many of 12 × 1000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128, help="of the store and of the paper's recipe; `small` has its own 64")
    parser.add_argument("--loaders", type=int, default=2)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="cmelt-loading-"))
    try:
        slow = store_of(folder / "100", 4 * chosen.records, 100.0)
        figures = random_access(slow, chosen.batch, chosen.rounds)
        small = batches_of(slow, load_recipe("small"))
        figures += whole_batches("small", small, chosen.loaders, chosen.rounds)
        store = store_of(folder / "500", chosen.records, 500.0)
        figures += random_access(store, chosen.batch, chosen.rounds)
        paper = batches_of(store, load_recipe("paper", [f"training.batch={chosen.batch}"]))
        figures += whole_batches("paper", paper, chosen.loaders, chosen.rounds)
        figures += [
            waiting("paper", paper, chosen.loaders),
            *scaling(paper, chosen.rounds),
            *epoch_order(1_000_000, chosen.rounds),
        ]
        files, skipped = one_file_a_record(store, folder)
        tell(figures + files, chosen.json, skipped)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
