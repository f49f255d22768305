"""`cmelt.explain`: where in an ECG the evidence for a class lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from cmelt.errors import ConfigError, RecordError
from cmelt.evaluation.prompts import statements
from cmelt.evaluation.prompts.abbreviations import known_statement
from cmelt.evaluation.tasks import Task
from cmelt.explanation import (
    METHODS,
    Explanation,
    Method,
    RecordScore,
    direction_of,
    flat_lines,
    integrated_gradients,
    mark_of,
    occlusion,
)
from cmelt.records.readers import ReadOptions, read_ecg
from cmelt.records.readers.options import NOTHING_GIVEN
from cmelt.records.record import LEADS, Record
from cmelt.records.standard import windows
from cmelt.serving.classes import task_of
from cmelt.serving.engine import Described, describe
from cmelt.serving.processor import CMeltProcessor
from cmelt.serving.typed_lines import told_of, typed_lines, understood

if TYPE_CHECKING:
    from cmelt.evaluation.tasks.loading import Scoring
    from cmelt.model.towers import Towers

#: One class: a bundled statement by name or abbreviation, own texts, a task of one class, or what `describe` made of one.
What = str | Sequence[str] | Task | Described
#: Windows of the model's length that a record may have: integrated gradients run through the model a hundred times.
MOST_WINDOWS = 12
#: Length of what occlusion takes away, s: about a QRS complex, or a T wave.
STRETCH = 0.2


def explain(
    model: Towers,
    processor: CMeltProcessor,
    record: Record | str | Path,
    what: What,
    *,
    method: Method = "integrated-gradients",
    scoring: Scoring | None = None,
    options: ReadOptions = NOTHING_GIVEN,
) -> Explanation:
    """What in an ECG speaks for a class and what against it, as far as the model's score goes.

    Args:
        record: a Record (`cmelt.record_of` makes one of an array), or the file of one; of at most `MOST_WINDOWS` windows.
        what: a bundled statement ("atrial-fibrillation", "afib"), a line that somebody typed ("is there a delta wave?", as
            `cmelt.typed_lines` takes it), or texts of one's own in a list (["there is a delta wave"]); a task of one class; or
            what `cmelt.describe` made of one.
        method: "integrated-gradients": the gradient along the way from flat lines to the ECG; adds up to score − baseline.
            "occlusion": what the score loses where 0.2 s of one lead are made flat.
        scoring: as for `cmelt.classify`; the score that is explained is the one it gives.
        options: what a file leaves unsaid (rate, unit, leads).
    Raises:
        RecordError: no ECG, no usable lead, or one that is too long.
        ConfigError: not one class, an unknown method, no captum, or gradients asked of a model in reduced precision.

    Example:
        >>> found = cmelt.explain(model, processor, "patient.dcm", "atrial-fibrillation")  # doctest: +SKIP
        >>> cmelt.plot("patient.dcm", "page.pdf", evidence=found)  # doctest: +SKIP
    """
    if method not in METHODS:
        raise ConfigError("method", f"{method!r} is none", f"choose {' or '.join(METHODS)}")
    if model.training:
        raise ConfigError("model", "is in training mode: its dropout would be noise", "call model.eval() first")
    if method == "integrated-gradients":
        _refuse_reduced_precision(model)
    described = what if isinstance(what, Described) else describe(model, processor, _task(what))
    name = _one_class(described)
    whole = record if isinstance(record, Record) else read_ecg(record, options)
    starts, measured, ecg, notes = _windows(whole, processor)
    notes += told_of(described.task)
    place = next(model.ecg_encoder.parameters())
    direction = direction_of(described.prompts, scoring or described.task.headline)
    score = RecordScore(model.embed_ecg, torch.as_tensor(direction).to(place))
    shown, flat = (torch.from_numpy(one).to(place.device) for one in (ecg, flat_lines(ecg, measured)))
    if method == "occlusion":
        values = occlusion(score, shown, flat, round(STRETCH * processor.settings.ecg.rate))
    else:
        values, error = integrated_gradients(score, shown, flat)
        notes.append(f"the evidence adds up to score − baseline within {abs(error):.4f}")
    with torch.no_grad():
        own, none = (float(score(one[None])) for one in (shown, flat))
    laid = _along_record(values.cpu().numpy(), starts, measured)
    order = [processor.leads.index(lead) for lead in LEADS if lead in processor.leads]
    seconds = np.arange(laid.shape[1]) / processor.settings.ecg.rate
    leads = tuple(processor.leads[row] for row in order)
    return Explanation(name, leads, seconds, laid[order], own, none, method, tuple(notes), mark_of(whole))


def _task(what: str | Sequence[str] | Task) -> Task:
    """One class with its prompts. A text is a statement's name, or a typed line: one that names a statement, or several words."""
    if isinstance(what, Task):
        return what
    if not isinstance(what, str):
        return task_of({" / ".join(what): list(what)}) if what else task_of([])
    if (statement := known_statement(what)) is not None:
        return task_of([statement])
    if " " in what.strip() or understood(what).statement is not None:
        return typed_lines([what])
    near = get_close_matches(what.lower(), statements(), n=3)
    remedy = f"perhaps {' or '.join(near)}; or" if near else "cmelt.evaluation.prompts lists them;"
    raise ConfigError("what", f"{what!r} is no bundled statement", f"{remedy} a text of your own in a list: [{what!r}]")


