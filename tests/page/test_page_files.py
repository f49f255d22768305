"""The page's files: plain, complete, from nowhere else, and agreeing with the package about names and words."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from stand_in import PAGE

from cmelt.evaluation.prompts import statements
from cmelt.evaluation.tasks import bundled_tasks, load_task
from cmelt.records import flag_words
from cmelt.serving.notice import NOTICE

MODULES = sorted(PAGE.glob("*.js"))
HTML = (PAGE / "index.html").read_text(encoding="utf-8")


class Tags(HTMLParser):
    """Every tag of the page with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(HTML)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_nothing_comes_from_elsewhere() -> None:
    for file in PAGE.iterdir():
        named = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"'`)]*", file.read_text(encoding="utf-8")))
        assert named <= {"http://www.w3.org/2000/svg"}, file.name


def test_no_script_and_no_style_stands_in_the_markup() -> None:
    for tag, attributes in Tags().found:
        assert tag != "style"
        assert tag != "script" or attributes.get("src")
        assert not [name for name in attributes if name == "style" or name.startswith("on")], (tag, attributes)
    for file in MODULES:  # ways around the policy that it forbids, too
        assert not re.search(
            r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(\"style\"", file.read_text()
        )


def test_every_module_that_is_imported_exists_and_exports_what_is_asked_of_it() -> None:
    for file in MODULES:
        for names, module in re.findall(r"import \{([^}]*)\} from \"\./([\w.]+)\"", file.read_text()):
            exported = (PAGE / module).read_text()
            for name in filter(None, map(str.strip, names.split(","))):
                assert re.search(
                    rf"export (?:async )?(?:function\*? {name}\b|class {name}\b|const (?:{name}\b|\[[^\]]*\b{name}\b))", exported
                ), (
                    file.name,
                    name,
                )


def test_every_element_that_the_code_asks_for_by_name_is_in_the_page() -> None:
    there = {attributes["id"] for _, attributes in Tags().found if attributes.get("id")}
    asked = {name for file in MODULES for name in re.findall(r"byId\(\"([\w-]+)\"\)", file.read_text())}
    assert asked <= there
    assert len(there) == HTML.count(' id="')  # none twice


def test_every_control_has_a_label() -> None:
    labelled = set(re.findall(r'<label for="([\w-]+)"', HTML))
    inside = re.findall(r"<label\b[^>]*>(.*?)</label>", HTML, re.S)
    for tag, attributes in Tags().found:
        if tag in ("input", "select", "textarea"):
            name = attributes.get("id") or attributes.get("value")
            held = any(f'"{name}"' in text for text in inside)
            assert held or name in labelled or attributes.get("aria-label"), attributes


def test_the_page_says_the_notice_of_the_package() -> None:
    assert NOTICE in HTML


def test_the_sets_of_the_page_are_tasks_and_statements_of_the_package() -> None:
    code = (PAGE / "questions.js").read_text()
    for title, count, task in re.findall(r'title: "([^"]+?) \((\d+)\)", task: "([\w-]+)"', code):
        assert task in bundled_tasks(), title
        assert len(load_task(task).classes) == int(count), title
    named = re.findall(r'"([a-z-]+)"', code[code.index("classes: [") : code.index("],")])
    assert len(named) == 12 and set(named) <= set(statements())


def test_the_page_has_words_for_every_flag_that_the_package_raises() -> None:
    code = (PAGE / "ecg.js").read_text()
    for kind in flag_words._WORDS:
        assert re.search(rf"^  \"?{kind}\"?: ", code, re.M), kind


@pytest.mark.parametrize(
    "file", [path for path in PAGE.iterdir() if path.suffix in (".js", ".css", ".html")], ids=lambda path: path.name
)
def test_files_stay_short(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 400
