"""Files of findings: a line each, or YAML; anything unclear is an error that names the file."""

from __future__ import annotations

import pytest

from cmelt.errors import ConfigError
from cmelt.evaluation.tasks import load_task
from cmelt.serving.prompt_file import LARGEST, read_prompts
from cmelt.serving.typed_lines import taken_as, typed_lines


def test_a_text_file_has_a_finding_a_line(tmp_path):
    path = tmp_path / "findings.txt"
    path.write_text("\ufeff# what we look for\n\n is there atrial fibrillation?\nVorhofflattern.\r\n", encoding="utf-8")
    found = read_prompts(path)
    assert found == typed_lines(["is there atrial fibrillation?", "Vorhofflattern."])
    assert taken_as(found) == {"is there atrial fibrillation?": "atrial-fibrillation", "Vorhofflattern.": "atrial-flutter"}
    assert set(taken_as(read_prompts(path, as_typed=True)).values()) == {None}


def test_yaml_has_one_text_a_class_or_several(tmp_path):
    path = tmp_path / "findings.yaml"
    path.write_text("af: atrial fibrillation.\nflutter: [atrial flutter., vorhofflattern.]\n")
    assert read_prompts(path) == {"af": ["atrial fibrillation."], "flutter": ["atrial flutter.", "vorhofflattern."]}


def test_a_task_file_is_a_task(tmp_path):
    path = tmp_path / "task.yml"
    path.write_text('classes: {af: {labels: ["af"], prompts: [atrial fibrillation]}}')
    assert read_prompts(path) == load_task(path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("f.txt", b"", "holds no finding"),
        ("f.txt", b"# nothing\n\n", "holds no finding"),
        ("f.txt", b"flutter\n\nother\nflutter\n", "line 4"),
        ("f.txt", b"\xff\xfe\x00", "not UTF-8"),
        ("f.txt", b"x" * (LARGEST + 1), "larger than"),
        ("f.yaml", b"af: []\n", "af has no text"),
        ("f.yaml", b"af: [1]\n", "af has no text"),
        ("f.yaml", b"af: {a: b}\n", "af has no text"),
        ("f.yaml", b"af: x\naf: y\n", "occurs twice"),
        ("f.yaml", b"af: [x", "f.yaml"),
        ("none.txt", None, "cannot be read"),
    ],
)
def test_what_is_no_file_of_findings_is_refused(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=said) as refused:
        read_prompts(tmp_path / name)
    assert name in str(refused.value)
