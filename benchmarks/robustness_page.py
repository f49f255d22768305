"""Tables and picture of what `robustness.py` has measured: docs/model-card.md between its marks, docs/pictures/robustness.png.

    python benchmarks/robustness_page.py

The bundled model's own card has the same tables, by
`scripts/ship_model.py card … --robustness benchmarks/results/robustness.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cmelt.evaluation.robustness_card import robustness_section
from robustness import OTHERS, PTBXL, RESULTS

ROOT = Path(__file__).resolve().parents[1]
PAGE, PICTURE = ROOT / "docs/model-card.md", ROOT / "docs/pictures/robustness.png"
BEGIN, END = "<!-- robustness: begin, made by benchmarks/robustness_page.py -->", "<!-- robustness: end -->"
#: Panels: the group of conditions, what stands above it, what its axis says.
PANELS = (
    ("baseline wander", "baseline wander", "signal to noise, dB"),
    ("muscle", "muscle", "signal to noise, dB"),
    ("white", "white noise", "signal to noise, dB"),
    ("50 Hz", "mains hum, 50 Hz", "signal to noise, dB"),
    ("leads missing", "leads missing, drawn at random", "leads of 12 missing"),
    ("first seconds alone", "cut short", "seconds left"),
    ("gain", "one gain for all leads", "times"),
    ("a gain for each lead", "a gain for each lead", "times, up to"),
    ("amplifier ends at", "amplifier's end", "mV from the middle"),
)
#: Axes on which less is more of the disturbance, and those that are logarithmic.
BACKWARDS = ("baseline wander", "muscle", "white", "50 Hz", "first seconds alone", "amplifier ends at")
LOGARITHMIC = ("gain", "a gain for each lead", "amplifier ends at")
#: Sample, task, what it is called, colour.
CURVES = (
    (PTBXL, "ptbxl-super", "PTB-XL, superclasses", "#1f9e89"),
    (PTBXL, "ptbxl-diagnoses", "PTB-XL, eleven diagnoses", "#3b6fb6"),
    (OTHERS, "cinc2021", "other hospitals, 23 classes", "#d9822b"),
)
_INK, _SHADE = "#404850", "#808890"
#: Where the clean records lie on an axis of gains.
_CLEAN_AT = {"gain": 1.0, "a gain for each lead": 1.0, "leads missing": 0.0, "first seconds alone": 10.0}

Content = Mapping[str, Any]


def curve(content: Content, group: str, sample: str, task: str) -> list[tuple[float, Sequence[float]]]:
    """Places along the axis of a group, and the AUROC there with its interval; nothing of what was not measured."""
    found = [
        (one["at"], one["data"][sample]["tasks"][task]["auroc"])
        for one in content["conditions"]
        if one["group"] == group and sample in one["data"]
    ]
    clean = content["conditions"][0]["data"].get(sample)
    if clean is not None and group in _CLEAN_AT:
        found.append((_CLEAN_AT[group], clean["tasks"][task]["auroc"]))
    return sorted((at, figure) for at, figure in found if at is not None and figure is not None)


def untold(content: Content, group: str) -> list[tuple[float, float]]:
    """Places along the axis of a group, and the share of PTB-XL's judged records that keep no probability there."""
    found = [(one["at"], one["data"][PTBXL]["no_probability"][0]) for one in content["conditions"] if one["group"] == group]
    if group in _CLEAN_AT:
        found.append((_CLEAN_AT[group], content["conditions"][0]["data"][PTBXL]["no_probability"][0]))
    return sorted(found)


def draw(content: Content, where: Path) -> None:
    """The curves as a PNG of few colours."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    from PIL import Image

    style = {"font.family": "sans-serif", "font.size": 9, "text.color": _INK, "axes.edgecolor": _INK, "xtick.color": _INK,
             "ytick.color": _INK, "axes.labelcolor": _INK}  # fmt: skip
    with plt.rc_context(style):
        figure, grid = plt.subplots(3, 3, figsize=(11, 8.4), sharey=True)
        for axes, (group, title, words) in zip(grid.flat, PANELS, strict=True):
            _panel(axes, content, group)
            axes.set_title(title, fontsize=9)
            axes.set_xlabel(words, fontsize=8)
        for row in grid:
            row[0].set_ylabel("macro AUROC, zero-shot")
        lines, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="lower center", ncols=4, frameon=False)
        figure.tight_layout(rect=(0, 0.04, 1, 1))
        figure.savefig(where, dpi=90, facecolor="white")
        plt.close(figure)
    with Image.open(where) as picture:
        picture.convert("RGB").quantize(64).save(where, optimize=True)


def _panel(axes: Any, content: Content, group: str) -> None:
    for sample, task, label, colour in CURVES:
        places = curve(content, group, sample, task)
        if places:
            at = [place for place, _ in places]
            axes.fill_between(
                at, [one[1] for _, one in places], [one[2] for _, one in places], color=colour, alpha=0.15, linewidth=0
            )
            axes.plot(at, [one[0] for _, one in places], "o-", color=colour, label=label, markersize=3.5, linewidth=1.4)
    silent = untold(content, group)
    beside = axes.twinx()
    beside.fill_between([at for at, _ in silent], [share for _, share in silent], color=_SHADE, alpha=0.18, linewidth=0)
    beside.set_ylim(0, 1)
    beside.set_yticks([0, 0.5, 1], ["0", "half", "all"], fontsize=7)
    beside.tick_params(length=0)
    axes.fill_between([], [], color=_SHADE, alpha=0.18, label="share without a probability (right axis)")
    axes.set_ylim(0.5, 1.0)
    if group in LOGARITHMIC:
        axes.set_xscale("log")
    ticks = [at for at, _ in silent]
    axes.set_xticks(ticks, [f"{at:g}" for at in ticks], minor=False)
    axes.set_xticks([], minor=True)
    if group in BACKWARDS:
        axes.invert_xaxis()
    axes.grid(axis="y", color=_INK, linewidth=0.4, alpha=0.35)
    for part in (axes, beside):
        part.spines[["top", "left", "right"]].set_visible(False)


def with_section(page: str, section: str) -> str:
    """The page with the section between its marks. Raises ValueError where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{section}\n\n{END}{after}"


def main() -> int:
    """Draw, and write the tables."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    content = json.loads(RESULTS.read_text(encoding="utf-8"))
    draw(content, PICTURE)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_section(page, robustness_section(content)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
