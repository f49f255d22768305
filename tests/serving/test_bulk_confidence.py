"""Probabilities of whole archives: those of single ECGs, whatever interrupts the work; a model without them says so."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

import cmelt as package
from cmelt.errors import ConfigError, StoreError
from cmelt.publishing import sha256, verify
from cmelt.serving.bulk import How, classify_archive
from cmelt.serving.classes import task_of
from cmelt.serving.confidence import CALIBRATION, SWAPPED, UNLIKE, Calibration, ClassCalibration, Curve, question_of
from cmelt.serving.loading import load
from cmelt.serving.unusual import Familiar
from cmelt.store import open_store
from ecg_files import heart, write_wfdb
from running import cmelt
from tiny_runs import RATE
from trained_towers import saved_model

AF, LBBB = "atrial-fibrillation", "left-bundle-branch-block"
ALONE = How(workers=1)


def records_of(store_path):
    """Every record of a store as one of its own, with its name."""
    store = open_store(store_path)
    names = store.index.sort_values(["shard", "shard_row"])["record"].to_list()
    place = {name: row for row, name in enumerate(store.index["record"])}
    return names, [package.Record(store.millivolts([place[name]])[0], RATE, package.LEADS, identifier=name) for name in names]


@pytest.fixture(scope="module")
def calibrated(tiny_store, tmp_path_factory):
    """A model of which one class of two has a curve, as steep as curves are; half of the store's ECGs are unlike the others."""
    folder = saved_model(tmp_path_factory.mktemp("calibrated") / "model")
    model, processor = load(folder, device="cpu")
    _, records = records_of(tiny_store)
    vectors = package.embed(model, processor, records).astype(np.float64)
    curve = Curve(
        (-0.4, -0.2, 0.0, 0.2, 0.4), (0.02, 0.1, 0.3, 0.6, 0.9), (0.01, 0.05, 0.2, 0.5, 0.8), (0.03, 0.2, 0.4, 0.7, 0.95)
    )
    familiar = Familiar(tuple(vectors.mean(axis=0).tolist()), ((0.0,) * vectors.shape[1],), (1.0,), 1.0, 1.0, 99)
    # Between two neighbours' distances, so that rounding decides none.
    familiar = dataclasses.replace(familiar, limit=float(np.median(familiar.distances(vectors))))
    asked = question_of(task_of([AF]).classes[AF], "contrast")
    one = ClassCalibration("t", AF, asked, "platt", 90, 20, 80, 18, curve=curve)
    known = Calibration(processor.identity, "s" * 64, "validation", "2026-01-02", 200, 0, familiar, (one,))
    (folder / CALIBRATION).write_text(known.to_json())
    return folder


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    """A sound ECG, a short one, one of 25 s, one with two leads under each other's names, and one that is none."""
    folder = tmp_path_factory.mktemp("ward")
    write_wfdb(folder / "a/sound", heart(0, rate=250.0), rate=250.0)
    write_wfdb(folder / "a/short", heart(1, seconds=4.0), rate=100.0)
    write_wfdb(folder / "long", heart(2, seconds=25.0))
    write_wfdb(folder / "swapped", heart(3, rate=250.0)[[1, 0, *range(2, 12)]], rate=250.0)
    write_wfdb(folder / "flat", np.zeros((12, 1000), np.float32))
    return folder


def told(row):
    """What a row says of the calibrated class; NaN where it says nothing."""
    return [np.nan if row[f"{AF} {part}"] is None else row[f"{AF} {part}"] for part in ("probability", "low", "high")]


def same(rows, expected):
    assert len(rows) == len(expected.records) > 2
    for place, row in enumerate(rows):
        assert [row[AF], row[LBBB]] == pytest.approx(expected.values[place].tolist(), abs=1e-6)
        own = [float(values[place, 0]) for values in (expected.probabilities, expected.low, expected.high)]
        assert told(row) == pytest.approx(own, abs=1e-6, nan_ok=True)
        assert (tuple(row["verdicts"]), row["cannot_tell"]) == (expected.flags[place], expected.cannot_tell[place])
        facts = expected.records[place]
        assert (row["windows"], tuple(row["missing_leads"])) == (facts.windows, facts.missing_leads)
        assert set(row["flags"]) == set(facts.flags)


def test_a_store_s_probabilities_are_those_of_its_records_one_by_one(calibrated, tiny_store, tmp_path):
    done = classify_archive(tiny_store, tmp_path / "scores.parquet", [AF, LBBB], calibrated, ALONE)
    assert done.calibrated == (AF,)
    names, records = records_of(tiny_store)
    rows = pq.read_table(tmp_path / "scores.parquet").to_pylist()
    assert [row["record"] for row in rows] == names
    expected = package.classify(*load(calibrated, device="cpu"), records, [AF, LBBB])
    same(rows, expected)
    without = [row for row in rows if row["cannot_tell"]]
    assert 0 < len(without) < len(rows) and all(UNLIKE in row["verdicts"] for row in without if "unlike" in row["cannot_tell"])
    assert f"{LBBB} probability" not in rows[0], "it has no curve"
    assert len({row[f"{AF} probability"] for row in rows}) > 10


