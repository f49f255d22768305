"""What is done to ECGs is what its name says, what is counted is what was said, and a run that was stopped goes on."""

from __future__ import annotations

import itertools
import json
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

import robustness
from cmelt.checkpoints.finding import bundled_models
from cmelt.errors import RecordError
from cmelt.records.leads import select_leads
from cmelt.records.quality import quality_flags
from cmelt.records.record import LEADS, Record
from cmelt.records.standard import standardise
from cmelt.simulation import simulate
from ecg_files import write_ptb_xl
from quality_records import arm_and_leg_exchanged, arms_exchanged
from robustness_conditions import CLEAN, DECIBELS, Condition, at_rate, conditions, noise_of
from robustness_figures import BROKEN, Answers, Question, Sample, fewer, figures, joined, keep, kept

EVERY = {(one.group, one.name): one for one in conditions()}


@pytest.fixture(scope="module")
def heart() -> Record:
    return replace(simulate(20_003, [], rate=100), identifier="one")


def power(record: Record) -> float:
    return float(record.signal.var(axis=1, dtype=np.float64).mean())


def test_no_two_conditions_are_one_and_each_gives_the_same_record_again(heart):
    assert len(EVERY) == len(conditions()) > 100
    for condition in EVERY.values():
        one, again = condition.of(heart), condition.of(heart)
        assert np.array_equal(one.signal, again.signal) and one.leads == again.leads and one.rate == again.rate


@pytest.mark.parametrize("kind", ["baseline wander", "muscle", "white", "50 Hz", "60 Hz"])
def test_noise_has_the_stated_power_and_is_the_same_at_every_strength(heart, kind):
    before = at_rate(500, heart, np.random.default_rng()) if kind.endswith("Hz") else heart
    added = [EVERY[kind, f"{decibels} dB"].of(heart).signal - before.signal for decibels in DECIBELS]
    for decibels, noise in zip(DECIBELS, added, strict=True):
        assert 10 * np.log10(power(before) / noise.var(axis=1).mean()) == pytest.approx(decibels, abs=0.02)
    assert np.corrcoef(added[2].ravel(), added[-1].ravel())[0, 1] > 0.999
    other = EVERY[kind, "0 dB"].of(replace(heart, identifier="another")).signal - before.signal
    assert abs(np.corrcoef(added[4][0], other[0])[0, 1]) < 0.9


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("baseline wander", 0, 1), ("muscle", 10, 250), ("50 Hz", 49, 51), ("60 Hz", 59, 61)]
)
def test_noise_lies_where_its_kind_lies_and_leaves_the_limb_leads_in_agreement(heart, kind, low, high):
    noise = noise_of(kind, np.random.default_rng(1), 500.0, 5000)
    spectrum = (np.abs(np.fft.rfft(noise, axis=1)) ** 2).sum(axis=0)
    hertz = np.fft.rfftfreq(5000, 1 / 500)
    assert spectrum[(hertz >= low) & (hertz <= high)].sum() > 0.9 * spectrum.sum()
    assert np.allclose(noise[2], noise[1] - noise[0]) and np.allclose(noise[3], -(noise[0] + noise[1]) / 2)


@pytest.mark.parametrize(
    ("name", "as_written"), [("arms (RA, LA)", arms_exchanged), ("right arm and leg (RA, LL)", arm_and_leg_exchanged)]
)
def test_exchanged_electrodes_give_the_leads_that_the_textbook_gives(heart, name, as_written):
    found, wanted = EVERY["exchanged", name].of(heart), as_written(heart)
    assert found.leads == wanted.leads and np.abs(found.signal - wanted.signal).max() < 2e-3


def test_left_arm_and_leg_exchanged_turn_iii_and_swap_i_with_ii(heart):
    found = EVERY["exchanged", "left arm and leg (LA, LL)"].of(heart)
    wanted = heart.signal[[1, 0, 2, 3, 5, 4]] * np.array([[1], [1], [-1], [1], [1], [1]], np.float32)
    assert np.abs(found.signal[:6] - wanted).max() < 2e-3


