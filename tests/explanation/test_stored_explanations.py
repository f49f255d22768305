"""Kept evidence is drawn over the ECG that it is of, under whatever name and in whatever form, and over no other."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from cmelt.drawing.paper import Paper
from cmelt.drawing.sheet import sheet_of
from cmelt.errors import ConfigError
from cmelt.explanation import Explanation, mark_of, read_explanation
from cmelt.records.record import LEADS, Record
from cmelt.records.resample import resample
from ecg_files import heart


def ecg(seed: int = 1, seconds: float = 10.0, rate: float = 500.0, leads: tuple[str, ...] = LEADS) -> Record:
    whole = heart(seed, seconds=seconds, rate=rate)
    return Record(whole[[LEADS.index(lead) for lead in leads]], rate, leads, identifier="somebody")


def explanation(record: Record, rate: float = 100.0) -> Explanation:
    samples = round(record.seconds * rate)
    values = np.random.default_rng(0).normal(size=(12, samples)).astype(np.float32)
    seconds = np.arange(samples) / rate
    return Explanation("atrial-fibrillation", LEADS, seconds, values, 0.4, 0.1, "occlusion", ("a note",), mark_of(record))


@pytest.fixture
def kept(tmp_path):
    path = tmp_path / "why.json"
    path.write_text(json.dumps(explanation(ecg()).to_json()))
    return path


def test_what_was_kept_reads_back(kept):
    found, before = read_explanation(kept, ecg()), explanation(ecg())
    assert (found.what, found.leads, found.method, found.score, found.baseline, found.notes, found.ecg) == (
        before.what, before.leads, before.method, before.score, before.baseline, before.notes, before.ecg
    )  # fmt: skip
    np.testing.assert_allclose(found.values, before.values, rtol=1e-5)
    np.testing.assert_allclose(found.seconds, before.seconds, atol=1e-9)


def test_drawn_again_its_bars_are_where_they_were(kept):
    sheets = [sheet_of(ecg(), Paper("12x1"), one) for one in (explanation(ecg()), read_explanation(kept, ecg()))]
    outlines = [[mark.outline for mark in sheet.marks if getattr(mark, "ink", "").startswith("speaks")] for sheet in sheets]
    assert len(outlines[0]) == len(outlines[1]) > 100
    for first, second in zip(*outlines, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-3)


@pytest.mark.parametrize(
    "copy",
    [
        lambda one: replace(one, identifier="another name", patient="P7"),
        lambda one: replace(one, signal=np.rint(one.signal * 200) / np.float32(200)),
        lambda one: replace(one, signal=resample(one.signal, 500.0, 250.0), rate=250.0),
        lambda one: replace(one, signal=one.signal[::-1].copy(), leads=one.leads[::-1]),
        lambda one: replace(one, signal=one.signal[:9].copy(), leads=one.leads[:9]),
    ],
    ids=["another name", "coarser steps", "another rate", "leads in another order", "fewer leads"],
)
def test_the_same_ecg_in_another_form_is_the_same(kept, copy):
    assert read_explanation(kept, copy(ecg())).what == "atrial-fibrillation"


@pytest.mark.parametrize(
    "other",
    [
        ecg(2),
        replace(ecg(2), identifier="somebody"),
        replace(ecg(), signal=-ecg().signal),
        replace(ecg(), signal=np.roll(ecg().signal, 1000, axis=1)),
        ecg(1, seconds=20.0),
        replace(ecg(), signal=ecg().signal[[1, 0, *range(2, 12)]]),
    ],
    ids=["another heart", "of the same name", "upside down", "another beginning", "longer", "leads exchanged"],
)
def test_another_ecg_is_refused(kept, other):
    with pytest.raises(ConfigError, match="explains another ECG"):
        read_explanation(kept, other)


@pytest.mark.parametrize(("seconds", "leads"), [(4.0, LEADS), (10.0, ("II",))])
def test_what_is_too_little_for_a_fingerprint_is_known_by_every_sample(tmp_path, seconds, leads):
    own = ecg(1, seconds, leads=leads)
    assert mark_of(own).fingerprint == ""
    path = tmp_path / "why.json"
    path.write_text(json.dumps(explanation(own).to_json()))
    assert read_explanation(path, own).ecg == mark_of(own)
    touched = own.signal.copy()
    touched[0, 7] += 0.001
    for other in (ecg(2, seconds, leads=leads), replace(own, signal=touched)):
        with pytest.raises(ConfigError, match="another ECG"):
            read_explanation(path, other)


def test_gaps_are_part_of_the_signal():
    gappy = ecg().signal.copy()
    gappy[3, 100:200] = np.nan
    with_gap = replace(ecg(), signal=gappy)
    assert mark_of(with_gap) == mark_of(replace(with_gap)) and mark_of(with_gap).sha256 != mark_of(ecg()).sha256


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda told: told.pop("ecg"), "does not say which ECG"),
        (lambda told: told.pop("values"), "no explanation"),
        (lambda told: told.update(values=told["values"][:3]), "no explanation"),
        (lambda told: told.update(values=[["x"]]), "no explanation"),
        (lambda told: told.update(rate=0), "no explanation"),
        (lambda told: told.update(method="guess"), "no explanation"),
        (lambda told: told["ecg"].update(seconds="ten"), "ecg.seconds"),
        (lambda told: told["ecg"].pop("sha256"), "ecg.sha256"),
    ],
)
def test_what_is_no_explanation_of_ours_is_refused_and_named(kept, change, said):
    told = json.loads(kept.read_text())
    change(told)
    kept.write_text(json.dumps(told))
    with pytest.raises(ConfigError, match=said) as caught:
        read_explanation(kept, ecg())
    assert str(kept) in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", "3", "{", "[" * 100_000])
def test_what_is_no_json_object_is_refused(kept, content):
    kept.write_text(content)
    with pytest.raises(ConfigError, match=r"why\.json"):
        read_explanation(kept)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_explanation(kept.with_name("gone.json"))
