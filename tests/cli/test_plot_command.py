"""`cmelt plot`: a picture at the place that was named, or an error that says what to do."""

from __future__ import annotations

import numpy as np
import pytest

from ecg_files import heart, write_wfdb
from running import cmelt


@pytest.mark.parametrize("name", ["page.svg", "page.png", "page.pdf"])
def test_plot_writes_a_picture_and_says_where(tmp_path, name):
    header = write_wfdb(tmp_path / "ecg", heart(rate=500.0), rate=500.0)
    done = cmelt("plot", header, "--out", tmp_path / name)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / name}\n"), done.stderr
    assert (tmp_path / name).stat().st_size > 10_000


def test_every_choice_arrives_on_the_page(tmp_path):
    header = write_wfdb(tmp_path / "ecg", heart(seconds=30.0))
    options = ("--layout", "12x1", "--speed", "12.5", "--gain", "20", "--start", "15", "--filter")
    assert cmelt("plot", header, "--out", tmp_path / "page.svg", *options).returncode == 0
    told = "12.5 mm/s   20 mm/mV   100 Hz   filter 0.5–40 Hz   15 to 25 of 30 s"
    assert told in (tmp_path / "page.svg").read_text(encoding="utf-8")


def test_bare_numbers_are_drawn_with_what_is_said_of_them_and_not_without(tmp_path):
    np.save(tmp_path / "bare.npy", heart()[:3] * 1000)
    out = tmp_path / "page.svg"
    refused = cmelt("plot", tmp_path / "bare.npy", "--out", out, "--leads", "I,II,III", "--unit", "uV")
    assert refused.returncode == 1 and "say it: --rate 500" in refused.stderr and not out.exists()
    done = cmelt("plot", tmp_path / "bare.npy", "--out", out, "--leads", "I, II,III", "--unit", "uV", "--rate", "100")
    assert done.returncode == 0 and out.read_text().count(">not recorded</text>") == 9


@pytest.mark.parametrize(("options", "status"), [(("--out", "page.gif"), 1), (("--out", "p.svg", "--speed", "30"), 2), ((), 2)])
def test_wrong_usage_is_refused_with_what_is_right(tmp_path, options, status):
    header = write_wfdb(tmp_path / "ecg", heart())
    done = cmelt("plot", header, *options)
    assert done.returncode == status
    assert any(right in done.stderr for right in (".svg, .png, .pdf", "12.5", "--out"))