def test_chest_leads_in_reverse_and_only_they(heart):
    found = EVERY["exchanged", "V1 to V6 in reverse"].of(heart)
    assert np.abs(found.signal[6:] - heart.signal[:5:-1]).max() < 2e-3
    assert np.abs(found.signal[:6] - heart.signal[:6]).max() < 2e-3


def test_what_is_put_right_has_the_heart_s_leads_again_and_a_right_record_is_left_alone(heart):
    for name in ("arms (RA, LA)", "all leads upside down", "a limb lead turned", "V1 to V6 in reverse"):
        found = EVERY["exchanged, corrected", name].of(heart)
        assert np.abs(select_leads(found, LEADS).signal - heart.signal).max() < 2e-3, name
    assert EVERY["exchanged, corrected", "none"].of(heart) is heart


def test_more_leads_missing_are_those_before_and_others(heart):
    left = [set(EVERY["leads missing", f"{count} of 12"].of(heart).leads) for count in (1, 2, 3, 6, 9, 11)]
    assert [len(one) for one in left] == [11, 10, 9, 6, 3, 1]
    assert all(fewer_left < more_left for more_left, fewer_left in itertools.pairwise(left))


def test_an_absent_lead_and_one_of_nan_are_the_same_to_the_model(heart):
    absent = EVERY["one lead missing", "V3"].of(heart)
    signal = heart.signal.copy()
    signal[LEADS.index("V3")] = np.nan
    one, other = standardise(absent, 100), standardise(replace(heart, signal=signal), 100)
    assert np.array_equal(one.signal, other.signal) and one.missing == other.missing == ("V3",)


def test_gain_rails_shift_length_and_rate_are_what_they_say(heart):
    assert np.allclose(EVERY["gain", "× 4"].of(heart).signal, 4 * heart.signal)
    apart = EVERY["a gain for each lead", "up to × 2"].of(heart).signal / np.where(heart.signal == 0, 1, heart.signal)
    gains = np.median(apart, axis=1)
    assert gains.min() >= 0.49 and gains.max() <= 2.01 and np.ptp(gains) > 0.3
    railed = EVERY["amplifier ends at", "0.25 mV"].of(heart).signal
    assert np.abs(railed - np.median(heart.signal, axis=1, keepdims=True)).max() <= 0.2501
    assert np.array_equal(EVERY["begun earlier by", "2 s"].of(heart).signal[:, 200:], heart.signal[:, :800])
    assert np.array_equal(EVERY["first seconds alone", "3 s"].of(heart).signal, heart.signal[:, :300])
    assert np.array_equal(EVERY["middle seconds alone", "4 s"].of(heart).signal, heart.signal[:, 300:700])
    faster = EVERY["sampling rate", "250 Hz"].of(heart)
    assert faster.rate == 250 and faster.signal.shape == (12, 2500)
    assert EVERY["wrong rate", "stated twice"].of(heart).rate == 200
    with pytest.raises(RecordError):
        standardise(EVERY["wrong unit", "µV read as mV"].of(heart), 100)


def test_what_breaks_worst_is_flagged_in_a_simulated_heart(heart):
    for group, name, flag in (
        ("exchanged", "all leads upside down", "upside-down"),
        ("exchanged", "V1 to V6 in reverse", "chest-reversed"),
        ("white", "-6 dB", "poor-quality"),
        ("first seconds alone", "3 s", "short"),
        ("wrong rate", "stated half", "rate-suspect:÷2"),
    ):
        assert flag in quality_flags(EVERY[group, name].of(heart)), name


class _Scored:
    """Stands for classes that are described: the first number of a vector is the score."""


