"""From a store to a search index: embedded in parallel, finished shards kept over a kill, published whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import StoreError
from cmelt.index import build_index
from cmelt.index.facts import EXACT_NUMBERS
from cmelt.publishing import published, verify
from cmelt.serving.bulk import How, embed_archive
from cmelt.serving.bulk_results import ABOUT
from cmelt.serving.engine import embed_texts
from cmelt.serving.loading import load_identified
from cmelt.serving.search_index import RECORDS, VECTORS, SearchFacts, SearchIndex, open_index
from cmelt.store.opened import Store, open_store

if TYPE_CHECKING:
    import pyarrow as pa

    from cmelt.model.towers import Towers
    from cmelt.serving.processor import CMeltProcessor

#: Called with what is being done, records done, and records in all.
Progress = Callable[[str, int, int], None]

#: Reports that ask a coded index for their ECGs while it is built: one half choose the effort, the other measures the recall.
ASKING_REPORTS = 512


def index_store(
    store: str | Path, out: str | Path, model: str | Path = "small", how: How = How(), progress: Progress | None = None
) -> SearchIndex:
    """Embed every record of a store and publish a search index of them at `out`.

    Work goes on in hidden folders beside `out`: killed and started again it keeps the finished shards. The index of this model
    and store is not made a second time.

    Args:
        model: as for `cmelt.load`.
        how: precision, device, workers, and whether another index at `out` gives way once the new one is whole (`force`).
    Raises:
        StoreError: no store, or one that does not fit the model; `out` holds something else, or is being written.
        CheckpointError, ConfigError: no such model or precision.
    """
    opened, target = open_store(store), Path(out).absolute()
    towers, processor, identity = load_identified(model, device="cpu")
    if (there := _kept(target, identity, opened, how)) is not None:
        return there
    told: Progress = progress or (lambda _what, _done, _total: None)
    vectors = target.with_name(f".{target.name}.vectors")
    embed_archive(store, vectors, model, how, lambda done, total: told("embedding", done, total))
    made = verify(vectors, StoreError)[ABOUT]
    if made["model"] != identity or made["archive"]["sha256"] != opened.sha256:
        raise StoreError(vectors, "holds vectors of another model or store", "remove it, then run it again")
    facts = SearchFacts(
        identity, _lasting_name(model), made["precision"], opened.sha256, str(opened.path.absolute()), len(opened)
    )
    order = _disk_order(opened)
    with published(target, facts.to_manifest(), replace=True) as staging:
        build_index(
            _blocks(vectors, opened.index["record"].to_numpy()[order]),
            staging / VECTORS,
            {"model": identity, "store": opened.sha256},
            queries=_asking_reports(towers, processor, opened),
            progress=lambda what, done, _: told(what, done, len(opened)),
        )
        _write_records(_told_of(opened, order), staging / RECORDS)
    shutil.rmtree(vectors)
    return open_index(target)


def _kept(target: Path, identity: str, store: Store, how: How) -> SearchIndex | None:
    """The very index that is asked for, where it lies there already; None where it is to be made. Raises StoreError."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return None
    try:
        there = open_index(target)
    except StoreError as error:
        raise StoreError(target, "exists, and holds no whole search index", "remove it, or give another --out") from error
    if how.force:
        return None
    if (there.facts.model, there.facts.store) == (identity, store.sha256) and how.precision in ("auto", there.facts.precision):
        return there
    fault = "exists already, and is the index of another model, store or precision"
    raise StoreError(target, fault, "give another --out, or --force to replace it once the new one is complete")


def _lasting_name(model: str | Path) -> str:
    """A bundled model's name or a hub's; of a folder, its whole path."""
    return str(Path(model).absolute()) if Path(model).exists() else str(model)


def _disk_order(store: Store) -> NDArray[np.int64]:
    """The store's rows in the order in which their signals lie on the disk, which is that of the vectors."""
    return np.lexsort((store.index["shard_row"].to_numpy(np.int64), store.index["shard"].to_numpy(np.int64)))


def _blocks(vectors: Path, names: NDArray[np.object_]) -> Iterator[NDArray[np.float32]]:
    """The vectors of one shard after the other [n, D]. Raises StoreError where they are not of these records."""
    import pyarrow.parquet as pq

    first = 0
    for path in sorted((vectors / "shards").glob("*.parquet")):
        table = pq.read_table(path)
        if table["record"].to_pylist() != names[first : first + len(table)].tolist():
            raise StoreError(path, "holds other records than the store", "remove the folder, then run it again")
        first += len(table)
        flat = table["vector"].combine_chunks().flatten().to_numpy()
        yield flat.reshape(len(table), -1)
    if first != len(names):
        raise StoreError(vectors, f"holds {first} vectors of {len(names)} records", "remove it, then run it again")


def _told_of(store: Store, order: NDArray[np.int64]) -> pa.Table:
    """What hits tell of their records, a row a vector."""
    import pyarrow as pa

    index = store.index.iloc[order]
    texts = {name: pa.array(index[name], pa.large_string(), from_pandas=True) for name in ("record", "report")}
    known = {name: pa.array(index[name], pa.string(), from_pandas=True) for name in ("sex", "split", "source")}
    age = pa.array(index["age"].to_numpy(np.float64), pa.float64(), from_pandas=True)
    labels = pa.array(index["labels"].tolist(), pa.list_(pa.string()))
    return pa.table({**texts, "age": age, **known, "labels": labels, "row": pa.array(order, pa.int64())})


def _write_records(table: pa.Table, path: Path) -> None:
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _asking_reports(towers: Towers, processor: CMeltProcessor, store: Store) -> NDArray[np.float32] | None:
    """Vectors of some of the store's reports, for an index that is not exact: texts lie elsewhere than ECGs.

    None where the search will be exact, or the model cannot compare ECGs with texts, or there are hardly any reports.
    """
    if len(store) * processor.settings.width <= EXACT_NUMBERS or not processor.aligned:
        return None
    reports = sorted({text for text in store.index["report"].tolist() if isinstance(text, str) and text.strip()})
    if len(reports) < ASKING_REPORTS:
        return None
    chosen = np.random.default_rng((0, 3)).choice(len(reports), ASKING_REPORTS, replace=False)
    return embed_texts(towers, processor, [reports[number] for number in chosen])
