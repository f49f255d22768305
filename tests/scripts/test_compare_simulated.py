"""How like real ECGs simulated ones are: features mean what they are called, and both comparisons find what was planted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cmelt.simulation import EXTENDED, simulate

from .conftest import script

comparing = script("compare_simulated")

FEATURES = 40


def planted(count: int, shift: float, seed: int, patients: int | None = None) -> pd.DataFrame:
    """Records of which one feature lies `shift` farther, and another one tells whether it is atrial fibrillation."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, FEATURES))
    fibrillating = rng.random(count) < 0.3
    values[:, 0] += shift
    values[:, 1] += 4.0 * fibrillating
    table = pd.DataFrame(values, columns=[f"f{n}" for n in range(FEATURES)])
    table["patient"] = [f"{seed}-{n % (patients or count)}" for n in range(count)]
    table["labels"] = ["scp:AFIB sim:atrial-fibrillation" if one else "scp:NORM sim:normal" for one in fibrillating]
    return table


def test_a_record_has_the_95_features_that_the_page_speaks_of() -> None:
    record = simulate(3, [], rate=100.0)
    found = comparing.features_of(record.signal)
    assert len(found) == 95
    assert all(np.isfinite(value) for value in found.values())
    assert comparing.features_of(np.zeros((12, 1000), np.float32)) is None


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_features_are_what_the_simulator_knows_of_the_record(seed: int) -> None:
    record = simulate(seed, ["sinus-tachycardia"], rate=100.0, noise=0.0)
    found = comparing.features_of(record.signal)
    assert found["rate"] == pytest.approx(record.truth["rate_bpm"], rel=0.03)
    assert found["irregularity"] < 0.1
    assert abs((found["axis"] - record.truth["axis_deg"] + 180) % 360 - 180) < 20
    assert found["R V5"] == pytest.approx(record.signal[10].max() - np.median(record.signal[10]), abs=0.3)


def test_an_irregular_rhythm_is_told_by_its_irregularity() -> None:
    steady, irregular = (
        np.median([comparing.features_of(simulate(s, held, rate=100.0).signal)["irregularity"] for s in range(5)])
        for held in ([], ["atrial-fibrillation"])
    )
    assert irregular > 3 * steady


def test_what_is_alike_cannot_be_told_apart_and_what_is_moved_can() -> None:
    alike = comparing.told_apart(planted(150, 0.0, 1), planted(150, 0.0, 2))
    moved = comparing.told_apart(planted(150, 0.0, 1), planted(150, 3.0, 2))
    assert abs(alike["linear"] - 0.5) < 0.12
    assert alike["best single feature"] < 0.65
    assert min(moved.values()) > 0.9


def test_a_patient_s_records_are_all_held_out_together() -> None:
    """Each of six patients has a place of his own among the features: who has seen him knows him, others know nothing."""
    tables = []
    for seed in (1, 2):
        table = planted(240, 0.0, seed, patients=6)
        place = np.random.default_rng(seed).normal(0, 8, size=(6, FEATURES))
        table.iloc[:, :FEATURES] += place[np.arange(240) % 6]
        tables.append(table)
    assert comparing.told_apart(*tables)["boosted"] < 0.95
    apart = [table.assign(patient=[f"{seed}-{n}" for n in range(240)]) for seed, table in enumerate(tables)]
    assert comparing.told_apart(*apart)["boosted"] > 0.99


def test_what_simulated_records_teach_is_asked_of_real_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "STATEMENTS", {"AFIB": ("atrial-fibrillation",)})
    found = comparing.transferred(planted(150, 0.0, 1), planted(150, 0.0, 2))
    assert found.loc["AFIB"].min() > 0.95
    mirrored = planted(150, 0.0, 3)
    mirrored["f1"] *= -1
    assert comparing.transferred(mirrored, planted(150, 0.0, 2)).loc["AFIB", "linear"] < 0.1


def test_medians_are_of_the_records_that_carry_the_label() -> None:
    table = pd.DataFrame({feature: [1.0, 2.0, 9.0] for feature, _, _ in comparing.MEDIANS.values()})
    table["labels"] = ["scp:CLBBB", "scp:NORM", "scp:CLBBB scp:IMI"]
    found = comparing.medians(table, simulated=False)
    assert found["ST in V2, mV"] == 2.0
    assert found["S in V2, left bundle branch block, mV"] == 5.0
    assert found["T in aVF, old inferior infarction, mV"] == 9.0
    assert np.isnan(comparing.medians(table, simulated=True)["S in V2, left bundle branch block, mV"])


def test_every_condition_and_feature_that_is_named_exists() -> None:
    labels = [f"sim:{name}" for name in EXTENDED]
    for statement, parts in comparing.STATEMENTS.items():
        assert all(any(part in label for label in labels) for part in parts), statement
    features = comparing.features_of(simulate(3, [], rate=100.0).signal)
    for feature, _, simulated in comparing.MEDIANS.values():
        assert feature in features
        assert simulated in ("", *labels)
