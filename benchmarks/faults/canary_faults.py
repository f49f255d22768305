"""`cmelt` with a fault inside: `python canary_faults.py MODULE:FUNCTION COMMAND …` runs the command with that function raising.

What it raises quotes the environment's CANARY_SAID, as a library's error quotes what it was given; of `nan` the losses are NaN.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any


def fail(*_: Any, **__: Any) -> Any:
    """Raise what a library might, from what it might have run into."""
    said = os.environ["CANARY_SAID"]
    try:
        float(said)
    except ValueError as error:
        raise RuntimeError(f"cannot use {said!r}") from error


def losses_that_are_nan(*arguments: Any) -> Any:
    """As `total_loss`, but NaN."""
    from cmelt.objectives.total import Losses, total_loss

    losses = total_loss(*arguments)
    return Losses(losses.total * float("nan"), {name: part * float("nan") for name, part in losses.parts.items()})


def main() -> None:
    """Put the fault in, and run the command."""
    fault, *command = sys.argv[1:]
    where = "cmelt.training.loop:total_loss" if fault == "nan" else fault
    module, _, name = where.partition(":")
    *way, last = name.split(".")
    owner: Any = importlib.import_module(module)
    for step in way:
        owner = getattr(owner, step)
    if not hasattr(owner, last):
        raise AttributeError(where)
    setattr(owner, last, losses_that_are_nan if fault == "nan" else fail)
    sys.argv = ["cmelt", *command]
    from cmelt.cli import main as cmelt

    cmelt()


if __name__ == "__main__":
    main()
