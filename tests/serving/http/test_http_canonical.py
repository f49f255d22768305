"""The canonical form says what was measured, to the microvolt, and refuses what is not whole."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records.record import LEADS
from cmelt.serving.http import canonical
from cmelt.serving.http.service import drawable
from ecg_files import record


def header_of(content: bytes) -> dict:
    length = struct.unpack_from("<I", content)[0]
    return json.loads(content[4 : 4 + length])


def test_what_comes_back_is_the_record_to_half_a_microvolt():
    one = record(1, rate=500.0)
    content = drawable(one)
    back = canonical.record_in(content)
    np.testing.assert_allclose(back.signal, one.signal, atol=0.00051)
    assert (back.leads, back.rate) == (LEADS, 500.0)
    head = header_of(content)
    assert (head["format"], head["version"], head["samples"], head["microvolts_per_step"]) == ("cmelt-ecg", 1, 5000, 1.0)
    assert canonical.recognises(content[: canonical.HEAD_BYTES])


def test_leads_stand_in_their_order_and_those_that_two_others_imply_are_there():
    two = record(2, leads=("V5", "II", "I"))
    head = header_of(drawable(two))
    assert head["leads"] == ["I", "II", "III", "aVR", "aVL", "aVF", "V5"]
    assert head["missing"] == ["V1", "V2", "V3", "V4", "V6"]
    assert "derived:aVF" in head["flags"] and "missing:aVF" not in head["flags"] and "missing:V1" in head["flags"]
    back = canonical.record_in(drawable(two))
    np.testing.assert_allclose(back.signal[back.leads.index("V5")], two.signal[0], atol=0.00051)


def test_what_was_not_measured_comes_back_as_such():
    signal = record(3).signal.copy()
    signal[2, 100:150] = np.nan
    gappy = replace(record(3), signal=signal)
    back = canonical.record_in(canonical.canonical_ecg(gappy, (), (), {}))
    np.testing.assert_array_equal(np.isnan(back.signal), np.isnan(signal))
    empty = replace(record(3), signal=np.full((12, 1000), np.nan, np.float32))
    assert np.isnan(canonical.record_in(canonical.canonical_ecg(empty, (), (), {})).signal).all()


@pytest.mark.parametrize(("offset", "step"), [(0.0, 1.0), (30.0, 1.0), (60.0, 2.0), (140.0, 5.0), (300.0, 10.0), (600.0, 20.0)])
def test_an_electrode_s_offset_makes_the_steps_wider_and_cuts_nothing_off(offset, step):
    signal = np.zeros((12, 1000), np.float32)
    signal[0] = offset
    one = replace(record(4), signal=signal)
    content = canonical.canonical_ecg(one, (), (), {})
    assert header_of(content)["microvolts_per_step"] == step
    assert canonical.record_in(content).signal[0, 0] == pytest.approx(offset)


def test_one_absurd_number_takes_nothing_from_the_other_samples():
    signal = record(6).signal.copy()
    signal[7, 30] = 1e30
    one = replace(record(6), signal=signal)
    back = canonical.record_in(drawable(one))
    assert np.isnan(back.signal[7, 30]) and header_of(drawable(one))["microvolts_per_step"] == 1
    np.testing.assert_allclose(back.signal[:7], record(6).signal[:7], atol=0.00051)


def altered(**changes) -> bytes:
    content = drawable(record(5))
    length = struct.unpack_from("<I", content)[0]
    head = json.dumps({**header_of(content), **changes}).encode()
    return struct.pack("<I", len(head)) + head + content[4 + length :]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x01", b"\xff\xff\xff\xff{", struct.pack("<I", 4) + b"{]}x", struct.pack("<I", 2) + b"[]",
        struct.pack("<I", 200_000) + b"[" * 200_000, altered(version=2), altered(format="other"), altered(samples=999),
        altered(samples=10**12), altered(samples="many"), altered(leads=["I"] * 12), altered(leads=3), altered(leads=[]),
        altered(rate=0), altered(rate="NaN"), altered(microvolts_per_step=0), altered(microvolts_per_step=1e9),
        drawable(record(5))[:-1],
    ],
)  # fmt: skip
def test_what_is_cut_off_or_contradicts_itself_is_refused(content):
    with pytest.raises(RecordError):
        canonical.record_in(content)
