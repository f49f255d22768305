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
from numpy.typing import NDArray

from cmelt import __version__
from cmelt.errors import CheckpointError, StoreError
from cmelt.evaluation.tasks.loading import Scoring
from cmelt.publishing import sha256
from cmelt.serving.archives import Archive
from cmelt.serving.engine import Described, embedder_of, scored, vectors_of
from cmelt.serving.loading import load_identified
from cmelt.store.layout import canonical_json, write_synced
from cmelt.store.shard import Finished, receipt_path
from cmelt.store.workers import worker_number

if TYPE_CHECKING:
    import pyarrow as pa

    from cmelt.checkpoints.model_embedder import ModelEmbedder
    from cmelt.model.reduced_precision import Precision
    from cmelt.model.towers import Towers
    from cmelt.serving.processor import CMeltProcessor, Facts

#: Changes when results are laid out otherwise.
VERSION = 1
RECORD, VECTOR, FACTS = "record", "vector", ("windows", "missing_leads", "flags")


@dataclass(frozen=True)
class Question:
    """Classes that vectors are scored for."""

    described: Described
    scoring: Scoring | None


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
        asked: dict[str, Any] = {}
        if self.question is not None:
            prompts = self.question.described.prompts
            digest = hashlib.sha256()
            for part in (prompts.positive, prompts.negative, prompts.absent):
                digest.update(np.ascontiguousarray(part).data)
            classes = list(self.question.described.task.classes)
            asked = {"classes": classes, "prompts": digest.hexdigest(), "scoring": self.question.scoring}
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
    table = parquet_bytes(_table(names, found, facts if task.source.says_facts else None, task.job.question))
    write_synced(result_path(task.folder, task.number), table)
    receipt = Receipt(known_as, hashlib.sha256(table).hexdigest(), len(names), left_out)
    write_synced(receipt_path(task.folder, task.number), canonical_json(asdict(receipt)))


def _table(names: list[str], vectors: NDArray[np.float32], facts: list[Facts] | None, question: Question | None) -> pa.Table:
    """A row a record: its name, facts where there are, then its vector, or a score by class."""
    import pyarrow as pa

    columns: dict[str, pa.Array] = {RECORD: pa.array(names, pa.string())}
    if facts is not None:
        texts = pa.list_(pa.string())
        kinds = dict(zip(FACTS, (pa.int32(), texts, texts), strict=True))
        columns |= {name: pa.array([getattr(one, name) for one in facts], kind) for name, kind in kinds.items()}
    if question is None:
        flat = pa.array(vectors.reshape(-1), pa.float32())
        columns[VECTOR] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    else:
        scores, _ = scored(vectors, question.described, question.scoring)
        columns |= {name: pa.array(scores[:, i]) for i, name in enumerate(question.described.task.classes)}
    return pa.table(columns)


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as parquet; the same table gives the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = pa.BufferOutputStream()
    pq.write_table(table, content, compression="zstd", use_dictionary=False)
    return bytes(content.getvalue())


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
