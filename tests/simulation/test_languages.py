"""Reports in German and in the English of archives: as true as the others, in words of their own, and chosen by the seed."""

from __future__ import annotations

import hashlib
import importlib
import re
from collections import Counter

import numpy as np
import pytest

from cmelt.errors import ConfigError
from cmelt.simulation import CONDITIONS, LANGUAGES, held_out_phrases, simulate
from cmelt.simulation.complexes import conducted
from cmelt.simulation.heart import person
from cmelt.simulation.languages import registers
from cmelt.simulation.languages.leads import LeadFindings, lead_findings, listed
from cmelt.simulation.languages.words import words_of
from cmelt.simulation.negation import NEGATIONS, NORMAL_FINDINGS
from cmelt.text.cleaning import clean_report, usable
from cmelt.text.language import language_of

WORDED = ("de", "en-statements")


@pytest.fixture(scope="module")
def told():
    """told(language) → 1,500 records with reports in that language; their signals are left out, reports do not depend on them."""
    module = importlib.import_module("cmelt.simulation.simulate")
    cache: dict = {}

    def of(language):
        if language not in cache:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(module, "_recorded", lambda *_: np.zeros((12, 1), dtype=np.float32))
                cache[language] = [simulate(seed, languages=(language,)) for seed in range(1500)]
        return cache[language]

    return of


def names_of(record):
    return {label.removeprefix("sim:") for label in record.labels}


def everything_said(language):
    kinds = ("statements", "clinical", "short", "features")
    return [text.lower() for p in words_of(language).conditions.values() for kind in kinds for text in getattr(p, kind)]


def test_english_alone_is_what_it_was_before_there_were_languages():
    """Stores of earlier versions must come out the same: texts, as they were, told by their hashes."""
    reports = [simulate(seed, rate=100, seconds=2).report for seed in range(8)]
    assert reports == [simulate(seed, rate=100, seconds=2, languages=("en",)).report for seed in range(8)]
    assert hashlib.sha256("\n".join(reports).encode()).hexdigest()[:16] == "02775da128e814fd"


@pytest.mark.parametrize("language", WORDED)
def test_a_language_changes_the_words_and_nothing_else(language):
    one, other = simulate(21, rate=100), simulate(21, rate=100, languages=(language,))
    assert one.report != other.report
    assert (one.labels, dict(one.truth), one.age, one.sex) == (other.labels, dict(other.truth), other.age, other.sex)
    assert np.array_equal(one.signal, other.signal)


def test_of_several_languages_each_comes_as_often_as_it_is_named():
    mixed = [simulate(seed, rate=100, seconds=2, languages=("de", "de", "en")).report for seed in range(300)]
    english = [simulate(seed, rate=100, seconds=2).report for seed in range(300)]
    share = np.mean([a == b for a, b in zip(mixed, english, strict=True)])
    assert 0.26 < share < 0.41  # of a third, 300 draws: two and a half standard deviations


@pytest.mark.parametrize("wrong", ["de", [], ["fr"]])
def test_unknown_languages_are_refused_with_those_known(wrong):
    with pytest.raises(ConfigError, match="en-statements"):
        simulate(0, languages=wrong)


@pytest.mark.parametrize("language", WORDED)
def test_a_file_of_words_has_every_condition_and_every_statement(language):
    words = words_of(language)
    assert set(CONDITIONS) <= set(words.conditions)
    assert set(words.negations) == {text for text, _ in NEGATIONS}
    assert set(words.normal_findings) == {text for text, _ in NORMAL_FINDINGS}
    assert set(words.axis) == {"extreme-left", "left", "normal", "steep", "right", "extreme-right"}
    assert set(words.seen) == {"q", "st_up", "st_down", "t_negative", "t_flat"}
    for shares in (words.share, words.separators, words.note_separators):
        assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize("language", WORDED)
def test_every_kind_of_phrase_has_one_that_needs_no_lead(language):
    for name, phrases in words_of(language).conditions.items():
        for kind in ("statements", "clinical", "short"):
            assert any("{" not in text for text in getattr(phrases, kind)), (name, kind)


@pytest.mark.parametrize("language", WORDED)
def test_no_report_contains_a_held_out_phrase_of_its_language(told, language):
    text = "\n".join(record.report for record in told(language)).lower()
    said = "\n".join(everything_said(language))
    held_out = [phrase.lower() for found in held_out_phrases(language).values() for phrase in found]
    assert len(held_out) >= 3 * len(CONDITIONS)
    assert not [phrase for phrase in held_out if phrase in text or phrase in said]


