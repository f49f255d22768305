"""Draw the sheet of simulated examples in docs/pictures: ECG paper, 25 mm/s, 10 mm/mV, 3x4 leads and a rhythm strip.

Run from the repository's root: python docs/make_simulation_sheet.py [condition ...]
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

import numpy as np

from cmelt.records.record import LEADS, Record
from cmelt.simulation import simulate

#: What the sheet shows: file name and conditions; all from one seed, so all of one patient.
EXAMPLES: tuple[tuple[str, ...], ...] = (
    ("normal",),
    ("atrial-fibrillation",),
    ("atrial-flutter-4-1",),
    ("left-bundle-branch-block",),
    ("right-bundle-branch-block", "left-anterior-fascicular-block"),
    ("wolff-parkinson-white",),
    ("second-degree-av-block-wenckebach",),
    ("third-degree-av-block",),
    ("paced-rhythm",),
    ("ventricular-trigeminy",),
    ("ventricular-tachycardia",),
    ("left-ventricular-hypertrophy", "left-atrial-enlargement"),
    ("right-ventricular-hypertrophy", "right-atrial-enlargement"),
    ("acute-anterior-infarction",),
    ("acute-inferior-infarction",),
    ("old-anterior-infarction",),
    ("pericarditis",),
    ("hyperkalaemia",),
)
SEED = 11
GRID = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
ROW_MM, WIDTH_MM, HEIGHT_MM = 26, 262, 122


def draw(record: Record, title: str, path: Path) -> None:
    """One record on paper, true to scale in millimetres; at 110 dots an inch it stays small."""
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(WIDTH_MM / 25.4, HEIGHT_MM / 25.4), dpi=110)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH_MM), ylim=(0, HEIGHT_MM))
    for step, width in ((1, 0.25), (5, 0.7)):
        axes.vlines(np.arange(0, WIDTH_MM, step), 0, HEIGHT_MM, color="#f2a9a0", linewidth=width, zorder=0)
        axes.hlines(np.arange(0, HEIGHT_MM, step), 0, WIDTH_MM, color="#f2a9a0", linewidth=width, zorder=0)
    times = np.arange(record.signal.shape[1]) / record.rate
    rows = [(lead, row, 2.5 * column, 2.5) for row, leads in enumerate(GRID) for column, lead in enumerate(leads)]
    for lead, row, start, seconds in [*rows, ("II", 3, 0.0, 10.0)]:
        shown = (times >= start) & (times < start + seconds)
        trace = record.signal[LEADS.index(lead)]
        base = HEIGHT_MM - 22 - ROW_MM * row
        axes.plot(6 + 25 * times[shown], base + 10 * (trace[shown] - np.median(trace)), color="black", linewidth=0.7)
        axes.text(7 + 25 * start, base + 9, lead, fontsize=8, weight="bold")
    axes.text(6, HEIGHT_MM - 5, title, fontsize=9, weight="bold")
    axes.text(WIDTH_MM - 4, 2, "25 mm/s  10 mm/mV", fontsize=6, ha="right")
    axes.axis("off")
    drawn = BytesIO()
    figure.savefig(drawn)
    Image.open(drawn).convert("RGB").quantize(32).save(path, optimize=True)


def caption(record: Record, names: tuple[str, ...]) -> str:
    """Conditions and measurements of the record in one line."""
    t = record.truth
    pr = f"PR {t['pr_ms']:.0f} ms  " if t["pr_ms"] is not None else ""
    intervals = f"{pr}QRS {t['qrs_ms']:.0f} ms  QT {t['qt_ms']:.0f} ms  axis {t['axis_deg']:.0f}°"
    return f"{' + '.join(names)}   {t['rate_bpm']:.0f}/min  {intervals}"


def main(arguments: list[str]) -> None:
    """Draw all examples, or those whose first condition is named."""
    folder = Path(__file__).parent / "pictures"
    folder.mkdir(exist_ok=True)
    for names in EXAMPLES:
        if not arguments or names[0] in arguments:
            record = simulate(SEED, names, patient=SEED, noise=0.7)
            draw(record, caption(record, names), folder / f"simulated-{names[0]}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
