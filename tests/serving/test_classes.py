"""What may be asked of a model, and against what it is scored."""

from __future__ import annotations

import pytest

from cmelt.errors import ConfigError
from cmelt.evaluation.prompts import statements
from cmelt.evaluation.tasks import load_task
from cmelt.serving.classes import NORMAL, task_of

NORMAL_TEXTS = statements()[NORMAL].present.texts()


def test_a_task_by_name_by_file_or_itself(tmp_path):
    assert task_of("ptbxl-super") == load_task("ptbxl-super") == task_of(load_task("ptbxl-super"))
    path = tmp_path / "mine.yaml"
    path.write_text('classes: {af: {labels: ["af"], prompts: [atrial fibrillation]}}')
    assert task_of(path) == task_of(str(path)) == load_task(path)


def test_statements_are_scored_against_a_normal_ecg_and_that_against_its_own_absence():
    task = task_of(["atrial-fibrillation", NORMAL])
    words = statements()["atrial-fibrillation"]
    assert task.classes["atrial-fibrillation"].prompts == words.present.texts()
    assert task.classes["atrial-fibrillation"].negative_prompts == NORMAL_TEXTS
    assert task.classes["atrial-fibrillation"].absent_prompts == words.absent.texts()
    assert task.classes[NORMAL].negative_prompts == statements()[NORMAL].absent.texts()
    assert task_of("atrial-fibrillation").classes == task_of(["atrial-fibrillation"]).classes


def test_every_bundled_statement_can_be_asked_for():
    task = task_of(list(statements()))
    assert len(task.classes) == len(statements())
    assert all(one.negative_prompts for one in task.classes.values())


def test_prompts_of_one_s_own_are_scored_against_normal_or_what_is_given_or_nothing():
    own = {"af": ["atrial fibrillation"]}
    assert task_of(own).classes["af"].negative_prompts == NORMAL_TEXTS
    assert task_of(own, ["sinus rhythm"]).classes["af"].negative_prompts == ("sinus rhythm",)
    assert task_of(own, ()).classes["af"].negative_prompts == ()
    healthy = {"healthy": [NORMAL_TEXTS[0]]}
    assert NORMAL_TEXTS[0] not in task_of(healthy).classes["healthy"].negative_prompts


@pytest.mark.parametrize(
    ("classes", "against", "words"),
    [
        ([], None, "none"),
        ({}, None, "none"),
        ({"af": []}, None, "prompts is empty"),
        ({"af": "atrial fibrillation"}, None, "one text"),
        ({"af": ["x", "x"]}, None, "twice"),
        (["atrial-fibrilation"], None, "atrial-fibrillation"),
        (["zebra crossing"], None, "no bundled statement"),
        ("zebra", None, "no task and no statement"),
        ("ptbxl-super", ["normal ecg"], "its own negative prompts"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_remedy(classes, against, words):
    with pytest.raises(ConfigError, match=words):
        task_of(classes, against)
