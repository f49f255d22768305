"""Fine-tuning: the ECG encoder with a linear layer on top, trained whole on a task's labels, with twelve leads down to one.

Beside it, on the same records: the same network from random weights, and a supervised network of another design from scratch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

import cmelt
from cmelt.baselines.supervised import SUPERVISED, train_supervised
from cmelt.batches.seeds import torch_seed
from cmelt.checkpoints.embedder import ModelEmbedder, random_model
from cmelt.config.settings import OptimiserSettings
from cmelt.errors import ConfigError, StoreError
from cmelt.evaluation import metrics
from cmelt.evaluation.comparison import Bench, Scores
from cmelt.evaluation.contamination import notes_on, unseen
from cmelt.evaluation.decisions import decide_by_validation, with_decisions
from cmelt.evaluation.embedder import EvaluationStore, Rows, check_fit, form_of, patients_of
from cmelt.evaluation.fine_tune_results import FineTuned, FineTuneResults, LeadResult
from cmelt.evaluation.linear_probe import draw_records
from cmelt.evaluation.protocol import Protocol, Report, rows_of, stage, truth_of
from cmelt.evaluation.results import class_counts, why_without_figures
from cmelt.evaluation.tasks import Task
from cmelt.model.ecg_classifier import EcgClassifier, classifier_of
from cmelt.records.record import LEAD_SETS
from cmelt.training.classifier import ClassifierSettings, Progress, predict, train_classifier
from cmelt.training.labelled import ChangeSettings, LabelledRecords

#: What the encoder is fine-tuned with; docs/evaluate.md says on what it was chosen.
FINE_TUNING = ClassifierSettings(
    epochs=15,
    batch=32,
    optimiser=OptimiserSettings(
        rate=1e-3, encoder_share=0.3, weight_decay=0.05, schedule="cosine", warm_up=0.1, first=0.01, last=0.01
    ),
    change=ChangeSettings(crop_seconds=5.0, gain=0.1, noise_mv=0.03, lead_drop=0.1),
)


#: The share of the rate at which fresh weights learn: 5e-4, the recipes' own. At the whole 1e-3 they stay at chance.
FROM_SCRATCH = 0.5


@dataclass(frozen=True)
class FineTuneSettings:
    """What is trained.

    Attributes:
        leads: numbers of leads, each a training of its own.
        fractions: shares of the training records; below 1 drawn `protocol.draws` times, as for the probes, and trained for
            1/√share times as many epochs: fewer steps than on all records, but not so many fewer.
        training: of the encoder with its linear layer. The control's learns faster (`FROM_SCRATCH`): it has nothing to lose.
        supervised: of the supervised network; None leaves it out.
        epochs: in place of the epochs of both.
        dropout: in front of the linear layer.
        repeats: trainings on all records, from other seeds; figures are means over them.
    """

    leads: tuple[int, ...] = (12, 6, 4, 3, 2, 1)
    fractions: tuple[float, ...] = (1.0,)
    training: ClassifierSettings = FINE_TUNING
    supervised: ClassifierSettings | None = SUPERVISED
    epochs: int | None = None
    dropout: float = 0.2
    repeats: int = 1

    def __post_init__(self) -> None:
        if not self.leads or set(self.leads) - LEAD_SETS.keys() or len(set(self.leads)) < len(self.leads):
            raise ConfigError("leads", f"{self.leads} is not a choice of lead sets", f"choose of {sorted(LEAD_SETS)}, each once")
        if not self.fractions or any(not 0.0 < f <= 1.0 for f in self.fractions):
            raise ConfigError("fractions", f"{self.fractions} holds a value outside (0, 1]", "give shares such as 0.1 1")
        if self.repeats < 1 or (self.epochs is not None and self.epochs < 1):
            raise ConfigError("repeats, epochs", f"{self.repeats} and {self.epochs}", "both must be at least 1")

    def of(self, side: str, fraction: float, seed: int) -> ClassifierSettings:
        """How "model", "random" or "supervised" is trained on a share of the records from a seed."""
        chosen = self.training if side != "supervised" else self.supervised or SUPERVISED
        if side == "random":
            chosen = replace(chosen, optimiser=replace(chosen.optimiser, encoder_share=FROM_SCRATCH))
        epochs = self.epochs or chosen.epochs
        return replace(chosen, epochs=max(1, round(epochs / fraction**0.5)), seed=seed)


@dataclass(frozen=True)
class _World:
    """The records of a task, ready for training and testing, and what all trainings share.

    `left_out` says why classes have no figures, `lost` how many records were left out as training has seen them.
    """

    embedder: ModelEmbedder
    store: EvaluationStore
    splits: tuple[str, ...]
    settings: FineTuneSettings
    protocol: Protocol
    training: LabelledRecords
    tested: LabelledRecords
    validation: NDArray[np.bool_]
    bench: Bench
    left_out: dict[str, str]
    lost: int
    progress: Report | None


def fine_tune(
    embedder: ModelEmbedder,
    store: EvaluationStore,
    task: Task,
    settings: FineTuneSettings | None = None,
    protocol: Protocol | None = None,
    progress: Report | None = None,
) -> FineTuneResults:
    """Fine-tune on the store's training split and measure on the task's splits (validation and test).

    Args:
        embedder: the pre-trained model; it stays as it is.
        settings, protocol: their defaults where None; of the protocol count draws, bootstrap, seed, splits, leave_out_known.
        progress: told of the steps of each training.

    Raises:
        StoreError: as `evaluate_tasks`, and where no class can be both learned and measured.
        TrainingError: a loss or gradient that is not finite.
    """
    check_fit(embedder, store)
    world = _world(embedder, store, task, settings or FineTuneSettings(), protocol or Protocol(), progress)
    lines, classifier, scores = _all(world)
    tested, training, bench = world.tested, world.training, world.bench
    return FineTuneResults(
        name=task.name,
        task=asdict(task),
        store=form_of(store),
        model=embedder.identity,
        splits=world.splits,
        records=len(tested),
        patients=len(np.unique(tested.patients)),
        train_records=len(training),
        counts=class_counts(bench.names, tested.truth, training.truth),
        left_out=world.left_out,
        settings=asdict(world.settings),
        lines=lines,
        bootstrap=world.protocol.bootstrap,
        seed=world.protocol.seed,
        version=cmelt.__version__,
        notes=notes_on(world.splits, world.lost),
        rows=tested.rows,
        truth=tested.truth,
        scores=scores,
        classifier=classifier,
    )


def _world(
    embedder: ModelEmbedder,
    store: EvaluationStore,
    task: Task,
    settings: FineTuneSettings,
    protocol: Protocol,
    progress: Report | None,
) -> _World:
    splits, evaluated, learned = rows_of(store, task, replace(protocol, fractions=settings.fractions))
    kept_rows = unseen(store, evaluated, embedder.seen, protocol.leave_out_known)
    names = np.array(list(task.classes), dtype=object)
    every = np.ones(len(store.leads), dtype=bool)
    training, tested = (_labelled(store, task, rows, every) for rows in (learned, kept_rows))
    learnable = metrics.evaluable(training.truth)
    reasons = why_without_figures(names, tested.truth, learnable, "no training record to learn it from")
    kept = np.array([name not in reasons for name in names])
    if not kept.any():
        raise StoreError("store", f"no class of task {task.name} can be both learned and measured", "check the labels and splits")
    training, tested = (replace(records, truth=records.truth[:, kept]) for records in (training, tested))
    bench = Bench(names[kept], tested.truth, tested.patients, protocol.bootstrap, protocol.seed)
    validation = np.isin(kept_rows, store.rows("validation"))
    lost = len(evaluated) - len(kept_rows)
    return _World(embedder, store, splits, settings, protocol, training, tested, validation, bench, reasons, lost, progress)


def _labelled(store: EvaluationStore, task: Task, rows: Rows, shown: NDArray[np.bool_]) -> LabelledRecords:
    return LabelledRecords(store, rows, truth_of(store, task, rows), patients_of(store.index, rows), shown)


def _all(world: _World) -> tuple[tuple[LeadResult, ...], FineTuned | None, dict[str, NDArray[np.float64]]]:
    """Every lead set with every share; the classifier of the most leads on all labels; the scores of every training."""
    lines: list[LeadResult] = []
    scores: dict[str, NDArray[np.float64]] = {}
    classifier: FineTuned | None = None
    whole: dict[float, list[Scores]] = {}
    for leads in sorted(world.settings.leads, reverse=True):
        for fraction in sorted(set(world.settings.fractions)):
            line, found, network = _one(world, leads, fraction)
            if leads == 12:
                whole[fraction] = found["model"]
            elif fraction in whole:
                line = replace(line, cost=world.bench.difference(whole[fraction], found["model"]))
            lines.append(line)
            scores |= {f"{leads} leads, {fraction:g}, {side}": np.stack(sets) for side, sets in found.items()}
            if classifier is None and fraction == max(world.settings.fractions):
                classifier = _handed_on(world, line, network)
    return tuple(lines), classifier, scores


def _one(world: _World, leads: int, fraction: float) -> tuple[LeadResult, dict[str, list[Scores]], EcgClassifier]:
    """One lead set and one share: its trainings, its figures, its score sets by side, and the first model's network."""
    names = LEAD_SETS[leads] or world.store.leads
    shown = np.isin(world.store.leads, names)
    tested = replace(world.tested, shown=shown)
    draws = world.settings.repeats if fraction >= 1.0 else world.protocol.draws
    sides = ("model", "random") if world.settings.supervised is None else ("model", "random", "supervised")
    found: dict[str, list[Scores]] = {side: [] for side in sides}
    first: EcgClassifier | None = None
    size = 0
    for draw, records in enumerate(_drawn(replace(world.training, shown=shown), fraction, draws, world.protocol.seed)):
        size = len(records)
        for side in sides:
            settings = world.settings.of(side, fraction, world.protocol.seed + draw)
            told = stage(world.progress, f"{leads} leads, {side}")
            network = _trained(world, side, records, settings, told)
            found[side].append(predict(network, tested, settings, world.embedder.device))
            first = network if first is None and isinstance(network, EcgClassifier) else first
    decided = {
        side: decide_by_validation(world.bench, sets, world.validation, probabilities=True) for side, sets in found.items()
    }
    compared = world.bench.compare(found["model"], found["random"], found.get("supervised"))
    line = LeadResult(
        leads=leads,
        lead_names=tuple(names),
        fraction=fraction,
        records=size,
        seeds=tuple(world.protocol.seed + draw for draw in range(draws)),
        draw_auroc={side: tuple(world.bench.macro_auroc(s) for s in sets) for side, sets in found.items()},
        comparison=with_decisions(compared, *(decided.get(side) for side in ("model", "random", "supervised"))),
    )
    assert first is not None
    return line, found, first


