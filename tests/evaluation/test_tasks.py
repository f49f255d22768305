"""Task files say what is asked, and what is wrong with them."""

from __future__ import annotations

import re

import pytest

from cmelt.errors import ConfigError
from cmelt.evaluation.tasks import Task, TaskClass, bundled_tasks, load_task, tasks_in

PTB_XL_COUNTS = {"ptbxl-super": 5, "ptbxl-sub": 23, "ptbxl-form": 19, "ptbxl-rhythm": 12, "ptbxl-diagnoses": 11}
CLASS_COUNTS = PTB_XL_COUNTS | {"cpsc2018": 9, "csn": 38, "csn-merl": 38}


def written(tmp_path, text):
    path = tmp_path / "own.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("name", "count"), CLASS_COUNTS.items())
def test_bundled_tasks_have_the_benchmarks_classes(name, count):
    task = load_task(name)
    assert task.name == name
    assert len(task.classes) == count
    assert task.splits == ("validation", "test")


@pytest.mark.parametrize("name", CLASS_COUNTS)
def test_bundled_classes_have_several_prompts_and_negatives(name):
    for label, c in load_task(name).classes.items():
        assert len(c.prompts) >= 3, label
        assert c.negative_prompts, label


@pytest.mark.parametrize("name", ["ptbxl-super", "ptbxl-sub", "ptbxl-form", "ptbxl-rhythm"])
def test_benchmark_populations_are_the_labelled_records(name):
    task = load_task(name)
    assert task.population == "labelled"
    prefix = name.removeprefix("ptbxl-")
    assert all(c.labels == (f"{prefix}:{label}",) for label, c in task.classes.items())


def test_benchmark_classes_are_those_of_the_statement_table(data_dir):
    import pandas as pd

    table = pd.read_csv(data_dir / "ptb-xl" / "scp_statements.csv", index_col=0)
    expected = {
        "ptbxl-super": set(table.diagnostic_class.dropna()),
        "ptbxl-sub": set(table.diagnostic_subclass.dropna()),
        "ptbxl-form": set(table.index[table.form == 1]),
        "ptbxl-rhythm": set(table.index[table.rhythm == 1]),
    }
    for name, classes in expected.items():
        assert set(load_task(name).classes) == classes
    known = set(table.index)
    for c in load_task("ptbxl-diagnoses").classes.values():
        assert {label.removeprefix("scp:") for label in c.labels} <= known


@pytest.mark.parametrize(("name", "prefix"), [("cpsc2018", "cpsc"), ("csn", "csn"), ("csn-merl", "merl-csn")])
def test_classes_of_the_other_benchmarks_are_their_sources_labels(name, prefix):
    from cmelt.sources.vocabularies import BENCHMARKS

    task = load_task(name)
    names = [label.partition(":")[2] for label in BENCHMARKS["cpsc2018" if name == "cpsc2018" else "csn"]]
    assert list(task.classes) == names
    assert task.population == "labelled"
    assert all(c.labels == (f"{prefix}:{label}",) for label, c in task.classes.items())


def test_both_labellings_of_csn_are_asked_the_same_words():
    right, merl = load_task("csn"), load_task("csn-merl")
    for label, c in right.classes.items():
        assert (c.prompts, c.negative_prompts) == (merl.classes[label].prompts, merl.classes[label].negative_prompts)


def test_no_prompt_is_a_whole_assembled_report():
    # Reports of these sources are made of the conditions' names: a prompt that were one would be a copy.
    from cmelt.sources.snomed import REPORT_OPENING, assembled_report, conditions
    from cmelt.sources.vocabularies import csn_conditions, csn_names

    codes = {*conditions(), *csn_conditions()}
    reports = {plain((assembled_report([code], csn_names()) or "").removeprefix(REPORT_OPENING)) for code in codes}
    assert "atrial fibrillation" in reports and "" not in reports
    for name in ("cpsc2018", "csn"):
        assert not reports & {plain(prompt) for c in load_task(name).classes.values() for prompt in c.prompts}


def plain(text):
    """Letters and digits of a cleaned report: how a verbatim copy is told, whatever its punctuation."""
    from cmelt.text.cleaning import clean_report

    return " ".join(re.sub(r"[^\w]+", " ", clean_report(text).lower()).split())


