"""Flags: NaN, flat, clipped, missing, swapped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cmelt.records.quality import is_clipped, is_flat, longest_gap, quality_flags
from cmelt.records.readers import read_ecg
from cmelt.records.record import LEADS, Record
from cmelt.simulation import simulate
from ecg_files import heart, record

FLAT_IN_CHAPMAN = {"JS11438": 6, "JS20004": 3, "JS20008": 3, "JS45542": 6, "JS45544": 5, "JS45551": 3}


def test_a_good_record_has_no_flags():
    assert quality_flags(record(rate=500)) == ()


def test_each_fault_is_flagged_with_its_lead():
    signal = heart(rate=500)
    signal[6] = 0.004 * np.sign(np.sin(np.arange(5000)))
    signal[7, 20:30] = np.nan
    signal[8] = np.clip(signal[8] * 4, -1.2, 1.2)
    flags = quality_flags(Record(signal[:11], 500, LEADS[:11]))
    assert flags[:4] == ("flat:V1", "nan:V2", "clipped:V3", "missing:V6")
    assert flags[4:] == ("poor-quality",)  # people call a record so with a lead that carries nothing


def test_a_lead_that_stands_at_one_value_for_a_second_has_a_dropout():
    whole = simulate(3, [], rate=250)
    signal = whole.signal.copy()
    signal[7, 1000:1255] = 0
    signal[8, 1000:1200] = 0  # 0.8 s
    assert quality_flags(replace(whole, signal=signal)) == ("dropout:V2",)
    signal = whole.signal.copy()
    signal[:, 1250:] = 0  # as where the second half of a file was filled up
    assert {f"dropout:{lead}" for lead in LEADS} <= set(quality_flags(replace(whole, signal=signal)))


def test_a_sample_that_no_heart_reaches_is_a_jump_and_a_tall_r_wave_is_none():
    whole = simulate(3, [], rate=500)
    for far in (11.0, -1e7, np.float32(3e38)):
        signal = whole.signal.copy()
        signal[9, 2000] += far
        assert "jump:V4" in quality_flags(replace(whole, signal=signal))
    tall = whole.signal * np.float32(6 / np.ptp(whole.signal, axis=1).max())
    assert not any(flag.startswith("jump") for flag in quality_flags(replace(whole, signal=tall)))


def test_a_swapped_pair_is_flagged():
    names = list(LEADS)
    names[1], names[4] = names[4], names[1]
    assert quality_flags(replace(simulate(3, [], rate=100), leads=tuple(names))) == ("limb-swapped:II/aVL",)


def test_simulated_hearts_with_usual_noise_have_no_flags_but_mains():
    clean = [quality_flags(simulate(seed, [], rate=rate)) for seed in range(25) for rate in (100, 500)]
    assert sum(bool([flag for flag in flags if not flag.startswith("mains")]) for flags in clean) == 0


def test_leads_with_the_same_samples_are_named_though_einthoven_is_content():
    signal = simulate(3, [], rate=500).signal.copy()
    signal[7] = signal[6]
    signal[10, 4000:] = np.nan
    signal[11] = signal[10]
    flags = quality_flags(Record(signal, 500, LEADS))
    assert "duplicated:V1/V2" in flags
    assert "duplicated:V5/V6" in flags
    signal[7, 13] += 0.001
    assert "duplicated:V1/V2" not in quality_flags(Record(signal, 500, LEADS))


def test_flat_leads_are_not_called_copies_of_one_another():
    signal = simulate(3, [], rate=500).signal.copy()
    signal[6:9] = 0
    assert not [flag for flag in quality_flags(Record(signal, 500, LEADS)) if flag.startswith("duplicated")]


def test_what_the_reader_computed_is_said():
    assert "derived:aVF" in quality_flags(replace(simulate(3, [], rate=100), derived=("III", "aVF")))


def test_infinite_samples_are_not_measured():
    signal = simulate(3, [], rate=500).signal.copy()
    signal[6, 100:110] = np.inf
    signal[7, 100] = -np.inf
    assert quality_flags(Record(signal, 500, LEADS))[:2] == ("nan:V1", "nan:V2")


def test_a_record_under_five_seconds_is_short_and_one_of_a_sample_is_no_fault_of_ours():
    whole = simulate(3, [], rate=500)
    assert quality_flags(replace(whole, signal=whole.signal[:, :2400])) == ("short",)
    for samples in (1, 2, 7, 100, 600, 1501):
        assert "short" in quality_flags(replace(whole, signal=whole.signal[:, :samples]))


@pytest.mark.parametrize("rate", [25.0, 50.0, 257.0, 1000.0, 8000.0])
def test_any_rate_number_of_leads_and_content_can_be_looked_at(rate):
    rng = np.random.default_rng(0)
    for leads in (("I",), ("V1", "V5"), ("I", "II", "V5", "V6"), LEADS):
        for signal in (rng.normal(size=(len(leads), 6000)), np.zeros((len(leads), 6000)), np.full((len(leads), 6000), np.nan)):
            quality_flags(Record(signal.astype(np.float32), rate, leads))
    for scale in (1e-30, 1e20, 1e37):
        quality_flags(Record((rng.normal(size=(12, 6000)) * scale).astype(np.float32), rate, LEADS))
    spikes = np.zeros((12, 6000), np.float32)
    spikes[:, ::900] = 5
    quality_flags(Record(spikes, rate, LEADS))


def test_millivolts_taken_for_microvolts_are_suspected_and_low_voltage_is_not():
    whole = simulate(3, [], rate=500)
    assert "unit-suspect" in quality_flags(replace(whole, signal=whole.signal / 1000))
    low = replace(whole, signal=(whole.signal * (0.3 / np.ptp(whole.signal[1]))).astype(np.float32))
    assert "unit-suspect" not in quality_flags(low)
    noise = np.random.default_rng(0).normal(0, 0.001, (12, 5000)).astype(np.float32)
    assert "unit-suspect" not in quality_flags(Record(noise, 500, LEADS))


@pytest.mark.parametrize("hertz", [50, 60])
def test_mains_is_named_by_its_frequency(hertz):
    whole = simulate(3, [], rate=500, noise=0.3)
    time = np.arange(5000) / 500
    phases = np.random.default_rng(0).uniform(0, 6.28, (12, 1))
    hum = (0.02 * np.sin(2 * np.pi * (hertz + 0.03) * time + phases)).astype(np.float32)
    assert f"mains:{hertz}" in quality_flags(replace(whole, signal=whole.signal + hum))
    assert not [flag for flag in quality_flags(whole) if flag.startswith("mains")]


def test_one_trembling_lead_is_named():
    signal = simulate(3, [], rate=500).signal.copy()
    rng = np.random.default_rng(0)
    signal[9] += (0.4 * rng.normal(size=5000)).astype(np.float32)
    signal[9] += np.cumsum(rng.normal(size=5000)).astype(np.float32) * 0.03
    assert quality_flags(Record(signal, 500, LEADS)) == ("noisy:V4", "poor-quality")


def test_spikes_on_an_unplugged_lead_do_not_plug_it_in():
    row = np.zeros(5000, np.float32)
    row[[100, 2000]] = 3
    assert is_flat(row)
    assert not is_flat(heart(rate=500)[0])
    assert is_flat(np.full(10, np.nan, np.float32))


def test_a_lead_of_low_voltage_is_not_flat():
    row = heart(rate=500)[1]
    assert not is_flat(row * (0.1 / np.ptp(row)))


@pytest.mark.parametrize("rate", [100.0, 500.0])
def test_clipping_is_a_plateau_at_the_rail(rate):
    row = heart(1, rate)[9]
    row = row * (4 / np.ptp(row))
    assert not is_clipped(row, rate)
    wandering = row + 2 * np.sin(np.arange(row.size) / rate * 1.5)
    middle = float(np.median(wandering))
    assert is_clipped(np.clip(wandering, middle - 1.5, middle + 1.5).astype(np.float32), rate)


@pytest.mark.parametrize("rate", [100.0, 500.0])
@pytest.mark.parametrize("end", [0.25, 0.5])
def test_beats_cut_off_at_one_height_are_clipped_however_low_it_is(rate, end):
    for seed in range(5):
        row = heart(seed, rate)[9]
        row = row * np.float32(2.5 / np.ptp(row))
        assert not is_clipped(row, rate)
        assert is_clipped(np.clip(row, -end, end), rate)


@pytest.mark.parametrize("step", [0.005, 0.02, 0.05])
def test_beats_that_a_coarse_converter_gives_equal_tops_are_not_clipped(step):
    rows = [row for seed in range(20) for row in np.round(heart(seed, 100.0) / step).astype(np.float32) * np.float32(step)]
    assert not any(is_clipped(row, 100.0) for row in rows)


def test_a_filter_that_holds_the_last_value_does_not_clip():
    row = heart(1, 500.0)[9]
    drift = np.linspace(0, 3, row.size, dtype=np.float32)
    held = row + drift
    held[-60:] = held.max() + 0.1
    smooth = np.linspace(held[-200], held[-60], 140)
    held[-200:-60] = smooth
    assert not is_clipped(held, 500.0)


def test_gaps_are_measured_in_samples():
    row = np.zeros(20, np.float32)
    assert longest_gap(row) == 0
    row[[0, 1, 2, 10, 11]] = np.nan
    assert longest_gap(row) == 3


@pytest.mark.parametrize(("name", "flat"), FLAT_IN_CHAPMAN.items())
def test_the_known_flat_leads_of_chapman_are_found(data_dir, name, flat):
    flags = quality_flags(read_ecg(data_dir / "challenge-2021/chapman-ningbo" / name))
    assert sum(flag.startswith("flat:") for flag in flags) == flat


def test_a_real_rail_is_found(data_dir):
    assert quality_flags(read_ecg(data_dir / "challenge-2021/ptb-xl/HR00004")) == ("clipped:V4",)


def test_real_limb_leads_are_right_and_swaps_of_them_found(data_dir):
    from cmelt.records.leads import check_limb_leads

    found = 0
    for path in sorted((data_dir / "ptb-xl/records100/00000").glob("*.hea"))[:60]:
        ecg = read_ecg(path)
        assert check_limb_leads(ecg.signal, ecg.leads).error < 0.03
        names = [{"aVR": "aVL", "aVL": "aVR"}.get(lead, lead) for lead in ecg.leads]
        found += set(check_limb_leads(ecg.signal, names).swapped or ()) == {"aVR", "aVL"}
    assert found == 60
