"""A thousand random archives: no patient and no identical signal in two splits, no model judged by what it has learned from.

    python benchmarks/faults/corpora.py                     all parts, in some ten minutes of one core
    python benchmarks/faults/corpora.py --only prepared     one part
    python benchmarks/faults/corpora.py --seconds 240       as much as fits; the same command goes on

Counts are kept in `benchmarks/faults/results/corpora.json`; `--anew` forgets those of the chosen parts. What is drawn and what it
is held against: `tests/faults/random_corpora.py`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "tests" / place) for place in (".", "faults")]

from corpora_campaigns import joined_and_judged, prepared_alike, prepared_by_command, unsynced  # noqa: E402
from counting import RESULTS, Campaign, Part  # noqa: E402

CORPORA = Campaign(
    {
        "prepared": Part(
            "random corpora, prepared in two orders: no patient and no identical signal in two splits, nobody moved or lost",
            1000,
            lambda number, folder: prepared_alike(1, folder, number),
        ),
        "command": Part(
            "random archives of WFDB files with a table, by cmelt prepare: the same",
            100,
            lambda number, folder: prepared_by_command(1, folder, number),
        ),
        "joined": Part(
            "two or three random corpora: as one store no identical signal in two splits; after pre-training on the first, "
            "evaluation on the others refuses what is known by signal or patient, that and nothing else",
            300,
            lambda number, folder: joined_and_judged(1, folder, number),
        ),
    },
    RESULTS / "corpora.json",
)


def main() -> int:
    """Run what is asked for, keep its counts; 1 where a trial went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(CORPORA.parts)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="PART", help=", ".join(names))
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no trial after so many")
    parser.add_argument("--anew", action="store_true", help="forget what is kept of these parts")
    parser.add_argument("--scratch", type=Path, help="a folder for stores; default: a new one among temporary files")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as own, unsynced():
        return CORPORA.run(chosen.only, chosen.scratch or Path(own), chosen.seconds, anew=chosen.anew)


if __name__ == "__main__":
    sys.exit(main())
