"""Real files of the vendors against what their devices printed: rate, QRS axis and width, measured here on what was read."""

from __future__ import annotations

import numpy as np
import pytest

from cmelt.records.readers import read_ecg
from cmelt.records.record import Record, without_calibration

FILES = (
    "ge-muse-xml/muse-sinus.xml",
    "philips-sierra-xml/129DYPRG.XML",
    "philips-sierra-xml/2020-5-18_15-48-11.xml",
    "philips-sierra-xml/ad4d3d80-d165_1-04_orig.xml",
    "hl7-aecg/subject1_0.xml",
)
each_file = pytest.mark.parametrize("name", FILES)


@pytest.fixture
def record(name: str, data_dir) -> Record:
    return without_calibration(read_ecg(data_dir / "vendor-formats" / name))


def r_peaks(record: Record) -> np.ndarray:
    """Samples of the R peaks: where all leads together are steepest, 300 ms apart at least."""
    width = round(0.04 * record.rate)
    steepness = np.abs(np.gradient(np.nan_to_num(record.signal), axis=1)).sum(axis=0)
    smooth = np.convolve(steepness, np.ones(width) / width, "same")
    ordered = np.argsort(smooth)[::-1]
    peaks: list[int] = []
    for sample in ordered[smooth[ordered] > 0.4 * np.quantile(smooth, 0.99)]:
        if all(abs(int(sample) - peak) > 0.3 * record.rate for peak in peaks):
            peaks.append(int(sample))
    return np.sort(peaks)


def median_beat(record: Record) -> np.ndarray:
    """The median of what is 200 ms about the R peaks, [leads, samples]."""
    half = round(0.2 * record.rate)
    inside = [peak for peak in r_peaks(record) if half <= peak < record.signal.shape[1] - half]
    return np.median([record.signal[:, peak - half : peak + half] for peak in inside], axis=0)


def qrs(beat: np.ndarray, rate: float, share: float) -> slice:
    """Where all leads together are steeper than `share` of the steepest, about the middle of `beat`."""
    steepness = np.convolve(np.abs(np.gradient(beat, axis=1)).sum(axis=0), np.ones(3) / 3, "same")
    rest, middle = np.quantile(steepness, 0.2), beat.shape[1] // 2
    steep = np.flatnonzero(steepness > rest + share * (steepness.max() - rest))
    near = steep[np.abs(steep - middle) < 0.1 * rate]
    return slice(int(near[0]), int(near[-1]) + 1)


@each_file
def test_the_rate_is_the_one_that_was_printed(record, data_dir, name):
    peaks = r_peaks(record)
    if "heart_rate_bpm" in record.measurements:
        beats = 60 * record.rate / np.median(np.diff(peaks))
        assert beats == pytest.approx(record.measurements["heart_rate_bpm"], rel=0.05)
    else:  # the aECG prints no rate, and annotates beat by beat
        assert len(peaks) == (data_dir / "vendor-formats" / name).read_text().count('code="MDC_ECG_BEAT"')


@each_file
def test_the_axis_of_the_qrs_is_the_one_that_was_printed(record):
    beat = median_beat(record)
    within, before = qrs(beat, record.rate, 0.12), round(0.024 * record.rate)
    level = beat[:, within.start - before : within.start - before // 4].mean(axis=1, keepdims=True)
    area = dict(zip(record.leads, (beat - level)[:, within].sum(axis=1), strict=True))
    axis = np.degrees(np.arctan2(2 / np.sqrt(3) * area["aVF"], area["I"]))
    apart = (axis - record.measurements["qrs_axis_deg"] + 180) % 360 - 180
    assert abs(apart) < 20, axis


@each_file
def test_the_qrs_is_as_wide_as_was_printed(record):
    within = qrs(median_beat(record), record.rate, 0.05)
    milliseconds = 1000 * (within.stop - within.start) / record.rate
    assert milliseconds == pytest.approx(record.measurements["qrs_ms"], abs=20)
