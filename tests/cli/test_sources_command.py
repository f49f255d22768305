"""`cmelt sources`, and the page about the datasets: both say what the sources say of themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cmelt.errors import SourceError
from cmelt.sources import SOURCES
from cmelt.sources.about import About, about_of
from cmelt.sources.remote_files import place_of
from running import cmelt

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sources.md"

each_source = pytest.mark.parametrize("name", list(SOURCES))


def row_of(name: str, about: About) -> str:
    """The line of the page's table about one source."""
    count = ["–" if number is None else f"{number:,}" for number in (about.records, about.patients)]
    size = "–" if about.gigabytes is None else f"{about.gigabytes:g} GB"
    # cpsc2018 has two places, and says both in words.
    title = f"[{about.title}]({about.where})" if about.where.startswith("http") and " " not in about.where else about.title
    return f"| `{name}` | {title}: {about.signals} | {' | '.join(count)} | {size} | {about.licence} |"


def test_the_page_s_table_is_what_the_sources_say():
    wanted = [row_of(name, about_of(name)) for name in SOURCES]
    found = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert found == wanted, "put these lines into docs/sources.md:\n" + "\n".join(wanted)


@each_source
def test_a_published_source_says_where_under_which_licence_and_how_to_cite(name):
    about = about_of(name)
    assert about.title and about.signals and about.licence
    if about.access in ("open", "credentialed"):
        assert "http" in about.where
        assert about.records
        assert any(character.isdigit() for character in about.citation)  # a year
        assert about.files
    if about.download:
        assert about.access == "open"
        assert place_of(about.download)[1].startswith("https://")


@each_source
def test_the_json_of_one_source_is_that_of_the_list(name):
    one = json.loads(cmelt("sources", name, "--json").stdout)
    every = {facts["name"]: facts for facts in json.loads(cmelt("sources", "--json").stdout)}
    assert every[name] == one
    assert list(every) == list(SOURCES)
    assert one["files"] == [{"path": path, "what": what} for path, what in about_of(name).files]


def test_the_list_fits_a_hundred_columns_and_cuts_no_address():
    text = cmelt("sources").stdout
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    for name in SOURCES:
        about = about_of(name)
        assert name in text
        assert f"{about.records:,}" in text if about.records else True
        if " " not in about.where:
            assert about.where in text


def test_one_source_is_shown_with_its_files_and_the_commands_that_follow():
    text = cmelt("sources", "mimic-iv-ecg").stdout
    for told in ("800,035", "161,352", "ODbL 1.0", "record_list.csv", "machine_measurements.csv", "Gow", "2023"):
        assert told in text
    assert "cmelt download mimic-iv-ecg DIR" in text
    assert "cmelt prepare mimic-iv-ecg DIR --out STORE" in text
    assert "download" not in cmelt("sources", "simulated").stdout


def test_an_unknown_source_is_wrong_usage():
    done = cmelt("sources", "mimic")
    assert (done.returncode, done.stdout) == (2, "")
    assert "ptb-xl" in done.stderr
    with pytest.raises(SourceError, match="no such source"):
        about_of("mimic")
