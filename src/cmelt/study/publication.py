"""A study's results as files: JSON, CSV, Markdown and a page, published together."""

from __future__ import annotations

import json
from pathlib import Path

from cmelt.publishing import published
from cmelt.study.folders import RESULTS
from cmelt.study.page import page
from cmelt.study.results import StudyResults, to_csv, to_json, to_markdown

JSON, CSV, MARKDOWN, PAGE = "study.json", "table.csv", "table.md", "study.html"


def publish_results(results: StudyResults, out: Path) -> Path:
    """Write `out/results/NAME` anew; returns that folder. An earlier one gives way once the new one is complete."""
    target = out / RESULTS / results.name
    with published(target, {"kind": "cmelt study results"}, replace=True) as staging:
        (staging / JSON).write_text(json.dumps(to_json(results), indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8")
        (staging / CSV).write_text(to_csv(results), encoding="utf-8")
        (staging / MARKDOWN).write_text(to_markdown(results), encoding="utf-8")
        (staging / PAGE).write_text(page(results), encoding="utf-8")
    return target
