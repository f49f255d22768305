"""Fifty clients at once with files of many formats, some broken: each is told what Python says of its own file."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import cmelt
from array_files import write_matlab, write_npz, write_table
from binary_files import write_dicom, write_scp
from cmelt.serving.http.service import drawable
from ecg_files import heart, record, write_wfdb
from http_calls import Answer, Service, files_at
from vendor_files import write_aecg, write_muse, write_philips

CLIENTS = 50
CLASSES = "atrial-fibrillation,left-bundle-branch-block"
LINES = "atrial fibrillation\nvoltage that only a test would ask for"
WRITERS = (write_table, write_matlab, write_npz, write_dicom, write_scp, write_aecg, write_muse, write_philips)
ENDINGS = (".csv", ".mat", ".npz", ".dcm", ".scp", ".xml", ".xml", ".xml")
#: Real recordings of many lengths and rates, where they are at hand.
REAL = (
    "vendor-formats/ge-muse-xml/muse-sinus.xml",
    "vendor-formats/dicom-ecg/waveform_ecg.dcm",
    "vendor-formats/hl7-aecg/subject1_0.xml",
    "vendor-formats/philips-sierra-xml/129DYPRG.XML",
    "vendor-formats/cpsc2018-mat/A1980.mat",
)


@dataclass(frozen=True)
class Case:
    """What one client sends: files, of which the first is read.

    Attributes:
        sound: whether it is an ECG.
        known: the record that it holds; None where Python reads the file.
    """

    paths: tuple[Path, ...]
    sound: bool = True
    known: cmelt.Record | None = None


def written(folder: Path) -> Iterator[Case]:
    """Files of each format, no two of the same heart."""
    for seed, (write, ending) in enumerate(zip(WRITERS, ENDINGS, strict=True)):
        yield Case((write(folder / f"{write.__name__}{ending}", heart(seed)),))
    for seed, seconds in ((20, 10), (21, 24), (22, 60)):
        header = write_wfdb(folder / f"wfdb{seed}", heart(seed, 250.0, seconds), 250.0)
        yield Case((header, header.with_suffix(".dat")))
    two = write_wfdb(folder / "two", heart(23)[:2], leads=("I", "II"))
    yield Case((two, two.with_suffix(".dat")))
    canonical = folder / "canonical.ecg"
    one = record(24, rate=500.0)
    canonical.write_bytes(drawable(one))
    yield Case((canonical,), known=one)
    flat = write_wfdb(folder / "flat", np.zeros((12, 1000)))
    yield Case((flat, flat.with_suffix(".dat")), sound=False)
    yield Case((header,), sound=False)  # without its signals
    cat = folder / "cat.jpg"
    cat.write_bytes(b"\xff\xd8\xff\xe0 a cat")
    yield Case((cat,), sound=False)
    cut = folder / "cut.dcm"
    cut.write_bytes((folder / f"{write_dicom.__name__}.dcm").read_bytes()[:900])
    yield Case((cut,), sound=False)


@pytest.fixture(scope="module")
def cases(tmp_path_factory, request) -> list[Case]:
    some = list(written(tmp_path_factory.mktemp("mixed")))
    try:
        folder = request.getfixturevalue("data_dir")
    except pytest.skip.Exception:  # no real recordings here: the written ones alone
        return some
    return some + [Case((folder / place,)) for place in REAL]


def ask(asked: Service, case: Case, number: int) -> Answer:
    files = files_at(*case.paths)
    if number % 3 == 0:
        return asked.upload("/v1/embed", files)
    return asked.upload("/v1/classify", files, **({"classes": CLASSES} if number % 3 == 1 else {"prompts": LINES}))


def test_fifty_clients_with_mixed_files_are_told_what_python_says_of_each(asked, model_folder, cases):
    model, processor = cmelt.load(model_folder, device="cpu")
    named, typed = CLASSES.split(","), cmelt.typed_lines(LINES.split("\n"))
    queue = [(number, cases[number % len(cases)]) for number in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(lambda one: ask(asked, one[1], one[0]), queue))
    sound = 0
    for (number, case), answer in zip(queue, answers, strict=True):
        where = (number, case.paths[0].name, answer.status, answer.body[:200])
        if not case.sound:
            assert answer.status in (415, 422) and answer.error["remedy"], where
            continue
        sound += 1
        assert answer.status == 200, where
        source = case.known or case.paths[0]
        if number % 3 == 0:
            expected = cmelt.embed(model, processor, source)[0]
            np.testing.assert_allclose(answer.json["embedding"], expected, atol=1e-5, err_msg=str(where))
        else:
            told = {one["class"]: one["score"] for one in answer.json["results"]}
            expected = cmelt.classify(model, processor, source, named if number % 3 == 1 else typed).of(0)
            assert told == {name: pytest.approx(score, abs=1e-5) for name, score in expected.items()}, where
    assert sound >= 35