@pytest.fixture
def sample(monkeypatch) -> Sample:
    monkeypatch.setattr("robustness_figures.scored", lambda vectors, *_: (vectors[:, :1], "similarity"))
    truth = np.arange(40)[:, None] % 2 == 0
    question = Question("even", _Scored(), np.ones(40, bool), truth)
    return Sample("some", [None] * 40, np.arange(40) // 2, np.arange(40) >= 20, (question,), {"all": np.arange(40)})


def told(scores: np.ndarray, warned: slice = slice(0, 0), refused: slice = slice(0, 0)) -> Answers:
    warnings, gone = np.zeros(40, bool), np.zeros(40, bool)
    warnings[warned] = gone[refused] = True
    vectors = np.where(gone[:, None], np.nan, scores[:, None]).astype(np.float32)
    return Answers(vectors, tuple(("noisy:V1",) if one else () for one in warnings), gone, warnings | gone)


def test_figures_are_the_auroc_the_paired_loss_and_what_is_left_to_those_with_a_probability(sample):
    even = (np.arange(40) % 2 == 0).astype(float)
    clean = told(even + np.linspace(0, 0.1, 40))
    half = np.where(np.arange(40) < 20, 1 - even, even)  # wrong in the first half, which is warned of
    found = figures(sample, clean, told(half, warned=slice(0, 20)), 200)
    task = found["tasks"]["even"]
    assert task["auroc"][0] == pytest.approx(0.5) and task["difference"][0] == pytest.approx(-0.5)
    assert task["difference"][1] < task["difference"][0] < task["difference"][2] < -BROKEN
    assert task["with_probability"] == [0.0, 0.0, 0.0] and task["records_with_probability"] == 20
    assert found["judged"] == 20 and found["flagged"][0] == 0.0, "the judged half is the other one"


def test_refused_records_are_no_scores_but_count_as_flagged_and_without_a_probability(sample):
    even = (np.arange(40) % 2 == 0).astype(float)
    found = figures(sample, told(even), told(even, refused=slice(20, 30)), 50)
    assert found["refused"][0] == found["flagged"][0] == found["no_probability"][0] == 0.5
    assert found["tasks"]["even"]["records"] == 30 and found["tasks"]["even"]["difference"][0] == 0.0
    gone = figures(sample, told(even), told(even, refused=slice(0, 40)), 50)
    assert gone["tasks"]["even"]["auroc"] is None and gone["tasks"]["even"]["difference"] is None


def test_answers_are_kept_whole_and_parts_come_back_in_the_records_order(sample, tmp_path):
    scores = np.arange(40.0)
    found = told(scores, warned=slice(3, 9), refused=slice(30, 33))
    keep(found, tmp_path / "one.npz")
    again = kept(tmp_path / "one.npz")
    assert np.array_equal(again.vectors, found.vectors, equal_nan=True) and again.warnings == found.warnings
    rows = {"odd": np.arange(1, 40, 2), "even": np.arange(0, 40, 2)}
    parts = {
        name: Answers(found.vectors[at], tuple(found.warnings[row] for row in at), found.refused[at], found.untold[at])
        for name, at in rows.items()
    }
    whole = joined(replace(sample, parts=rows), parts)
    assert np.array_equal(whole.vectors, found.vectors, equal_nan=True) and whole.warnings == found.warnings
    assert len(fewer(sample, rows["odd"]).records) == 20


def test_a_run_that_was_stopped_goes_on_and_asks_nothing_twice(sample, tmp_path, monkeypatch):
    asked: list[str] = []

    def answer(_model, some, condition, _known):
        asked.append(condition.name)
        return told(np.zeros(len(some.records)))

    monkeypatch.setattr(robustness, "answers", answer)
    some = [CLEAN, *list(EVERY.values())[1:4]]
    assert not robustness.ask(None, [sample], some, tmp_path, time.monotonic() - 1, None)
    assert asked == []
    assert robustness.ask(None, [sample], some[:2], tmp_path, float("inf"), None)
    assert robustness.ask(None, [sample], some, tmp_path, float("inf"), None)
    assert asked == [one.name for one in some]


def test_older_vectors_are_taken_but_not_where_flags_decide_what_is_done(sample, tmp_path, monkeypatch):
    had: dict[str, bool] = {}

    def answer(_model, some, condition, known):
        had[condition.group] = known is not None
        return told(np.zeros(len(some.records)))

    monkeypatch.setattr(robustness, "answers", answer)
    some: list[Condition] = [CLEAN, EVERY["exchanged, corrected", "none"]]
    assert robustness.ask(None, [sample], some, tmp_path / "old", float("inf"), None)
    assert robustness.ask(None, [sample], some, tmp_path / "new", float("inf"), tmp_path / "old")
    assert had == {"as recorded": True, "exchanged, corrected": False}


@pytest.mark.skipif(not bundled_models(), reason="no model is bundled in this checkout")
def test_the_script_measures_a_store_from_end_to_end(tmp_path, monkeypatch):
    from cmelt.sources.ptb_xl import PtbXl
    from cmelt.store import ShardSettings, prepare_store

    archive = PtbXl(str(write_ptb_xl(tmp_path / "raw", 60)))
    prepare_store(archive, tmp_path / "store", ShardSettings(100.0, 10.0, "first", "a test's key"))
    told = tmp_path / "figures.json"
    arguments = [
        "robustness.py",
        str(tmp_path / "store"),
        "--scratch",
        str(tmp_path / "kept"),
        "--json",
        str(told),
        "--quick",
        "--folds",
        "10",
        "9",
    ]
    monkeypatch.setattr(sys, "argv", arguments)
    assert robustness.main() == 0
    content = json.loads(told.read_text(encoding="utf-8"))
    assert content["samples"] == [{"name": "PTB-XL", "records": 12, "patients": content["samples"][0]["patients"], "judged": 6}]
    groups = [one["group"] for one in content["conditions"]]
    assert groups[0] == CLEAN.group and set(groups) == {one.group for one in EVERY.values()}
    by_group = {one["group"]: one["data"]["PTB-XL"] for one in content["conditions"]}
    assert by_group["wrong unit"]["no_probability"][0] == 1.0 and by_group["first seconds alone"]["flags"]["short"] == 1.0
    assert by_group[CLEAN.group]["tasks"]["ptbxl-super"]["difference"] == [0.0, 0.0, 0.0]


@pytest.mark.slow
@pytest.mark.skipif(not bundled_models(), reason="no model is bundled in this checkout")
def test_on_real_records_what_breaks_is_told_and_what_is_put_right_is_whole_again(data_dir, tmp_path, monkeypatch):
    from cmelt.sources.ptb_xl import PtbXl
    from cmelt.store import ShardSettings, prepare_store

    settings = ShardSettings(100.0, 10.0, "first", "a test's key")
    prepare_store(PtbXl(str(data_dir / "ptb-xl")), tmp_path / "store", settings)
    arms = [EVERY[group, "arms (RA, LA)"] for group in ("exchanged", "exchanged, corrected")]
    some = [CLEAN, *arms, EVERY["muscle", "0 dB"], EVERY["50 Hz", "0 dB"], EVERY["leads missing", "6 of 12"]]
    monkeypatch.setattr(robustness, "conditions", lambda: some)
    told = tmp_path / "figures.json"
    arguments = ["robustness.py", str(tmp_path / "store"), "--scratch", str(tmp_path / "kept"), "--json", str(told)]
    monkeypatch.setattr(sys, "argv", [*arguments, "--bootstrap", "100"])
    assert robustness.main() == 0
    clean, exchanged, corrected, muscle, hum, few = (
        one["data"]["PTB-XL"] for one in json.loads(told.read_text(encoding="utf-8"))["conditions"]
    )
    lost = [one["tasks"]["ptbxl-super"]["difference"][0] for one in (exchanged, corrected, muscle, hum, few)]
    assert clean["tasks"]["ptbxl-super"]["auroc"][0] > 0.83 and clean["no_probability"][0] < 0.1
    assert lost[0] < -0.1 and exchanged["no_probability"][0] > 0.95
    assert lost[1] > -0.01 and corrected["no_probability"][0] < 0.1
    assert lost[2] < -0.02 and muscle["no_probability"][0] > 0.95
    assert min(lost[3:]) > -0.02