def test_german_held_out_phrases_are_of_words_that_reports_have(told):
    words = set(re.findall(r"[\w:-]+", "\n".join(record.report for record in told("de")).lower()))
    phrases = [p for name, found in held_out_phrases("de").items() if name in CONDITIONS for p in found]
    asked = [w for phrase in phrases for w in re.findall(r"[\w:-]+", phrase)]
    assert np.mean([w in words for w in asked]) > 0.6


def test_german_reports_are_german_and_english_ones_english(told):
    assert (
        np.mean([language_of(r.report) == "de" for r in told("de")]) > 0.85
    )  # notes such as "sr, 72/min, p normal" are nobody's
    assert np.mean([language_of(r.report) == "de" for r in told("en-statements")]) < 0.01


@pytest.mark.parametrize("language", WORDED)
def test_reports_are_varied_and_almost_all_survive_cleaning(told, language):
    reports = [clean_report(r.report) for r in told(language)]
    assert len(set(reports)) > 0.6 * len(reports)
    # "normales ekg" alone is too short to learn from, as in the archives
    assert np.mean([usable(report) for report in reports]) > 0.9


@pytest.mark.parametrize("language", WORDED)
def test_findings_are_told_by_the_condition_s_own_words(told, language):
    """Few are left out; a phrase with leads in it is recognised by what stands before and behind them."""
    words = words_of(language)
    held, found = Counter(), Counter()
    for record in told(language):
        text = record.report.lower().translate(str.maketrans(words.respelled))
        names = names_of(record)
        for name in names:
            held[name] += 1
            tellers = [name, *(other for other in names if name in CONDITIONS[other].implies)]
            phrases = [t for teller in tellers for t in _phrases(words, teller)]
            found[name] += any(re.search(pattern, text) for pattern in phrases)
    assert sum(found.values()) / sum(held.values()) > 0.95
    assert sum(found.values()) < sum(held.values())


def _phrases(words, name):
    p = words.conditions[name]
    for text in (*p.statements, *p.clinical, *p.short, *p.features):
        plain = text.lower().translate(str.maketrans(words.respelled))
        yield re.sub(r"\\\{\w+\\\}", ".+", re.escape(plain))


def test_what_german_reports_deny_is_absent(told):
    denied = {
        r"kein vorhofflimmern": {"atrial-fibrillation"},
        r"kein(e)? schenkelblock": {
            "left-bundle-branch-block",
            "right-bundle-branch-block",
            "incomplete-right-bundle-branch-block",
        },
        r"kein av-block|keine av-blockierung": {name for name in CONDITIONS if "av-block" in name},
        r"keine st-hebung": {name for name in CONDITIONS if name.startswith("acute") or name == "pericarditis"},
        r"keine extrasystol": {name for name in CONDITIONS if "premature" in name or "eminy" in name},
        r"keine qt-verl": {"long-qt"},
        r"kein anhalt für linkshypertrophie|keine kammerhypertrophie": {
            "left-ventricular-hypertrophy",
            "right-ventricular-hypertrophy",
        },
        r"keine negativen t|t-wellen positiv|\bt normal": {"t-wave-inversion", "ischaemic-st-depression", "hyperkalaemia"},
        r"elektrische achse normal": {"left-axis-deviation", "right-axis-deviation"},
        r"schmale qrs-komplexe\b(?!.*bei)": {"left-bundle-branch-block", "right-bundle-branch-block", "paced-rhythm"},
    }
    seen = Counter()
    for record in told("de"):
        for pattern, absent in denied.items():
            if re.search(pattern, record.report.lower()):
                seen[pattern] += 1
                assert names_of(record).isdisjoint(absent), pattern
    assert set(seen) == set(denied)


@pytest.mark.parametrize(
    ("language", "verdict"),
    [("de", r"(?<!sonst )(?<!übrigen )(?<!uebrigen )normales ekg"), ("en-statements", r"(?<!otherwise )normal ecg")],
)
def test_only_normal_records_are_called_normal_without_reserve(told, language, verdict):
    called = [r for r in told(language) if re.search(rf"\b{verdict}", r.report.lower()) and "abnormal" not in r.report.lower()]
    called = [r for r in called if not re.search("altersentsprechend|noch normales", r.report.lower())]
    assert len(called) > 100
    assert all(r.labels == ("sim:normal",) for r in called)


def test_an_otherwise_normal_ecg_has_nothing_serious(told):
    mild = {"sinus-bradycardia", "sinus-tachycardia", "sinus-arrhythmia", "atrial-premature-beats", "ventricular-premature-beats"}
    mild |= {"left-axis-deviation", "right-axis-deviation", "low-voltage", "first-degree-av-block"}
    mild |= {"left-anterior-fascicular-block", "incomplete-right-bundle-branch-block"}
    for language, verdict in (("de", "sonst normales ekg"), ("en-statements", "otherwise normal ecg")):
        called = [names_of(r) for r in told(language) if verdict in r.report.lower()]
        assert len(called) > 20
        assert all(names <= mild for names in called)


