"""docs/licences.md names every package that an installation brings, and a licence that was looked at; none of them is a GPL."""

from __future__ import annotations

import re
from importlib.metadata import distribution

import pytest

from .conftest import script

licences = script("licences")
CONSTRAINTS = (licences.ROOT / "constraints.txt").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (\S+) \| (\S+) \| .* \|$", licences.PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def test_every_package_of_an_installation_stands_on_the_page_with_its_licence() -> None:
    page = licences.PAGE.read_text(encoding="utf-8")
    found = licences.installed_licences()
    assert {"torch", "numpy", "h5py", "fastapi", "captum", "onnxruntime", "distributed", "tensorboard"} <= {
        one.name for one in found
    }
    for one in found:
        row = licences.table([one]).splitlines()[-1]
        assert re.sub(r"\| [\d.]+\S* \|", "|", row) in re.sub(r"\| [\d.]+\S* \|", "|", page), f"{row}: run `make licences`"
    assert {one.name for one in found} == set(ROWS) - {"package"}, "run `make licences`"


def test_the_page_s_versions_are_those_that_are_installed_by_default() -> None:
    stated = {name.lower(): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", CONSTRAINTS, re.MULTILINE)}
    for name, version in ROWS.items():
        assert name == "package" or stated[name] == version, f"{name}: run `make licences`"


@pytest.mark.parametrize(
    "stated",
    ["GPL-3.0-only", "AGPL-3.0-or-later", "LGPLv2+", "MIT AND GPL-2.0-or-later", "GNU General Public License v3 (GPLv3)"],
)
def test_a_licence_of_the_gpl_family_stops_the_script_by_the_package_s_name(stated: str) -> None:
    with pytest.raises(licences.LicenceError, match=r"somebody: .*GPL family"):
        licences.looked_at("somebody", [stated])
    with pytest.raises(licences.LicenceError, match=r"somebody: .*GPL family"):
        licences.looked_at("somebody", ["MIT"], [stated])


@pytest.mark.parametrize("stated", ["", "Proprietary", "CC-BY-NC-4.0", "see LICENSE"])
def test_a_licence_that_nobody_looked_at_stops_it_too(stated: str) -> None:
    with pytest.raises(licences.LicenceError, match=r"somebody: licence .* was not looked at"):
        licences.looked_at("somebody", [stated])


def test_a_package_that_states_no_licence_stops_it() -> None:
    with pytest.raises(licences.LicenceError, match="somebody: licence 'not stated' was not looked at"):
        licences.looked_at("somebody", [])


def test_packages_are_found_through_those_that_need_them_and_only_with_the_extra_that_asks() -> None:
    alone = licences.brought_with("cmelt")
    assert {"cmelt", "torch", "markupsafe", "pillow"} <= alone  # markupsafe by jinja2 by torch
    assert not {"captum", "starlette", "uvicorn", "pytest", "sphinx"} & alone
    assert {"starlette", "uvicorn"} <= licences.brought_with("cmelt", "serve")


def test_docutils_brings_none_of_the_files_that_are_under_the_gpl() -> None:
    assert set(licences.READ) == {"docutils"}
    assert not [file for file in distribution("docutils").files or () if file.suffix == ".el"]


def test_the_table_is_put_in_place_of_the_one_before() -> None:
    page = f"above\n{licences.START}\nold\n{licences.END}\nbelow\n"
    made = licences.table(
        [licences.Licensed("a", "1.0+cpu", "MIT", ("",)), licences.Licensed("b", "2", "ISC", ("onnx", "serve"))]
    )
    assert "| a | 1.0 | MIT | the package |\n| b | 2 | ISC | `onnx`, `serve` |" in made
    assert licences.with_table(page, made) == f"above\n{licences.START}\n{made}\n{licences.END}\nbelow\n"