def test_a_folder_s_probabilities_are_those_of_its_files_one_by_one(calibrated, ward, tmp_path):
    classify_archive(ward, tmp_path / "scores", [AF, LBBB], calibrated, dataclasses.replace(ALONE, shard_records=2))
    rows = pq.read_table(tmp_path / "scores/shards").to_pylist()
    files = [ward / row["record"] for row in rows]
    expected = package.classify(*load(calibrated, device="cpu"), files, [AF, LBBB])
    same(rows, expected)
    by_name = {row["record"].split("/")[-1].removesuffix(".hea"): row for row in rows}
    assert set(by_name) == {"sound", "short", "long", "swapped"}
    assert by_name["swapped"]["verdicts"][0] == SWAPPED and "exchanged" in by_name["swapped"]["cannot_tell"]
    assert "shorter than 5 s" in by_name["short"]["cannot_tell"] and by_name["long"]["windows"] == 3
    about = verify(tmp_path / "scores")["cmelt"]
    assert about["calibrated"] == [AF] and len(about["calibration"]) == 64


def test_flags_of_a_store_s_record_are_those_of_the_recording_not_of_what_is_kept_of_it(calibrated, tmp_path):
    from cmelt.sources.folder import Folder
    from cmelt.store import ShardSettings, prepare_store

    write_wfdb(tmp_path / "files/short", heart(1, seconds=4.0), rate=100.0)
    write_wfdb(tmp_path / "files/sound", heart(2), rate=100.0)
    prepare_store(Folder(str(tmp_path / "files")), tmp_path / "store", ShardSettings(RATE, 10.0, "first", "key"))
    classify_archive(tmp_path / "store", tmp_path / "scores.parquet", [AF], calibrated, ALONE)
    rows = {row["record"]: row for row in pq.read_table(tmp_path / "scores.parquet").to_pylist()}
    short = next(row for name, row in rows.items() if "short" in name)
    assert {"short", "padded"} <= set(short["flags"]) and "shorter than 5 s" in short["cannot_tell"]


def tree_of(folder):
    return {path.relative_to(folder).as_posix(): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def test_interrupted_and_gone_on_the_bytes_are_those_of_one_run(calibrated, ward, tmp_path):
    how = dataclasses.replace(ALONE, shard_records=2)
    classify_archive(ward, tmp_path / "one", [AF, LBBB], calibrated, how)

    def interrupt(done, _):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classify_archive(ward, tmp_path / "two", [AF, LBBB], calibrated, how, progress=interrupt)
    done = classify_archive(ward, tmp_path / "two", [AF, LBBB], calibrated, how)
    assert done.shards_kept == 1 and done.calibrated == (AF,)
    assert tree_of(tmp_path / "one") == tree_of(tmp_path / "two")


def test_scores_of_another_calibration_are_not_mixed_in_and_not_taken_for_these(calibrated, tiny_store, tmp_path):
    def interrupt(done, _):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classify_archive(tiny_store, tmp_path / "half", [AF], calibrated, ALONE, progress=interrupt)
    classify_archive(tiny_store, tmp_path / "whole.parquet", [AF], calibrated, ALONE)
    again = tmp_path / "model"
    shutil.copytree(calibrated, again)
    said = json.loads((again / CALIBRATION).read_text())
    said["classes"][0]["curve"]["probability"][0] = 0.03
    (again / CALIBRATION).write_text(json.dumps(said))
    with pytest.raises(StoreError, match=r"another job .*differs in: calibration"):
        classify_archive(tiny_store, tmp_path / "half", [AF], again, ALONE)
    with pytest.raises(StoreError, match="exists already"):
        classify_archive(tiny_store, tmp_path / "whole.parquet", [AF], again, ALONE)
    assert classify_archive(tiny_store, tmp_path / "whole.parquet", [AF], calibrated, ALONE).shards_kept == 3


def test_a_question_that_no_curve_answers_has_scores_alone(calibrated, tiny_store, tmp_path):
    for number, (asked, scoring) in enumerate((([LBBB], None), ([AF], "similarity"), ({"af": ["atrial fibrillation."]}, None))):
        out = tmp_path / f"{number}.parquet"
        done = classify_archive(tiny_store, out, asked, calibrated, ALONE, scoring=scoring)
        assert done.calibrated == () and pq.read_schema(out).names == ["record", *task_of(asked).classes]


@pytest.mark.parametrize("taken", ["verdicts", "cannot_tell", "flags", "flutter low"])
def test_a_class_cannot_be_called_as_another_column(calibrated, tiny_store, tmp_path, taken):
    with pytest.raises(ConfigError, match="call the class otherwise"):
        classify_archive(tiny_store, tmp_path / "out", {"flutter": ["flutter."], taken: ["block."]}, calibrated, ALONE)
    assert not list(tmp_path.iterdir())


def test_the_command_writes_them_prints_them_and_says_once_where_there_are_none(calibrated, ward, model_folder, tmp_path):
    options = ("--classes", f"{AF},{LBBB}", "--workers", "1", "--device", "cpu")
    shown = json.loads(cmelt("classify", ward, *options, "--model", calibrated, "--json").stdout)["records"]
    done = cmelt("classify", ward, *options, "--model", calibrated, "--out", tmp_path / "scores.parquet")
    assert done.returncode == 0 and "scores alone" not in done.stderr
    rows = {row["record"]: row for row in pq.read_table(tmp_path / "scores.parquet").to_pylist()}
    for one in shown:
        given = one["probabilities"].get(AF, dict.fromkeys(("probability", "low", "high"), np.nan))
        assert told(rows[one["record"]]) == pytest.approx(list(given.values()), abs=1e-6, nan_ok=True)
        assert (one["cannot_tell"], one["verdicts"]) == tuple(rows[one["record"]][key] for key in ("cannot_tell", "verdicts"))
    done = cmelt("classify", ward, *options, "--model", model_folder, "--out", tmp_path / "plain.parquet")
    assert done.returncode == 0 and done.stderr.count("scores alone, no probabilities") == 1
    facts = ["windows", "missing_leads", "flags"]
    assert pq.read_schema(tmp_path / "plain.parquet").names == ["record", *facts, AF, LBBB]
