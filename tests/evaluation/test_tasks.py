"""Task files say what is asked, and what is wrong with them."""

from __future__ import annotations

import pytest

from cmelt.errors import ConfigError
from cmelt.evaluation.tasks import Task, TaskClass, bundled_tasks, load_task, tasks_in

PTB_XL_COUNTS = {"ptbxl-super": 5, "ptbxl-sub": 23, "ptbxl-form": 19, "ptbxl-rhythm": 12, "ptbxl-diagnoses": 11, "ptbxl-all": 71}
CLASS_COUNTS = PTB_XL_COUNTS | {"cpsc2018": 9, "csn": 38, "csn-merl": 38, "csn-all": 55, "cinc2021": 26, "code": 6, "shift": 32}


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
        "ptbxl-all": set(table.index),
    }
    for name, classes in expected.items():
        assert set(load_task(name).classes) == classes
    assert all(c.labels == (f"scp:{label}",) for label, c in load_task("ptbxl-all").classes.items())
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


def test_classes_of_the_challenge_of_code_and_of_the_whole_csn_are_their_sources_labels():
    from cmelt.sources.code_tracings import CLASSES
    from cmelt.sources.snomed import scored_classes
    from cmelt.sources.vocabularies import csn_conditions

    for name, prefix, expected in (
        ("cinc2021", "cinc", scored_classes()),
        ("code", "code", CLASSES),
        ("csn-all", "csn", [acronym for acronym, _ in csn_conditions().values()]),
    ):
        task = load_task(name)
        assert set(task.classes) == set(expected)
        assert all(c.labels == (f"{prefix}:{label}",) for label, c in task.classes.items())


def test_the_whole_csn_asks_its_38_benchmark_classes_in_the_same_words():
    part, whole = load_task("csn"), load_task("csn-all")
    assert all(whole.classes[label] == c for label, c in part.classes.items())


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


def test_a_task_file_may_name_bundled_statements(tmp_path):
    text = """
against: [normal-ecg]
languages: [german]
classes:
  af: {labels: [x], statements: [atrial-fibrillation, atrial-flutter], prompts: [delirium cordis]}
  bare: {labels: [y], prompts: [something else]}
  own: {labels: [z], prompts: [a], negative_prompts: [b]}
  other: {labels: [w], statements: [sinus-tachycardia], against: [sinus-bradycardia]}
"""
    from cmelt.evaluation.prompts import statements

    known, task = statements(), load_task(written(tmp_path, text))
    af, flutter = known["atrial-fibrillation"], known["atrial-flutter"]
    assert task.classes["af"].prompts == (*af.german, *flutter.german, "delirium cordis")
    assert task.classes["af"].absent_prompts == (*af.absent.german, *flutter.absent.german)
    for name in ("af", "bare"):
        assert task.classes[name].negative_prompts == known["normal-ecg"].german
    assert task.classes["bare"].absent_prompts == ()
    assert task.classes["own"].negative_prompts == ("b",)
    assert task.classes["other"].negative_prompts == known["sinus-bradycardia"].german


def test_a_text_that_two_statements_share_is_asked_once(tmp_path):
    named = "[left-ventricular-hypertrophy, voltage-criteria-for-lvh]"
    task = load_task(written(tmp_path, "classes: {a: {labels: [x], statements: " + named + "}}"))
    assert task.classes["a"].prompts.count("Amplitudenkriterien einer Linkshypertrophie erfüllt.") == 1


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
        ("classes: {a: {labels: [x], statements: [atrial-fibrilation]}}\n", "perhaps atrial-fibrillation"),
        ("classes: {a: {labels: [x], statements: [phlogiston]}}\n", "classes.a.statements names phlogiston"),
        ("against: [phlogiston]\nclasses: {a: {" + GOOD + "}}\n", "classes.a.against names phlogiston"),
        ("languages: [latin]\nclasses: {a: {" + GOOD + "}}\n", "languages"),
        ("languages: []\nclasses: {a: {" + GOOD + "}}\n", "languages is empty"),
        ("classes: {a: {labels: [x], prompts: [b], absent_prompts: [b]}}\n", "there and that it is absent"),
        ("classes: {a: {labels: [x], prompts: [b], absent_prompts: [c, c]}}\n", "absent_prompts holds the same text twice"),
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
    assert names == ["ptbxl-all", "ptbxl-diagnoses", "ptbxl-rhythm", "ptbxl-super"]
    assert [task.name for task in tasks_in([["sim:normal"]])] == ["simulated"]
    assert tasks_in([["mine:a"]]) == []


def test_bundled_names_can_all_be_loaded():
    assert set(bundled_tasks()) == {*CLASS_COUNTS, "simulated"}
    assert all(load_task(name).name == name for name in bundled_tasks())
