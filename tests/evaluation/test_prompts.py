"""The words that describe the classes: complete, in both languages, opposite in pairs, and copied from no report."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from cmelt.errors import ConfigError
from cmelt.evaluation.prompts import LANGUAGES, Wording, read_statements, statements
from cmelt.evaluation.prompts.wording import FOLDER
from cmelt.evaluation.strict_yaml import read_strict_yaml
from cmelt.evaluation.tasks import bundled_tasks, load_task
from cmelt.text.cleaning import clean_report

TASKS = [name for name in bundled_tasks() if name != "simulated"]
# ß and umlauts, and words that only one of the languages has; "in" and names of leads and waves are both's.
GERMAN = re.compile(
    r"[äöüß]|\b(der|die|das|kein\w*|mit|und|oder|ohne|bei|nach|vor|nicht|liegt|es|ist|sinusrhythmus|möglich)\b", re.I
)
ENGLISH = re.compile(r"\b(the|is|are|with|and|or|without|of|no|not|due|sinus rhythm|wave|waves|beats?|present)\b", re.I)


def every_text():
    for name, statement in statements().items():
        for wording in (statement.present, statement.absent):
            for language in LANGUAGES:
                for text in wording.texts([language]):
                    yield name, language, text


def plain(text):
    """Letters and digits of a cleaned report: how a verbatim copy is told, whatever its punctuation."""
    return " ".join(re.sub(r"[^\w]+", " ", clean_report(text).lower()).split())


@pytest.mark.parametrize("name", TASKS)
def test_every_class_has_several_phrasings_and_opposites_in_both_languages(name):
    known = {language: {text for _, spoken, text in every_text() if spoken == language} for language in LANGUAGES}
    for label, c in load_task(name).classes.items():
        assert c.negative_prompts, label
        for language, texts in known.items():
            assert len(texts & set(c.prompts)) >= 3, (label, language)
            assert len(texts & set(c.absent_prompts)) >= 2, (label, language)


def test_every_statement_is_used_by_a_task():
    described = {text for name in TASKS for c in load_task(name).classes.values() for text in c.prompts}
    unused = [name for name, statement in statements().items() if not described & set(statement.present.texts())]
    assert unused == []


def test_a_condition_has_the_same_words_whatever_the_dataset_calls_it():
    def asked(task, label):
        c = load_task(task).classes[label]
        return c.prompts, c.absent_prompts

    for others in (
        [
            ("ptbxl-rhythm", "AFIB"),
            ("ptbxl-all", "AFIB"),
            ("cpsc2018", "AFIB"),
            ("csn", "AFIB"),
            ("cinc2021", "AF"),
            ("code", "AF"),
        ],
        [("ptbxl-all", "1AVB"), ("cpsc2018", "1AVB"), ("csn", "1AVB"), ("cinc2021", "IAVB"), ("code", "1dAVb")],
        [("ptbxl-sub", "CLBBB"), ("cpsc2018", "CLBBB"), ("csn", "LBBB"), ("cinc2021", "CLBBB"), ("code", "LBBB")],
        [("ptbxl-form", "PVC"), ("cpsc2018", "VPC"), ("csn", "VPB"), ("cinc2021", "PVC")],
        [("csn", "AF"), ("ptbxl-rhythm", "AFLT"), ("cinc2021", "AFL")],  # flutter: only CSN calls it AF
    ):
        assert len({asked(*where) for where in others}) == 1, others


def test_atrial_fibrillation_of_one_dataset_is_not_the_flutter_that_another_calls_by_its_letters():
    assert not set(load_task("csn").classes["AF"].prompts) & set(load_task("cinc2021").classes["AF"].prompts)


def test_texts_are_in_the_language_they_are_filed_under():
    for name, language, text in every_text():
        foreign = ENGLISH if language == "german" else GERMAN
        assert not foreign.search(text), (name, language, text)


def test_absent_forms_open_with_the_rhythm_as_reports_do():
    # A statement about the rhythm itself may say which it is in its own way.
    of_rhythm = {"sinus-rhythm", "bradycardia", "paced-rhythm", "supraventricular-arrhythmia", "supraventricular-tachycardia"}
    for name, statement in statements().items():
        if name not in of_rhythm:
            assert all(re.search("sinus ?rhythm", text.lower()) for text in statement.absent.texts()), name


def test_no_text_says_that_a_statement_is_there_and_elsewhere_that_it_is_absent():
    for name, statement in statements().items():
        assert not set(map(plain, statement.present.texts())) & set(map(plain, statement.absent.texts())), name
        assert max(Counter(map(plain, statement.present.texts())).values()) == 1, name


def test_statements_are_read_only_and_in_order():
    known = statements()
    with pytest.raises(TypeError):
        known["own"] = None
    assert known["atrial-fibrillation"].present == Wording(
        known["atrial-fibrillation"].english, known["atrial-fibrillation"].german
    )
    assert known["long-qt"].present.texts(["german"]) == known["long-qt"].german


GOOD = "a: {meaning: m, english: [x], german: [y], absent: {english: [no x], german: [kein y]}}\n"


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"one": GOOD, "two": GOOD}, "statement a is worded in an earlier file"),
        ({"one": GOOD + GOOD}, "a occurs twice"),
        ({"one": GOOD.replace("[no x]", "[]")}, "nothing in english"),
        ({"one": GOOD.replace("[kein y]", "[y]")}, "the same german text twice"),
        ({"one": GOOD.replace("meaning: m, ", "")}, "a.meaning is missing"),
        ({"one": GOOD.replace("absent:", "absence:")}, "unknown key a.absence"),
    ],
)
def test_a_wrong_prompt_file_names_file_and_key(tmp_path, files, named):
    for name, content in files.items():
        (tmp_path / f"{name}.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_statements(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert named in str(caught.value)


# Copies. PTB-XL's reports are those a model may have learned from: no text of ours may be a stretch of any of them, of any
# patient, trained on or evaluated. Punctuation, case and "ekg" do not count.


def test_no_prompt_occurs_in_any_report_of_ptb_xl(data_dir):
    import pandas as pd

    table = pd.read_csv(data_dir / "ptb-xl" / "ptbxl_database.csv")
    stretches = "\n".join(f" {plain(report)} " for report in table.report.dropna().unique())

    def copied(text):
        return f" {plain(text)} " in stretches

    assert copied("Sinus rhythm. Normal ECG.") and copied("inferiorer Infarkt wahrscheinlich alt")  # copies are found
    assert [(name, text) for name, _, text in every_text() if copied(text)] == []


def test_no_prompt_is_a_statement_of_the_machine_reports_of_mimic(data_dir):
    import pandas as pd

    table = pd.read_csv(data_dir / "report-text" / "mimic_iv_ecg_statements_345.csv")
    machine = set(map(plain, table.total_label))
    assert len(machine) > 300 and "st t changes" in machine
    assert [(name, text) for name, _, text in every_text() if plain(text) in machine] == []


def test_no_prompt_is_a_whole_assembled_report():
    # Reports of the Challenge's sources are made of the conditions' names: a prompt that were one would be a copy.
    from cmelt.sources.snomed import REPORT_OPENING, assembled_report, conditions
    from cmelt.sources.vocabularies import csn_conditions, csn_names

    codes = {*conditions(), *csn_conditions()}
    reports = {plain((assembled_report([code], csn_names()) or "").removeprefix(REPORT_OPENING)) for code in codes}
    assert "atrial fibrillation" in reports and "" not in reports
    assert [(name, text) for name, _, text in every_text() if plain(text) in reports] == []


def test_no_prompt_is_a_whole_simulated_report():
    from cmelt.simulation import simulate

    reports = {plain(simulate(seed).report) for seed in range(100)}
    assert len(reports) > 80
    assert [(name, text) for name, _, text in every_text() if plain(text) in reports] == []


PAGE = (Path(__file__).resolve().parents[2] / "docs" / "prompts.md").read_text(encoding="utf-8")


def test_the_page_counts_the_statements_of_every_file():
    total = [0] * 5
    for path in sorted(FOLDER.glob("*.yaml")):
        found = [statements()[name] for name in read_strict_yaml(path)]
        sides = [(len(s.english), len(s.german), len(s.absent.english), len(s.absent.german)) for s in found]
        counts = [len(found), *map(sum, zip(*sides, strict=True))]
        assert f"| `{path.name}` | {' | '.join(map(str, counts))} |" in PAGE
        total = [a + b for a, b in zip(total, counts, strict=True)]
    assert f"| all | {' | '.join(map(str, total))} |" in PAGE


def test_the_page_s_task_can_be_loaded(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(PAGE.split("```yaml\n")[2].split("```")[0], encoding="utf-8")
    task = load_task(path)
    assert list(task.classes) == ["bifascicular block", "sinus tachycardia"]
    assert not any(re.search("sinusrhythmus", text.lower()) for c in task.classes.values() for text in c.prompts)