def _one_class(described: Described) -> str:
    if len(described.task.classes) != 1:
        raise ConfigError("what", f"holds {len(described.task.classes)} classes", "explain one class at a time")
    return next(iter(described.task.classes))


def _refuse_reduced_precision(model: Towers) -> None:
    from cmelt.model.reduced_precision import BFloat16Linear, Int8Linear

    if any(isinstance(module, BFloat16Linear | Int8Linear) for module in model.ecg_encoder.modules()):
        remedy = 'load it with precision="float32", or ask for occlusion'
        raise ConfigError("model", "multiplies in reduced precision: its gradients are too coarse to add up", remedy)


def _windows(
    record: Record, processor: CMeltProcessor
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], list[str]]:
    """First samples [w] and measured samples [w] at the model's rate, usable windows [w, L, T], and what is to be noted.

    Raises RecordError.
    """
    pieces = windows(record, processor.seconds)
    where = record.origin or record.identifier or "record"
    if len(pieces) > MOST_WINDOWS:
        longest = f"{MOST_WINDOWS * processor.seconds:g} s"
        raise RecordError(where, f"lasts longer than the {longest} that are explained at once", "give a part of it")
    rate, length = processor.settings.ecg.rate, processor.settings.ecg.samples
    last = record.seconds - (record.calibration / record.rate) - pieces[-1].seconds
    starts, measured, ecg = [], [], []
    for number, piece in enumerate(pieces):
        try:
            prepared = processor.record(replace(piece, calibration=0))
        except RecordError:
            if len(pieces) == 1:
                raise
            continue
        starts.append(round(min(number * processor.seconds, last) * rate))
        measured.append(min(round(piece.seconds * rate), length))
        ecg.append(prepared.ecg[0])
    if not ecg:
        raise RecordError(where, f"no usable lead in any of its {len(pieces)} windows", "leave the record out")
    notes = ["evidence is against flat lines: each lead at its median", "related leads share what they show alike"]
    if len(pieces) > len(ecg):
        notes.append(f"{len(pieces) - len(ecg)} of {len(pieces)} stretches have no usable lead and no evidence")
    return np.array(starts), np.array(measured), np.stack(ecg), notes


def _along_record(values: NDArray[np.float32], starts: NDArray[np.int64], measured: NDArray[np.int64]) -> NDArray[np.float32]:
    """Windows [w, L, T] → [L, samples] of the record; where two windows overlap, their evidence is added up."""
    laid = np.zeros((values.shape[1], int((starts + measured).max())), np.float32)
    for window, start, samples in zip(values, starts, measured, strict=True):
        laid[:, start : start + samples] += window[:, :samples]
    return laid
