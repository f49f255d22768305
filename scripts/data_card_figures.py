"""What a model that is trained on a store sees: the figures of docs/data-card.md, as Markdown.

python scripts/data_card_figures.py STORE [ptbxl_database.csv]

Counted are the pairs that pre-training takes: training records with a usable report. The database adds what PTB-XL alone knows.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from cmelt.batches.corpus import corpus_of
from cmelt.store import open_store
from cmelt.text.language import language_of

#: Labels that are counted: PTB-XL's superclasses and rhythms, the simulator's conditions.
COUNTED = ("super:", "rhythm:", "sim:")
MOST_LABELS = 20


def main() -> None:
    """Print the tables of one store."""
    store, *database = sys.argv[1:]
    pairs, left_out, distinct = _pairs(Path(store))
    rows = list(_of_pairs(pairs, left_out, distinct))
    if database:
        rows += _of_ptb_xl(pairs, Path(database[0]))
    lines = ["| | |", "|---|---|", *(f"| {what} | {value} |" for what, value in rows)]
    sys.stdout.write("\n".join(lines) + "\n")


def _pairs(store: Path) -> tuple[pd.DataFrame, int, int]:
    """The index rows of the pairs, how many training records have no usable report, and how many distinct reports there are."""
    opened = open_store(store)
    corpus = corpus_of(opened)
    return opened.index.iloc[corpus.rows], corpus.without_report, len(corpus.distinct)


def _of_pairs(pairs: pd.DataFrame, left_out: int, distinct: int) -> Iterator[tuple[str, str]]:
    yield "pairs", f"{len(pairs):,} of {pairs.patient.nunique():,} patients"
    yield "training records without a usable report", f"{left_out:,}"
    yield "distinct cleaned reports", f"{distinct:,}"
    yield "languages", _shares(pairs.report.map(language_of))
    yield "sex", _shares(pairs.sex)
    ages = pd.cut(
        pairs.age, [-np.inf, 18, 50, 70, np.inf], right=False, labels=["under 18", "18 to 49", "50 to 69", "70 and over"]
    )
    yield "age", f"median {pairs.age.median():.0f}; {_shares(ages)}"
    labels = Counter(label for held in pairs.labels for label in held if label.startswith(COUNTED))
    yield "labels", "; ".join(f"{label} {count:,}" for label, count in labels.most_common(MOST_LABELS))


def _of_ptb_xl(pairs: pd.DataFrame, database: Path) -> Iterator[tuple[str, str]]:
    facts = pd.read_csv(database, index_col="ecg_id").loc[pairs.record.astype(int)]
    yield "years", _shares(facts.recording_date.str[:4])
    yield "devices", _shares(facts.device.str.strip())
    yield "sites", _shares(facts.site.map(lambda site: "unknown" if pd.isna(site) else f"site {site:.0f}"), most=4)
    yield "validated by a human, as the database says", f"{int(facts.validated_by_human.sum()):,}"
    yield "noted as noisy", f"{int(facts.static_noise.notna().sum()):,} static, {int(facts.baseline_drift.notna().sum()):,} drift"


def _shares(values: pd.Series, most: int = 6) -> str:
    """The most frequent values with count and per cent, the rest together."""
    counts = values.value_counts()
    told = [f"{name} {count:,} ({count / len(values):.0%})" for name, count in counts.head(most).items() if count]
    rest = int(counts.iloc[most:].sum())
    return "; ".join([*told, *([f"{len(counts) - most} others {rest:,} ({rest / len(values):.0%})"] if rest else [])])


if __name__ == "__main__":
    main()
