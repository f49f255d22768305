"""What another way of computing the same model costs: both on the same records, the difference with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cmelt.errors import StoreError
from cmelt.evaluation import metrics, zero_shot
from cmelt.evaluation.comparison import Bench
from cmelt.evaluation.embedder import Embedder, EvaluationStore, Rows, embed_rows, patients_of
from cmelt.evaluation.metrics import Figure
from cmelt.evaluation.protocol import members_of, truth_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cmelt.evaluation.embedder import Vectors
    from cmelt.evaluation.tasks import Task


def embedded_by(ways: Mapping[str, Embedder], store: EvaluationStore, rows: Rows) -> dict[str, Vectors]:
    """The embeddings [n, D] of a store's rows by each way."""
    return {name: embed_rows(way, store, rows) for name, way in ways.items()}


def zero_shot_differences(
    embedded: Mapping[str, Vectors], reader: Embedder, store: EvaluationStore, rows: Rows, task: Task, replicates: int = 1000
) -> dict[str, Figure]:
    """Zero-shot macro AUROC of each way minus that of the first, paired by patient.

    Args:
        embedded: the embeddings [n, D] of `rows` by each way, the plain one first.
        reader: embeds the prompts, for all of them.
    Raises:
        StoreError: no class of the task has both positives and negatives among these records.
    """
    among = np.isin(rows, members_of(store, task, rows))
    truth = truth_of(store, task, rows[among])
    kept = metrics.evaluable(truth)
    if not kept.any():
        raise StoreError("store", f"no class of task {task.name} has both positives and negatives here", "take more records")
    names = np.array(list(task.classes), dtype=object)[kept]
    bench = Bench(names, truth[:, kept], metrics.dense(patients_of(store.index, rows[among])), replicates, 0)
    prompts = zero_shot.embed_prompts(reader, task)
    scores = {}
    for name, vectors in embedded.items():
        found = zero_shot.scores(vectors[among], prompts)
        scores[name] = found[zero_shot.headline_of(task, found)][:, kept]
    plain = next(iter(scores.values()))
    return {name: bench.difference([own], [plain]) for name, own in list(scores.items())[1:]}
