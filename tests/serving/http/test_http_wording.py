"""What a message may say: our own words, and nothing that a file or a request brought."""

from __future__ import annotations

import pytest

from cmelt.errors import CheckpointError, ConfigError, RecordError
from cmelt.serving.http.refusal import Refusal, refusal_of
from cmelt.serving.http.wording import without_foreign_words


@pytest.mark.parametrize("foreign", ["Zebulonka", "zqcanaryzq", "Łukasiewiczówna", "123456789012", "'any thing in quotes'"])
def test_words_that_are_not_ours_are_left_out(foreign):
    told = without_foreign_words(f"lead {foreign} occurs twice in /tmp/x/{foreign}.hea, 12 leads of 500 Hz")
    assert foreign not in told and "occurs twice" in told and "12 leads of 500 Hz" in told


@pytest.mark.parametrize(
    "message",
    [
        "leads span 312 mV, which no heart does: these can only be microvolts read as millivolts",
        "the signal file is shorter than its header says",
        "states 500 Hz, and was said to have 250 Hz",
        "no usable lead: all are missing, flat or full of gaps",
        "known: WFDB, MATLAB, HDF5, NumPy, SCP-ECG, EDF, DICOM, GE MUSE XML, Philips Sierra XML, HL7 aECG, table",
    ],
)
def test_our_own_messages_stay_whole(message):
    assert without_foreign_words(message) == message


def test_each_error_has_its_status():
    assert refusal_of(RecordError("x", "not an ECG format that is known here", "known: WFDB")).status == 415
    assert refusal_of(RecordError("x", "the file is empty")).status == 422
    assert refusal_of(ConfigError("classes", "there is none")).status == 422
    damaged = refusal_of(CheckpointError("/srv/models/zqcanaryzq", "is damaged"))
    assert damaged.status == 500 and "zqcanaryzq" not in str(damaged.body())
    assert refusal_of(Refusal(503, "a", "b", "c", 7)).headers()["Retry-After"] == "7"


def test_remedies_speak_of_fields_not_of_options_of_a_command():
    lacking = refusal_of(RecordError("x", "does not state its sampling rate", "say it: --rate 500, or ReadOptions(rate=500)"))
    assert lacking.remedy == "say it: in the field rate"
    alone = refusal_of(RecordError("x", "the header's signal file is not there", "fetch it"))
    assert "header and signal files" in alone.remedy
