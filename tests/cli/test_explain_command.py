"""`cmelt explain`: a picture, or JSON, or what is lacking."""

from __future__ import annotations

import json

import pytest

from cmelt.pages.notice import NOTICE
from ecg_files import heart, write_wfdb
from running import cmelt
from trained_towers import saved_model


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    return saved_model(folder / "model"), write_wfdb(folder / "ecg", heart(1))


def test_the_picture_is_written_and_the_notice_said(given, tmp_path):
    model, ecg = given
    out = tmp_path / "page.svg"
    done = cmelt("explain", ecg, "--class", "afib", "--model", model, "--device", "cpu", "--out", out)
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    assert "atrial-fibrillation: score" in done.stderr and NOTICE in done.stderr
    assert "speaks-for" in out.read_text(encoding="utf-8")


def test_json_goes_to_stdout_alone(given):
    model, ecg = given
    done = cmelt("explain", ecg, "--prompt", "delta wave", "--model", model, "--method", "occlusion", "--json")
    told = json.loads(done.stdout)
    assert (told["what"], told["method"], told["notice"]) == ("delta wave", "occlusion", NOTICE)
    assert any("scored as typed" in note for note in told["notes"]) and "scored as typed" in done.stderr
    assert len(told["values"]) == len(told["leads"]) == 12


def test_kept_evidence_is_drawn_by_plot_over_its_own_ecg_alone(given, tmp_path):
    model, ecg = given
    why, page, direct = tmp_path / "why.json", tmp_path / "page.svg", tmp_path / "direct.svg"
    asked = ("explain", ecg, "--class", "afib", "--model", model, "--device", "cpu", "--method", "occlusion")
    assert cmelt(*asked, "--out", why).stdout == f"{why}\n"
    assert cmelt(*asked, "--out", direct).returncode == 0
    renamed = write_wfdb(tmp_path / "elsewhere", heart(1))
    done = cmelt("plot", renamed, "--evidence", why, "--out", page, "--layout", "12x1")
    assert (done.returncode, done.stdout) == (0, f"{page}\n"), done.stderr
    assert "evidence for atrial-fibrillation: score" in done.stderr and NOTICE in done.stderr
    drawn, expected = (path.read_text(encoding="utf-8").count("speaks-") for path in (page, direct))
    assert drawn == expected > 10
    other = write_wfdb(tmp_path / "other", heart(2))
    refused = cmelt("plot", other, "--evidence", why, "--out", tmp_path / "no.svg")
    assert refused.returncode == 1 and "explains another ECG" in refused.stderr and not (tmp_path / "no.svg").exists()


@pytest.mark.parametrize("options", ["--class afib", "--out x.svg", "--class afib --prompt x --json", "--class a --method b"])
def test_wrong_usage_ends_with_2(given, options):
    assert cmelt("explain", given[1], *options.split()).returncode == 2
