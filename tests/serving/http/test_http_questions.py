"""JSON bodies and options: what is taken, and what is refused without repeating it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cmelt.evaluation.prompts import statements
from cmelt.evaluation.tasks import load_task
from cmelt.records.record import LEADS
from cmelt.serving.http.question import ASKING, MOST_CLASSES, Lines, merged, question_of, read_options
from cmelt.serving.http.refusal import Refusal
from cmelt.serving.http.signal_body import parsed_body, record_of_body
from ecg_files import heart

CANARY = "Zqcanaryzq"


def body(**changes) -> dict:
    told = {"signal": heart(1).tolist(), "leads": list(LEADS), "rate": 100, "unit": "mV"}
    return {key: value for key, value in {**told, **changes}.items() if value is not ...}


def test_a_body_is_the_record_that_it_says():
    found = record_of_body(parsed_body(json.dumps(body()).encode()))
    np.testing.assert_allclose(found.signal, heart(1), atol=1e-6)
    assert (found.leads, found.rate) == (LEADS, 100.0)
    microvolts = record_of_body(body(signal=(heart(1) * 1000).tolist(), unit="uV"))
    np.testing.assert_allclose(microvolts.signal, heart(1), atol=1e-5)
    upright = record_of_body(body(signal=heart(1).T.tolist()))  # [samples, leads]
    np.testing.assert_allclose(upright.signal, heart(1), atol=1e-6)


def test_null_is_what_was_not_measured():
    gappy = heart(1).tolist()
    gappy[3][10] = None
    found = record_of_body(body(signal=gappy))
    assert np.argwhere(np.isnan(found.signal)).tolist() == [[3, 10]]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rate": ...}, "has no rate"), ({"signal": ..., "unit": ...}, "has no signal and no unit"),
        ({"rate": "500"}, "rate"), ({"rate": True}, "rate"), ({"rate": -1}, "rate"), ({"unit": 1}, "unit"),
        ({"leads": "I,II"}, "leads"), ({"leads": []}, "leads"), ({"leads": [CANARY * 9] * 12}, "leads"),
        ({"signal": CANARY}, "no list of lists"), ({"signal": []}, "no list of lists"), ({"signal": [[]] * 12}, "no samples"),
        ({"signal": [[1.0, 2.0], [1.0]]}, "different lengths"), ({"signal": [["1.5"] * 100] * 12}, "no number"),
        ({"signal": [[True] * 100] * 12}, "no number"), ({"signal": [[CANARY] * 100] * 12}, "no number"),
        ({"signal": [[10**400] * 100] * 12}, "too large"), ({"signal": [[{}] * 100] * 12}, "no number"),
        ({"signal": (heart(1) * 1000).tolist()}, "microvolts read as millivolts"), ({"leads": ["I"] * 12}, "twice"),
        ({"unit": CANARY}, "not a voltage"), ({"leads": list(LEADS[:8])}, "12 leads where 8"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_ecg_is_refused(changes, reason):
    from cmelt.errors import CMeltError
    from cmelt.serving.http.refusal import refusal_of

    with pytest.raises(CMeltError) as found:
        record_of_body(body(**changes))
    refusal = refusal_of(found.value)
    assert refusal.status == 422 and reason in refusal.fault and CANARY.lower() not in str(refusal.body()).lower()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"[" * 100_000, b'{"rate": NaN}', b"\xff\xfe", b"1" * 5000])
def test_what_is_no_json_object_is_refused(content):
    with pytest.raises(Refusal) as found:
        parsed_body(content)
    assert found.value.status == 422


def test_prompts_come_a_line_each_as_a_list_or_by_class():
    lines = question_of({"prompts": ["atrial fibrillation\n\n left bundle branch block "]}).classes
    assert lines == Lines(("atrial fibrillation", "left bundle branch block"))
    assert question_of({"prompts": ["atrial fibrillation", "left bundle branch block"]}).classes == lines
    assert question_of({"prompts": [["atrial fibrillation", "left bundle branch block"]]}).classes == lines
    by_class = {"AF": ["atrial fibrillation", "vorhofflimmern"], "LBBB": "left bundle branch block"}
    for given in (by_class, json.dumps(by_class)):
        found = question_of({"prompts": [given]})
        assert found.classes == (("AF", ("atrial fibrillation", "vorhofflimmern")), ("LBBB", ("left bundle branch block",)))
        assert found.task().classes["AF"].prompts == ("atrial fibrillation", "vorhofflimmern")


def test_lines_are_taken_for_statements_and_as_typed_where_that_is_said():
    whole = statements()["atrial-fibrillation"].present.texts()
    for said, prompts in (((), whole), (("false",), whole), (("true",), ("afib",)), ((True,), ("afib",))):
        given = {"prompts": ["afib"], **({"as_typed": said} if said else {})}
        assert question_of(given).task().classes["afib"].prompts == prompts
    assert question_of({"prompts": ['"afib"']}).task().classes['"afib"'].prompts == ("afib",)
    assert question_of({"prompts": [{"afib": ["afib"]}]}).task().classes["afib"].prompts == ("afib",), "prompts of one's own"
    with pytest.raises(Refusal, match="as_typed"):
        question_of({"prompts": ["afib"], "as_typed": ["perhaps"]})


def test_classes_are_statements_and_with_a_task_some_of_its_classes():
    assert question_of({"classes": ["atrial-fibrillation,normal-ecg"]}).classes == ("atrial-fibrillation", "normal-ecg")
    assert question_of({"classes": ["atrial-fibrillation", "normal-ecg"]}).task().classes.keys() == {
        "atrial-fibrillation", "normal-ecg"
    }  # fmt: skip
    assert question_of({"classes": ["afib,AFIB,lbbb"]}).classes == ("atrial-fibrillation", "left-bundle-branch-block")
    whole = load_task("ptbxl-super")
    some = question_of({"task": ["ptbxl-super"], "classes": ["NORM,MI"]})
    assert some.task().classes == {name: whole.classes[name] for name in ("NORM", "MI")}
    assert question_of({}).task() == whole


@pytest.mark.parametrize(
    "given",
    [
        {"prompts": ["a"], "task": ["ptbxl-super"]}, {"prompts": ["a"], "classes": ["normal-ecg"]}, {"classes": [CANARY]},
        {"task": [CANARY]}, {"task": [f"/etc/{CANARY}.yaml"]}, {"task": ["ptbxl-super", "code"]}, {"classes": [3]},
        {"prompts": [3]}, {"prompts": ["x" * 501]}, {"prompts": ["\n".join(map(str, range(MOST_CLASSES + 1)))]},
        {"prompts": [" \n "]},
        {"prompts": [{CANARY: []}]}, {"prompts": [{"a": [CANARY, CANARY]}]}, {"prompts": ["{" + CANARY]}, {"scoring": [CANARY]},
        {"task": ["ptbxl-super"], "classes": ["atrial-fibrillation"]}, {"classes": [","]},
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_is_refused_and_not_repeated(given):
    with pytest.raises(Refusal) as found:
        question_of(given)
    assert found.value.status == 422 and CANARY not in str(found.value.body())


def test_a_name_that_is_nearly_right_is_told_what_it_may_have_meant():
    with pytest.raises(Refusal, match="perhaps atrial-fibrillation"):
        question_of({"classes": ["normal-ecg,atrial-fibrilation"]})


def test_an_abbreviation_of_several_is_told_what_it_may_mean():
    with pytest.raises(Refusal, match=r"number 2 of classes means several things .*atrial-fibrillation or atrial-flutter"):
        question_of({"classes": ["lbbb,AF"]})


def test_a_task_is_never_a_file_of_the_server(tmp_path):
    (tmp_path / "own.yaml").write_text("name: x\n")
    with pytest.raises(Refusal, match="task is none that is known"):
        question_of({"task": [str(tmp_path / "own.yaml")]})


def test_an_option_counts_once_and_has_to_be_known():
    assert merged([("task", "code")], [("scoring", "pairs")], ASKING) == {"task": ["code"], "scoring": ["pairs"]}
    with pytest.raises(Refusal, match="stands in the query and in the body"):
        merged([("task", "code")], [("task", "code")], ASKING)
    with pytest.raises(Refusal) as found:
        merged([(CANARY, "1")], [], ASKING)
    assert CANARY not in str(found.value.body())


def test_a_bare_file_is_told_rate_unit_and_leads():
    found = read_options({"rate": ["500"], "unit": ["uV"], "leads": ["I, II ,V1"]})
    assert (found.rate, found.unit, found.leads, found.identity) == (500.0, "uV", ("I", "II", "V1"), False)
    for rate in ("fast", "-1", "nan", "inf"):
        with pytest.raises(Refusal, match="rate is no number"):
            read_options({"rate": [rate]})
