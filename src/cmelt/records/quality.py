"""What is wrong with a record, as flags: with single leads, with the leads together, with what the file says of them.

Each question has its own file: `leads.py` (Einthoven), `reversal.py` (arm electrodes), `polarity.py` (all turned; V1 to V6 in
reverse), `chest_leads.py` (one turned, two exchanged), `noise.py`, `voltage.py`, `mains.py`, `stated_rate.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cmelt.records.beats import Beats, beats_of
from cmelt.records.chest_leads import chest_fault
from cmelt.records.leads import check_limb_leads
from cmelt.records.mains import mains_line
from cmelt.records.noise import NOISY_ABOVE, POOR_ABOVE, is_drifting, lead_noise, record_noise
from cmelt.records.polarity import ALL_NEEDED, is_chest_reversed, is_upside_down, uprightness
from cmelt.records.record import LEADS, Record, Signal, without_calibration
from cmelt.records.reversal import NEEDED, exchanged_electrodes
from cmelt.records.screens import Ranges, may_be_clipped, may_end_beats, may_stand_still, surely_consistent, surely_moving
from cmelt.records.stated_rate import suspected_rate
from cmelt.records.stated_unit import suspected_unit
from cmelt.records.voltage import unusual_voltage

#: A lead that stays this close to its median is an unplugged one (two steps of a 5 µV converter), mV.
FLAT_MV = 0.010
#: Single spikes on an unplugged lead do not make it one that carries an ECG.
SPIKE_SHARE = 0.01
#: An amplifier's rail: the extreme value held at least this long, at least so many samples, this far from the lead's middle.
RAIL_SECONDS = 0.02
RAIL_SAMPLES = 5
RAIL_MV = 1.0
#: Filters hold the first and last value of a record; a rail that is met there is met steeply: by this share of its height
#: within RAIL_SECONDS.
RAIL_JUMP = 0.25
#: Rails nearer than that are known by beats that end there: so many of them stand at the extreme value for RAIL_SECONDS, met
#: or left steeply, this far from the middle and so many steps of the converter. Of 1,510 records of PTB-XL (folds 1 to 8) none
#: is accused.
RAIL_BEATS = 3
NEAR_RAIL_SAMPLES = 2
NEAR_RAIL_MV = 0.2
NEAR_RAIL_STEPS = 40
#: A lead that stands at one value for so long carries nothing there, s; no real record at hand (2,679) does for half as long
#: unless an electrode is off.
DROPOUT_SECONDS = 1.0
_DROPOUT_SAMPLES = 8
#: From one sample to the next no heart goes so far, mV: the steepest of 2,015 PTB-XL records makes 4.7.
JUMP_MV = 10.0
#: Shorter records are flagged, s; fingerprints need as much.
SHORT_SECONDS = 5.0
#: Below these, beats and noise are not judged (s, Hz).
SHORTEST_SECONDS_OF_BEATS = 3.0
LOWEST_RATE_OF_BEATS = 40.0


def is_flat(row: NDArray[np.float32]) -> bool:
    """Whether `row` [samples] carries nothing, a few single spikes apart (NaN is ignored)."""
    finite = row[np.isfinite(row)]
    if finite.size == 0:
        return True
    moving = np.count_nonzero(np.abs(finite - np.median(finite)) > FLAT_MV)
    return bool(moving <= SPIKE_SHARE * finite.size)


def is_clipped(row: NDArray[np.float32], rate: float) -> bool:
    """Whether `row` [samples] stands at its own highest or lowest value as it does at an amplifier's rail."""
    finite = row[np.isfinite(row)]
    if finite.size == 0:
        return False
    middle = float(np.median(finite))
    shortest = _shortest_rail(rate)
    for rail in (float(finite.max()), float(finite.min())):
        height = abs(rail - middle)
        if height < NEAR_RAIL_MV:
            continue
        runs = _runs(finite == rail)
        plateaus = [(start, stop) for start, stop in runs if stop - start >= shortest]
        if height >= RAIL_MV and any(_is_rail(finite, plateau, shortest, RAIL_JUMP * height) for plateau in plateaus):
            return True
        if _ends_beats(finite, runs, _shortest_near_rail(rate), height):
            return True
    return False


def _shortest_rail(rate: float) -> int:
    """How many samples a rail is held at least."""
    return max(RAIL_SAMPLES, round(RAIL_SECONDS * rate))


def _shortest_near_rail(rate: float) -> int:
    """How many samples each of several beats holds a near rail at least."""
    return max(NEAR_RAIL_SAMPLES, round(RAIL_SECONDS * rate))


