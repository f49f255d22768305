"""What a search promises: the order of the true cosines, the right report beside each ECG, filters that mean what they say."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pytest

import cmelt
from cmelt.errors import ConfigError, RecordError, StoreError
from cmelt.serving.bulk import How
from cmelt.serving.indexing import index_store
from cmelt.serving.notice import NOTICE
from cmelt.serving.search import search
from cmelt.serving.search_index import Filters, open_index
from cmelt.store import open_store
from ecg_files import heart, record, write_wfdb
from trained_towers import saved_model, tiny_model


@pytest.fixture(scope="module")
def index(tiny_store, model_folder, tmp_path_factory):
    return index_store(tiny_store, tmp_path_factory.mktemp("search") / "index", model_folder, How(workers=1))


@pytest.fixture(scope="module")
def store(tiny_store):
    return open_store(tiny_store)


@pytest.fixture(scope="module")
def cosines(model, processor, store):
    """The slow truth: record's name → its vector, embedded one at a time from the store's own signals, float64."""

    def vector(row):
        one = store.record(row)
        return cmelt.embed(model, processor, cmelt.Record(one.signal, one.rate, cmelt.LEADS))[0].astype(np.float64)

    vectors = {store.index["record"][row]: vector(row) for row in range(len(store))}
    return lambda asked: {name: float(own @ asked.astype(np.float64)) for name, own in vectors.items()}


def in_order(truth, hits):
    """Whether hits come in the order of the truth, with its values."""
    expected = sorted(truth.values(), reverse=True)[: len(hits)]
    np.testing.assert_allclose([hit.similarity for hit in hits], expected, atol=1e-5)
    np.testing.assert_allclose([truth[hit.record] for hit in hits], expected, atol=1e-5)


def test_hits_of_an_ecg_come_in_the_order_of_all_cosines(model, processor, index, cosines):
    hits = search(model, processor, index, ecg=record(3), k=15)
    in_order(cosines(cmelt.embed(model, processor, record(3))[0]), hits)
    assert (hits.query, hits.among, len(hits)) == ("ecg", 60, 15)


def test_hits_of_a_text_come_in_the_order_of_all_cosines(model, processor, index, cosines):
    hits = search(model, processor, index, text="Atrial fibrillation.", k=15)
    in_order(cosines(cmelt.embed_texts(model, processor, ["Atrial fibrillation."])[0]), hits)
    assert hits.query == "text" and hits.facts is None


@pytest.mark.parametrize("row", [0, 31, 59])
def test_a_record_of_the_index_finds_itself_first_with_its_own_report(model, processor, index, store, row):
    one = store.record(row)
    hit = search(model, processor, index, ecg=cmelt.Record(one.signal, one.rate, cmelt.LEADS))[0]
    facts = store.index.iloc[row]
    assert (hit.record, hit.report, hit.sex, hit.split) == (one.record, one.report, facts["sex"], one.split)
    assert (hit.age, hit.labels, hit.source) == (facts["age"], one.labels, "simulated")
    assert hit.similarity == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(index.ecg(hit.row).signal, one.signal)


def test_the_ecg_of_a_hit_has_the_leads_that_were_measured(index, store, monkeypatch):
    whole = store.record(7)
    monkeypatch.setattr(type(store), "record", lambda self, row: replace(whole, missing_leads=("V1", "V6")))
    shown = index.ecg(7)
    assert shown.leads == tuple(lead for lead in cmelt.LEADS if lead not in ("V1", "V6"))
    np.testing.assert_array_equal(shown.signal[-1], whole.signal[10])  # V5


def test_what_is_wrong_with_the_ecg_is_told_and_a_long_one_is_searched_for_as_a_whole(model, processor, index, cosines):
    long = record(2, seconds=25.0, leads=("I", "II", "V2"))
    hits = search(model, processor, index, ecg=long)
    assert hits.facts.missing_leads == ("V1", "V3", "V4", "V5", "V6") and hits.facts.windows == 3
    in_order(cosines(cmelt.embed(model, processor, long)[0]), hits)


def test_a_file_is_searched_with_as_its_record_is(model, processor, index, tmp_path):
    header = write_wfdb(tmp_path / "r", heart(3), gain=1e4)
    by_file, by_record = (search(model, processor, index, ecg=one) for one in (header, record(3)))
    assert [hit.record for hit in by_file] == [hit.record for hit in by_record]
    (tmp_path / "letter.txt").write_text("Dear colleague")
    with pytest.raises(RecordError, match=r"letter\.txt"):
        search(model, processor, index, ecg=tmp_path / "letter.txt")


FILTERS = [
    ({"age": (50, 70)}, lambda one: 50 <= one.age <= 70),
    ({"age": (65, None)}, lambda one: one.age >= 65),
    ({"age": (None, 65)}, lambda one: one.age <= 65),
    ({"sex": "F"}, lambda one: one.sex == "female"),
    ({"sex": "male", "age": (40, 90)}, lambda one: one.sex == "male" and 40 <= one.age <= 90),
    ({"label": "Atrial-Fibrillation"}, lambda one: "sim:atrial-fibrillation" in one.labels),
    ({"label": "sim:normal", "sex": "f"}, lambda one: "sim:normal" in one.labels and one.sex == "female"),
]


@pytest.mark.parametrize(("filters", "holds"), FILTERS, ids=lambda value: str(value) if isinstance(value, dict) else "")
def test_filters_let_through_what_they_say_and_nothing_else(model, processor, index, store, cosines, filters, holds):
    expected = {one.record for one in store.index.itertuples() if holds(one)}
    assert 0 < len(expected) < 60
    hits = search(model, processor, index, ecg=record(3), k=60, filters=filters)
    assert {hit.record for hit in hits} == expected and hits.among == len(expected)
    truth = cosines(cmelt.embed(model, processor, record(3))[0])
    in_order({name: truth[name] for name in expected}, hits)


def test_of_several_labels_a_record_has_all(index, store):
    both = next(labels for labels in store.index["labels"] if len(labels) > 1)[:2]
    expected = [set(both) <= set(labels) for labels in store.index["labels"]]
    chosen = [index.records["row"][row].as_py() for row in index.rows(Filters.of({"label": both}))]
    assert sorted(chosen) == np.flatnonzero(expected).tolist()


def test_an_age_is_within_its_bounds_and_an_unknown_one_within_none(index):
    import pyarrow as pa

    ages = pa.array([None, 40.0, 60.0, 60.5, *[30.0] * 56])
    aged = replace(index, records=index.records.set_column(index.records.column_names.index("age"), "age", ages))
    assert aged.rows(Filters(age=(40, 60))).tolist() == [1, 2]
    assert aged.rows(Filters(age=(None, None))).tolist() == list(range(1, 60))


def test_filters_that_let_nothing_through_give_no_hits(model, processor, index):
    hits = search(model, processor, index, text="sinus rhythm", filters={"age": (119, 120)})
    assert (len(hits), hits.among, hits.to_json()["hits"]) == (0, 0, [])


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"age": (60, 40)}, "the lower age comes first"),
        ({"age": "old"}, "is no range"),
        ({"age": (float("nan"), 3)}, "no number"),
        ({"sex": "x"}, "female or male"),
        ({"label": "atrial-fibrilation"}, "perhaps atrial-fibrillation"),
        ({"race": "any"}, "known: age, sex, label"),
    ],
)
def test_a_filter_that_cannot_be_is_refused_with_a_remedy(model, processor, index, filters, words):
    with pytest.raises(ConfigError, match=words):
        search(model, processor, index, text="sinus rhythm", filters=filters)


@pytest.mark.parametrize("asked", [{}, {"ecg": record(1), "text": "normal"}, {"text": "  "}])
def test_one_thing_is_searched_for(model, processor, index, asked):
    with pytest.raises(ConfigError, match=r"not both|is empty"):
        search(model, processor, index, **asked)


def test_a_model_that_did_not_make_the_index_is_refused(model, processor, index):
    for other, words in (
        (replace(processor, identity="0" * 64), "another model"),
        (replace(processor, identity=""), "not known"),
    ):
        with pytest.raises(StoreError, match=words):
            search(model, other, index, ecg=record(1))


def test_a_model_that_never_compared_ecgs_with_texts_finds_by_ecg_and_not_by_text(tiny_store, tmp_path):
    masked = saved_model(tmp_path / "masked", tiny_model(mem=1.0, mlm=1.0, etm=0.0, ets=0.0))
    made = index_store(tiny_store, tmp_path / "index", masked, How(workers=1))
    model, processor = cmelt.load(masked, device="cpu")
    assert len(search(model, processor, made, ecg=record(1), k=3)) == 3
    with pytest.raises(ConfigError, match="never learned to compare"):
        search(model, processor, made, text="normal ecg")


def test_hits_are_plain_json_with_the_notice_and_nothing_of_them_is_logged(model, processor, index, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        hits = search(model, processor, index, ecg=record(1), k=4)
    told = json.loads(json.dumps(hits.to_json()))
    assert told["notice"] == NOTICE and len(told["hits"]) == 4 and told["facts"]["windows"] == 1
    assert [hit["similarity"] for hit in told["hits"]] == sorted((hit.similarity for hit in hits), reverse=True)
    logged = caplog.text + "".join(capfd.readouterr())
    assert not any(hit.report in logged for hit in hits)


def test_what_a_user_types_is_there(index):
    assert cmelt.open_index(index.folder).facts == index.facts
    assert cmelt.search is search and cmelt.open_index is open_index and cmelt.index_store is index_store


def test_a_coded_index_that_reports_have_tuned_finds_what_an_exact_one_does(
    tiny_store, model_folder, model, processor, index, tmp_path, monkeypatch
):
    from cmelt.index import build
    from cmelt.serving import indexing

    for module, name, value in ((build, "EXACT_NUMBERS", 1), (build, "LEAST_CODED", 10), (indexing, "EXACT_NUMBERS", 1)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(indexing, "ASKING_REPORTS", 8)
    coded = index_store(tiny_store, tmp_path / "coded", model_folder, How(workers=1))
    assert coded.vectors.facts.kind == "codes" and coded.vectors.facts.recall.asked == "given"
    for asked in ({"text": "atrial fibrillation"}, {"ecg": record(3), "filters": {"sex": "f"}}):
        exact, found = (search(model, processor, one, k=5, **asked) for one in (index, coded))
        np.testing.assert_allclose(  # of the same records, to what int16 keeps of a vector
            [hit.similarity for hit in found], [hit.similarity for hit in exact], atol=1e-4
        )


def test_threads_that_search_at_once_find_what_one_finds(model, processor, index):
    from concurrent.futures import ThreadPoolExecutor

    fresh = open_index(index.folder)
    asked = [{"label": label} for label in fresh.labels[:4]] * 3
    with ThreadPoolExecutor(6) as threads:
        at_once = list(threads.map(lambda filters: search(model, processor, fresh, text="normal", filters=filters), asked))
    alone = [search(model, processor, index, text="normal", filters=filters) for filters in asked]
    assert [[hit.row for hit in hits] for hits in at_once] == [[hit.row for hit in hits] for hits in alone]
