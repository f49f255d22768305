"""A fingerprint is the recording's: not the rate's, the gain's, the file's. Other recordings have others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cmelt.records.fingerprint import FINGERPRINT_LEADS, fingerprint
from cmelt.records.leads import select_leads
from cmelt.records.readers import read_ecg
from cmelt.records.record import LEADS, LIMB_LEADS, Record
from cmelt.records.resample import resample
from cmelt.records.resemblance import LEAST_RESEMBLANCE, resemblance
from cmelt.simulation import simulate
from cmelt.store.copies import MOST_DIFFERING

ECG = simulate(3, rate=500)


def differing(first: str, second: str) -> int:
    """Bits that differ where both have measured."""
    words = [np.frombuffer(bytes.fromhex(text), ">u2") for text in (first, second)]
    both = (words[0] != 0) & (words[1] != 0)
    return int(np.bitwise_count(words[0][both] ^ words[1][both]).sum())


def at(rate: float, ecg: Record = ECG) -> Record:
    return replace(ecg, signal=resample(ecg.signal, ecg.rate, rate), rate=rate)


def changed(signal: np.ndarray) -> Record:
    return replace(ECG, signal=signal.astype(np.float32))


@pytest.mark.parametrize("rate", [100.0, 128.0, 250.0, 257.0, 360.0, 400.0, 1000.0])
def test_a_copy_at_another_rate_is_near(rate):
    assert differing(fingerprint(ECG), fingerprint(at(rate))) <= 5


def test_gain_unit_offset_and_resolution_change_nothing_or_next_to_nothing():
    whole = fingerprint(ECG)
    assert fingerprint(changed(ECG.signal * 8)) == whole
    assert differing(whole, fingerprint(changed(ECG.signal / 1000))) <= 2
    assert differing(whole, fingerprint(changed(ECG.signal * 1000))) <= 2
    assert differing(whole, fingerprint(changed(ECG.signal + np.arange(12)[:, None] * 20))) <= 2
    assert differing(whole, fingerprint(changed(np.rint(ECG.signal * 200) / 200))) <= 2


def test_usual_filters_drift_and_mains_leave_a_copy_near():
    from scipy.signal import butter, sosfiltfilt

    time = np.arange(5000) / 500
    drift = ECG.signal + 0.5 * np.sin(2 * np.pi * 0.25 * time + np.arange(12)[:, None])
    mains = ECG.signal + 0.1 * np.sin(2 * np.pi * 50 * time)
    narrow = sosfiltfilt(butter(2, [0.5, 40], "bandpass", fs=500, output="sos"), ECG.signal, axis=1)
    for other in (drift, mains, narrow):
        assert differing(fingerprint(ECG), fingerprint(changed(other))) <= MOST_DIFFERING // 2


def test_leads_count_by_name_in_any_order():
    assert fingerprint(select_leads(ECG, LEADS[::-1])) == fingerprint(ECG)


def test_eight_leads_say_what_twelve_say():
    assert fingerprint(select_leads(ECG, FINGERPRINT_LEADS)) == fingerprint(ECG)
    without_first = select_leads(ECG, tuple(lead for lead in LEADS if lead not in ("I", "II")))
    assert differing(fingerprint(without_first), fingerprint(ECG)) <= 2


def test_fewer_leads_are_compared_in_what_is_there():
    limb = fingerprint(select_leads(ECG, LIMB_LEADS))
    assert limb[8:32] == "0" * 24  # V1…V6 of the first five seconds
    assert limb[:8] == fingerprint(ECG)[:8]
    flat = ECG.signal.copy()
    flat[7] = 0.7
    gone = fingerprint(changed(flat))
    assert gone[12:16] == "0000"
    assert differing(gone, fingerprint(ECG)) == 0


def test_the_start_of_a_longer_record_and_a_shorter_one_of_it_are_near():
    long = simulate(3, rate=500, seconds=30)
    start = replace(long, signal=long.signal[:, :5000])
    assert fingerprint(start) == fingerprint(long)
    short = fingerprint(replace(long, signal=long.signal[:, :3500]))
    assert short[:32] == fingerprint(long)[:32]
    assert short[32:] == "0" * 32


def test_constant_padding_is_not_part_of_the_recording():
    padded = np.pad(ECG.signal, ((0, 0), (700, 300)))
    assert fingerprint(changed(padded)) == fingerprint(ECG)
    unmeasured = np.pad(ECG.signal, ((0, 0), (700, 300)), constant_values=np.nan)
    assert fingerprint(changed(unmeasured)) == fingerprint(ECG)


def test_small_gaps_are_bridged_and_large_ones_make_a_lead_unmeasured():
    gappy = ECG.signal.copy()
    gappy[6, 1000:1040] = np.nan
    gappy[8, 3000:4500] = np.inf
    found = fingerprint(changed(gappy))
    assert differing(found, fingerprint(ECG)) <= 4
    assert found[32 + 16 : 32 + 20] == "0000"


@pytest.mark.parametrize(
    "little",
    [
        replace(ECG, signal=ECG.signal[:, :2400]),
        replace(ECG, signal=ECG.signal[6:7], leads=("V1",)),
        replace(ECG, signal=ECG.signal[[0, 1], :3000], leads=("I", "II")),
        replace(ECG, signal=np.zeros_like(ECG.signal)),
        replace(ECG, signal=np.full_like(ECG.signal, np.nan)),
        replace(ECG, rate=30.0),
        replace(ECG, leads=tuple(f"X{number}" for number in range(12))),
    ],
    ids=["short", "one lead", "two leads, short", "flat", "nothing measured", "rate", "unknown leads"],
)
def test_too_little_has_no_fingerprint(little):
    assert fingerprint(little) == ""


def test_the_fingerprint_of_a_fixed_signal_never_changes():
    # Square waves of whole microvolts: no machine computes them differently. Stores keep fingerprints, so this one must stay.
    places = np.arange(1000)
    rows = [((places // (7 + lead)) % 2) * 0.5 + ((places * (lead + 3) % 101) < 9) for lead in range(12)]
    assert fingerprint(Record(np.stack(rows).astype(np.float32), 100.0, LEADS)) == FIXED


FIXED = "68c29f1252453679325813ba1dcf549b8c85af2090d0587a67ad7834ab5d64c4"


def test_other_simulated_recordings_are_far():
    prints = [fingerprint(simulate(seed, [], patient=seed // 2, rate=100)) for seed in range(60)]
    nearest = min(differing(prints[a], prints[b]) for a in range(60) for b in range(a))
    assert nearest > 2 * MOST_DIFFERING


def test_real_twins_at_two_rates_are_near_and_nothing_else_is(data_dir):
    slow = sorted((data_dir / "ptb-xl/records100/00000").glob("*.hea"))[:80]
    prints = {path.stem[:5]: fingerprint(read_ecg(path)) for path in slow}
    fast = [path for path in sorted((data_dir / "ptb-xl/records500/00000").glob("*.hea"))[:60] if path.stem[:5] in prints]
    assert len(fast) >= 40
    for path in fast:
        twin = fingerprint(read_ecg(path))
        assert [name for name, found in prints.items() if differing(found, twin) <= MOST_DIFFERING] == [path.stem[:5]]


def test_resemblance_knows_copies_at_other_rates_with_delays_and_gains():
    late = np.roll(at(250.0).signal, 1, axis=1) * -0.2 * -5
    assert resemblance(ECG.signal, 500, late, 250) > 0.99
    assert resemblance(ECG.signal, 500, at(100.0).signal[:, :700], 100) > 0.99


def test_resemblance_leaves_unmeasured_leads_out_and_knows_when_nothing_is_left():
    gone = ECG.signal.copy()
    gone[:5] = 0
    gone[5, 7] = np.nan
    assert resemblance(ECG.signal, 500, gone, 500) > 0.999
    assert resemblance(ECG.signal, 500, np.zeros_like(ECG.signal), 500) == -1
    assert resemblance(ECG.signal[:, :500], 500, ECG.signal, 500) == -1


def test_another_recording_of_the_same_heart_does_not_resemble():
    other = simulate(4, [], patient=3, rate=500)
    assert resemblance(simulate(3, [], patient=3, rate=500).signal, 500, other.signal, 500) < LEAST_RESEMBLANCE - 0.1
