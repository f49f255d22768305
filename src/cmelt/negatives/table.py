"""The table of negatives: built once, kept beside the run, looked up with one fancy index a step."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from cmelt.errors import ConfigError, StoreError
from cmelt.negatives.candidates import Progress, anywhere, banded, farthest
from cmelt.publishing import published, verify

Strategy = Literal["farthest", "band", "random"]

ARRAY = "candidates.npy"


@dataclass(frozen=True)
class NegativeTable:
    """Candidate negatives of every distinct report.

    Attributes:
        candidates: int32 [N, K], numbers of other distinct reports; a row never holds its own number.
        strategy: how they were chosen.
        band: quantiles of distance they were drawn from (0 nearest, 1 farthest); None but for the strategy "band".
        seed: of the draws; the farthest need none.
    """

    candidates: np.ndarray
    strategy: Strategy
    band: tuple[float, float] | None
    seed: int


def build_table(
    embeddings: np.ndarray,
    *,
    strategy: Strategy | None = None,
    candidates: int = 64,
    band: tuple[float, float] | None = None,
    seed: int = 0,
    counts: np.ndarray | None = None,
    device: str | None = None,
    progress: Progress | None = None,
) -> NegativeTable:
    """Choose each distinct report's candidate negatives.

    Args:
        embeddings: float32 [N, d], one unit vector a distinct report.
        strategy: "farthest" (the paper's), "band", "random"; None means "band" where a band is given, else "farthest".
        candidates: how many a report gets; they are repeated where there are fewer others.
        band: for "band", (from, to) as quantiles of distance rank, 0 the nearest and 1 the farthest.
        seed: the same seed and embeddings give the same table.
        counts: integers [N], how many records carry each report. Given, "band" and "random" draw in proportion to it: a report
            is then a negative about as often as it is a true report, and its frequency gives little away.
        device: where the farthest are searched: "cpu", "cuda" …; None means a GPU where there is one. A GPU may order reports
            whose cosines agree to 1e-6 differently. The other strategies are quick on a CPU.
        progress: called while the table is worked out, with (reports done, N). Nothing is kept of a table that is interrupted.

    Raises:
        ConfigError: fewer than two distinct reports, a band outside 0 … 1, a strategy that does not exist.
    """
    total = len(embeddings)
    strategy = strategy or ("farthest" if band is None else "band")
    _check(total, strategy, candidates, band, counts)
    weights = None if counts is None else np.asarray(counts, dtype=np.float64)
    vectors = np.ascontiguousarray(embeddings, dtype=np.float32)
    if strategy == "farthest":
        return NegativeTable(farthest(vectors, candidates, device or _fastest_device(), progress), strategy, None, seed)
    if strategy == "random":
        return NegativeTable(anywhere(total, candidates, seed, weights), strategy, None, seed)
    assert band is not None
    return NegativeTable(banded(vectors, candidates, band, seed, weights, progress), strategy, band, seed)


def draw(table: NegativeTable, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One negative for each picked row: int64 [m], the number of the distinct report that replaces the row's own.

    Args:
        groups: int64 [m], the number of each row's own distinct report.
    """
    column = rng.integers(table.candidates.shape[1], size=len(groups))
    return table.candidates[groups, column].astype(np.int64)


def save_table(table: NegativeTable, folder: Path, distinct: Sequence[str]) -> None:
    """Publish the table as a folder; one that is there already gives way.

    Args:
        distinct: the N reports it was built for; only their SHA-256 is kept.
    """
    details = {"strategy": table.strategy, "band": table.band, "seed": table.seed, "reports_sha256": _sha256_of(distinct)}
    with published(folder, details, replace=True) as staging:
        np.save(staging / ARRAY, table.candidates, allow_pickle=False)


def load_table(folder: Path, distinct: Sequence[str]) -> NegativeTable:
    """Read a saved table, if it was built for these very reports and no byte has changed.

    Raises:
        StoreError: it is missing, altered, or was built for other reports.
    """
    manifest = verify(folder, StoreError)
    if manifest.get("reports_sha256") != _sha256_of(distinct):
        raise StoreError(folder, "the table of negatives was built for other reports", "delete the folder and build it anew")
    try:
        candidates = np.load(folder / ARRAY, allow_pickle=False)
    except ValueError as error:
        raise StoreError(folder / ARRAY, "it is no array of numbers", "delete the folder and build it anew") from error
    band = None if manifest["band"] is None else (float(manifest["band"][0]), float(manifest["band"][1]))
    return NegativeTable(candidates, manifest["strategy"], band, int(manifest["seed"]))


def _fastest_device() -> str:
    """A GPU where there is one. Torch is imported here, since the rest of the room does without."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _check(total: int, strategy: str, candidates: int, band: tuple[float, float] | None, counts: np.ndarray | None) -> None:
    """Refuse what no table can be built from."""
    if strategy not in ("farthest", "band", "random"):
        raise ConfigError("negatives.strategy", f"{strategy!r} is none of farthest, band, random")
    if candidates < 1:
        raise ConfigError("negatives.candidates", f"{candidates} candidates a report", "at least 1; the paper has 64")
    if total < 2:
        fault = f"{total} distinct reports: none has another to be its negative"
        raise ConfigError("negatives", fault, "use more records, or set the weight of ECG-text matching to 0")
    if strategy == "band" and (band is None or not 0.0 <= band[0] < band[1] <= 1.0):
        raise ConfigError(
            "negatives.band", f"{band} is no band", "two quantiles from 0 (nearest) to 1 (farthest), the smaller first"
        )
    if counts is not None and (len(counts) != total or np.min(counts) <= 0):
        raise ConfigError(
            "counts", f"{len(counts)} numbers for {total} reports, or one below 1", "count the records of each report"
        )


def _sha256_of(distinct: Sequence[str]) -> str:
    """Of the reports in their order; each one's length goes in, so that no two lists run together to the same text."""
    digest = hashlib.sha256()
    for report in distinct:
        text = report.encode()
        digest.update(len(text).to_bytes(8, "little"))
        digest.update(text)
    return digest.hexdigest()
