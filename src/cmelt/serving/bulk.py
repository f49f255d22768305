"""Embedding and scoring whole archives: shards in parallel, finished ones kept over a kill, published whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cmelt.errors import StoreError
from cmelt.records.readers import ReadOptions
from cmelt.records.readers.options import NOTHING_GIVEN
from cmelt.serving.archives import Archive, StoreArchive, archive_at
from cmelt.serving.bulk_results import Results, kept_results, publish, staging_of
from cmelt.serving.bulk_tables import Question, question_for, refuse_reserved_names
from cmelt.serving.bulk_tasks import BulkTask, Job, finish_bulk, read_receipt
from cmelt.serving.engine import Described, describe, embedder_of, scored
from cmelt.serving.loading import load_identified
from cmelt.store.layout import canonical_json, write_synced
from cmelt.store.shard import Finished
from cmelt.store.staging import Progress, only_one, see_finished
from cmelt.store.workers import run_shards

if TYPE_CHECKING:
    from cmelt.evaluation.tasks.loading import Scoring
    from cmelt.model.reduced_precision import Precision
    from cmelt.model.towers import Towers
    from cmelt.serving.classes import Classes
    from cmelt.serving.processor import CMeltProcessor

_JOB = "job.json"


@dataclass(frozen=True)
class How:
    """How the work is done, and how files are read; the first three and `reading` have a say in the results.

    Attributes:
        precision: see `cmelt.load`; "auto" is settled by this process, for all workers.
        device: where to compute; None for every GPU there is, a worker each, or where there is none, on the CPU.
        reading: what a folder's files leave unsaid (rate, unit, leads).
        workers: processes, of one thread each; None for one a GPU, or one a core.
        dask: the address of a Dask scheduler whose workers do it instead, or "local" for a cluster of `workers` processes here.
        shard_records: records of a folder that make a shard; a store has its own.
        force: replace results that are there, or what another job left unfinished.
    """

    precision: Precision | Literal["auto"] = "float32"
    device: str | None = None
    reading: ReadOptions = NOTHING_GIVEN
    workers: int | None = None
    dask: str | None = None
    shard_records: int = 512
    force: bool = False


def embed_archive(
    archive: str | Path, out: str | Path, model: str | Path = "small", how: How = How(), progress: Progress | None = None
) -> Results:
    """Write the unit vectors of every record of a store, or of a folder of ECG files, at `out`.

    `out` ending in .parquet is one file, anything else a folder with a file a shard. Work goes on in a hidden folder beside it:
    killed and started again it keeps the finished shards. On CPUs of one kind the results are the same, byte for byte, whatever
    the number of workers and however often it was interrupted.

    Raises:
        StoreError: `out` exists, is being written, or holds another job's unfinished results; a store that does not fit the
            model; a worker died.
        SourceError, CheckpointError, ConfigError: no archive, no model, no such precision.
    """
    place = archive_at(archive, how.reading, how.shard_records)
    towers, processor, identity = load_identified(model, device="cpu")
    _check_fit(place, towers, processor)
    return _run(place, Path(out).absolute(), _job(model, identity, how, None), how, progress)


def classify_archive(
    archive: str | Path,
    out: str | Path,
    classes: Classes | Described,
    model: str | Path = "small",
    how: How = How(),
    *,
    against: Sequence[str] | None = None,
    scoring: Scoring | None = None,
    progress: Progress | None = None,
) -> Results:
    """Write the scores of every record for classes described in words, a column each; otherwise as `embed_archive`.

    Classes that the model is calibrated for have probability, low and high beside them, the record what was found wrong with it
    and why it gets none, as `cmelt.classify` says them.

    classes, against, scoring: as for `cmelt.classify`.
    """
    place = archive_at(archive, how.reading, how.shard_records)
    towers, processor, identity = load_identified(model, device="cpu")
    _check_fit(place, towers, processor)
    described = classes if isinstance(classes, Described) else describe(towers, processor, classes, against=against)
    refuse_reserved_names(tuple(described.task.classes))
    # Settled before the work: how it is scored is part of what the results are, and what cannot be is said at once.
    _, chosen = scored(_nothing(processor), described, scoring)
    question = question_for(described, chosen, processor.calibration)
    return _run(place, Path(out).absolute(), _job(model, identity, how, question), how, progress)


def _job(model: str | Path, identity: str, how: How, question: Question | None) -> Job:
    import torch

    from cmelt.model.reduced_precision import native_precision

    place = torch.device(how.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    precision = native_precision(place) if how.precision == "auto" else how.precision
    # A path must mean the same to every worker, wherever it was started; a bundled model's name does.
    name = str(Path(model).absolute()) if Path(model).exists() else str(model)
    return Job(name, identity, precision, how.device, question)


def _run(archive: Archive, target: Path, job: Job, how: How, progress: Progress | None) -> Results:
    said = {**job.description(), "archive": archive.description()}
    if (there := kept_results(target, said, unchanging=isinstance(archive, StoreArchive), force=how.force)) is not None:
        return there
    staging = staging_of(target)
    with only_one(staging):
        _settle_job(staging, said, how.force)
        shards = archive.shards()
        tasks = (BulkTask(number, entries, archive, job, str(staging)) for number, entries in enumerate(shards.parts))
        kept = see_finished(_news(tasks, how, shards.count), shards.records, staging, progress)
        return publish(staging, target, said, shards.count, kept)


def _news(tasks: Iterator[BulkTask], how: How, shards: int) -> Iterator[Finished]:
    workers = max(1, min(how.workers or default_workers(how.device), shards))
    if how.dask is None:
        return run_shards(tasks, workers, finish_bulk)
    from cmelt.store.cluster import run_on_dask

    return run_on_dask(tasks, how.dask, workers, finish_bulk)


def default_workers(device: str | None) -> int:
    """One a GPU, where GPUs do it; one a core."""
    import torch

    if device is None and torch.cuda.device_count():
        return torch.cuda.device_count()
    if device is not None and not device.startswith("cpu"):
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _settle_job(staging: Path, said: dict[str, Any], force: bool) -> None:
    """Refuse what another job left behind, unless it is to be thrown away; and write down what this one is."""
    path = staging / _JOB
    content = canonical_json(said)
    if path.exists() and path.read_bytes() != content:
        if not force and any(read_receipt(staging, int(one.stem)).records for one in staging.glob("receipts/*.json")):
            before = json.loads(path.read_bytes())
            differs = ", ".join(sorted(key for key in said.keys() | before.keys() if said.get(key) != before.get(key)))
            fault = f"holds unfinished results of another job (it differs in: {differs})"
            raise StoreError(staging, fault, "finish that one, give another --out, or --force to throw its results away")
        for stale in (*staging.glob("receipts/*"), *staging.glob("result/shards/*")):
            stale.unlink()
    write_synced(path, content)


def _check_fit(archive: Archive, towers: Towers, processor: CMeltProcessor) -> None:
    """Refuse a store of another rate, length or leads than the model's; files of a folder are brought into its form."""
    from cmelt.evaluation.embedder import check_fit
    from cmelt.store.opened import open_store

    if isinstance(archive, StoreArchive):
        check_fit(embedder_of(towers, processor), open_store(archive.path))


def _nothing(processor: CMeltProcessor) -> Any:
    import numpy as np

    return np.zeros((0, processor.settings.width), np.float32)
