"""`metrics.jsonl`: one line a step, cut back to the step that a run resumes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cmelt.training.log import MetricsLog


def steps_in(run) -> list[int]:
    return [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_lines_past_the_step_that_is_resumed_are_dropped_and_written_again(tmp_path):
    log = MetricsLog(tmp_path, 0)
    for step in (1, 2, 3, 4):
        log.write({"step": step, "loss": 1.0})
    log.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')  # killed while writing
    log = MetricsLog(tmp_path, 2)
    log.write({"step": 3, "loss": 2.0})
    log.close()
    assert steps_in(tmp_path) == [1, 2, 3]


def test_a_line_is_on_disk_as_soon_as_it_is_written(tmp_path):
    log = MetricsLog(tmp_path, 0)
    log.write({"step": 1, "loss": 1.0})
    assert steps_in(tmp_path) == [1]
    log.close()


def test_cutting_back_is_done_at_once(tmp_path, monkeypatch):
    """Killed while the lines are cut back, those written so far are still there."""
    log = MetricsLog(tmp_path, 0)
    log.write({"step": 1, "loss": 1.0})
    log.close()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        MetricsLog(tmp_path, 1)
    assert steps_in(tmp_path) == [1]