def test_the_axis_type_in_a_german_report_is_that_of_the_axis(told):
    types = {"überdrehter linkstyp": (-100, -30), "(?<!überdrehter )linkstyp(?! über)": (-30, 8), "steiltyp": (60, 90)}
    seen = Counter()
    for record in told("de"):
        for pattern, (low, high) in types.items():
            deviates = names_of(record) & {"left-axis-deviation", "right-axis-deviation"}
            if re.search(rf"{pattern}\b", record.report.lower()) and not deviates:
                seen[pattern] += 1
                assert low <= record.truth["axis_deg"] <= high
    assert len(seen) >= 2


def test_rates_in_german_reports_are_the_truth(told):
    quoted = [
        (int(n), r) for r in told("de") for n in re.findall(r"(\d+)/min", r.report.lower()) if "unter" not in r.report.lower()
    ]
    quoted = [(n, r) for n, r in quoted if "über 100" not in r.report.lower()]
    assert len(quoted) > 200
    assert all(n == round(r.truth["rate_bpm"]) for n, r in quoted)


def test_leads_that_a_report_names_show_it_in_the_signal():
    """T waves called negative are negative where the clean signal has its T; ST called raised is raised 60 ms after J."""
    for name, finding, sign in (("t-wave-inversion", "t_negative", -1), ("acute-inferior-infarction", "st_up", 1)):
        for seed in range(4):
            heart = CONDITIONS[name].change(person(seed).heart, np.random.default_rng(seed))
            found = getattr(lead_findings(conducted(heart), heart), finding)
            assert len(found) > 1
            record = simulate(seed, [name], patient=seed, noise=0.0)
            for lead in found[:2]:
                level = _level(record, lead, finding)
                assert sign * level > 0.02, (name, lead)


def _level(record, lead, finding):
    """Millivolts against the PR segment: the largest deflection of T, or ST 60 ms after the end of QRS."""
    trace = record.signal[record.leads.index(lead)]
    start = round(record.truth["qrs_times"][2] * record.rate)
    ground = trace[start - 8 : start - 2].mean()
    j = start + round(record.truth["qrs_ms"] / 1000 * record.rate)
    if finding == "st_up":
        return trace[j + 20 : j + 30].mean() - ground
    t = trace[j + 50 : start + round(record.truth["qt_ms"] / 1000 * record.rate)] - ground
    return t[np.abs(t).argmax()]


def test_old_infarction_has_q_waves_in_its_own_leads():
    wall = {"inferior": {"II", "III", "aVF"}, "lateral": {"I", "aVL", "V5", "V6"}, "anterior": {"V1", "V2", "V3", "V4"}}
    for name, own in wall.items():
        condition = CONDITIONS[f"old-{name}-infarction"]
        found = Counter()
        for key in range(20):
            heart = condition.change(person(key).heart, np.random.default_rng(key))
            found.update(lead_findings(conducted(heart), heart).q)
        assert sum(found[lead] for lead in own) > 0.75 * sum(found.values()) > 15
    healthy = [person(key).heart for key in range(60)]
    assert sum(bool(lead_findings(conducted(h), h).q) for h in healthy) <= 6


def test_lists_of_leads_are_written_as_readers_do():
    leads = ("I", "aVL", "V2", "V4", "V5", "V6")
    assert listed(leads, "range") == "I, aVL, V2, V4-V6"
    assert listed(leads, "short_range") == "I, aVL, V2, V4-6"
    assert listed(leads, "commas") == "I, aVL, V2, V4,5,6"


@pytest.mark.parametrize(
    ("degrees", "name"),
    [
        (-45, "extreme-left"),
        (-10, "left"),
        (45, "normal"),
        (75, "steep"),
        (110, "right"),
        (150, "extreme-right"),
        (-120, "extreme-right"),
    ],
)
def test_axis_types(degrees, name):
    assert registers.axis_type(degrees) == name


def test_statements_follow_the_recorder_s_order(told):
    """Premature beats, rhythm, AV block, axis, bundle: where a German statement register has several, in this order."""
    order = ["extrasystole(n)", "sinusrhythmus", "a-v block i", "linkstyp", "schenkelblock", "qrs(t) abnorm", "qt-verl"]
    pairs = 0
    for record in told("de"):
        text = record.report.lower()
        if "extrasystole(n)" in text or "a-v block i " in text:
            places = [text.index(word) for word in order if word in text]
            pairs += len(places) > 1
            assert places == sorted(places), text
    assert pairs > 30


def test_findings_without_leads_are_none():
    assert LeadFindings() == LeadFindings((), (), (), (), ())
    assert set(LANGUAGES) == {"en", *WORDED}
