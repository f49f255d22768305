"""Patient identification on hearts that are planted: a record is its patient's direction, and some of the day's noise."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from cmelt.errors import StoreError
from cmelt.evaluation.identification import evaluate_identification
from cmelt.evaluation.protocol import Protocol
from cmelt.evaluation.results import plain
from cmelt.records.fingerprint import fingerprint
from cmelt.records.record import LEADS, Record
from ecg_files import heart

from .conftest import PlantedEmbedder, planted_store

FAST = Protocol((), bootstrap=60)


class Hearts(PlantedEmbedder):
    def embed_ecgs(self, millivolts):
        vectors = millivolts[:, :, 0].astype(np.float64)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Flat(PlantedEmbedder):
    def embed_ecgs(self, millivolts):
        return np.full((len(millivolts), 12), 12**-0.5, np.float32)


def hearts(noise: float, count: int = 300, records_a_patient: int = 3):
    store = planted_store(count, records_a_patient=records_a_patient)
    rng = np.random.default_rng(9)
    own = rng.normal(size=(count, 12))[np.arange(count) // records_a_patient]
    store.signal[:, :, 0] = own + noise * rng.normal(size=(count, 12))
    return store


def test_the_same_heart_is_found():
    found = evaluate_identification(Hearts(), Flat(), hearts(noise=0.2), FAST)
    assert found.accuracy.model.within["1"].value > 0.95
    assert found.accuracy.gain["1"].low > 0.8


def test_gallery_and_probes_are_the_patients_with_several_records_in_the_evaluated_splits():
    store = hearts(noise=0.2)
    rows = store.rows("validation", "test")
    lone = rows[store.index["patient"][rows] == store.index["patient"][rows[0]]]
    store.index.loc[lone[1:], "patient"] = ""  # its first record is alone now, the others are nobody's
    found = evaluate_identification(Hearts(), Flat(), store, FAST)
    patients = set(store.index["patient"][rows]) - {"", store.index["patient"][rows[0]]}
    assert found.patients == found.accuracy.candidates == len(patients)
    assert found.probes == found.accuracy.queries == 2 * len(patients)
    assert not set(found.per_record["rows"]) & set(lone)
    first = {store.index["patient"][row]: row for row in rows[::-1]}
    assert not set(found.per_record["rows"]) & set(first.values())


def test_a_model_that_tells_nobody_apart_is_at_chance():
    found = evaluate_identification(Flat(), Flat(), hearts(noise=0.2), FAST).accuracy
    assert found.model.within["1"].value == pytest.approx(1 / found.candidates)
    assert found.model.within["5"].value == pytest.approx(5 / found.candidates)
    assert found.chance.within["5"].value == pytest.approx(5 / found.candidates)


def test_accuracy_is_that_of_a_plain_loop_over_probes():
    store = hearts(noise=1.0)
    found = evaluate_identification(Hearts(), Flat(), store, FAST)
    vectors = Hearts().embed_ecgs(store.signal).astype(np.float64)
    names = store.index["patient"].to_numpy()
    gallery = {}
    for row in store.rows("validation", "test"):
        gallery.setdefault(names[row], row)
    right = {1: [], 5: []}
    for row in found.per_record["rows"]:
        nearest = sorted(gallery, key=lambda name: -(vectors[gallery[name]] @ vectors[row]))
        for k, hits in right.items():
            hits.append(names[row] in nearest[:k])
    assert 0.2 < np.mean(right[1]) < 0.9
    for k, hits in right.items():
        assert found.accuracy.model.within[str(k)].value == pytest.approx(np.mean(hits))
        assert found.per_record[f"within_{k}"].tolist() == hits


def test_the_gallery_s_tracing_filed_twice_is_no_probe():
    store = hearts(noise=0.2, count=60)
    store.rate, store.samples = 100.0, 1000
    store.signal = np.stack([heart(row) for row in range(60)])
    store.index["fingerprint"] = [fingerprint(Record(signal, 100.0, LEADS)) for signal in store.signal]
    rows = store.rows("validation", "test")
    names = store.index["patient"]
    first, second = rows[names[rows] == names[rows[0]]][:2]
    store.signal[second] = 1.3 * store.signal[first]
    store.index.loc[second, "fingerprint"] = fingerprint(Record(store.signal[second], 100.0, LEADS))
    found = evaluate_identification(Hearts(samples=1000), Flat(samples=1000), store, FAST)
    assert found.copies == 1
    assert second not in found.per_record["rows"]


def test_the_training_split_may_be_asked_where_the_model_has_not_seen_it():
    store, splits = hearts(noise=0.2), ("train", "validation", "test")
    found = evaluate_identification(Hearts(), Flat(), store, replace(FAST, splits=splits))
    assert found.patients == 100
    assert any("training records are among those evaluated" in note for note in found.notes)
    assert any("cannot be told" in note for note in found.notes)
    training = store.rows("train")
    trained = Hearts(seen=tuple(store.index["fingerprint"][training]))
    with pytest.raises(StoreError, match="known from training"):
        evaluate_identification(trained, Flat(), store, replace(FAST, splits=splits))
    left = evaluate_identification(trained, Flat(), store, Protocol((), bootstrap=5, splits=splits, leave_out_known=True))
    assert not set(training) & set(left.per_record["rows"])
    assert f"{len(training)} records" in left.notes[1]


def test_patients_who_came_once_identify_nobody():
    with pytest.raises(StoreError, match="0 patients with two different records"):
        evaluate_identification(Hearts(), Flat(), hearts(noise=0.2, records_a_patient=1), FAST)


def test_json_holds_figures_and_no_patient():
    text = json.dumps(plain(evaluate_identification(Hearts(), Flat(), hearts(noise=0.2), FAST)), allow_nan=False)
    assert "per_record" not in text
    assert '"p1' not in text
