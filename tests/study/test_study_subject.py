"""Who is measured on what: every record once, the same records for all, and none that a model has seen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import ConfigError, StoreError
from cmelt.evaluation.tasks import load_task
from cmelt.records.record import LEADS
from cmelt.store import open_store
from cmelt.study.cells import Cell, Item, StorePart
from cmelt.study.evaluations import measure
from cmelt.study.folders import negatives_report, pairs_of
from cmelt.study.making import _with_weights
from cmelt.study.outcomes import SPLITS, Scores
from cmelt.study.subject import Remembering, Subject, known_patients, question_of, rows_to_measure, split_numbers
from tiny_runs import tiny_recipe


@dataclass
class Counting:
    """Embeds an ECG as the first samples of its leads, and counts what it is asked; knows no other record unless told."""

    seen: tuple[str, ...] = ()
    asked: list[int] = field(default_factory=list)
    rate: float = 100.0
    samples: int = 1000
    leads: tuple[str, ...] = LEADS
    identity: str = "counting"
    negative_weight: float = 1.0
    aligned: bool = True

    def embed_ecgs(self, millivolts: np.ndarray) -> np.ndarray:
        self.asked.append(len(millivolts))
        vectors = millivolts[:, :, 0] + 1e-3
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        rng = np.random.default_rng(len(texts))
        return rng.normal(size=(len(texts), 12)).astype(np.float32)


def part(store: Path) -> StorePart:
    return StorePart("store", str(store), open_store(store).sha256)


def item(store: Path, **changes: object) -> Item:
    plain = Item("zero-shot", part(store), "simulated", "simulated", "", ("validation", "test"), scoring="headline")
    return replace(plain, **changes)  # type: ignore[arg-type]


def subject(model: Counting) -> Subject:
    one = Subject(Cell("ours", "all", 0, "pretrained"), Path("nowhere"))
    one.__dict__["embedder"] = Remembering(model)
    return one


def test_a_record_is_embedded_once_however_often_it_is_asked_for(tiny_store: Path) -> None:
    store, model = open_store(tiny_store), Counting()
    remembering = Remembering(model)
    rows = store.rows()
    first = remembering.embed_ecgs(store.millivolts(rows))
    again = remembering.embed_ecgs(store.millivolts(rows[::-1]))
    assert sum(model.asked) == len(rows)
    np.testing.assert_array_equal(first, again[::-1])
    np.testing.assert_array_equal(first, model.embed_ecgs(store.millivolts(rows)))


def test_two_measurements_of_one_model_share_their_embeddings(tiny_store: Path) -> None:
    model = Counting()
    one = subject(model)
    for scoring in ("contrast", "similarity"):
        assert isinstance(measure(item(tiny_store, scoring=scoring), one), Scores)
    assert sum(model.asked) == len(open_store(tiny_store).rows("validation", "test"))


def test_a_scoring_that_a_task_has_no_prompts_for_is_refused(tiny_store: Path, tmp_path: Path) -> None:
    task = tmp_path / "bare.yaml"
    task.write_text("classes: {any: {labels: ['sim:sinus-rhythm'], prompts: [sinus rhythm]}}")
    asked = item(tiny_store, task="bare", task_source=str(task), scoring="contrast")
    with pytest.raises(ConfigError, match="similarity"):
        measure(asked, subject(Counting()))


def test_a_random_part_of_the_records_is_the_same_for_every_model(tiny_store: Path) -> None:
    store, task = open_store(tiny_store), load_task("simulated")
    whole = rows_to_measure(store, task, item(tiny_store))
    few = [rows_to_measure(store, task, item(tiny_store, records=6)) for _ in range(2)]
    np.testing.assert_array_equal(few[0], few[1])
    assert len(few[0]) == 6
    assert set(few[0]) < set(whole)
    np.testing.assert_array_equal(rows_to_measure(store, task, item(tiny_store, records=10_000)), whole)


def test_records_that_a_model_has_seen_are_refused_or_left_out(tiny_store: Path) -> None:
    store = open_store(tiny_store)
    known = int(store.rows("test")[0])
    knowing = subject(Counting(seen=(store.index["fingerprint"].iloc[known],)))
    with pytest.raises(StoreError, match="known from training"):
        question_of(item(tiny_store), knowing)
    left = question_of(item(tiny_store, leave_out_known=True), knowing)
    assert known not in left.rows
    assert len(left.rows) == len(question_of(item(tiny_store), subject(Counting())).rows) - 1


def test_patients_have_the_same_number_whichever_records_are_asked(tiny_store: Path) -> None:
    store = open_store(tiny_store)
    rows = store.rows("validation", "test")
    np.testing.assert_array_equal(known_patients(store, rows)[3:7], known_patients(store, rows[3:7]))
    same = store.index["patient"].to_numpy()[rows]
    numbers = known_patients(store, rows)
    assert all((numbers == numbers[i]).tolist() == (same == same[i]).tolist() for i in range(len(rows)))


def test_splits_are_told_by_their_place(tiny_store: Path) -> None:
    store = open_store(tiny_store)
    rows = store.rows()
    told = [SPLITS[place] for place in split_numbers(store, rows)]
    assert told == store.index["split"].iloc[rows].tolist()


def test_text_weights_are_found_beside_the_stores_or_left_as_they_are_named(tmp_path: Path) -> None:
    recipe = tiny_recipe("model.text.weights=minilm")
    assert _with_weights(recipe, tmp_path) == recipe
    (tmp_path / "minilm").mkdir()
    assert _with_weights(recipe, tmp_path).model.text.weights == str((tmp_path / "minilm").resolve())
    assert _with_weights(tiny_recipe(), tmp_path) == tiny_recipe()


def test_a_cell_without_a_run_says_nothing_of_pairs_and_negatives(tmp_path: Path) -> None:
    assert pairs_of(tmp_path) is None
    assert negatives_report(tmp_path) == {}
