"""Each condition's defining feature, measured on the signal or on the beats."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.records.record import LEADS
from cmelt.simulation import simulate

SEEDS = range(10)


def level(times, trace, at):
    """Mean over 10 ms around a time after R."""
    return trace[(times > at - 0.005) & (times < at + 0.005)].mean()


def st(times, trace):
    """ST level 110 ms after R, some 60 ms after J of a narrow QRS."""
    return level(times, trace, 0.110)


def qrs(times, trace):
    """The part within 55 ms of R."""
    return trace[np.abs(times) < 0.055]


def t_top(times, trace):
    """The T wave's greatest excursion, signed."""
    part = trace[(times > 0.16) & (times < 0.45)]
    return part[np.abs(part).argmax()]


def rr(record):
    return np.diff(record.truth["r_times"])


@pytest.mark.parametrize("seed", SEEDS)
def test_normal_precordial_progression_and_concordance(beat, seed):
    times, lead = beat(seed, "normal")
    r = {name: qrs(times, lead[name]).max() for name in LEADS}
    s = {name: -qrs(times, lead[name]).min() for name in LEADS}
    assert r["V1"] < s["V1"]
    assert r["V6"] > 2 * s["V6"]
    assert r["V1"] < r["V4"]
    assert s["aVR"] > r["aVR"]
    for name in ("I", "II", "V4", "V5", "V6"):
        assert t_top(times, lead[name]) > 0.03
    assert t_top(times, lead["aVR"]) < -0.03
    assert all(abs(st(times, lead[name])) < 0.1 for name in LEADS)


@pytest.mark.parametrize("seed", SEEDS)
def test_p_waves_are_upright_in_ii_and_inverted_in_avr(beat, seed):
    times, lead = beat(seed, "normal")
    p = (times > -0.25) & (times < -0.09)
    assert 0.05 < lead["II"][p].max() < 0.25
    assert lead["aVR"][p].min() < -0.03


@pytest.mark.parametrize("seed", SEEDS)
def test_rates_of_the_sinus_node(seed):
    assert 60 <= simulate(seed, ["normal"]).truth["rate_bpm"] <= 100
    assert simulate(seed, ["sinus-bradycardia"]).truth["rate_bpm"] < 60
    assert simulate(seed, ["sinus-tachycardia"]).truth["rate_bpm"] > 100


@pytest.mark.parametrize("seed", SEEDS)
def test_sinus_arrhythmia_swings_and_normal_rhythm_hardly(seed):
    assert np.ptp(rr(simulate(seed, ["sinus-arrhythmia"]))) > 0.12
    assert np.ptp(rr(simulate(seed, ["normal"]))) < 0.12


@pytest.mark.parametrize("seed", SEEDS)
def test_fibrillation_is_irregular_and_without_p(seed, beat):
    record = simulate(seed, ["atrial-fibrillation"])
    intervals = rr(record)
    assert intervals.std() / intervals.mean() > 0.08
    assert abs(np.corrcoef(intervals[:-1], intervals[1:])[0, 1]) < 0.85
    assert record.truth["p_times"] == ()
    assert record.truth["pr_ms"] is None
    # in the mean beat, fibrillation waves cancel where the P wave of the same heart stood
    times, fibrillating = beat(seed, "atrial-fibrillation")
    pr = simulate(seed, ["normal"]).truth["pr_ms"] / 1000
    p = np.abs(times + pr) < 0.05
    assert np.ptp(beat(seed, "normal")[1]["II"][p]) > 1.3 * np.ptp(fibrillating["II"][p])


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_flutter_waves_run_at_the_ratio_to_the_ventricles(ratio):
    for seed in range(4):
        record = simulate(seed, [f"atrial-flutter-{ratio}-1"], noise=0.0)
        rate = record.truth["rate_bpm"]
        assert 265 < ratio * rate < 325
        assert np.ptp(rr(record)) < 0.02
        # The spectrum of aVF has a line at the atrial rate.
        spectrum = np.abs(np.fft.rfft(record.signal[LEADS.index("aVF")] * np.hanning(5000)))
        atrial = round(ratio * rate / 60 * 10)
        assert spectrum[atrial - 2 : atrial + 3].max() > 3 * np.median(spectrum[atrial - 8 : atrial + 9])


