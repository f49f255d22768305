"""Hand a trained model on: `weights` writes it as a folder of the package, `card` puts figures of its evaluations on its card.

python scripts/ship_model.py weights RUN src/cmelt/weights/small --reproduce "make train-small"
cmelt evaluate src/cmelt/weights/small --data STORE --out EVALUATION
python scripts/ship_model.py card src/cmelt/weights/small EVALUATION … [--robustness FILE]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cmelt.errors import CMeltError
from cmelt.serving.shipping import add_results, ship


def main() -> int:
    """Read the command line, do it, and say in one line what failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    weights = kinds.add_parser("weights", help="half precision, without heads that only training uses")
    weights.add_argument("run", help="the folder of a finished run")
    weights.add_argument("target", type=Path, help="the folder to write; one that is there is replaced")
    weights.add_argument("--reproduce", required=True, help="the command that makes this model again, for its card")
    card = kinds.add_parser("card", help="the card anew, from evaluations of these very weights")
    card.add_argument("target", type=Path)
    card.add_argument("evaluations", type=Path, nargs="+")
    card.add_argument("--robustness", type=Path, help="what benchmarks/robustness.py has written of these weights")
    chosen = parser.parse_args()
    try:
        if chosen.kind == "weights":
            ship(chosen.run, chosen.target, reproduce=chosen.reproduce)
        else:
            add_results(chosen.target, chosen.evaluations, chosen.robustness)
    except CMeltError as error:
        sys.stderr.write(f"ship_model: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