def _ends_beats(row: NDArray[np.float32], runs: list[tuple[int, int]], shortest: int, height: float) -> bool:
    """Whether `RAIL_BEATS` of the `runs` at an extreme of `row` are tops that were cut off, rather than rounded to one step."""
    plateaus = [(start, stop) for start, stop in runs if stop - start >= shortest]
    steep = sum(_steepness(row, plateau, shortest) >= RAIL_JUMP * height for plateau in plateaus)
    if steep < RAIL_BEATS:
        return False
    steps = np.diff(np.unique(row))
    return bool(height >= NEAR_RAIL_STEPS * float(steps.min()))


def _is_rail(row: NDArray[np.float32], plateau: tuple[int, int], within: int, jump: float) -> bool:
    """Whether a plateau (start, stop) of `row` is more than a filter holding the record's first or last value."""
    start, stop = plateau
    return (start > 0 and stop < row.size) or _steepness(row, plateau, within) >= jump


def _steepness(row: NDArray[np.float32], plateau: tuple[int, int], within: int) -> float:
    """How far `row` goes away from a plateau (start, stop) in `within` samples, on the steeper of its sides."""
    start, stop = plateau
    before = abs(float(row[start] - row[max(start - within, 0)]))
    after = abs(float(row[stop - 1] - row[min(stop - 1 + within, row.size - 1)]))
    return max(before, after)


def has_dropout(row: NDArray[np.float32], rate: float) -> bool:
    """Whether `row` [samples] stands at one value for `DROPOUT_SECONDS`, as it does where a file was filled up."""
    changes = np.flatnonzero(row[1:] != row[:-1])  # NaN differs from itself: gaps are no dropouts
    ends = np.concatenate([[-1], changes, [row.size - 1]])
    return bool(np.diff(ends).max() >= _shortest_dropout(rate))


def _shortest_dropout(rate: float) -> int:
    """How many samples a dropout has at least."""
    return max(round(DROPOUT_SECONDS * rate), _DROPOUT_SAMPLES)


def has_jump(row: NDArray[np.float32]) -> bool:
    """Whether two neighbouring samples of `row` [samples] are farther apart than `JUMP_MV`; what is not finite is ignored."""
    finite = np.isfinite(row)
    with np.errstate(over="ignore", invalid="ignore"):
        far = np.abs(row[1:] - row[:-1]) > JUMP_MV
    return bool((far & finite[1:] & finite[:-1]).any())


def longest_gap(row: NDArray[np.float32]) -> int:
    """The longest run of NaN in `row` [samples], in samples."""
    return max((stop - start for start, stop in _runs(~np.isfinite(row))), default=0)


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where `mask` [samples] is true, as (start, stop)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def quality_flags(record: Record) -> tuple[str, ...]:
    """What is wrong with `record`, or worth knowing before it is used (docs/quality.md); empty for a good record.

    Of leads: "nan:V3", "flat:II", "clipped:V1", "dropout:V5", "jump:V6", "missing:aVR", "derived:III", "noisy:V2". Of leads
    together: "duplicated:V1/V2", "limb-swapped:I/II", "limb-inverted:III", "limb-inconsistent", "arms-reversed",
    "electrodes-exchanged:right-arm/leg", "upside-down", "chest-inverted:V3", "chest-swapped:V1/V2", "chest-reversed". Of the
    record: "short", "poor-quality", "drifting", "low-voltage", "high-voltage", "mains:50", "mains:60". Of what the file says:
    "unit-suspect", "rate-suspect:×2" (the stated rate seems twice the true one), "rate-suspect:÷2".
    """
    record = without_calibration(record)
    if not record.signal.flags.c_contiguous:  # read sample by sample; leads are looked at one by one
        record = replace(record, signal=np.ascontiguousarray(record.signal))
    ranges = np.array([np.minimum.reduce(record.signal, axis=1), np.maximum.reduce(record.signal, axis=1)])
    flags, flat = _lead_flags(record, ranges)
    flags += [f"missing:{lead}" for lead in LEADS if lead not in record.leads]
    flags += [f"derived:{lead}" for lead in record.derived]
    live = [lead for lead in record.leads if lead not in flat]
    if len(set(zip(*ranges.tolist(), strict=True))) < len(record.leads):  # copies have one range
        flags += duplicate_flags(record, live)
    limb = _limb_flags(record, ranges)
    flags += limb
    if record.seconds < SHORT_SECONDS:
        flags.append("short")
    return (*flags, *_beat_flags(record, live, bool(limb)))


