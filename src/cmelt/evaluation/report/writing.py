"""Publish an evaluation's folder: report.html, results.json, summary.png and their manifest, all or nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cmelt.errors import ConfigError
from cmelt.evaluation.embedder import EvaluationStore
from cmelt.evaluation.further import Further
from cmelt.evaluation.report.page import page
from cmelt.evaluation.report.summary import draw_summary
from cmelt.evaluation.results import Results, envelope
from cmelt.publishing import MANIFEST, published

REPORT, RESULTS, SUMMARY = "report.html", "results.json", "summary.png"
NOTHING_FURTHER = Further()


def write_report(
    results: Sequence[Results],
    folder: str | Path,
    *,
    further: Further = NOTHING_FURTHER,
    loss_log: Path | None = None,
    store: EvaluationStore | None = None,
) -> Path:
    """Write a folder with the report; an earlier evaluation there is replaced once the new one is complete.

    Args:
        results: one entry a task, at least one.
        folder: must not exist, be empty, or hold an earlier evaluation.
        further: what was measured beside the tasks.
        loss_log: the run's JSONL log; without it the page has no loss curves.
        store: where the example ECGs are read; without it the page has none, nor any report text.

    Returns the path of report.html. Raises ConfigError where `folder` holds anything else.
    """
    target = Path(folder)
    check_replaceable(target)
    with published(target, {"kind": "evaluation"}, replace=True) as staging:
        (staging / REPORT).write_text(page(results, further, loss_log, store), encoding="utf-8")
        (staging / RESULTS).write_text(indented(envelope(list(results)) | further.to_json()), encoding="utf-8")
        draw_summary(results, staging / SUMMARY)
    return target / REPORT


def indented(content: dict[str, Any]) -> str:
    """Indented, but a list of numbers on one line: a curve has a hundred of them."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    return re.sub(r"\[[-+.eE\d,\s]+\]", lambda found: "".join(found.group().split()).replace(",", ", "), text) + "\n"


def check_replaceable(folder: Path, ours: Sequence[str] = (REPORT, RESULTS, SUMMARY)) -> None:
    """Refuse a folder with files other than `ours`, an evaluation's: they would be lost when it is replaced."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(folder, "is a file", "name a folder for the report")
    others = [p.name for p in folder.iterdir() if p.name not in (*ours, MANIFEST)] if folder.exists() else []
    if others:
        raise ConfigError(folder, f"holds other files ({others[0]})", "name a folder of its own for the report")
