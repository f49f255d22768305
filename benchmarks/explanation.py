"""Whether evidence lies where it is, on simulated ECGs whose findings have a known place.

    python benchmarks/explanation.py [--model small] [--records 5] [--json FILE]

Two questions of each explanation, beside controls that know nothing of the score: the same numbers at random places, how large
the trace is there (no gradient, no model), and integrated gradients of the same architecture with fresh weights.

Pointing: does the strongest lead, or fifth of a second, lie where the simulator put the finding? The share of records; what blind
chance would hit is told. Deletion and insertion: the mean score while the cells (0.2 s of a lead) with the most evidence are made
flat, or put back into flat lines, 0 to 100 % of them; deletion is good where it is low, insertion where it is high (Petsiuk et
al., arXiv 1806.07421). The figure is insertion − deletion less that of random places, record by record: above 0 the order says
something of the score. Occlusion's cells are those of the curves, which is to its advantage. Intervals: records drawn anew 2,000
times.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from cmelt import CMeltProcessor, describe, load
from cmelt.checkpoints.embedder import load_model, random_model
from cmelt.explanation import RecordScore, direction_of, flat_lines, integrated_gradients, occlusion
from cmelt.model.towers import Towers
from cmelt.records.record import LEADS, Record
from cmelt.simulation import simulate
from measuring import Figure, options, tell

SECONDS, CELL = 10.0, 0.2
#: Shares of cells taken away or put back.
SHARES = np.linspace(0, 1, 11)
#: How far from a beat's greatest vector its evidence may lie: QRS before, ST and T behind, s.
BEFORE, BEHIND = 0.15, 0.4
REPLICATES, SEED = 2000, 11
WAYS = ("integrated gradients", "occlusion", "random places", "size of the trace", "gradients of fresh weights")
Cells = NDArray[np.float64]


@dataclass(frozen=True)
class Finding:
    """A simulated condition, the bundled statement it is explained as, and the leads where it is (none: the early beats)."""

    condition: str
    statement: str
    leads: tuple[str, ...] = ()


FINDINGS = (
    Finding("ventricular-premature-beats", "ventricular-premature-beats"),
    Finding("acute-inferior-infarction", "inferior-infarction", ("II", "III", "aVF")),
    Finding("acute-anterior-infarction", "anterior-infarction", ("V1", "V2", "V3", "V4")),
)


def place_of(record: Record, finding: Finding, cells: int) -> NDArray[np.bool_]:
    """[12, cells]: where the finding is."""
    if finding.leads:
        return np.repeat([[lead in finding.leads] for lead in LEADS], cells, axis=1)
    middles = (np.arange(cells) + 0.5) * CELL
    beats = np.asarray(record.truth["premature_r_times"], np.float64)[:, None]
    near = ((middles > beats - BEFORE) & (middles < beats + BEHIND)).any(axis=0)
    return np.repeat(near[None], len(LEADS), axis=0)


def hits(evidence: Cells, place: NDArray[np.bool_], finding: Finding) -> bool:
    """Whether what has the most evidence, a lead or a moment, is of the finding."""
    along = evidence.sum(axis=1 if finding.leads else 0)
    return bool((place[:, 0] if finding.leads else place[0])[along.argmax()])


def gain_of_order(score: RecordScore, ecg: torch.Tensor, flat: torch.Tensor, evidence: Cells) -> float:
    """Mean score while cells are put back, most evidence first, minus that while they are made flat."""
    order = np.argsort(-evidence, axis=None, kind="stable")
    rank = np.empty(order.size)
    rank[order] = np.arange(order.size)
    size = ecg.shape[1] // evidence.shape[1]
    ranks = torch.from_numpy(rank.reshape(evidence.shape)).repeat_interleave(size, dim=1)
    chosen = torch.stack([ranks < share * order.size for share in SHARES])  # [shares, L, T]
    with torch.no_grad():
        inserted = score(torch.where(chosen, ecg, flat)[:, None]).mean()
        deleted = score(torch.where(chosen, flat, ecg)[:, None]).mean()
    return float(inserted - deleted)


def in_cells(values: torch.Tensor, cells: int) -> Cells:
    """[L, T] → sums [L, cells]."""
    return values.detach().double().unflatten(1, (cells, -1)).sum(2).numpy()


def explained(
    score: RecordScore, fresh: RecordScore, ecg: torch.Tensor, flat: torch.Tensor, rng: np.random.Generator
) -> dict[str, Cells]:
    """The evidence of each way by cells [L, cells], of one window [L, T]."""
    cells = round(SECONDS / CELL)
    gradients = in_cells(integrated_gradients(score, ecg[None], flat[None])[0][0], cells)
    found = (
        gradients,
        in_cells(occlusion(score, ecg[None], flat[None], ecg.shape[1] // cells)[0], cells),
        rng.permutation(gradients.ravel()).reshape(gradients.shape),
        in_cells((ecg - flat).abs(), cells),
        in_cells(integrated_gradients(fresh, ecg[None], flat[None])[0][0], cells),
    )
    return dict(zip(WAYS, found, strict=True))


def measured(
    model: Towers, fresh: Towers, processor: CMeltProcessor, finding: Finding, records: int
) -> tuple[dict[str, Cells], float]:
    """Way → [records, 2]: pointing hit and insertion − deletion; and what chance would hit."""
    asked = describe(model, processor, [finding.statement])
    direction = torch.as_tensor(direction_of(asked.prompts, "contrast"), dtype=torch.float32)
    own, other = RecordScore(model.embed_ecg, direction), RecordScore(fresh.embed_ecg, direction)
    rows: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    covered = []
    for seed in seeds_with(finding, records):
        record = simulate(seed, [finding.condition], rate=processor.settings.ecg.rate)
        windows = processor.record(record).ecg
        ecg = torch.from_numpy(windows[0])
        flat = torch.from_numpy(flat_lines(windows, np.array([windows.shape[2]]))[0])
        place = place_of(record, finding, round(SECONDS / CELL))
        covered.append(place.mean())
        for way, evidence in explained(own, other, ecg, flat, np.random.default_rng([SEED, seed])).items():
            rows[way].append((float(hits(evidence, place, finding)), gain_of_order(own, ecg, flat, evidence)))
    return {way: np.array(values) for way, values in rows.items()}, float(np.mean(covered))


def seeds_with(finding: Finding, records: int) -> list[int]:
    """Seeds of records in which the finding has a place, each a patient of its own."""
    found: list[int] = []
    seed = 90_000
    while len(found) < records:
        record = simulate(seed, [finding.condition], rate=100)
        if finding.leads or record.truth["premature_r_times"]:
            found.append(seed)
        seed += 1
    return found


def interval(values: Cells) -> tuple[float, float, float]:
    """Mean over records and its bootstrap's 2.5 and 97.5 % points. Each record is of another patient."""
    drawn = np.random.default_rng(SEED).integers(0, len(values), (REPLICATES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def figures_of(finding: Finding, found: Mapping[str, Cells], chance: float) -> list[Figure]:
    """A figure a way and question; what is compared with random places is compared record by record."""
    figures = []
    name, records = finding.statement, len(found[WAYS[0]])
    for way, values in found.items():
        point, low, high = interval(values[:, 0])
        note = f"{records} records; chance would hit {chance:.2f}"
        figures.append(Figure(f"{name}: evidence points to it, {way}", point, "of records", low=low, high=high, note=note))
        random = WAYS[2]
        if way != random:
            point, low, high = interval(values[:, 1] - found[random][:, 1])
            what = f"{name}: insertion − deletion, {way}"
            figures.append(Figure(what, point, "of score", random, low, high, note=f"{records} records, paired"))
    return figures


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = options(__doc__)
    parser.add_argument("--model", default="small", help="a bundled model, a run or a model's folder")
    parser.add_argument("--records", type=int, default=5, help="of each finding")
    return parser.parse_args()


def main() -> None:
    """Measure each finding, and tell."""
    chosen = arguments()
    model, processor = load(chosen.model, device="cpu")
    fresh = random_model(load_model(chosen.model), SEED)
    figures = []
    for finding in FINDINGS:
        figures += figures_of(finding, *measured(model, fresh, processor, finding, chosen.records))
    tell(figures, chosen.json)


if __name__ == "__main__":
    main()
