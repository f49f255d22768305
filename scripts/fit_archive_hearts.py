"""Fit the hearts of the simulator's archive domain to the normal ECGs of PTB-XL's folds 1 to 8 (never 9 and 10).

    python scripts/fit_archive_hearts.py PTB-XL-FOLDER src/cmelt/simulation/archive/hearts.json

Of every record of 500 Hz that PTB-XL calls normal (NORM at 80 or more) the median beat is taken, turned into a heart vector by
the inverse of Dower's transform, and written as 13 equally spaced pulses. What is kept is the mean and the leading directions in
which people differ (a principal component analysis of the standardised values), each linear in age and sex: no beat of anyone.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cmelt.records.beats import beats_of
from cmelt.records.readers import read_ecg
from cmelt.records.record import LEADS, Record
from cmelt.simulation.archive.hearts import CENTRES_MS, WIDTH_MS, names_of_values
from cmelt.simulation.torso import DOWER

Array = NDArray[np.float64]

#: The leads that Dower's transform gives from the heart vector; the other four follow from I and II.
INDEPENDENT = [LEADS.index(lead) for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")]
STEP_MS = 2.0
#: Samples of a beat before and after the middle of its QRS.
BEFORE, AFTER = 140, 180
#: Samples that are cut around the steepest point of a beat; by how many it may be moved to agree with the others; how many are
#: then dropped at either end, where some beats have none.
CUT_BEFORE, CUT_AFTER, FARTHEST, SPARE = 230, 300, 30, 35
#: Of a cut beat, where slopes are compared; of what is left of it, where QRS is.
COMPARED, QRS = slice(160, 300), slice(130, 270)
#: Of a finished beat, the level before QRS that counts as zero.
ZERO = slice(BEFORE - 35, BEFORE - 28)
COMPONENTS = 40
#: Samples from the top of P to where its right and its left atrium are looked at.
P_APART = 8


def aligned_beat(record: Record) -> Array | None:
    """[12, 320] mV: the median beat, its beats shifted until their slopes agree; None where there are fewer than four."""
    signal = record.signal.astype(float) - np.median(record.signal, axis=1, keepdims=True)
    beats = beats_of(record)
    peaks = (beats.peaks * record.rate / beats.rate).astype(int)
    places = [p for p in peaks if p >= CUT_BEFORE and p + CUT_AFTER <= signal.shape[1]]
    cut = [signal[:, p - CUT_BEFORE : p + CUT_AFTER] for p in places]
    if len(cut) < 4:
        return None
    slopes = np.array([np.sqrt((np.diff(beat, axis=1) ** 2).sum(axis=0)) for beat in cut])
    reference, kept = np.median(slopes, axis=0), slice(SPARE, CUT_BEFORE + CUT_AFTER - SPARE)
    for _ in range(3):
        shifts = [_best_shift(slope, reference) for slope in slopes]
        reference[kept] = np.median([_moved(slope, kept, k) for slope, k in zip(slopes, shifts, strict=True)], axis=0)
    beat = np.median([_moved(whole, kept, k) for whole, k in zip(cut, shifts, strict=True)], axis=0)
    slope = (np.diff(beat, axis=1) ** 2).sum(axis=0)[QRS]
    middle = int(slope @ np.arange(QRS.start, QRS.stop) / slope.sum())
    beat = beat[:, middle - BEFORE : middle + AFTER]
    return np.asarray(beat - beat[:, ZERO].mean(axis=1, keepdims=True)) if beat.shape[1] == BEFORE + AFTER else None


def _best_shift(slope: Array, reference: Array) -> int:
    """By how many samples a beat's slope [n] is to be moved to agree best with the reference [n]."""
    return max(range(-FARTHEST, FARTHEST + 1), key=lambda k: float(reference[COMPARED] @ _moved(slope, COMPARED, k)))


def _moved(beat: NDArray[Any], part: slice, shift: int) -> NDArray[Any]:
    """A part of the beat's samples (the last axis), `shift` later."""
    return beat[..., part.start + shift : part.stop + shift]