@pytest.mark.parametrize("seed", SEEDS)
def test_tachycardias_and_their_width(seed):
    narrow, broad = simulate(seed, ["supraventricular-tachycardia"]).truth, simulate(seed, ["ventricular-tachycardia"]).truth
    assert narrow["rate_bpm"] > 150
    assert narrow["qrs_ms"] < 110
    assert broad["rate_bpm"] > 135
    assert broad["qrs_ms"] >= 140


@pytest.mark.parametrize("seed", SEEDS)
def test_premature_beats_come_early_and_pause_after(seed):
    for name in ("ventricular-premature-beats", "ventricular-bigeminy", "ventricular-trigeminy"):
        record = simulate(seed, [name])
        premature = record.truth["premature_r_times"]
        assert len(premature) >= 1
        conducted = np.array(record.truth["r_times"])
        usual = 60 / simulate(seed, ["normal"]).truth["rate_bpm"]
        for time in premature:
            before, after = conducted[conducted < time], conducted[conducted > time]
            if len(before) and len(after):
                assert time - before[-1] < 0.95 * usual
                assert after[0] - time > time - before[-1]
    assert len(simulate(seed, ["ventricular-bigeminy"]).truth["premature_r_times"]) >= 4


@pytest.mark.parametrize("seed", SEEDS)
def test_atrial_premature_beats_shorten_one_interval(seed):
    intervals = rr(simulate(seed, ["atrial-premature-beats"]))
    assert intervals.min() < 0.75 * np.median(intervals)
    alternating = rr(simulate(seed, ["atrial-bigeminy"]))
    assert (np.diff(alternating)[:-1] * np.diff(alternating)[1:] < 0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_av_block_of_three_degrees(seed):
    assert 205 < simulate(seed, ["first-degree-av-block"]).truth["pr_ms"] < 330
    for name in ("second-degree-av-block-wenckebach", "second-degree-av-block-mobitz-ii"):
        truth = simulate(seed, [name]).truth
        assert len(truth["p_times"]) > len(truth["r_times"])
        assert max(np.diff(truth["r_times"])) > 1.3 * max(np.diff(truth["p_times"]))
    complete = simulate(seed, ["third-degree-av-block"]).truth
    assert complete["pr_ms"] is None
    assert complete["rate_bpm"] < 55
    assert len(complete["p_times"]) > 1.3 * len(complete["r_times"])
    delays = [min(r - p for p in complete["p_times"] if p < r) for r in complete["r_times"] if r > 1.5]
    assert np.ptp(delays) > 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_wenckebach_lengthens_pr_and_mobitz_does_not(seed):
    def conducted_pr(name):
        truth = simulate(seed, [name]).truth
        p, r = np.array(truth["p_times"]), np.array(truth["r_times"])
        return [r_i - p[p < r_i].max() for r_i in r if (p < r_i).any()]

    lengths = np.array(conducted_pr("second-degree-av-block-wenckebach"))
    assert np.ptp(lengths) > 0.04
    steps = np.diff(lengths)
    # from beat to beat longer by more than chance (1.5 ms), or back to the start after a dropped one; a cycle of three P waves
    # has one step, a longer one has several
    assert ((steps > 0.006) | (steps < -0.04)).all()
    assert np.ptp(conducted_pr("second-degree-av-block-mobitz-ii")) < 0.03


@pytest.mark.parametrize("seed", SEEDS)
def test_left_bundle_branch_block(beat, seed):
    times, lead = beat(seed, "left-bundle-branch-block")
    assert simulate(seed, ["left-bundle-branch-block"]).truth["qrs_ms"] >= 120
    part = np.abs(times) < 0.11
    assert lead["V6"][part].max() > 3 * -lead["V6"][part].min()
    assert -lead["V1"][part].min() > 3 * lead["V1"][part].max()
    assert t_top(times, lead["V6"]) < 0 < t_top(times, lead["V1"])
    assert t_top(times, lead["I"]) < 0


@pytest.mark.parametrize("seed", SEEDS)
def test_right_bundle_branch_block(beat, seed):
    times, lead = beat(seed, "right-bundle-branch-block")
    truth = simulate(seed, ["right-bundle-branch-block"]).truth
    assert truth["qrs_ms"] >= 120
    part = np.abs(times) < 0.12
    assert lead["V1"][part].max() > 0.25
    # V1 ends upwards while I and V6 end downwards
    last = times[part][lead["V1"][part].argmax()]
    late = np.abs(times - last) < 0.012
    assert lead["I"][late].mean() < -0.03
    assert lead["V6"][late].mean() < -0.05
    assert t_top(times, lead["V1"]) < 0
    assert 100 < simulate(seed, ["incomplete-right-bundle-branch-block"]).truth["qrs_ms"] < 120


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["normal", "right-bundle-branch-block", "left-bundle-branch-block", "wolff-parkinson-white"])
def test_the_visible_qrs_lasts_as_long_as_the_truth_says(beat, name, seed):
    """From R outwards as long as the twelve leads change fast: independent of how the pulses were made."""
    times, lead = beat(seed, name)
    speed = np.sqrt(sum(np.gradient(lead[v], times) ** 2 for v in LEADS))
    near = np.abs(times) < 0.13
    fast = times[(speed > 0.08 * speed[near].max()) & near]
    pieces = np.split(fast, np.flatnonzero(np.diff(fast) > 0.014) + 1)
    (complex_,) = [piece for piece in pieces if piece[0] <= 0.004 and piece[-1] >= -0.004]
    width = 1000 * (complex_[-1] - complex_[0])
    assert abs(width - simulate(seed, [name], noise=0.0).truth["qrs_ms"]) < 30