def test_no_prompt_is_a_whole_report_of_the_evaluated_folds(data_dir):
    import pandas as pd

    table = pd.read_csv(data_dir / "ptb-xl" / "ptbxl_database.csv")
    reports = {plain(report) for report in table[table.strat_fold >= 9].report.dropna()}
    assert plain("sinus rhythm. normal ecg.") in reports  # the comparison does find copies
    for name in CLASS_COUNTS:
        for label, c in load_task(name).classes.items():
            copies = [p for p in (*c.prompts, *c.negative_prompts) if plain(p) in reports]
            assert not copies, (name, label, copies)


def test_simulated_task_has_a_class_a_condition_with_held_out_phrases():
    from cmelt.simulation import CONDITIONS, HELD_OUT_PHRASES

    task = load_task("simulated")
    assert list(task.classes) == list(CONDITIONS)
    for name, c in task.classes.items():
        assert c.labels == (f"sim:{name}",)
        assert c.prompts == tuple(HELD_OUT_PHRASES[name])
        assert not set(c.prompts) & set(c.negative_prompts)


def test_simulated_labels_are_those_the_simulator_gives():
    from cmelt.simulation import simulate

    known = {label for c in load_task("simulated").classes.values() for label in c.labels}
    carried = {label for seed in range(20) for label in simulate(seed).labels}
    assert carried
    assert carried <= known


def test_a_record_is_positive_with_any_of_the_labels():
    task = Task({"a": TaskClass(("x", "y"), ("is a",)), "b": TaskClass(("z",), ("is b",))})
    truth = task.truth([["y"], ["z", "x"], ["other"], []])
    assert truth.tolist() == [[True, False], [True, True], [False, False], [False, False]]


def test_labelled_population_leaves_out_records_without_a_label_of_the_task():
    classes = {"a": TaskClass(("x",), ("is a",))}
    labels = [["x"], ["other"], []]
    assert Task(classes, population="labelled").members(labels).tolist() == [True, False, False]
    assert Task(classes).members(labels).tolist() == [True, True, True]


def test_own_task_file(tmp_path):
    path = written(
        tmp_path, "classes:\n  fast:\n    labels: [t:fast]\n    prompts: [it is fast]\n    negative_prompts: [all well]\n"
    )
    task = load_task(path)
    assert task.name == "own"
    assert task.classes["fast"] == TaskClass(("t:fast",), ("it is fast",), ("all well",))


GOOD = "labels: [x], prompts: [is a]"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("classes: {a: {" + GOOD + "}}\nclasse: 1\n", "classe"),
        ("classes: {a: {" + GOOD + ", prompt: [b]}}\n", "classes.a.prompt"),
        ("classes: {a: {labels: [x]}}\n", "classes.a.prompts"),
        ("classes: {a: {labels: [], prompts: [b]}}\n", "labels is empty"),
        ("classes: {a: {labels: x, prompts: [b]}}\n", "classes.a.labels"),
        ("classes: {a: {labels: [x], prompts: [b, b]}}\n", "same text twice"),
        ("classes: {a: {labels: [x], prompts: [' ']}}\n", "empty text"),
        ("classes: {a: {labels: [x], prompts: [b], negative_prompts: [b]}}\n", "both prompt and negative"),
        ("classes: {a: {" + GOOD + "}, a: {" + GOOD + "}}\n", "a occurs twice"),
        ("classes: {}\n", "classes is empty"),
        ("name: nothing\n", "classes is missing"),
        ("classes: {a: {" + GOOD + "}}\npopulation: some\n", "population"),
        ("classes: {a: {" + GOOD + "}}\nsplits: [fold10]\n", "splits"),
        ("classes: {a: {" + GOOD + "}}\nsplits: []\n", "splits"),
        ("- a\n", "list"),
        ("classes: [\n", "YAML"),
    ],
)
def test_a_wrong_task_file_names_file_and_key(tmp_path, text, named):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_task(path)
    assert str(path) in str(caught.value)
    assert named in str(caught.value)


def test_unknown_task_names_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match="ptbxl-super"):
        load_task("ptbxl-supper")
    with pytest.raises(ConfigError, match="no such file"):
        load_task(tmp_path / "absent.yaml")


def test_tasks_in_a_store_are_those_with_labels_there():
    names = [task.name for task in tasks_in([["super:NORM", "rhythm:SR"], ["scp:AFIB"]])]
    assert names == ["ptbxl-diagnoses", "ptbxl-rhythm", "ptbxl-super"]
    assert [task.name for task in tasks_in([["sim:normal"]])] == ["simulated"]
    assert tasks_in([["mine:a"]]) == []


def test_bundled_names_can_all_be_loaded():
    assert set(bundled_tasks()) == {*CLASS_COUNTS, "simulated"}
    assert all(load_task(name).name == name for name in bundled_tasks())
