"""`cmelt demo`, the whole chain in one command, on few enough ECGs for a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def demo(out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cmelt.cli", "demo", "--out", str(out), "--records", "300", "--workers", "1"]
    return subprocess.run(command, capture_output=True, text=True, timeout=500)


def test_the_demo_ends_with_a_report_and_called_again_trains_nothing_twice(tmp_path):
    done = demo(tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    report = tmp_path / "demo" / "report" / "report.html"
    assert str(report) in done.stdout
    assert "not a medical device" in done.stdout
    simulated = json.loads((report.parent / "results.json").read_text())["results"]["simulated"]
    assert simulated["splits"] == ["validation", "test"]
    assert simulated["zero_shot"]["similarity"]["random"]["macro_auroc"]["value"] > 0
    log = (tmp_path / "demo" / "run" / "metrics.jsonl").read_bytes()
    again = demo(tmp_path / "demo")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "demo" / "run" / "metrics.jsonl").read_bytes() == log