@pytest.mark.parametrize("seed", SEEDS)
def test_axis_goes_where_it_is_said_to_go(seed):
    axis = {
        name: simulate(seed, [name]).truth["axis_deg"]
        for name in (
            "normal",
            "left-axis-deviation",
            "right-axis-deviation",
            "left-anterior-fascicular-block",
            "right-ventricular-hypertrophy",
        )
    }
    assert -30 < axis["normal"] < 90
    assert -80 < axis["left-axis-deviation"] < -30
    assert 100 < axis["right-axis-deviation"] < 150
    assert -80 < axis["left-anterior-fascicular-block"] < -44
    assert 100 < axis["right-ventricular-hypertrophy"] < 160


@pytest.mark.parametrize("seed", SEEDS)
def test_the_true_axis_is_the_axis_of_the_signal(beat, seed):
    for name in ("normal", "left-axis-deviation", "right-axis-deviation"):
        times, lead = beat(seed, name)
        net_i, net_avf = qrs(times, lead["I"]).sum(), qrs(times, lead["aVF"]).sum()
        measured = np.rad2deg(np.arctan2(2 / np.sqrt(3) * net_avf, net_i))
        error = (measured - simulate(seed, [name], noise=0.0).truth["axis_deg"] + 180) % 360 - 180
        assert abs(error) < 20


@pytest.mark.parametrize("seed", SEEDS)
def test_pre_excitation_is_early_and_broad(beat, seed):
    truth = simulate(seed, ["wolff-parkinson-white"]).truth
    assert truth["pr_ms"] < 120 <= truth["qrs_ms"]
    times, lead = beat(seed, "wolff-parkinson-white")
    _, usual = beat(seed, "normal")
    rise = (times > -0.065) & (times < -0.045)
    assert lead["V4"][rise].mean() > usual["V4"][rise].mean() + 0.03


@pytest.mark.parametrize("seed", SEEDS)
def test_hypertrophy_by_voltage(beat, seed):
    times, lead = beat(seed, "left-ventricular-hypertrophy")
    assert -qrs(times, lead["V1"]).min() + max(qrs(times, lead[v]).max() for v in ("V5", "V6")) > 3.0
    times, lead = beat(seed, "right-ventricular-hypertrophy")
    v1, v6 = qrs(times, lead["V1"]), qrs(times, lead["V6"])
    assert v1.max() > -v1.min()
    assert -v6.min() > 0.15
    assert qrs(times, lead["I"]).sum() < 0


@pytest.mark.parametrize("seed", SEEDS)
def test_low_voltage_is_below_half_a_millivolt_in_all_limb_leads(beat, seed):
    times, lead = beat(seed, "low-voltage")
    assert max(np.ptp(qrs(times, lead[name])) for name in LEADS[:6]) < 0.5
    assert max(np.ptp(qrs(times, lead[name])) for name in LEADS[6:]) < 1.0


@pytest.mark.parametrize("seed", SEEDS)
def test_atrial_enlargement(beat, seed):
    times, large = beat(seed, "right-atrial-enlargement")
    p = (times > -0.28) & (times < -0.09)
    assert large["II"][p].max() - large["II"][p].min() > 0.2
    times, broad = beat(seed, "left-atrial-enlargement")
    _, usual = beat(seed, "normal")
    assert broad["V1"][p].min() < usual["V1"][p].min() - 0.03