def values_of(beat: Array) -> Array:
    """What `names_of_values` names, of one beat [12, 320]."""
    leads = beat[INDEPENDENT]
    vector = np.linalg.pinv(DOWER) @ leads  # [3, 320]
    times = (np.arange(BEFORE + AFTER) - BEFORE) * STEP_MS
    speed = (np.diff(vector, axis=1) ** 2).sum(axis=0)
    inside = np.abs(times[:-1]) < 60
    moments = speed[inside] / speed[inside].sum()
    middle = float(moments @ (times[:-1][inside] + STEP_MS / 2))
    scale = float(np.sqrt(moments @ (times[:-1][inside] + STEP_MS / 2 - middle) ** 2)) / 11.0
    st = leads[:, (times > middle + 60) & (times < middle + 80)].mean(axis=1)
    after_j = 1 / (1 + np.exp(-(times - middle - 32 * scale) / 4))
    qrs = vector - (np.linalg.pinv(DOWER) @ st)[:, None] * after_j
    unit = (times - middle) / scale
    near = (unit > -56) & (unit < 54)
    bells = np.exp(-0.5 * ((unit - CENTRES_MS[:, None]) / WIDTH_MS) ** 2)
    pulses = np.linalg.solve(bells[:, near] @ bells[:, near].T + 0.02 * np.eye(len(bells)), bells[:, near] @ qrs[:, near].T)
    size = float(np.abs(pulses.T @ bells).max())
    squared = vector[:, near] @ vector[:, near].T
    lever = squared + 0.03 * np.trace(squared) / 3 * np.eye(3)  # a flat loop says nothing of the third dimension
    seen = (leads[:, near] - DOWER @ vector[:, near]) @ vector[:, near].T @ np.linalg.inv(lever)
    t_at, p_at = _top(vector, times, middle + 100, middle + 330), _top(vector, times, -230, -62)
    t = leads[:, t_at - 5 : t_at + 6].mean(axis=1)
    p = [leads[:, p_at + shift - 3 : p_at + shift + 4].mean(axis=1) for shift in (-P_APART, P_APART)]
    return np.concatenate([[np.log(scale), np.log(size)], (pulses / size).ravel(), seen.ravel(), t / size, st / size, *p])


def _top(vector: Array, times: NDArray[Any], begin: float, end: float) -> int:
    """The sample at which the vector [3, n], smoothed over 18 ms, is largest between two times."""
    size = np.convolve(np.sqrt((vector**2).sum(axis=0)), np.ones(9) / 9, "same")
    inside = np.flatnonzero((times > begin) & (times < end))
    return int(np.clip(inside[size[inside].argmax()], P_APART + 4, len(times) - 10))


def normal_beats(folder: Path) -> tuple[Array, Array]:
    """[n, values] and [n, 2] age and sex (1 female) of the normal records of 500 Hz in folds 1 to 8."""
    table = pd.read_csv(folder / "ptbxl_database.csv", index_col="ecg_id")
    table = table[table["strat_fold"] <= 8]
    found, who = [], []
    columns = (table[name].tolist() for name in ("filename_hr", "scp_codes", "age", "sex"))
    for name, codes, age, sex in zip(*columns, strict=True):
        path = folder / f"{name}.hea"
        if ast.literal_eval(codes).get("NORM", 0) < 80 or not path.is_file():
            continue
        beat = aligned_beat(read_ecg(path))
        if beat is not None:
            found.append(values_of(beat))
            who.append((min(age, 90.0), float(sex)))
    return np.array(found), np.array(who)


def fitted(values: Array, who: Array) -> tuple[dict[str, Any], float]:
    """The content of `hearts.json`, for the hearts [n, values] of people [n, 2] (age, 1 female).

    Beside it the share that its components explain of how these hearts differ beyond age and sex.
    """
    design = np.column_stack([np.ones(len(who)), (who[:, 0] - 60) / 15, who[:, 1] - 0.5])
    coefficients = np.linalg.lstsq(design, values, rcond=None)[0]  # [3, values]
    rest = values - design @ coefficients
    spread = rest.std(axis=0)
    _, strengths, directions = np.linalg.svd(rest / spread, full_matrices=False)
    components = (strengths[:COMPONENTS, None] / np.sqrt(len(rest)) * directions[:COMPONENTS]) * spread
    explained = float((strengths[:COMPONENTS] ** 2).sum() / (strengths**2).sum())
    content = {
        "about": f"normal hearts of {len(values)} records of PTB-XL, folds 1 to 8 (CC BY 4.0); scripts/fit_archive_hearts.py",
        "values": list(names_of_values()),
        "mean": coefficients[0].round(4).tolist(),
        "per_15_years": coefficients[1].round(4).tolist(),
        "female_less_male": coefficients[2].round(4).tolist(),
        "components": components.round(4).tolist(),
    }
    return content, explained


def main(folder: Path, out: Path) -> None:
    """Fit and write."""
    values, who = normal_beats(folder)
    content, explained = fitted(values, who)
    out.write_text(json.dumps(content).replace("], ", "],\n") + "\n", encoding="utf-8")
    sys.stderr.write(f"{len(values)} beats; {COMPONENTS} components explain {explained:.0%} of how they differ\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
