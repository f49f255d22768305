"""Domains: the textbook stays as it was; the archive's hearts are shaped as real ones, its conditions seen where they belong."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from cmelt.errors import ConfigError
from cmelt.records.beats import beats_of
from cmelt.records.record import LEADS
from cmelt.simulation import CONDITIONS, DOMAINS, EXTENDED, simulate
from cmelt.simulation.archive.hearts import CENTRES_MS, archive_person, heart_model, names_of_values
from cmelt.simulation.archive.prevalence import PREVALENCE
from cmelt.simulation.complexes import conducted, steeper
from cmelt.simulation.condition import clash
from cmelt.simulation.heart import person, ventricular_qrs
from cmelt.simulation.languages.leads import lead_findings
from cmelt.simulation.languages.words import words_of
from cmelt.simulation.simulate import _drawn
from cmelt.simulation.torso import LEADS_FROM_ELECTRODES
from cmelt.simulation.wave import trace

NEW = [name for name in EXTENDED if name not in CONDITIONS]
ARCHIVE = DOMAINS["archive"]


def test_the_textbook_is_what_it_was():
    """Labels, reports and signals of version 0.2, as sums that one more draw anywhere would change."""
    records = [simulate(seed, patient=seed % 5, rate=100, seconds=4) for seed in range(10)]
    assert [len(r.labels) for r in records] == LABELS
    assert [round(float(np.abs(r.signal).sum()), 1) for r in records] == pytest.approx(SUMS, abs=0.2)


LABELS = [2, 1, 1, 1, 3, 2, 1, 2, 2, 1]
SUMS = [436.4, 671.2, 669.3, 891.5, 527.6, 319.0, 604.8, 661.4, 804.0, 373.3]


def test_the_textbook_draws_its_own_conditions_and_the_others_draw_all():
    drawn = {
        name: Counter(c.name for seed in range(2500) for c in _drawn(seed, seed, domain)) for name, domain in DOMAINS.items()
    }
    assert set(drawn["textbook"]) <= set(CONDITIONS)
    assert set(NEW) <= set(drawn["extended"])
    assert len(set(NEW) & set(drawn["archive"])) > 0.9 * len(NEW)
    assert 0.2 < drawn["archive"]["normal"] / 2500 < 0.4


def test_the_archive_draws_as_often_as_hospitals_see():
    """Of conditions that exclude little, the drawn order is that of prevalence."""
    drawn = Counter(c.name for seed in range(4000) for c in _drawn(seed, seed, ARCHIVE))
    frequent = ["old-inferior-infarction", "atrial-fibrillation", "nonspecific-t-changes"]
    rare = ["pericarditis", "wolff-parkinson-white", "ventricular-aneurysm", "hyperkalaemia"]
    assert min(drawn[name] for name in frequent) > 3 * max(drawn[name] for name in rare)
    assert set(PREVALENCE) <= set(EXTENDED)


def test_an_unknown_domain_is_refused_with_those_known():
    with pytest.raises(ConfigError, match="textbook, extended, archive"):
        simulate(0, domain="clinic")


def test_every_new_condition_can_be_asked_for_by_name_in_every_domain():
    for name in NEW:
        for domain in DOMAINS:
            record = simulate(3, [name], rate=100, seconds=4, domain=domain)
            assert f"sim:{name}" in record.labels
            assert np.isfinite(record.signal).all()
            assert np.abs(record.signal).max() < 8


def test_new_conditions_have_words_and_held_out_phrases():
    for name in NEW:
        assert len(EXTENDED[name].held_out) == 3, name
        assert len(words_of("de").conditions[name].held_out) == 3, name
        said = " ".join((*EXTENDED[name].wording.machine, *EXTENDED[name].wording.clinical)).lower()
        assert not any(phrase.lower() in said for phrase in EXTENDED[name].held_out), name


def test_what_new_conditions_exclude_and_imply_exists():
    known = set().union(*(c.groups for c in EXTENDED.values()))
    for name in NEW:
        assert set(EXTENDED[name].excludes) <= known, name
        assert set(EXTENDED[name].implies) <= set(EXTENDED), name
        assert not any(clash(EXTENDED[name], EXTENDED[other]) for other in EXTENDED[name].implies)
        assert clash(EXTENDED[name], EXTENDED["normal"])


def beat_of(name, key, domain="textbook"):
    """Leads of the conducted complex of person `key` with the condition: QRS [n] by lead, and ST and T in mV by lead."""
    whence = DOMAINS[domain]
    heart = whence.person(key).heart
    if name:
        heart = whence.changed(heart, EXTENDED[name], np.random.default_rng(key))
    found = conducted(heart)
    view = LEADS_FROM_ELECTRODES @ heart.electrodes
    t_view = LEADS_FROM_ELECTRODES @ (heart.views[:, 3:6] if heart.views.shape[1] > 3 else heart.electrodes)
    qrs = dict(zip(LEADS, view @ trace(found.qrs)[1].T, strict=True))
    st, t = (dict(zip(LEADS, t_view @ vector, strict=True)) for vector in (found.st, found.t))
    return qrs, st, t, found, heart


#: Condition, lead, what is measured there, and how the median over people differs from the same people's normal beat.
SEEN = [
    ("low-t-waves", "V5", "t", "less"),
    ("nonspecific-t-changes", "V5", "t", "less"),
    ("nonspecific-st-depression", "V5", "st", "less"),
    ("digitalis-effect", "V5", "st", "less"),
    ("early-repolarisation", "V3", "st", "more"),
    ("ventricular-aneurysm", "V2", "st", "more"),
    ("anteroseptal-ischaemia", "V2", "st", "less"),
    ("anterior-ischaemia", "V3", "st", "less"),
    ("anterolateral-ischaemia", "V5", "st", "less"),
    ("lateral-ischaemia", "V6", "st", "less"),
    ("inferior-ischaemia", "aVF", "st", "less"),
    ("inferolateral-ischaemia", "II", "st", "less"),
    ("anteroseptal-injury", "V2", "st", "less"),
    ("anterolateral-injury", "V5", "st", "less"),
    ("inferior-injury", "aVF", "st", "less"),
    ("anteroseptal-t-inversion", "V2", "t", "negative"),
    ("anterolateral-t-inversion", "V5", "t", "negative"),
    ("lateral-t-inversion", "V6", "t", "negative"),
    ("inferior-t-inversion", "aVF", "t", "negative"),
    ("high-qrs-voltage", "V5", "r", "more"),
    ("poor-r-wave-progression", "V3", "r", "less"),
    ("clockwise-rotation", "V4", "r over s", "less"),
    ("counterclockwise-rotation", "V2", "r over s", "more"),
    ("old-anteroseptal-infarction", "V2", "r", "less"),
    ("old-anterolateral-infarction", "V5", "r", "less"),
    ("old-inferolateral-infarction", "aVF", "r over s", "less"),
    ("old-posterior-infarction", "V1", "r", "more"),
]


def measured(beat, lead, what):
    qrs, st, t, *_ = beat
    if what in ("st", "t"):
        return {"st": st, "t": t}[what][lead]
    up, down = max(qrs[lead].max(), 0.01), max(-qrs[lead].min(), 0.01)
    return up if what == "r" else np.log(up / down)


@pytest.mark.parametrize("domain", ["textbook", "archive"])
@pytest.mark.parametrize(("name", "lead", "what", "how"), SEEN)
def test_new_conditions_are_seen_in_their_leads(name, lead, what, how, domain):
    keys = range(12)
    ill = np.array([measured(beat_of(name, key, domain), lead, what) for key in keys])
    well = np.array([measured(beat_of("", key, domain), lead, what) for key in keys])
    if how == "negative":
        assert np.mean(ill < 0) > 0.9
    else:
        sign = 1 if how == "more" else -1
        assert np.mean(sign * (ill - well) > 0) > 0.75
        assert sign * np.median(ill - well) > 0.015


def test_slow_conduction_of_three_kinds():
    for key in range(6):
        unspecific = conducted(
            EXTENDED["intraventricular-conduction-delay"].change(person(key).heart, np.random.default_rng(key))
        )
        assert 0.110 <= unspecific.duration <= 0.131
        left, _, _, found, _ = beat_of("incomplete-left-bundle-branch-block", key)
        assert 0.107 <= found.duration <= 0.119
        assert -left["V6"].min() < 0.1  # no septal q
        assert 90 < beat_of("left-posterior-fascicular-block", key)[3].axis_deg < 130


def test_an_ectopic_atrial_rhythm_has_p_waves_turned_over_below():
    record = simulate(5, ["ectopic-atrial-rhythm"], noise=0.0)
    ii = record.signal[LEADS.index("II")]
    for p, qrs in zip(record.truth["p_times"][1:4], record.truth["qrs_times"][1:4], strict=False):
        wave = ii[round(p * 500) : round(qrs * 500)] - ii[round(p * 500) - 3]
        assert wave[np.abs(wave).argmax()] < 0


def test_abnormal_q_waves_are_found_as_q_waves():
    found = [bool(lead_findings(beat[3], beat[4]).q) for beat in (beat_of("abnormal-q-waves", key) for key in range(12))]
    assert np.mean(found) > 0.7


# -- the archive's hearts -----------------------------------------------------------------------------------------


def half_width_ms(heart):
    """For how long the QRS vector is larger than half of its largest."""
    _, vector = trace(conducted(heart).qrs)
    size = np.sqrt((vector**2).sum(axis=1))
    return float((size > 0.5 * size.max()).sum())


def test_archive_hearts_have_narrow_steep_qrs():
    """Measured at 500 Hz on 239 normal records of PTB-XL, folds 1 to 8: median 26 ms, 5 % below 18 and above 42."""
    widths = [half_width_ms(archive_person(key).heart) for key in range(80)]
    assert 20 < np.median(widths) < 32
    assert np.percentile(widths, 5) > 13
    assert np.percentile(widths, 95) < 52
    assert np.median([half_width_ms(person(key).heart) for key in range(40)]) > 38


def test_an_archive_person_is_the_same_every_time_and_unlike_the_next():
    one, same, other = archive_person(4), archive_person(4), archive_person(5)
    assert np.array_equal(one.heart.qrs.vector, same.heart.qrs.vector)
    assert not np.array_equal(one.heart.qrs.vector, other.heart.qrs.vector)
    ages = [archive_person(key).age for key in range(300)]
    assert 58 < np.median(ages) < 66


def test_an_archive_person_s_axis_and_intervals_are_not_abnormal():
    for key in range(150):
        heart = archive_person(key).heart
        assert -28 <= heart.axis_deg <= 97
        assert 120 <= heart.pr_ms < 200
        assert 55 < heart.qrs_ms < 118
        assert 60 < heart.rate_range[0] < heart.rate_range[1] < 100


def test_the_heart_model_has_a_number_for_every_value():
    names, model = list(names_of_values()), heart_model()
    assert len(names) == len(set(names)) == len(model.mean) == model.components.shape[1]
    assert model.components.shape[0] < 60  # directions, far fewer than the people they were taken from
    assert len(CENTRES_MS) == 13


def test_waves_that_are_seen_differently_still_obey_einthoven():
    i, ii, iii, avr, *_ = simulate(1, domain="archive", noise=3.0).signal
    assert np.allclose(iii, ii - i, atol=3e-6)
    assert np.allclose(avr, -(i + ii) / 2, atol=3e-6)


@pytest.mark.parametrize("seed", range(3))
def test_100_hz_of_the_archive_is_its_500_hz_without_what_lies_above(seed):
    from scipy.signal import resample_poly

    fast, slow = simulate(seed, rate=500, domain="archive"), simulate(seed, rate=100, domain="archive")
    reduced = resample_poly(fast.signal.astype(float), 1, 5, axis=1)
    inner = slice(20, -20)
    assert (slow.signal - reduced)[:, inner].std() / reduced[:, inner].std() < 0.12
    assert slow.report == fast.report


def test_steepening_leaves_a_person_s_own_pulses_alone():
    own = archive_person(1).heart.qrs
    assert np.array_equal(steeper(own, 0.7).left, own.left)
    broad = ventricular_qrs(np.random.default_rng(0))
    assert np.allclose(steeper(broad, 0.7).left, 0.7 * broad.left)
    assert steeper(broad, 1.0) is broad


def _high_frequency_share(signal):
    """Power from 25 to 35 Hz against 5 to 15 Hz, median over leads, of a record at 100 Hz."""
    power = np.abs(np.fft.rfft(signal - signal.mean(axis=1, keepdims=True), axis=1)) ** 2
    frequency = np.fft.rfftfreq(signal.shape[1], 0.01)
    high, low = ((frequency >= a) & (frequency < b) for a, b in ((25, 35), (5, 15)))
    return float(np.median(power[:, high].sum(axis=1) / power[:, low].sum(axis=1)))


def test_the_archive_is_as_sharp_as_real_ecgs_and_the_textbook_is_not(data_dir):
    """And its T waves, rates and beat-to-beat intervals are found by the same code."""
    import pandas as pd

    from cmelt.records.readers import read_ecg

    table = pd.read_csv(data_dir / "ptb-xl" / "ptbxl_database.csv")
    table = table[(table["strat_fold"] <= 8) & table["scp_codes"].str.contains("'NORM'")]
    files = [data_dir / "ptb-xl" / f"{name}.hea" for name in table["filename_lr"]]
    real = [read_ecg(path) for path in [path for path in files if path.is_file()][:60]]
    archive, textbook = (
        [simulate(seed, ["normal"], rate=100, domain=domain) for seed in range(60)] for domain in ("archive", "textbook")
    )
    sharp = {
        name: np.median([_high_frequency_share(r.signal) for r in records])
        for name, records in (("real", real), ("archive", archive), ("textbook", textbook))
    }
    assert 0.5 < sharp["archive"] / sharp["real"] < 2
    assert sharp["textbook"] / sharp["real"] < 0.25
    amplitude = [np.median([np.ptp(beats_of(r).middle[LEADS.index("V5")]) for r in records]) for records in (real, archive)]
    assert 0.75 < amplitude[1] / amplitude[0] < 1.33