INFARCTS = {
    "anterior": (("V2", "V3", "V4"), ("III", "aVF")),
    "inferior": (("II", "III", "aVF"), ("aVL",)),
    "lateral": (("I", "aVL", "V6"), ("III",)),
}


@pytest.mark.parametrize("wall", INFARCTS)
@pytest.mark.parametrize("seed", SEEDS)
def test_acute_infarction_raises_st_over_the_wall_and_lowers_it_opposite(beat, wall, seed):
    times, lead = beat(seed, f"acute-{wall}-infarction")
    facing, opposite = INFARCTS[wall]
    assert min(st(times, lead[name]) for name in facing) > 0.08
    assert max(st(times, lead[name]) for name in opposite) < -0.02


@pytest.mark.parametrize(("wall", "leads"), [("anterior", ("V1", "V2")), ("inferior", ("III", "aVF")), ("lateral", ("aVL",))])
@pytest.mark.parametrize("seed", SEEDS)
def test_old_infarction_leaves_q_waves_over_the_wall(beat, wall, leads, seed):
    times, lead = beat(seed, f"old-{wall}-infarction")
    _, usual = beat(seed, "normal")
    early = (times > -0.045) & (times < -0.005)
    for name in leads:
        assert lead[name][early].min() < -0.08
        assert lead[name][early].min() < usual[name][early].min() - 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_ischaemia_and_inversion(beat, seed):
    times, lead = beat(seed, "ischaemic-st-depression")
    assert max(st(times, lead[name]) for name in ("II", "V5")) < -0.05
    assert st(times, lead["aVR"]) > 0.02
    times, lead = beat(seed, "t-wave-inversion")
    assert all(t_top(times, lead[name]) < -0.05 for name in ("V3", "V4", "V5"))


@pytest.mark.parametrize("seed", SEEDS)
def test_pericarditis_is_diffuse(beat, seed):
    times, lead = beat(seed, "pericarditis")
    raised = [name for name in LEADS if st(times, lead[name]) > 0.05]
    assert {"I", "II", "V4", "V5", "V6"} <= set(raised)
    assert st(times, lead["aVR"]) < -0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_hyperkalaemia_makes_t_tall_and_narrow(beat, seed):
    def half_width(name):
        times, lead = beat(seed, name)
        part = np.abs(lead["V4"][(times > 0.16) & (times < 0.45)])
        return (part > part.max() / 2).sum() / 500, part.max()

    (width, tall), (usual_width, usual) = half_width("hyperkalaemia"), half_width("normal")
    assert tall > 1.4 * usual
    assert width < 0.8 * usual_width


@pytest.mark.parametrize("seed", SEEDS)
def test_long_qt(seed):
    assert simulate(seed, ["long-qt"]).truth["qtc_ms"] > 475
    assert simulate(seed, ["normal"]).truth["qtc_ms"] < 460


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pacemaker_spikes_just_before_each_broad_qrs(seed):
    record = simulate(seed, ["paced-rhythm"], noise=0.0)
    jump = np.abs(np.diff(record.signal[LEADS.index("II")]))
    spikes = np.flatnonzero(jump > 0.6 * jump.max()) / 500
    for r in record.truth["r_times"]:
        if r > 0.2:
            assert ((spikes < r) & (spikes > r - 0.14)).any()
    assert record.truth["qrs_ms"] > 140
    assert record.truth["axis_deg"] < -30


@pytest.mark.parametrize("seed", range(200, 260))
def test_labels_agree_with_the_truth(seed):
    record = simulate(seed)
    labels, truth = set(record.labels), record.truth
    if "sim:normal" in labels:
        assert labels == {"sim:normal"}
        assert 120 <= truth["pr_ms"] <= 200
        assert truth["qrs_ms"] < 110
    if truth["rhythm"] not in ("paced", "ventricular") and "sim:third-degree-av-block" not in labels:
        assert ("sim:left-axis-deviation" in labels) == (truth["axis_deg"] < -30)
        assert ("sim:right-axis-deviation" in labels) == (truth["axis_deg"] > 100)
    if truth["rhythm"] == "sinus" and truth["pr_ms"] and "second" not in " ".join(labels):
        assert ("sim:first-degree-av-block" in labels) == (truth["pr_ms"] > 205)
    if "sim:ventricular-bigeminy" in labels:
        assert "sim:ventricular-premature-beats" in labels
