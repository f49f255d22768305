"""CMeltEmbedder among scikit-learn's estimators: the vectors of `cmelt.embed`, in pipelines, cloned, pickled, checked."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

import cmelt
from cmelt.errors import CheckpointError, ConfigError, RecordError
from cmelt.serving.sklearn import CMeltEmbedder
from ecg_files import heart, record, write_wfdb

TOLD = {"rate": 100.0, "unit": "mV", "leads": cmelt.LEADS}

#: Checks of scikit-learn that fail where an unusable ECG is an error, and why: their random rows are constant, or mostly NaN.
UNUSABLE_ROWS = {
    "check_estimators_dtypes": "a row of equal integers is a flat lead",
    "check_estimators_pickle": "a row of which most is NaN has no usable lead",
}


@pytest.fixture
def embedder(model_folder):
    return CMeltEmbedder(str(model_folder), device="cpu")


@pytest.fixture(scope="module")
def expected(model, processor):
    return cmelt.embed(model, processor, [record(seed) for seed in range(6)])


def test_vectors_are_those_of_embed_whatever_form_the_ecgs_have(embedder, expected, tmp_path):
    paths = [write_wfdb(tmp_path / f"{seed}", heart(seed), gain=1e4) for seed in range(6)]
    arrays = np.stack([heart(seed) for seed in range(6)])
    said = clone(embedder).set_params(**TOLD)
    np.testing.assert_array_equal(embedder.transform([record(seed) for seed in range(6)]), expected)
    np.testing.assert_array_equal(said.transform(arrays), expected)
    np.testing.assert_array_equal(said.transform(list(arrays)), expected)
    np.testing.assert_allclose(embedder.transform(paths), expected, atol=1e-3)  # their numbers are rounded to 0.1 µV
    by_name = embedder.transform([str(path) for path in paths])
    for column in (np.array(list(map(str, paths))), pd.Series(list(map(str, paths)), index=range(9, 15)), tuple(paths)):
        np.testing.assert_array_equal(embedder.transform(column), by_name)
    np.testing.assert_array_equal(embedder.transform(pd.DataFrame({"path": list(map(str, paths))})), by_name)


def test_arrays_of_their_own_lengths_are_records_of_their_own(embedder, model, processor):
    said = clone(embedder).set_params(**TOLD)
    found = said.fit_transform([heart(1), heart(2, seconds=25.0)])
    np.testing.assert_array_equal(found, cmelt.embed(model, processor, [record(1), record(2, seconds=25.0)]))


def test_rows_of_one_lead_are_that_lead_s_ecgs(embedder, model, processor):
    rows = np.stack([heart(seed)[1] for seed in range(3)])
    found = clone(embedder).set_params(rate=100.0, unit="mV", leads=["II"]).transform(rows)
    np.testing.assert_array_equal(found, cmelt.embed(model, processor, [record(seed, leads=("II",)) for seed in range(3)]))
    with pytest.raises(ConfigError, match="one lead"):
        clone(embedder).set_params(**TOLD).transform(rows)


def test_nothing_of_an_array_is_guessed(embedder):
    with pytest.raises(RecordError, match=r"X\[0\].*rate, unit, leads"):
        embedder.transform(np.stack([heart(0)]))
    with pytest.raises(RecordError, match="nothing of its unit"):
        clone(embedder).set_params(rate=100.0, leads=cmelt.LEADS).transform(np.stack([heart(0)]))


def test_it_goes_into_a_pipeline_and_through_cross_validation(embedder):
    records = [record(seed % 5) for seed in range(20)]
    labels = np.array([seed % 5 < 2 for seed in range(20)])
    scores = cross_val_score(make_pipeline(embedder, KNeighborsClassifier(1)), records, labels, cv=4)
    assert scores.tolist() == [1.0] * 4  # five hearts, each of which the neighbours hold
    search = GridSearchCV(make_pipeline(embedder, LogisticRegression()), {"logisticregression__C": [0.1, 10.0]}, cv=2)
    assert set(search.fit(records, labels).predict(records)) <= {False, True}


def test_clones_and_pickles_give_the_same_vectors_and_carry_no_weights(embedder, expected):
    fitted = embedder.fit([record(0)])
    frozen = pickle.dumps(fitted)
    assert len(frozen) < 2000
    for again in (clone(fitted), pickle.loads(frozen)):  # noqa: S301 - our own
        assert again.get_params() == embedder.get_params()
        np.testing.assert_array_equal(again.transform([record(seed) for seed in range(6)]), expected)


def test_columns_have_names_and_pandas_can_be_asked_for(embedder):
    names = embedder.get_feature_names_out()
    assert len(names) == 16 and names[0] == "cmeltembedder0"
    frame = clone(embedder).set_output(transform="pandas").transform([record(0), record(1)])
    assert list(frame.columns) == list(names) and len(frame) == 2


def test_an_ecg_that_cannot_be_used_is_named_or_becomes_a_row_of_nan(embedder, expected, tmp_path):
    flat = cmelt.Record(np.zeros((12, 1000), np.float32), 100.0, cmelt.LEADS, identifier="flat")
    (tmp_path / "letter.txt").write_text("Dear colleague")
    given = [record(0), flat, tmp_path / "letter.txt", record(3)]
    for number, name in ((1, "flat"), (2, r"letter\.txt")):
        with pytest.raises(RecordError, match=name):
            embedder.transform(given[number : number + 1])
    found = clone(embedder).set_params(unusable="nan").transform(given)
    np.testing.assert_array_equal(np.isnan(found).all(axis=1), [False, True, True, False])
    np.testing.assert_allclose(found[[0, 3]], expected[[0, 3]], atol=1e-6)
    with pytest.raises(ConfigError, match="neither"):
        clone(embedder).set_params(unusable="drop").transform(given)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ([], ValueError, "Expected 2D array"),
        (np.full((2, 12, 1000), np.inf), ValueError, "infinity"),
        ([{"ecg": 1}], ValueError, "Expected 2D array|array"),
        (np.zeros((2, 12, 1000), complex), ValueError, "Complex"),
    ],
)
def test_what_holds_no_ecgs_is_refused(embedder, given, error, words):
    with pytest.raises((error, TypeError), match=words):
        clone(embedder).set_params(**TOLD).fit(given)


def test_a_model_that_is_not_there_is_named_when_it_is_needed():
    missing = CMeltEmbedder("no-such-model")
    with pytest.raises(CheckpointError, match="no-such-model"):
        missing.transform([record(0)])


def checked(embedder, **told):
    """scikit-learn's own checks of an embedder of one lead, which is what its random [n, samples] can be; by status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(
            clone(embedder).set_params(rate=100.0, unit="mV", leads=["I"], **told), on_fail=None, on_skip=None
        )
    return {
        status: {one["check_name"] for one in results if one["status"] == status} for status in ("passed", "failed", "skipped")
    }


def test_scikit_learn_s_checks_pass_all_that_are_run(embedder):
    found = checked(embedder, unusable="nan")
    assert not found["failed"] and len(found["passed"]) > 35
    assert found["skipped"] <= {"check_array_api_input"}  # run only where SCIPY_ARRAY_API is set


@pytest.mark.slow
def test_where_an_unusable_ecg_is_an_error_only_the_checks_with_such_rows_fail(embedder):
    assert checked(embedder)["failed"] == set(UNUSABLE_ROWS)
