"""What the site is made of besides pages: navigation, references from the code, equations."""

from __future__ import annotations

import pytest

from cmelt.config.settings import MaskingSettings, TrainingSettings

pytest.importorskip("sphinx", reason='the site needs the extra: pip install -e ".[docs]"')

from docutils import nodes

import command_reference
import generated
import mathml
import repairs
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


def test_an_equation_is_mathml():
    markup = mathml.mathml(r"\frac{a}{b_i}", "block")
    assert markup.startswith("<math") and "<mfrac>" in markup and 'display="block"' in markup


@pytest.mark.parametrize("tex", [r"\begin{aligned} a &= b \end{aligned}", r"\nosuchcommand x"])
def test_tex_that_cannot_be_shown_is_no_equation(tex):
    with pytest.raises(ValueError, match="is left of"):
        mathml.mathml(tex, "inline")


def document_with(*inside: nodes.Node) -> nodes.document:
    from docutils.utils import new_document

    document = new_document("page")
    document += nodes.section("", nodes.title("", "How far apart"), *inside)
    return document


def test_a_picture_without_words_gets_its_section_s_title_and_one_with_words_keeps_them():
    bare, told = nodes.image(uri="a.png"), nodes.image(uri="b.png", alt="distances")
    repairs.described(document_with(bare, told))
    assert bare["alt"] == "Figure that the code above draws: How far apart"
    assert told["alt"] == "distances"


def test_two_strokes_between_a_name_and_its_words_become_a_dash_and_an_option_keeps_its_own():
    document = document_with(
        nodes.paragraph("", "", nodes.strong("", "rate"), nodes.Text(" -- "), nodes.Text("Hz, as by --rate"))
    )
    repairs.with_dashes(document)
    assert document.astext().endswith("rate – Hz, as by --rate")


def test_side_bar_headings_have_a_level():
    assert repairs.with_levels('<p class="caption" role="heading">') == '<p class="caption" role="heading" aria-level="2">'


def test_a_signature_is_python():
    assert repairs.plain("(leads: tuple = (), truth: dict = <factory>)") == "(leads: tuple = (), truth: dict = ...)"
    assert repairs.plain(None) is None
