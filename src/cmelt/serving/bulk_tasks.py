"""One shard of an archive: an idempotent task from records to a parquet file of vectors or scores, and what was left out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cmelt import __version__
from cmelt.errors import CheckpointError, StoreError
from cmelt.publishing import sha256
from cmelt.serving.archives import Archive
from cmelt.serving.bulk_tables import Question, parquet_bytes, table_of
from cmelt.serving.engine import embedder_of, vectors_of
from cmelt.serving.loading import load_identified
from cmelt.store.layout import canonical_json, write_synced
from cmelt.store.shard import Finished, receipt_path
from cmelt.store.workers import worker_number

if TYPE_CHECKING:
    from cmelt.checkpoints.model_embedder import ModelEmbedder
    from cmelt.model.reduced_precision import Precision
    from cmelt.model.towers import Towers
    from cmelt.serving.processor import CMeltProcessor, Facts

#: Changes when results are laid out otherwise.
VERSION = 1


@dataclass(frozen=True)
class Job:
    """What decides every result, beside the records.

    Attributes:
        model: a bundled model's name, or its folder, as workers see it.
        identity: SHA-256 of its weights.
        device: where to compute; None for a GPU where there is one.
        question: None where vectors are wanted.
    """

    model: str
    identity: str
    precision: Precision
    device: str | None
    question: Question | None

    def description(self) -> dict[str, Any]:
        """What tells it from other jobs."""
        asked = {} if self.question is None else self.question.description()
        return {"version": VERSION, "cmelt": __version__, "model": self.identity, "precision": self.precision, **asked}


@dataclass(frozen=True)
class BulkTask:
    """Shard `number` of results under construction in the staging folder `folder`."""

    number: int
    entries: Sequence[Any]
    source: Archive
    job: Job
    folder: str

    def fingerprint(self) -> str:
        """Changes with the model, what is asked, or the records."""
        return hashlib.sha256(canonical_json([self.job.description(), self.source.fingerprint(self.entries)])).hexdigest()


@dataclass(frozen=True)
class Receipt:
    """What a finished shard is: written last, so that its presence means done."""

    fingerprint: str
    sha256: str
    records: int
    quarantine: list[dict[str, str]]


def result_path(folder: str | Path, number: int) -> Path:
    """A shard's results, inside what is going to be published."""
    return Path(folder) / "result" / "shards" / f"{number:05d}.parquet"


def read_receipt(folder: str | Path, number: int) -> Receipt:
    """The receipt of a finished shard. Raises StoreError: it is not there, or altered."""
    path = receipt_path(folder, number)
    try:
        return Receipt(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(path, f"cannot be read ({type(error).__name__})", "run it again: finished shards are kept") from error


def finish_bulk(task: BulkTask) -> Finished:
    """Embed or score a shard, unless an earlier run, perhaps killed, has finished this very one."""
    known_as = task.fingerprint()
    kept = _is_done(task, known_as)
    if not kept:
        with _one_thread():
            _make(task, known_as)
    return Finished(task.number, len(task.entries), kept)


def _is_done(task: BulkTask, known_as: str) -> bool:
    try:
        receipt = read_receipt(task.folder, task.number)
        return receipt.fingerprint == known_as and sha256(result_path(task.folder, task.number)) == receipt.sha256
    except (OSError, StoreError):
        return False


def _make(task: BulkTask, known_as: str) -> None:
    embedder, processor = _at_work(task.job.model, task.job.identity, task.job.precision, _device(task.job))
    names: list[str] = []
    facts: list[Facts] = []
    left_out: list[dict[str, str]] = []
    vectors = [np.zeros((0, processor.settings.width), np.float32)]
    for chunk in task.source.chunks(task.number, task.entries, processor):
        names += chunk.records
        facts += chunk.facts
        left_out += chunk.left_out
        vectors.append(vectors_of(embedder, chunk.ecg, chunk.owner, len(chunk.records)))
    found = np.concatenate(vectors)
    if not np.isfinite(found).all():
        raise CheckpointError(task.job.model, f"gives numbers that are not finite in shard {task.number}", "the model is damaged")
    if left_out and task.fingerprint() != known_as:
        fault = "files changed, or went away, while they were read"
        raise StoreError("archive", fault, "see that it is there, then run it again: finished shards are kept")
    table = parquet_bytes(table_of(names, found, facts, task.source.says_facts, task.job.question))
    write_synced(result_path(task.folder, task.number), table)
    receipt = Receipt(known_as, hashlib.sha256(table).hexdigest(), len(names), left_out)
    write_synced(receipt_path(task.folder, task.number), canonical_json(asdict(receipt)))


def _device(job: Job) -> str:
    """Where this worker computes: of all GPUs that it sees, the one of its number."""
    if job.device is not None:
        return job.device
    there = torch.cuda.device_count()
    return f"cuda:{worker_number() % there}" if there else "cpu"


@lru_cache(maxsize=1)
def _at_work(model: str, identity: str, precision: Precision, device: str) -> tuple[ModelEmbedder[Towers], CMeltProcessor]:
    """The model, read once in each process."""
    towers, processor, found = load_identified(model, device=device, precision=precision)
    if found != identity:
        fault = "other weights here than where this began"
        raise CheckpointError(model, fault, "leave a model as it is while it works; the same cmelt on every worker")
    return embedder_of(towers, processor), processor


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums in one order, whatever the number of workers; and workers that do not fight over the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
