"""NeuroKit2, which knows nothing of the simulator, finds the rates and intervals that the truth states.

P onset (lead II) comes from NeuroKit's discrete, QRS and T (median of five leads) from its continuous wavelet delineator, each
being the better one there. Its QRS onset lies some 28 ms before the visible one (the foot of the wavelet), so PR comes out
shorter and QRS and QT longer by that much: `ONSET_EARLY` is taken off, nothing else is.

Methods, leads, offset and conditions were chosen on other simulated seeds. For QRS this is a weak check: narrow QRS differ by
less than NeuroKit errs (correlation 0.23 over 304 records), so a constant would pass as well. docs/simulation.md has the table.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from cmelt.records.record import LEADS, Record
from cmelt.simulation import simulate

ONSET_EARLY = 28.0

#: Milliseconds (rate: beats a minute) that the record's median may be off.
TOLERANCE = {"rate_bpm": 2.0, "pr_ms": 25.0, "qrs_ms": 25.0, "qt_ms": 30.0}

#: Conditions that keep lead II upright, QRS narrow and P small; beyond them NeuroKit loses the waves (at large P waves it
#: takes P for the start of QRS), not the truth its meaning. Broad QRS are measured in `test_physiology`.
CONDITIONS = (
    "normal",
    "sinus-bradycardia",
    "sinus-arrhythmia",
    "first-degree-av-block",
    "long-qt",
    "incomplete-right-bundle-branch-block",
)


def marks(waves, key, rate):
    found = np.array(waves[key], dtype=float)
    return found[~np.isnan(found)] / rate * 1000


def beside(found, r_peaks, low, high):
    """For each R, the mark within (low, high) ms of it that is nearest to R, relative to R; NaN where there is none."""
    distances = found[None] - r_peaks[:, None]
    distances[(distances < low) | (distances > high)] = np.nan
    nearest = [row[np.nanargmin(np.abs(row))] if np.isfinite(row).any() else np.nan for row in distances]
    return np.array(nearest)


def delineated(record: Record, lead: str, method: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """R peaks and the marks of one lead, milliseconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import neurokit2 as nk

        rate = int(record.rate)
        trace = nk.ecg_clean(record.signal[LEADS.index(lead)].astype(float), sampling_rate=rate)
        r = nk.ecg_peaks(trace, sampling_rate=rate)[1]["ECG_R_Peaks"]
        waves = nk.ecg_delineate(trace, r, sampling_rate=rate, method=method)[1]
    return r / rate * 1000, {key: marks(waves, key, rate) for key in waves}


def measured(record: Record) -> dict[str, float]:
    """Rate and intervals by NeuroKit2: medians over the beats, and over the leads that gave a mark."""
    r, fine = delineated(record, "II", "dwt")
    p_on = beside(fine["ECG_P_Onsets"], r, -420, -80)
    found: dict[str, list[float]] = {"ECG_R_Onsets": [], "ECG_R_Offsets": [], "ECG_T_Offsets": []}
    limits = {"ECG_R_Onsets": (-150, 0), "ECG_R_Offsets": (0, 150), "ECG_T_Offsets": (200, 640)}
    for lead in ("II", "aVF", "V4", "V5", "V6"):
        _, smooth = delineated(record, lead, "cwt")
        for key, values in found.items():
            values.append(float(np.nanmedian(beside(smooth[key], r, *limits[key]))))
    on, off, end = (float(np.nanmedian(values)) for values in found.values())
    return {
        "rate_bpm": 60000 / float(np.diff(r).mean()),
        "pr_ms": on - float(np.nanmedian(p_on)) + ONSET_EARLY,
        "qrs_ms": off - on - ONSET_EARLY,
        "qt_ms": end - on - ONSET_EARLY,
    }


def within(seeds) -> dict[str, float]:
    """Share of the records, one of each condition a seed, whose measure agrees with the truth within its tolerance."""
    good: dict[str, list[bool]] = {key: [] for key in TOLERANCE}
    for seed in seeds:
        record = simulate(seed, [CONDITIONS[seed % len(CONDITIONS)]])
        found = measured(record)
        for key, allowed in TOLERANCE.items():
            good[key].append(abs(found[key] - record.truth[key]) <= allowed)
    return {key: float(np.mean(flags)) for key, flags in good.items()}


def test_neurokit_agrees_on_a_few_records():
    shares = within(range(24))
    assert shares["rate_bpm"] >= 0.95, shares
    assert min(shares.values()) >= 0.75, shares


@pytest.mark.slow
def test_neurokit_agrees_on_three_hundred_records():
    shares = within(range(2000, 2304))
    assert shares["rate_bpm"] >= 0.95, shares
    assert min(shares.values()) >= 0.8, shares


def test_neurokit_counts_the_beats_of_every_rhythm_with_a_narrow_qrs():
    import neurokit2 as nk

    for name in ("atrial-fibrillation", "supraventricular-tachycardia", "junctional-rhythm", "second-degree-av-block-wenckebach"):
        for seed in range(3):
            record = simulate(seed, [name])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                trace = nk.ecg_clean(record.signal[LEADS.index("V5")].astype(float), sampling_rate=500)
                found = nk.ecg_peaks(trace, sampling_rate=500)[1]["ECG_R_Peaks"]
            assert abs(len(found) - len(record.truth["r_times"])) <= 2  # one at either end
