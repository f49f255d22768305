"""The service's smaller parts: figures, examples, private folder, what the log may say, what is told of a recording."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmelt.records.record import LEADS
from cmelt.serving.http import page
from cmelt.serving.http.answers import ClassResult, plain
from cmelt.serving.http.documentation import ASKED, EMBEDDED, SEARCHED
from cmelt.serving.http.examples import EXAMPLES, example_record
from cmelt.serving.http.guard import place_of
from cmelt.serving.http.metrics import Metrics
from cmelt.serving.http.private_folder import private_folder
from cmelt.serving.http.question import ASKING
from cmelt.serving.http.refusal import Refusal
from cmelt.serving.http.search_routes import SEARCHING, filters_in
from cmelt.serving.http.service import drawable, facts_of
from cmelt.serving.http.standing import CONTENT_SECURITY_POLICY
from cmelt.serving.http.told import route_of
from ecg_files import heart, record


def header_of(content: bytes) -> dict:
    return json.loads(content[4 : 4 + struct.unpack_from("<I", content)[0]])


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_what_its_name_says_and_always_the_same(name):
    one, told = example_record(name), EXAMPLES[name]
    assert one.seconds == told.seconds and one.leads == LEADS and one.rate == 500
    held = set(one.truth["conditions"])
    assert set(told.conditions) <= held and (told.conditions or held == {"normal"})
    example_record.cache_clear()
    np.testing.assert_array_equal(example_record(name).signal, one.signal)


def test_before_and_after_are_of_one_patient():
    assert example_record("before").patient == example_record("after").patient != example_record("normal").patient


def test_figures_have_labels_of_ours_alone():
    metrics = Metrics()
    metrics.watch(lambda: 3.0, lambda: True)
    metrics.model("small", "ab" * 32)
    metrics.answered("/v1/classify", "POST", 200, 0.03)
    metrics.answered("other", "ZQCANARY", 405, 0.03)
    metrics.batch(5, 7)
    lines = metrics.text().decode().splitlines()
    for line in (
        'cmelt_requests_total{method="POST",route="/v1/classify",status="200"} 1.0',
        'cmelt_requests_total{method="other",route="other",status="405"} 1.0',
        'cmelt_request_seconds_bucket{le="0.05",route="/v1/classify"} 1.0',
        "cmelt_batch_requests_sum 5.0",
        "cmelt_batch_windows_sum 7.0",
        "cmelt_requests_inside 3.0",
        "cmelt_ready 1.0",
        f'cmelt_model{{name="small",sha256="{"ab" * 8}"}} 1.0',
    ):
        assert line in lines, line
    assert "ZQCANARY" not in metrics.text().decode()


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/classify", "/v1/classify"), ("/v1/classify/", "other"), ("/v1/classify/Smith", "other"), ("/Smith", "other"),
        ("/v1/examples", "/v1/examples"), ("/v1/examples/Smith", "/v1/examples/…"), ("/v1/index/12", "/v1/index/…"),
        ("/", "page"), ("/app.js", "page"), ("/app.js.map", "other"), ("", "page"), ("/metrics", "/metrics"),
    ],
)  # fmt: skip
def test_a_route_is_one_of_ours_whatever_the_path_says(path, route):
    assert route_of(path) == route


def test_the_place_of_an_error_is_told_without_its_message():
    with pytest.raises(Refusal) as ours:
        filters_in({"sex": ["Zqcanary"]})
    assert place_of(ours.value).startswith("serving/http/search_routes.py:")
    with pytest.raises(ValueError, match="Zqcanary") as theirs:
        float("Zqcanary")
    assert place_of(theirs.value) == "a library"


def test_the_page_is_all_there_and_refers_to_nothing_elsewhere():
    files = page.page_files()
    assert {"", "index.html", "app.js", "style.css"} <= files
    assert not [name for name in files if name.startswith(("/", ".")) or ".." in name]
    index = (page.PAGE / "index.html").read_text(encoding="utf-8")
    assert "http://" not in index and "https://" not in index and "<script>" not in index and "style=" not in index
    assert "'unsafe" not in CONTENT_SECURITY_POLICY and "*" not in CONTENT_SECURITY_POLICY


def test_a_private_folder_is_ours_alone_holds_what_is_temporary_and_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with private_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700 and folder.parent == tmp_path
        assert Path(tempfile.mkdtemp()).parent == folder
        with tempfile.NamedTemporaryFile() as file:
            assert Path(file.name).parent == folder
    assert list(tmp_path.iterdir()) == [] and tempfile.tempdir == str(tmp_path)


def test_a_folder_whose_owner_lives_is_left_alone_and_that_of_a_dead_one_goes(tmp_path, monkeypatch):
    script = (
        "import sys, os, tempfile; from cmelt.serving.http.private_folder import private_folder\n"
        "with private_folder() as folder:\n    (folder / 'ecg').write_text('x'); print(folder, flush=True); sys.stdin.read()\n"
    )
    source = str(Path(__file__).resolve().parents[3] / "src")
    env = {**os.environ, "PYTHONPATH": source, "TMPDIR": str(tmp_path)}
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "cmelt-serve-being-made").mkdir()  # without a lock yet: somebody is about to make one
    with subprocess.Popen([sys.executable, "-c", script], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        theirs = Path(other.stdout.readline().decode().strip())
        with private_folder():
            assert (theirs / "ecg").exists()
        other.kill()
        other.wait(10)
        assert (theirs / "ecg").exists()
        with private_folder():
            assert not theirs.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["cmelt-serve-being-made"]


def test_filters_are_those_of_search():
    asked = {"age": ["40-60"], "sex": ["F"], "label": ["AFIB", "scp:MI,NORM"]}
    assert filters_in(asked) == {"age": (40.0, 60.0), "sex": "F", "label": ["AFIB", "scp:MI", "NORM"]}
    bounds = {"40-": (40.0, None), "-60": (None, 60.0), "40": (40.0, 40.0), " 4 - 6 ": (4.0, 6.0)}
    assert {text: filters_in({"age": [text]})["age"] for text in bounds} == bounds
    assert filters_in({}) == {"age": None, "sex": None, "label": None}


def test_facts_say_what_the_file_says_and_never_who():
    one = replace(record(1), patient="Zqcanary", identifier="Zqcanary", origin="/home/Zqcanary.hea", age=63.0, sex="female",
                  report="sinus rhythm", labels=("scp:NORM",), measurements={"pr_ms": 160.0, "qt_ms": float("nan")})  # fmt: skip
    told = facts_of(one).model_dump()
    assert (told["age"], told["sex"], told["report"], told["labels"]) == (63.0, "female", "sinus rhythm", ["scp:NORM"])
    assert told["measurements"] == {"pr_ms": 160.0} and told["leads"] == list(LEADS)
    assert "Zqcanary" not in json.dumps(told) and b"Zqcanary" not in drawable(one)
    assert facts_of(replace(one, age=float("nan"))).age is None


def test_a_calibration_pulse_is_not_drawn_as_the_heart():
    one = replace(record(2), calibration=100)
    assert header_of(drawable(one))["samples"] == 900


def test_what_is_wrong_with_a_recording_is_flagged():
    signal = heart(3).copy()
    signal[8] = 0.0
    signal[[0, 1]] = signal[[1, 0]]
    flags = header_of(drawable(replace(record(3), signal=signal)))["flags"]
    assert "flat:V3" in flags and "limb-swapped:I/II" in flags


def test_numbers_that_json_lacks_are_null_and_class_is_called_class():
    assert [plain(value) for value in (1.5, float("nan"), float("inf"), "x", None)] == [1.5, None, None, "x", None]
    told = ClassResult.model_validate({"class": "af", "score": 0.5}).model_dump(by_alias=True)
    assert {name for name, value in told.items() if value is not None} == {"class", "score"}
    assert (told["class"], told["score"]) == ("af", 0.5)


def test_the_documentation_names_every_option():
    for told, options in ((ASKED, ASKING), (EMBEDDED, ()), (SEARCHED, SEARCHING)):
        assert {one["name"] for one in told["parameters"]} == set(options)
        form = told["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
        assert set(form) == {"file", "rate", "unit", "leads", *options}
