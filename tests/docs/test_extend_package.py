"""docs/extend/format.md and dataset.md: the package that they show, installed, read and prepared from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from code_blocks import ROOT, blocks_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from python_lines import run_python
from scratch_package import MOST_LINES, commands_of, files_of, installed, lines_of_code, put_like_pip, python_of, write
from shell_lines import Typist, commands_in

import cmelt as cmelt_api
from cmelt.errors import RecordError, SourceError
from cmelt.records.readers import READERS, known_readers
from cmelt.records.record import LEADS
from cmelt.sources import SOURCES, Source, known_sources, source_class
from cmelt.store import open_store
from ecg_files import heart
from running import cmelt

PAGES = ("docs/extend/format.md", "docs/extend/dataset.md")


def write_cart(path: Path, signal: np.ndarray, rate: float = 500.0) -> Path:
    """A file of the page's carts."""
    header = json.dumps({"rate": rate, "leads": list(LEADS)}).encode()
    path.write_bytes(b"WARDECG 1\n" + header + b"\n" + np.rint(signal.T * 1000).astype("<i2").tobytes())
    return path


@pytest.fixture
def ward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a cart's file and a ward of nine records of three patients, the package installed."""
    monkeypatch.chdir(tmp_path)
    write_cart(tmp_path / "cart.ecg", heart(1, 500.0))
    (tmp_path / "ward").mkdir()
    lines = ["file,patient,text,rhythm"]
    for number in range(9):
        write_cart(tmp_path / f"ward/{number}.ecg", heart(number, 500.0))
        lines.append(f"{number}.ecg,p{number // 3},sinus rhythm {number},SR")
    (tmp_path / "ward/ward.csv").write_text("\n".join(lines) + "\n")
    with installed(tmp_path / "packages"):
        yield tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_an_addition_is_short(page: str) -> None:
    (text,) = files_of(page).values()
    assert 10 < lines_of_code(text) <= MOST_LINES


@pytest.mark.parametrize("page", PAGES)
def test_the_page_s_commands_and_code_run(page: str, ward: Path) -> None:
    with Typist(ward) as typist:
        for block in commands_of(page):
            for command in commands_in(block.text):
                typist.type(command)
        for block in python_of(page):
            run_python(block, {"__name__": "page"})
    assert len(typist.typed) == {PAGES[0]: 2, PAGES[1]: 3}[page]


def test_a_format_of_an_installed_package_is_read_like_ours(ward: Path) -> None:
    record = cmelt_api.read_ecg("cart.ecg")
    assert (record.rate, record.leads) == (500.0, LEADS)
    np.testing.assert_allclose(record.signal, heart(1, 500.0), atol=6e-4)
    model, processor = cmelt_api.load("small")
    assert cmelt_api.embed(model, processor, "cart.ecg").shape == (1, 256)
    names = [reader.NAME for reader in known_readers()]
    assert names[-2:] == ["ward cart", "table"] and len(names) == len(READERS) + 1


def test_without_the_package_nobody_knows_the_format(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="not an ECG format that is known here"):
        cmelt_api.read_ecg(write_cart(tmp_path / "cart.ecg", heart(1)))
    assert dict(known_sources()) == dict(SOURCES)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 400), values=st.binary(min_size=0, max_size=12), cut=st.integers(0, 30_000))
def test_the_page_s_reader_keeps_the_promise_of_all_readers(ward: Path, place: int, values: bytes, cut: int) -> None:
    content = (ward / "cart.ecg").read_bytes()
    place = max(place, len(b"WARDECG 1\n"))
    (ward / "damaged.ecg").write_bytes((content[:place] + values + content[place + len(values) :])[: max(cut, place)])
    try:
        record = cmelt_api.read_ecg(ward / "damaged.ecg")
    except RecordError:
        return
    assert record.signal.dtype == np.float32


def test_the_ward_becomes_a_store_by_its_patients(ward: Path) -> None:
    done = cmelt("prepare", "ward", "ward", "--out", "ward100", "--workers", "1")
    assert done.returncode == 0, done.stderr
    store = open_store(ward / "ward100")
    assert (len(store.index), store.index["patient"].nunique()) == (9, 3)
    assert store.index["labels"].explode().unique().tolist() == ["ward:SR"]
    assert all(store.index.groupby("patient")["split"].nunique() == 1)
    assert isinstance(source_class("ward")("ward"), Source)  # type: ignore[call-arg]


def test_the_commands_know_it_where_it_is_installed_in_processes_of_their_own_too(ward: Path) -> None:
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ward / 'packages'}"}
    command = [sys.executable, "-m", "cmelt.cli", "prepare", "ward", "ward", "--out", "apart", "--workers", "2"]
    done = subprocess.run([*command, "--shard-records", "5"], cwd=ward, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "9 records in apart, 0 left out" in done.stdout
    assert "ward" in cmelt("sources", "--json").stdout and "Ward 3" in cmelt("prepare", "--help").stdout


def test_a_package_that_cannot_be_imported_is_named(ward: Path) -> None:
    put_like_pip(ward / "packages")
    (ward / "packages/ward_ecgs/ward.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(SourceError, match=r"ward_ecgs\.ward:Ward cannot be imported"):
        source_class("ward")
    (ward / "packages/ward_ecgs/cart.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(RecordError, match="the reader ward-cart of an installed package cannot be imported"):
        cmelt_api.read_ecg("cart.ecg")


def test_a_name_of_ours_stays_ours(ward: Path) -> None:
    points = ward / "packages/ward_ecgs-1.0.dist-info/entry_points.txt"
    points.write_text(points.read_text().replace("ward = ", "ludb = "))
    known_sources.cache_clear()
    assert known_sources()["ludb"] == SOURCES["ludb"]


@pytest.mark.slow
def test_pip_installs_the_package_of_the_pages_and_writes_what_the_other_tests_write_for_it(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", reason="what builds a package that names no builder")
    (stated,) = [block.text for block in blocks_of(PAGES[0]) if block.language == "toml"]
    write({name: text for page in PAGES for name, text in files_of(page).items()} | {"pyproject.toml": stated}, tmp_path / "here")
    offline = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", tmp_path / "by-pip", tmp_path / "here"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    put_like_pip(tmp_path / "by-us")
    points = "ward_ecgs-1.0.dist-info/entry_points.txt"
    assert (tmp_path / "by-pip" / points).read_text().split() == (tmp_path / "by-us" / points).read_text().split()
