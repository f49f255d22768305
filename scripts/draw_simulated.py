"""Draw the sheet of simulated examples in docs/pictures: as `cmelt.plot` draws an ECG.

python scripts/draw_simulated.py [condition ...]
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from cmelt.drawing.paper import Paper
from cmelt.drawing.printing import printed
from cmelt.drawing.sheet import sheet_of
from cmelt.records.record import Record
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
PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
SEED = 11
DOTS_PER_INCH, COLOURS = 110, 32


def draw(record: Record, title: str, path: Path) -> None:
    """One record on paper; in so few dots and colours a picture stays small."""
    from PIL import Image

    picture = printed(sheet_of(record, Paper(), title=title), "png", DOTS_PER_INCH)
    Image.open(BytesIO(picture)).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def caption(record: Record, names: tuple[str, ...]) -> str:
    """Conditions and measurements of the record in one line."""
    t = record.truth
    pr = f"PR {t['pr_ms']:.0f} ms  " if t["pr_ms"] is not None else ""
    intervals = f"{pr}QRS {t['qrs_ms']:.0f} ms  QT {t['qt_ms']:.0f} ms  axis {t['axis_deg']:.0f}°"
    return f"{' + '.join(names)}   {t['rate_bpm']:.0f}/min  {intervals}"


def main(arguments: list[str]) -> None:
    """Draw all examples, or those whose first condition is named."""
    PICTURES.mkdir(exist_ok=True)
    for names in EXAMPLES:
        if not arguments or names[0] in arguments:
            record = simulate(SEED, names, patient=SEED, noise=0.7)
            draw(record, caption(record, names), PICTURES / f"simulated-{names[0]}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
