"""A fingerprint of one ECG that its copies share: at another rate, gain, resolution, in another order of leads.

256 signs: each of the eight independent leads (I, II, V1…V6), in the first and in the second five seconds, is held against
16 fixed waveforms of 2–15 Hz. A sign does not change with the gain, a band does not change with the rate, and nothing below
2 Hz (drift, high-pass filters) or above 15 Hz (mains, muscle, low-pass filters) takes part.

Written as 64 hexadecimal digits, four for each lead and stretch; "0000" stands for one that was not measured, so that records
with fewer leads, or shorter ones, are compared in what they share. Copies differ in a few bits (`cmelt.store.copies` knows in
how many), other records in about half. What the fingerprint does not survive: another beginning (it starts where the record
starts), a turned sign of all leads, delays beyond some 5 ms.

Sums are of whole numbers, exact in float64, so that a fingerprint is the same on every machine.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cmelt.records.leads import derive_limb_leads
from cmelt.records.record import Record, Signal, without_calibration

#: The leads that the others follow from.
FINGERPRINT_LEADS: tuple[str, ...] = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
STRETCH_SECONDS = 5.0
STRETCHES = 2
BITS_PER_WORD = 16
WORDS = STRETCHES * len(FINGERPRINT_LEADS)
#: Fewer words say too little to tell records apart: two leads of ten seconds, or four of five.
FEWEST_WORDS = 4

_BAND_HZ = (2.0, 15.0)
#: Averaged down to this rate or a little more first: the averages let through what the band holds.
_COARSE_HZ = 100.0
_EDGE_SECONDS = 0.5
#: Records that begin or end with this much of nothing in all leads were padded: the fingerprint begins where they begin.
_PADDING_SECONDS = 0.25
#: A lead may lack this share of a stretch; the gap is bridged.
_LARGEST_GAP_SHARE = 0.1
#: Samples are counted in nanovolts; beyond some volts nothing is told apart, so that sums stay below 2^53.
_STEPS_PER_MILLIVOLT, _LARGEST_STEPS = np.float32(1e6), 1e10
#: The waveforms' band needs a few samples a period.
_LOWEST_RATE_HZ = 40.0


def fingerprint(record: Record) -> str:
    """The fingerprint of `record`: 64 hexadecimal digits, or "" where there is too little of it.

    "" is returned for records shorter than 5 s, sampled below 40 Hz, or with fewer than two leads out of I, II, V1…V6 (four,
    where it is shorter than 10 s) that carry anything. I or II that is lacking is computed where two other limb leads are there.
    """
    if record.rate < _LOWEST_RATE_HZ:
        return ""
    record = without_calibration(record)
    if not {"I", "II"} <= set(record.leads):
        record, _ = derive_limb_leads(record)
    begin, end = measured_stretch(record.signal, record.rate)
    block = int(record.rate // _COARSE_HZ) or 1
    waveforms = _waveforms(float(record.rate), block)  # [stretches, leads, blocks, bits]
    length = waveforms.shape[2] * block
    present = [place for place, lead in enumerate(FINGERPRINT_LEADS) if lead in record.leads]
    rows = [record.leads.index(FINGERPRINT_LEADS[place]) for place in present]
    stretches = np.zeros((STRETCHES, len(FINGERPRINT_LEADS), length), dtype=np.float32)  # zeros get the word 0
    for stretch in range(STRETCHES):
        start = begin + round(stretch * STRETCH_SECONDS * record.rate)
        if start + length <= end:
            stretches[stretch, present] = record.signal[rows, start : start + length]
    words = _signs(stretches, block, waveforms)
    if np.count_nonzero(words) < FEWEST_WORDS:
        return ""
    return words.astype(">u2").tobytes().hex()


def exact_name(record: Record) -> str:
    """What records have in common whose leads, rate and samples, to the microvolt, are the same: a hash, for any record."""
    digest = hashlib.sha256(f"{record.rate:g} {record.signal.shape[1]}".encode())
    for lead, row in sorted(zip(record.leads, record.signal, strict=True), key=lambda pair: pair[0]):
        digest.update(lead.encode())
        steps = np.nan_to_num(row.astype(np.float64) * 1000, nan=np.inf)  # NaN as nothing that is measured
        digest.update((np.rint(steps) + 0.0).astype("<f8").tobytes())  # -0 as 0
    return digest.hexdigest()


def _signs(stretches: Signal, block: int, waveforms: NDArray[np.float64]) -> NDArray[np.uint16]:
    """A word [stretches, leads] for each of `stretches` [stretches, leads, blocks · block], in mV, which become whole steps,
    against its `waveforms` [stretches, leads, blocks, bits]; 0 where there is nothing to measure."""
    with np.errstate(over="ignore", invalid="ignore"):
        stretches *= _STEPS_PER_MILLIVOLT
        np.rint(stretches, out=stretches)
        coarse = stretches[..., ::block].astype(np.float64)
        for offset in range(1, block):
            coarse += stretches[..., offset::block]
    finite = np.isfinite(coarse)
    if not finite.all():
        for stretch, lead in np.argwhere(~finite.all(axis=-1)).tolist():
            coarse[stretch, lead] = _bridged(coarse[stretch, lead])
    np.clip(coarse, -_LARGEST_STEPS, _LARGEST_STEPS, out=coarse)
    coarse -= np.rint(coarse.mean(axis=-1, keepdims=True))
    signs = (coarse[:, :, None, :] @ waveforms)[:, :, 0] > 0  # [stretches, leads, bits]
    words = np.packbits(signs, axis=-1).view(">u2")[..., 0].astype(np.uint16)
    return np.where(coarse.any(axis=-1), np.maximum(words, 1), 0).astype(np.uint16)


def _bridged(row: NDArray[np.float64]) -> NDArray[np.float64]:
    """`row` with its gaps interpolated, in whole numbers; zeros where they are too large."""
    finite = np.isfinite(row)
    if np.count_nonzero(finite) < (1 - _LARGEST_GAP_SHARE) * row.size:
        return np.zeros(row.size)
    places = np.arange(row.size)
    return np.rint(np.interp(places, places[finite], row[finite]))


def measured_stretch(signal: Signal, rate: float) -> tuple[int, int]:
    """First sample of `signal` [leads, samples] and the one after the last, constant padding of all leads left out."""
    samples = signal.shape[1]
    shortest = round(_PADDING_SECONDS * rate)
    begin, end = 0, samples
    if samples <= shortest or not (_stands(signal[:, :shortest]) or _stands(signal[:, -shortest:])):
        return begin, end
    moves = np.flatnonzero(_differ(signal[:, 1:], signal[:, :-1]).any(axis=0))
    if moves.size == 0:
        return 0, 0
    if moves[0] + 1 >= shortest:
        begin = int(moves[0]) + 1
    if samples - 1 - moves[-1] >= shortest:
        end = int(moves[-1]) + 1
    return begin, end


def _stands(signal: Signal) -> bool:
    """Whether nothing moves in any lead of `signal` [leads, samples]."""
    # Of nearly every record the ends of the stretch tell already; NaN is neither below nor above.
    if any(first < last or first > last for first, last in zip(signal[:, 0].tolist(), signal[:, -1].tolist(), strict=True)):
        return False
    return not _differ(signal[:, 1:], signal[:, :-1]).any()


def _differ(first: Signal, second: Signal) -> NDArray[np.bool_]:
    return (first != second) & ~(np.isnan(first) & np.isnan(second))


@lru_cache(maxsize=12)
def _waveforms(rate: float, block: int) -> NDArray[np.float64]:
    """What leads are held against: whole numbers [stretches, leads, blocks, bits], the same in time at every rate.

    A block is `block` samples at `rate` Hz; its waveforms are taken at its middle.
    """
    blocks = int(round(STRETCH_SECONDS * rate, 6)) // block
    time = (np.arange(blocks) * block + (block - 1) / 2) / rate  # the middle of each block, s
    low, high = (round(edge * STRETCH_SECONDS) for edge in _BAND_HZ)
    turns = 2 * np.pi * time[:, None] * np.arange(low, high + 1) / STRETCH_SECONDS
    sines = np.concatenate([np.cos(turns), np.sin(turns)], axis=1)  # [blocks, 2 frequencies]
    waves = sines @ _weights(sines.shape[1])
    edge = np.clip(np.minimum(time, STRETCH_SECONDS - time) / _EDGE_SECONDS, 0, 1)
    waves *= np.sin(np.pi / 2 * edge)[:, None] ** 2
    waves -= waves.mean(axis=0)
    whole = np.rint(100 * waves / np.sqrt(np.mean(waves**2, axis=0)))
    shaped = whole.reshape(blocks, STRETCHES, len(FINGERPRINT_LEADS), BITS_PER_WORD)
    return np.ascontiguousarray(shaped.transpose(1, 2, 0, 3))


def _weights(count: int) -> NDArray[np.float64]:
    """Fixed normal deviates [count, bits of a fingerprint], by Box and Muller from a hash: no generator can change them."""
    bits = WORDS * BITS_PER_WORD
    raw = hashlib.shake_128(b"cmelt fingerprint 1").digest(8 * count * bits)
    uniform = (np.frombuffer(raw, dtype="<u4").reshape(2, count, bits) + 0.5) / 2.0**32
    return np.asarray(np.sqrt(-2 * np.log(uniform[0])) * np.cos(2 * np.pi * uniform[1]))
