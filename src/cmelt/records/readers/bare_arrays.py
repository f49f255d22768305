"""Records from named arrays (MATLAB, NumPy, HDF5, tables): the signal found by its name and set upright.

Whatever of rate, unit and leads the file does not state must come from the caller: nothing is guessed from sizes or amplitudes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmelt.errors import RecordError
from cmelt.records.readers.limits import refuse_size
from cmelt.records.readers.options import ReadOptions, settle_leads, settle_rate, settle_unit
from cmelt.records.readers.stated import SIGNAL_NAMES, Stated, facts_of, plain, unit_name
from cmelt.records.record import Record
from cmelt.records.units import refuse_impossible_amplitude, units_per_millivolt

_NAMES = "signal, ecg, data or val"


def record_of(named: Mapping[str, object], options: ReadOptions, path: Path) -> Record:
    """The record among `named` values: an array called signal, ecg, data, val or tracings, and what stands beside it.

    Values are arrays, texts, lists of texts, or mappings of these (a struct or group, where the top level has no signal).

    Raises:
        RecordError: no signal or several, something unsaid, or numbers that are no ECG.
    """
    where = str(path)
    holder = _holder(named, where)
    signals = [value for name, value in holder.items() if _is_signal(name, value)]
    if len(signals) != 1:
        raise RecordError(where, "holds more than one array that may be the signal", f"call the one array {_NAMES}")
    facts = {name: value for name, value in holder.items() if plain(name) not in SIGNAL_NAMES}
    array = signals[0]
    if not isinstance(array, np.ndarray):
        raise RecordError(where, "holds no array under the signal's name", f"call the one array {_NAMES}")
    return record_from(array, facts_of(facts, where), options, path)


def record_from(array: NDArray[Any], stated: Stated, options: ReadOptions, path: Path, *, is_upright: bool = False) -> Record:
    """The record of `array` ([leads, samples] or [samples, leads]), with what the file states and the caller knows.

    `is_upright` where the format itself says that it is [leads, samples].

    Raises:
        RecordError: something stays unsaid, or the array is no ECG.
    """
    where = str(path)
    if options.unit is not None:
        options = replace(options, unit=unit_name(options.unit))
    upright = array if is_upright else set_upright(array, stated.leads or options.leads, where)
    refuse_size(upright.shape[0], upright.shape[1], where)
    leads = settle_leads(stated.leads, options, upright.shape[0], where)
    rate = settle_rate(stated.rate, options, where)
    per_millivolt = units_per_millivolt(settle_unit(stated.unit, options, where), where)
    signal = np.empty(upright.shape, dtype=np.float32)
    for row, numbers in enumerate(upright):  # lead by lead: no second copy of the whole in float64
        with np.errstate(over="ignore", invalid="ignore"):
            signal[row] = numbers.astype(np.float64) / per_millivolt
        if np.isinf(signal[row]).any():
            raise RecordError(where, "holds infinite values", "write NaN where nothing was measured")
    refuse_impossible_amplitude(signal, where)
    patient = stated.patient if options.identity else None
    return Record(
        signal, rate, leads, path.stem, report=stated.report, patient=patient, age=stated.age, sex=stated.sex, origin=where
    )


def set_upright(array: NDArray[Any], names: Sequence[str] | None, where: str) -> NDArray[Any]:
    """`array` as [leads, samples]: as it is, or transposed where the number of `names` is that of its other axis alone.

    Raises:
        RecordError: not real numbers, more than one record, unnamed leads, or an array that could be read both ways.
    """
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise RecordError(where, f"holds values of type {array.dtype.name[:20]}, not real numbers", "write float32 or int16")
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 3:
        raise many_records(where)
    if array.ndim == 1:
        array = array[np.newaxis]
    if array.ndim != 2:
        raise RecordError(where, f"holds an array of {array.ndim} dimensions", "write [leads, samples]")
    if names is None:
        raise RecordError(where, "does not name its leads", "say them: --leads I,II,III,…, or ReadOptions(leads=…)")
    rows, columns = array.shape
    if rows == columns == len(names):
        raise RecordError(where, "has as many samples as leads, so either axis may be the leads", "write a longer record")
    return array.T if columns == len(names) else array


def many_records(where: str) -> RecordError:
    """What to say of an array of many records."""
    remedy = "CODE's files are read by `cmelt prepare code-15` and `cmelt prepare code-test`; of others write one file a record"
    return RecordError(where, "holds many records in one array", remedy)


def _is_signal(name: str, value: object) -> bool:
    """Whether it bears a signal's name and is no structure around one ("ECG" may be either)."""
    return plain(name) in SIGNAL_NAMES and not isinstance(value, Mapping)


def _holder(named: Mapping[str, object], where: str) -> Mapping[str, object]:
    """`named` itself, or the one structure in it that has the signal; what the top level states counts for it, too."""
    if any(_is_signal(name, value) for name, value in named.items()):
        return named
    inner = [value for value in named.values() if isinstance(value, Mapping)]
    with_signal = [value for value in inner if any(_is_signal(name, found) for name, found in value.items())]
    if len(with_signal) > 1:
        raise RecordError(where, "holds several structures with a signal", "write one record a file")
    if not with_signal:
        raise RecordError(where, "holds no signal that is known by its name", f"call the array {_NAMES}")
    # The added spaces keep both where both state something, so that a contradiction is seen.
    above = {f"{name}  ": value for name, value in named.items() if not isinstance(value, Mapping)}
    return {**above, **with_signal[0]}
