"""What the site is made of besides pages: navigation, references from the code, equations."""

from __future__ import annotations

import pytest

from cmelt.config.settings import MaskingSettings, TrainingSettings

pytest.importorskip("sphinx", reason='the site needs the extra: pip install -e ".[docs]"')

import command_reference
import generated
import settings_reference
from api_reference import api_reference, public_names
from navigation import CONTENTS, toctrees


def test_the_navigation_lists_what_is_there_and_nothing_else():
    trees = toctrees({"docs/model", "notebooks/one"})
    assert trees.count("{toctree}") == 2
    assert "/docs/model\n" in trees and "/notebooks/*\n" in trees
    assert "/docs/extend/*" not in trees and "/docs/api" not in trees


def test_no_page_stands_twice_in_the_navigation():
    pages = [page for entries in CONTENTS.values() for page in entries]
    assert len(set(pages)) == len(pages)


def test_an_unknown_mark_is_an_error_not_a_blank():
    with pytest.raises(ValueError, match="comands"):
        generated.filled("text\n<!-- site: comands -->\n")


def test_the_last_mark_has_every_public_name_that_no_other_has():
    page = generated.filled("<!-- site: api load -->\n\n<!-- site: api -->\n")
    for name in public_names():
        assert page.count(f":: cmelt.{name}\n") == 1, name
    assert page.index("cmelt.load\n") < page.index("cmelt.Record\n")


def test_a_mark_inside_a_line_is_left_alone():
    assert generated.filled("see `<!-- site: api load -->` there") == "see `<!-- site: api load -->` there"


def test_a_class_comes_with_its_members_and_a_function_without():
    written = api_reference(["Record", "load", "LEADS"])
    assert ".. autoclass:: cmelt.Record\n   :members:" in written
    assert ".. autofunction:: cmelt.load\n\n" in written and ".. autodata:: cmelt.LEADS" in written


def test_an_example_of_a_help_text_is_code_and_prose_is_prose():
    told = list(command_reference._help("Do it.\n\nExample: cmelt embed a --out b\n\ncmelt x y: as a whole"))
    assert told == ["Do it.\n", "```text\ncmelt embed a --out b\n```\n", "cmelt x y: as a whole\n"]


def test_an_option_s_rule_has_a_column_of_its_own():
    row = command_reference._row("--k <a|b>", "How many [of them].  [default: 10; x>=1]")
    assert row == "| `--k <a\\|b>` | How many \\[of them\\]. | default: 10; x\\>=1 |"


def test_the_terminal_s_escapes_are_not_shown():
    assert list(command_reference._help('pip install "cmelt\\[serve]"')) == ['pip install "cmelt\\[serve\\]"\n']


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1, "1"),
        (True, "`true`"),
        (None, "`null`"),
        (5e-05, "5e-05"),
        (0.25, "0.25"),
        ((64, 128), "[64, 128]"),
        ({"a": 1}, "its own"),
    ],
)
def test_a_value_is_told_as_yaml_has_it(value, said):
    assert settings_reference._value(value) == said


@pytest.mark.parametrize(
    ("hint", "said"), [(int | None, "whole number or `null`"), (tuple[float, float], "list of number"), (bool, "`true` `false`")]
)
def test_a_type_is_told_in_words(hint, said):
    assert settings_reference._words(hint) == said


def test_a_key_s_purpose_is_the_recipe_s_comment_else_the_code_s():
    assert settings_reference._purpose(MaskingSettings, "masking.lead_drop") == "chance that a lead is hidden"
    assert settings_reference._above(TrainingSettings, "loaders").startswith("Threads a process that make the next batches")
    assert settings_reference._above(TrainingSettings, "batch") == ""
