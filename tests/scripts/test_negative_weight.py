"""What the script prints by weight is the figure that `cmelt evaluate` has for a model of that weight."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmelt.evaluation.evaluate import evaluate_tasks
from cmelt.evaluation.protocol import Protocol
from cmelt.evaluation.tasks import load_task
from evaluation.conftest import PlantedEmbedder, planted_store

from .conftest import script

weighing = script("negative_weight")
TASK = """
classes:
  fast: {labels: ["t:fast"], prompts: [it is fast], negative_prompts: [all well]}
  wide: {labels: ["t:wide"], prompts: [it is wide], negative_prompts: [all well]}
  rare: {labels: ["t:rare"], prompts: [it is tall], negative_prompts: [all well]}
"""


def test_each_weight_s_column_is_what_the_evaluation_says_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store, task = planted_store(noise=1.0), tmp_path / "mine.yaml"
    task.write_text(TASK)
    # Of a class with fewer than five positives the script has no figure: it is left out of the mean.
    for row in store.rows("test")[:3]:
        store.index["labels"].iloc[row].append("t:rare")
    monkeypatch.setattr(weighing, "load_embedder", lambda _: PlantedEmbedder())
    monkeypatch.setattr(weighing, "open_store", lambda _: store)
    weighing.main("run", "store", [str(task)])
    head, line = (words.split() for words in capsys.readouterr().out.splitlines())
    assert head == ["weight", "0.00", "0.25", "0.50", "0.75", "1.00"]
    for weight, figure in zip(head[1:], line[1:], strict=True):
        model = PlantedEmbedder(negative_weight=float(weight))
        (truth,) = evaluate_tasks(model, model, store, [load_task(task)], Protocol((), bootstrap=2))
        classes = truth.zero_shot["contrast"].model.classes
        assert float(figure) == pytest.approx((classes["fast"].auroc.value + classes["wide"].auroc.value) / 2, abs=6e-4)
    assert len(set(line[1:])) > 1
