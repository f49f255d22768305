"""What a measurement leaves on disk comes back as it was, and figures are those of the evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cmelt.errors import CheckpointError
from cmelt.study.outcomes import FIGURES, Hits, Outcome, Scores, figures_of, publish, read, read_figures

RNG = np.random.default_rng(0)
SCORES = Scores(
    ("ST/T", "MI"),
    np.arange(0, 60, 2),
    np.arange(30) // 2,
    np.where(np.arange(30) < 15, 1, 2),
    np.stack([np.arange(30) % 3 == 0, np.arange(30) % 4 == 0], axis=1),
    RNG.normal(size=(2, 30, 2)),
    log_odds=True,
)
HITS = Hits(("ECG → report R@1", "top-1"), np.arange(30), np.arange(30) // 2, RNG.random((1, 30, 2)).round())


@pytest.mark.parametrize("outcome", [SCORES, HITS], ids=["scores", "hits"])
def test_an_outcome_comes_back_as_it_was_published(outcome: Outcome, tmp_path: Path) -> None:
    publish(outcome, tmp_path / "measured", {"title": "a title"}, 1.234)
    found = read(tmp_path / "measured")
    assert type(found) is type(outcome)
    for name, value in vars(outcome).items():
        np.testing.assert_array_equal(getattr(found, name), value)
    said = read_figures(tmp_path / "measured")
    assert (said["title"], said["seconds"]) == ("a title", 1.23)
    assert said["figures"] == pytest.approx(figures_of(outcome))


def test_figures_are_means_over_draws_and_classes() -> None:
    by_hand = [[roc_auc_score(SCORES.truth[:, c], draw[:, c]) for c in range(2)] for draw in SCORES.scores]
    found = figures_of(SCORES)
    assert found["macro AUROC"] == pytest.approx(np.mean(by_hand))
    assert found["AUROC ST/T"] == pytest.approx(np.mean(by_hand, axis=0)[0])


def test_a_class_without_positives_has_no_figure() -> None:
    truth = SCORES.truth.copy()
    truth[:, 1] = False
    assert set(figures_of(replace(SCORES, truth=truth))) == {"macro AUROC", "AUROC ST/T"}


def test_records_that_were_not_asked_do_not_count() -> None:
    values = HITS.values.copy()
    values[0, :10, 0] = np.nan
    assert figures_of(replace(HITS, values=values))["ECG → report R@1"] == pytest.approx(HITS.values[0, 10:, 0].mean())


@pytest.mark.parametrize("outcome", [SCORES, HITS], ids=["scores", "hits"])
def test_some_rows_of_an_outcome_keep_what_belongs_to_them(outcome: Outcome) -> None:
    some = outcome.at(outcome.rows[5:9])
    np.testing.assert_array_equal(some.rows, outcome.rows[5:9])
    np.testing.assert_array_equal(some.patients, outcome.patients[5:9])
    inner = "scores" if isinstance(outcome, Scores) else "values"
    np.testing.assert_array_equal(getattr(some, inner), getattr(outcome, inner)[:, 5:9])


def test_no_row_of_the_folder_names_a_patient_or_says_a_report(tmp_path: Path) -> None:
    publish(SCORES, tmp_path / "measured", {}, 0.0)
    with np.load(tmp_path / "measured" / "scores.npz", allow_pickle=False) as arrays:
        kinds = {name: arrays[name].dtype.kind for name in arrays.files}
    assert [name for name, kind in kinds.items() if kind not in "biuf"] == ["names"]  # of classes


@pytest.mark.parametrize("content", ["{", "{}", '{"format": "another"}'])
def test_figures_that_are_not_ours_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / FIGURES).write_text(content)
    with pytest.raises(CheckpointError, match="made again"):
        read_figures(tmp_path)
