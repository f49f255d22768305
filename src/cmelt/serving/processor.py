"""Records and texts as a model takes them: leads by name, millivolts, its rate, windows of its length; texts as word pieces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmelt.config.settings import ModelSettings
from cmelt.errors import RecordError
from cmelt.records.readers import ReadOptions, read_ecg
from cmelt.records.readers.options import NOTHING_GIVEN
from cmelt.records.record import LEADS, Record
from cmelt.records.standard import StandardRecord, standardise, windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cmelt.serving.confidence import Calibration
    from cmelt.text.token_table import TokenBatch
    from cmelt.text.tokenizers import Tokenizer

#: Flag prefix of a lead that only some of a long record's windows have.
PARTLY_MISSING = "partly-missing"


@dataclass(frozen=True)
class Facts:
    """What there is to know of a record beside its samples.

    Attributes:
        record: its name within its source, or its file.
        windows: how many the model sees.
        windows_left_out: windows without a usable lead, which it does not see.
        missing_leads: leads that no window has; the model sees zeros in their place.
        flags: what is wrong with the recording or was done to it, over all windows (`cmelt.records.quality`, `standardise`).
    """

    record: str
    windows: int
    windows_left_out: int
    missing_leads: tuple[str, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Prepared:
    """One record as the model takes it: ecg [windows, leads, samples] float32 millivolts, absent leads zero.

    Leads are in the order of the model's channels (`CMeltProcessor.leads`).
    """

    ecg: NDArray[np.float32]
    facts: Facts


@dataclass(frozen=True)
class CMeltProcessor:
    """What stands between files, arrays and words on one side and a model on the other.

    It is no `ProcessorMixin` of transformers: importing that takes longer than all that is done here.

    Attributes:
        aligned: whether the model has learned to compare ECGs with texts; without, scores by texts are refused.
        negative_weight: how much of the similarity to negative prompts is taken off a class's own.
        identity: SHA-256 of the weights' file, by which a search index knows its model; empty where there is no file.
        calibration: what `cmelt calibrate` has put beside the weights; None where nothing is there.
    """

    settings: ModelSettings
    tokenizer: Tokenizer
    aligned: bool = True
    negative_weight: float = 1.0
    identity: str = ""
    calibration: Calibration | None = None

    @property
    def leads(self) -> tuple[str, ...]:
        """Lead names in the order of the model's input channels."""
        return self.settings.ecg.lead_order or LEADS[: self.settings.ecg.leads]

    @property
    def seconds(self) -> float:
        """Length of one window."""
        return self.settings.ecg.samples / self.settings.ecg.rate

    def record(self, source: Record | str | Path, options: ReadOptions = NOTHING_GIVEN) -> Prepared:
        """A record, or the file of one, as the model takes it.

        A record longer than the model's becomes several windows, the last of which ends with it; a shorter one is padded. Leads
        are found by name, limb leads computed from two others where they are lacking, all others left zero.

        Args:
            options: what a file leaves unsaid (rate, unit, leads); what it states otherwise is an error, not overruled.
        Raises:
            RecordError: not an ECG, something unsaid, an amplitude that cannot be millivolts, or no usable lead at all.
        """
        record = source if isinstance(source, Record) else read_ecg(source, options)
        pieces = windows(record, self.seconds)
        found = [_standard(piece, self.settings, alone=len(pieces) == 1) for piece in pieces]
        usable = [one for one in found if one is not None]
        if not usable:
            where = record.origin or record.identifier or "record"
            raise RecordError(where, f"no usable lead in any of its {len(pieces)} windows", "leave the record out")
        missing = tuple(lead for lead in LEADS if all(lead in one.missing for one in usable))
        partly = {f"{PARTLY_MISSING}:{lead}" for one in usable for lead in one.missing if lead not in missing}
        flags = tuple(sorted({flag for one in usable for flag in one.flags} | partly))
        name = record.identifier or record.origin
        facts = Facts(name, len(usable), len(found) - len(usable), missing, flags)
        channels = [LEADS.index(lead) for lead in self.leads]
        return Prepared(np.stack([one.signal[channels] for one in usable]), facts)

    def texts(self, texts: Sequence[str]) -> TokenBatch:
        """Texts, cleaned as reports are, as word pieces [n, S] with their mask."""
        from cmelt.text import clean_report, encode

        return encode(self.tokenizer, [clean_report(text) for text in texts], self.settings.text.max_tokens)


def record_of(
    array: ArrayLike, *, rate: float, unit: str, leads: Sequence[str], identifier: str = "array", age: float | None = None
) -> Record:
    """The record of an array [leads, samples] or [samples, leads] of `unit` ("mV", "uV", "V", "nV") at `rate` Hz.

    Raises:
        RecordError: a number of leads that is not the array's, a unit that is no voltage, or an amplitude that contradicts it.
    """
    from cmelt.records.readers.bare_arrays import record_from
    from cmelt.records.readers.stated import Stated

    options = ReadOptions(rate=rate, unit=unit, leads=tuple(leads))
    return replace(record_from(np.asarray(array), Stated(age=age), options, Path(identifier)), identifier=identifier)


def _standard(window: Record, settings: ModelSettings, *, alone: bool) -> StandardRecord | None:
    """The window in standard form; None where it is one of several and carries nothing."""
    try:
        return standardise(window, settings.ecg.rate, settings.ecg.samples / settings.ecg.rate)
    except RecordError:
        if alone:
            raise
        return None
