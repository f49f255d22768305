"""Where the archive's hearts come from: beats put on top of each other, read back as pulses, fitted; the file made again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cmelt.records.record import LEADS, Record
from cmelt.simulation.archive.hearts import CENTRES_MS, FILE, WIDTH_MS, names_of_values
from cmelt.simulation.torso import DOWER, LEADS_FROM_ELECTRODES, electrodes_from_leads

from .conftest import script

fitting = script("fit_archive_hearts")
TIMES = (np.arange(fitting.BEFORE + fitting.AFTER) - fitting.BEFORE) * fitting.STEP_MS
LEADS_FROM_VECTOR = LEADS_FROM_ELECTRODES @ electrodes_from_leads(DOWER)  # [12, 3]


def bells(centre: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-0.5 * ((TIMES - centre[:, None]) / width) ** 2)


def heart_beat() -> tuple[np.ndarray, np.ndarray]:
    """The twelve leads [12, 320] of a known heart, and its 13 pulses [13, 3]."""
    size = np.exp(-0.5 * (CENTRES_MS / 14) ** 2)
    pulses = size[:, None] * np.stack([np.cos(CENTRES_MS / 25), np.sin(CENTRES_MS / 25), 0.4 - CENTRES_MS / 80], axis=1)
    t_wave = 0.3 * np.outer([0.8, 0.5, -0.2], bells(np.array([240.0]), 40.0)[0])
    p_wave = 0.1 * np.outer([0.5, 0.8, 0.1], bells(np.array([-150.0]), 18.0)[0])
    return LEADS_FROM_VECTOR @ (pulses.T @ bells(CENTRES_MS, WIDTH_MS) + t_wave + p_wave), pulses


def record_of(beat: np.ndarray, jitter: int, beats: int = 8, noise: float = 0.0) -> Record:
    """A record of 500 Hz with this beat every 0.9 s or so."""
    rng = np.random.default_rng(0)
    signal = noise * rng.normal(size=(12, 5000))
    for n in range(beats):
        start = 300 + 450 * n + int(rng.integers(-jitter, jitter + 1))
        signal[:, start : start + beat.shape[1]] += beat
    return Record(signal=signal.astype(np.float32), rate=500.0, leads=LEADS)


def test_the_values_of_a_known_heart_are_read_back() -> None:
    beat, pulses = heart_beat()
    found = dict(zip(names_of_values(), fitting.values_of(beat), strict=True))
    got = np.array([[found[f"qrs {at:g} ms {axis}"] for axis in "xyz"] for at in CENTRES_MS]) * np.exp(found["log size"])
    width = np.exp(found["log scale"])
    drawn = got.T @ np.exp(-0.5 * ((TIMES - width * CENTRES_MS[:, None]) / (width * WIDTH_MS)) ** 2)
    near = np.abs(TIMES) < 45
    true = (pulses.T @ bells(CENTRES_MS, WIDTH_MS))[:, near]
    assert np.corrcoef(drawn[:, near].ravel(), true.ravel())[0, 1] > 0.97
    assert np.exp(found["log size"]) == pytest.approx(np.abs(drawn).max(), rel=0.02)
    largest_t = max(abs(found[f"t {lead}"]) for lead in ("I", "II", "V5", "V6"))
    assert largest_t * np.exp(found["log size"]) == pytest.approx(
        np.abs(LEADS_FROM_VECTOR[[0, 1, 10, 11]] @ [0.24, 0.15, -0.06]).max(), rel=0.1
    )
    assert all(abs(found[f"lead {lead} beyond Dower {axis}"]) < 0.1 for lead in ("I", "II") for axis in "xyz")


def test_beats_that_are_not_cut_alike_are_put_on_top_of_each_other() -> None:
    beat, _ = heart_beat()
    exact = fitting.aligned_beat(record_of(beat, jitter=0))
    moved = fitting.aligned_beat(record_of(beat, jitter=20, noise=0.005))
    assert exact.shape == moved.shape == (12, fitting.BEFORE + fitting.AFTER)
    assert np.abs(exact - moved).max() < 0.1 * np.abs(exact).max()
    np.testing.assert_allclose(exact[:, fitting.ZERO].mean(axis=1), 0.0, atol=1e-9)


def test_three_beats_are_too_few() -> None:
    assert fitting.aligned_beat(record_of(heart_beat()[0], jitter=0, beats=3)) is None


def test_the_fit_knows_age_sex_and_the_directions_in_which_people_differ() -> None:
    rng, width = np.random.default_rng(0), len(tuple(names_of_values()))
    who = np.stack([rng.uniform(20, 90, 400), rng.integers(0, 2, 400)], axis=1)
    age, sex, direction = rng.normal(size=(3, width))
    values = 1.0 + np.outer((who[:, 0] - 60) / 15, age) + np.outer(who[:, 1] - 0.5, sex)
    values += np.outer(rng.normal(size=400), direction) + 0.01 * rng.normal(size=values.shape)
    content, explained = fitting.fitted(values, who)
    np.testing.assert_allclose(content["per_15_years"], age, atol=0.25)
    np.testing.assert_allclose(content["female_less_male"], sex, atol=0.5)
    first = np.array(content["components"])[0]
    assert abs(first @ direction) / np.linalg.norm(first) / np.linalg.norm(direction) > 0.99
    assert explained > 0.98
    assert content["values"] == list(names_of_values())


def test_the_shipped_hearts_are_those_that_the_script_fits_without_folds_9_and_10(data_dir: Path, tmp_path: Path) -> None:
    fitting.main(data_dir / "ptb-xl", tmp_path / "hearts.json")
    again, shipped = (json.loads(path.read_text(encoding="utf-8")) for path in (tmp_path / "hearts.json", FILE))
    assert again.pop("values") == shipped.pop("values")
    assert again.pop("about") == shipped.pop("about")
    for name, numbers in shipped.items():
        np.testing.assert_allclose(again[name], numbers, atol=2e-4, err_msg=name)


def test_records_of_folds_9_and_10_and_records_that_are_not_normal_are_never_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas as pd

    read: list[str] = []
    beat, _ = heart_beat()
    monkeypatch.setattr(fitting, "read_ecg", lambda path: read.append(path.stem) or record_of(beat, jitter=0))
    rows = {"a": (8, "{'NORM': 100.0}"), "b": (9, "{'NORM': 100.0}"), "c": (10, "{'NORM': 100.0}"), "d": (1, "{'NORM': 50.0}"),
            "e": (1, "{'IMI': 100.0}"), "f": (1, "{'NORM': 80.0}")}  # fmt: skip
    for name in rows:
        (tmp_path / f"{name}.hea").touch()
    table = {"ecg_id": range(6), "filename_hr": list(rows), "scp_codes": [codes for _, codes in rows.values()],
             "strat_fold": [fold for fold, _ in rows.values()], "age": 60.0, "sex": 1}  # fmt: skip
    pd.DataFrame(table).to_csv(tmp_path / "ptbxl_database.csv", index=False)
    values, who = fitting.normal_beats(tmp_path)
    assert read == ["a", "f"]
    assert values.shape == (2, len(tuple(names_of_values())))
    assert who.tolist() == [[60.0, 1.0]] * 2
