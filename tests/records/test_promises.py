"""What every test of this room holds of every call can fail: each promise is broken once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmelt.errors import RecordError
from cmelt.records import record as records
from cmelt.records import units
from cmelt.records.readers import limits, options
from cmelt.records.record import Record
from kept_promises import modules_of, promises_kept


def test_none_goes_where_it_is_asked_for_and_nowhere_else():
    assert options.settle_rate(None, options.ReadOptions(rate=500.0), "x") == 500
    for call, arguments in ((limits.told, (None,)), (options.settle_rate, (500.0, None, "x")), (units.measured, (None,))):
        with pytest.raises(AssertionError, match="is handed None as"):
            call(*arguments)
    with pytest.raises(AssertionError, match="handed None as where"):
        options.settle_rate(500.0, options.NOTHING_GIVEN, where=None)
    with pytest.raises(AssertionError, match="written out"):
        options.settle_rate(500.0, options.NOTHING_GIVEN, "None")


def test_fields_and_answers_are_none_where_they_may_be(monkeypatch):
    signal = np.zeros((1, 9), np.float32)
    assert Record(signal, 100.0, ("I",), report=None).report is None
    with pytest.raises(AssertionError, match="handed None as identifier"):
        Record(signal, 100.0, ("I",), identifier=None)
    monkeypatch.setattr(records, "lead_told", lambda lead: None)
    with promises_kept("cmelt.records"):
        assert records.lead_told("I") is None, "what a test has put there is its own"


@pytest.mark.parametrize(
    "said",
    [
        ("", "is torn", "fetch it"),
        ("None", "is torn", "fetch it"),
        ("x", "", "fetch it"),
        ("x", "is torn", ""),
        ("is torn", "fetch it", ""),
    ],
)
def test_an_error_without_file_fault_or_remedy_is_none_of_ours(said):
    with pytest.raises(AssertionError):
        raise RecordError(*said)
    assert str(RecordError(Path("x"), "is torn", "fetch it")) == "x: is torn (fetch it)"
    assert RecordError("x", "the record has no samples").remedy == ""


def test_all_modules_of_the_room_are_under_it():
    names = {module.__name__ for module in modules_of("cmelt.records")}
    assert {"cmelt.records", "cmelt.records.quality", "cmelt.records.readers", "cmelt.records.readers.scp"} <= names
    assert hasattr(limits.told, "__wrapped__") and hasattr(Record.__init__, "__wrapped__")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "told", limits.told.__wrapped__)
        with promises_kept("cmelt.records"):
            assert hasattr(limits.told, "__wrapped__")
        assert not hasattr(limits.told, "__wrapped__"), "and no longer than it lasts"
