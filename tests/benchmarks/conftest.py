"""The benchmarks are scripts beside the package: their tests find them by the folder."""

from __future__ import annotations

import sys
from pathlib import Path

# Last: a script's name must not hide a module of anything else.
sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
