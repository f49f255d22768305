"""Retrieval on records whose true pairs are planted: reports repeat, and the ECG carries which one is its own."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from cmelt.errors import StoreError
from cmelt.evaluation.protocol import Protocol
from cmelt.evaluation.results import plain
from cmelt.evaluation.retrieval import evaluate_retrieval
from cmelt.text.cleaning import clean_report

from .conftest import PlantedEmbedder, PlantedStore, planted_store

WIDTH = 8
FAST = Protocol((), bootstrap=40)
#: The report that a third of the records share, in two spellings that cleaning makes one.
COMMON = ("Sinus rhythm, normal ECG.", "SINUS RHYTHM,  normal ekg")


def directions(number):
    return np.random.default_rng(number).normal(size=WIDTH)


def number_of(text):
    """Which report a text is: 0 for the common one."""
    return 0 if "normal" in text else int(text.split()[-1])


class Reader(PlantedEmbedder):
    """Puts a report where its number points, and an ECG where its first samples do; with `flat`, everything in one place."""

    flat = False

    def embed_ecgs(self, millivolts):
        return self.unit(millivolts[:, :WIDTH, 0])

    def embed_texts(self, texts):
        assert all(text == clean_report(text) for text in texts)
        return self.unit(np.stack([directions(number_of(text)) for text in texts]))

    def unit(self, vectors):
        vectors = np.ones_like(vectors) if self.flat else np.asarray(vectors, np.float64)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class Flat(Reader):
    flat = True


def paired_store(noise: float = 0.0, count: int = 300) -> PlantedStore:
    store = planted_store(count)
    rng = np.random.default_rng(3)
    numbers = np.where(rng.random(count) < 0.33, 0, 1 + np.arange(count) // 2)
    store.index["report"] = [COMMON[row % 2] if n == 0 else f"Finding that is number {n}." for row, n in enumerate(numbers)]
    store.signal[:, :WIDTH, 0] = np.stack([directions(n) for n in numbers]) + noise * rng.normal(size=(count, WIDTH))
    return store


def test_a_model_that_reads_everything_finds_everything():
    found = evaluate_retrieval(Reader(), Flat(identity="flat"), paired_store(), FAST)
    for result in found.directions.values():
        assert all(share.value == 1.0 for share in result.model.within.values())
        assert result.model.median_rank.value == 1.0
        assert result.queries == found.records
    assert found.splits == ("validation", "test")
    assert found.ecg_to_report.candidates == found.distinct_reports < found.records
    assert found.report_to_ecg.candidates == found.records


def test_a_model_that_tells_nothing_apart_is_at_chance():
    found = evaluate_retrieval(Flat(), Flat(), paired_store(), FAST)
    for result in found.directions.values():
        assert {k: share.value for k, share in result.model.within.items()} == pytest.approx(
            {k: share.value for k, share in result.chance.within.items()}
        )
        assert result.model.median_rank.value == result.chance.median_rank.value > 1
    assert found.ecg_to_report.chance.within["1"].value == pytest.approx(1 / found.distinct_reports)


def test_an_identical_report_is_a_hit_whoever_it_belongs_to():
    # Each ECG with the common report is given the embedding of another patient's with the same report: no rank may change.
    store = paired_store(noise=0.3)
    plain = evaluate_retrieval(Reader(), Flat(), store, FAST)
    common = np.flatnonzero([number_of(clean_report(text)) == 0 for text in store.index["report"]])
    common = np.intersect1d(common, store.rows("validation", "test"))
    store.signal[common] = store.signal[np.roll(common, 1)]
    rolled = evaluate_retrieval(Reader(), Flat(), store, FAST)
    assert rolled.report_to_ecg.model == plain.report_to_ecg.model
    assert sum(plain.per_record["report_to_ecg_within_1"][np.isin(plain.per_record["rows"], common)]) == len(common)


def test_reports_that_cleaning_makes_one_are_one():
    store = paired_store()
    evaluated = store.rows("validation", "test")
    cleaned = {clean_report(store.index["report"][row]) for row in evaluated}
    assert len(cleaned) < len({store.index["report"][row] for row in evaluated})
    assert evaluate_retrieval(Reader(), Flat(), store, FAST).distinct_reports == len(cleaned)


def test_records_without_a_usable_report_are_counted_and_not_asked():
    store = paired_store()
    rows = store.rows("validation", "test")
    store.index.loc[rows[:3], "report"] = ["", "Trace only requested.", "ok"]
    found = evaluate_retrieval(Reader(), Flat(), store, FAST)
    assert found.without_report == 3
    assert found.records == len(rows) - 3
    assert not set(rows[:3]) & set(found.per_record["rows"])


def test_shuffled_pairs_are_near_chance_for_a_model_that_is_not():
    found = evaluate_retrieval(Reader(), Flat(), paired_store(noise=0.3), FAST)
    result = found.ecg_to_report
    assert result.model.within["5"].low > 0.5
    assert result.gain["5"].low > 0.4
    assert abs(result.shuffled.within["5"].value - result.chance.within["5"].value) < 0.08
    assert result.shuffled.within["5"].low <= result.shuffled.within["5"].value <= result.shuffled.within["5"].high


def test_each_record_s_figures_are_the_mean():
    found = evaluate_retrieval(Reader(), Flat(), paired_store(noise=1.0), FAST)
    for way, result in (("ecg_to_report", found.ecg_to_report), ("report_to_ecg", found.report_to_ecg)):
        for k in ("1", "5", "10"):
            assert found.per_record[f"{way}_within_{k}"].mean() == pytest.approx(result.model.within[k].value)
            assert found.per_record[f"random_{way}_within_{k}"].mean() == pytest.approx(result.random.within[k].value)
        assert found.per_record[f"{way}_rank"].shape == found.per_record["rows"].shape == found.per_record["patients"].shape


def test_records_that_training_has_seen_are_refused_or_left_out():
    store = paired_store()
    known = Reader(seen=(store.index["fingerprint"][store.rows("test")[0]],))
    with pytest.raises(StoreError, match="--leave-out-known"):
        evaluate_retrieval(known, Flat(), store, FAST)
    found = evaluate_retrieval(known, Flat(), store, Protocol((), bootstrap=5, leave_out_known=True))
    assert found.records == len(store.rows("validation", "test")) - 1
    assert "1 records that training has seen" in found.notes[0]
    assert evaluate_retrieval(known, Flat(), store, replace(FAST, splits=("validation",))).splits == ("validation",)


def test_one_report_cannot_be_searched_for():
    store = paired_store()
    store.index["report"] = COMMON[0]
    with pytest.raises(StoreError, match="1 different reports"):
        evaluate_retrieval(Reader(), Flat(), store, FAST)


def test_json_holds_figures_and_no_record():
    content = plain(evaluate_retrieval(Reader(), Flat(), paired_store(), FAST))
    text = json.dumps(content, allow_nan=False)
    assert "per_record" not in text
    assert "number" not in text
    assert content["ecg_to_report"]["chance"]["within"]["1"]["low"] is None
