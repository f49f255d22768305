"""What is promised about faults, struck for real: processes that are killed, files that are damaged, numbers that are none.

A campaign strikes as often as it is asked to and returns a `Tally`. The tests here ask for a few strikes of each kind, those
marked slow for more; a script under `benchmarks/` for all that docs/reliability.md tells, and keeps the counts. Of training:
`benchmarks/faults/training_faults.py`.

    training_runs.py        `cmelt pretrain` in processes of its own, and what each of them did, step by step
    striking.py             traps inside a process: at a line, a call, a byte
    training_campaigns.py   runs that are killed or told to stop
    checkpoint_damage.py    folders with a bit flipped or a file cut

Of preparation and splits: `benchmarks/faults/preparation_faults.py` and `benchmarks/faults/corpora.py`.

    random_corpora.py         archives drawn at random, and an obvious reference that stores of them are held against
    corpora_campaigns.py      many of these, prepared, joined, evaluated
    preparation_runs.py       `cmelt prepare` in processes of its own, with traps set
    preparation_campaigns.py  preparations that are killed, find no room, meet another or lose their source
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training_runs import Bench


@pytest.fixture(scope="session")
def bench(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A place to strike runs of one process, with its undisturbed run."""
    return Bench.of(tiny_store, tmp_path_factory.mktemp("struck"))


@pytest.fixture
def rng() -> np.random.Generator:
    """The same draws each time."""
    return np.random.default_rng(20)