def _drawn(training: LabelledRecords, fraction: float, draws: int, seed: int) -> Iterator[LabelledRecords]:
    """The records of each draw: those that the probes of the same share and seed learn from."""
    for draw in range(draws):
        rng = np.random.default_rng([seed, 14, round(fraction * 1e6), draw])
        yield training.part(draw_records(training.truth, fraction, rng))


def _trained(
    world: _World, side: str, records: LabelledRecords, settings: ClassifierSettings, progress: Progress | None
) -> torch.nn.Module:
    """The trained network of one side."""
    device = world.embedder.device
    if side == "supervised":
        return train_supervised(records, device, settings, progress)
    source = world.embedder.model if side == "model" else random_model(world.embedder.model, settings.seed)
    head_seed = torch_seed(settings.seed, "classifier head")
    network = classifier_of(source, records.truth.shape[1], world.settings.dropout, head_seed)
    train_classifier(network, records, settings, device, progress)
    return network


def _handed_on(world: _World, line: LeadResult, network: EcgClassifier) -> FineTuned:
    """The network of a line's first training, with its thresholds and the hashes of what it has seen."""
    decisions = line.comparison.model.decisions
    chosen = {} if decisions is None else {name: c.thresholds[0] for name, c in decisions.classes.items()}
    thresholds = [chosen.get(name, float("nan")) for name in world.bench.names]
    rows = world.training.rows
    trained_on = [*world.store.index["fingerprint"].iloc[rows], *world.store.people(rows)]
    return FineTuned(
        network=network.cpu(),
        leads=line.lead_names,
        classes=world.bench.names,
        # Chosen on log-odds; handed on as probabilities.
        thresholds=tuple(None if np.isnan(t) else float(1 / (1 + np.exp(-t))) for t in thresholds),
        window=world.settings.training.change.crop_samples(world.store.rate),
        settings=world.embedder.model.settings,
        seen=tuple(sorted({*trained_on, *world.embedder.seen} - {""})),
    )