def _lead_flags(record: Record, ranges: Ranges) -> tuple[list[str], set[str]]:
    """Flags of single leads, and the leads that are flat."""
    finite = np.logical_and.reduce(np.isfinite(ranges))
    moving = surely_moving(record.signal, FLAT_MV, SPIKE_SHARE)
    held = may_be_clipped(record.signal, ranges, _shortest_rail(record.rate), RAIL_MV)
    held |= may_end_beats(record.signal, ranges, _shortest_near_rail(record.rate), RAIL_BEATS, NEAR_RAIL_MV)
    still = may_stand_still(record.signal, _shortest_dropout(record.rate))
    wide = ~(ranges[1] - ranges[0] <= JUMP_MV)  # so that what is not finite is looked at
    if finite.all() and moving.all() and not (held | still | wide).any():
        return [], set()
    flags: list[str] = []
    flat: set[str] = set()
    for row, lead in enumerate(record.leads):
        if not finite[row]:
            flags.append(f"nan:{lead}")
        if not (finite[row] and moving[row]) and is_flat(record.signal[row]):
            flags.append(f"flat:{lead}")
            flat.add(lead)
        elif (held[row] or not finite[row]) and is_clipped(record.signal[row], record.rate):
            flags.append(f"clipped:{lead}")
        elif still[row] and has_dropout(record.signal[row], record.rate):
            flags.append(f"dropout:{lead}")
        if wide[row] and has_jump(record.signal[row]):
            flags.append(f"jump:{lead}")
    return flags, flat


def _limb_flags(record: Record, ranges: Ranges) -> list[str]:
    """`limb_flags` of `record`, mostly from a quick look."""
    if np.isfinite(ranges).all() and (ranges[0] < ranges[1]).all() and surely_consistent(record.signal, record.leads):
        return []
    return limb_flags(record.signal, record.leads)


def duplicate_flags(record: Record, live: Sequence[str]) -> list[str]:
    """Flags "duplicated:A/B" for leads out of `live` that hold the same samples under two names."""
    rows = [record.leads.index(lead) for lead in live]
    # Two leads of one heart never agree all along: a few dozen places tell which to compare in full.
    few = record.signal[rows][:, :: max(record.signal.shape[1] // 48, 1)]
    seen: dict[bytes, str] = {}
    found = []
    for row, lead, sample in zip(rows, live, few, strict=True):
        first = seen.setdefault(sample.tobytes(), lead)
        if first != lead and np.array_equal(record.signal[record.leads.index(first)], record.signal[row], equal_nan=True):
            found.append(f"duplicated:{first}/{lead}")
    return found


def _beat_flags(record: Record, live: Sequence[str], limb_fault: bool) -> list[str]:
    """What beats, noise and spectrum say."""
    if record.seconds < SHORTEST_SECONDS_OF_BEATS or record.rate < LOWEST_RATE_OF_BEATS:
        return []
    beats = beats_of(record)
    if suspected_unit(beats):
        return ["unit-suspect"]
    scores = lead_noise(beats)
    line = mains_line(record)
    flags = [f"noisy:{lead}" for lead, score in zip(record.leads, scores, strict=True) if lead in live and score > NOISY_ABOVE]
    rows = {lead: record.leads.index(lead) for lead in live}
    if record_noise(scores) > POOR_ABOVE:
        flags.append("poor-quality")
    elif voltage := unusual_voltage(beats, rows):
        flags.append(voltage)
    if is_drifting(beats):
        flags.append("drifting")
    if not limb_fault:
        flags += _lead_faults(beats, rows)
    if line is not None and line.hertz in (50, 60):
        flags.append(f"mains:{line.hertz}")
    if wrong := suspected_rate(beats, line):
        flags.append(f"rate-suspect:{wrong}")
    return flags


def _lead_faults(beats: Beats, rows: dict[str, int]) -> list[str]:
    """What the way of P, QRS and T says of leads, where `rows` has those that it takes; one fault at most."""
    whole = rows.keys() >= set(ALL_NEEDED)
    exchanged = exchanged_electrodes(beats, rows) if rows.keys() >= set(NEEDED) else ""
    upright = uprightness(beats, rows) if whole and beats.cut.shape[1] else None
    in_reverse = whole and is_chest_reversed(beats, rows, upright=upright)
    looks = [what for what in ("reversed" if in_reverse else "", exchanged) if what]
    if whole and (fault := chest_fault(beats, rows, looks=looks)):
        return [fault]  # V5 and V6 are what exchanged electrodes are known by: those must be right first
    if whole and is_upside_down(beats, rows, limb_leads_exchanged=bool(exchanged), upright=upright):
        return ["upside-down"]
    if in_reverse:
        return ["chest-reversed"]
    if not exchanged:
        return []
    return ["arms-reversed" if exchanged == "arms" else f"electrodes-exchanged:{exchanged}"]


def limb_flags(signal: Signal, leads: Sequence[str]) -> list[str]:
    """What the limb leads say of one another, as flags."""
    check = check_limb_leads(signal, leads)
    if check.consistent:
        return []
    if check.swapped is not None:
        return [f"limb-swapped:{check.swapped[0]}/{check.swapped[1]}"]
    if check.inverted is not None:
        return [f"limb-inverted:{check.inverted}"]
    return ["limb-inconsistent"]
