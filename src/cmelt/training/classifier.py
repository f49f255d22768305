"""Training a network on labels: ECG → one logit a class. Fine-tuning and the supervised baseline go through this one loop.

All randomness is a function of the seed and the step. Nothing is chosen on records other than those handed in: the number of
epochs is fixed, or chosen on patients that are held out of them.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cmelt.batches.seeds import generator, torch_seed
from cmelt.config.settings import OptimiserSettings
from cmelt.errors import TrainingError
from cmelt.model.ecg_classifier import windowed_logits
from cmelt.training.labelled import ChangeSettings, LabelledRecords
from cmelt.training.optimiser import build_optimiser, set_rate
from cmelt.training.schedule import rate_factor

#: Called with (steps done, steps in all).
Progress = Callable[[int, int], None]

RECORDS_AT_ONCE = 64


@dataclass(frozen=True)
class ClassifierSettings:
    """How a network is trained on labels.

    Attributes:
        epochs: passes over the training records; with `held_out`, the most passes.
        batch: records a step, about: an epoch is cut into steps of nearly equal size.
        optimiser: AdamW, its rate and schedule; `encoder_share` is the share of the rate that an `ecg_encoder` learns at.
        change: what is done to a training record that leaves its labels true.
        average: decay of the weights' moving average, which is what the training hands on; 0 hands on the last weights.
        held_out: share of the *patients* that is kept back to choose the epoch by macro AUROC; 0 trains on all for all epochs.
        precision: "auto" computes in bf16 on a GPU that has it.
    """

    epochs: int = 30
    batch: int = 64
    optimiser: OptimiserSettings = field(default_factory=lambda: OptimiserSettings(rate=1e-3, schedule="cosine"))
    change: ChangeSettings = field(default_factory=ChangeSettings)
    average: float = 0.0
    held_out: float = 0.0
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2:
            raise ValueError(f"epochs {self.epochs} and batch {self.batch}: at least 1 and 2 are needed")
        if not (0 <= self.average < 1 and 0 <= self.held_out < 1):
            raise ValueError(f"average {self.average} and held_out {self.held_out} must be at least 0 and below 1")


@dataclass(frozen=True)
class Training:
    """How a training went.

    Attributes:
        losses: mean loss of each epoch.
        held_out: macro AUROC of the held-out patients after each epoch; empty where none were.
        epoch: the epoch (1-based) whose weights the network has.
    """

    losses: tuple[float, ...]
    held_out: tuple[float, ...]
    epoch: int


def train_classifier(
    network: nn.Module,
    records: LabelledRecords,
    settings: ClassifierSettings,
    device: torch.device,
    progress: Progress | None = None,
) -> Training:
    """Train `network` ([B, L, T] millivolts → [B, C] logits) in place; it ends in evaluation mode on `device`.

    Raises TrainingError for a loss or gradient that is not finite, and where the device lacks the precision asked for.
    """
    # Dropout is drawn from torch's global state, seeded each step: the caller's comes back unchanged.
    with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device.type == "cuda" else []):
        return _train(network.to(device), records, settings, device, progress)


def _train(
    network: nn.Module,
    records: LabelledRecords,
    settings: ClassifierSettings,
    device: torch.device,
    progress: Progress | None,
) -> Training:
    learned, watched = split_by_patient(records, settings.held_out, settings.seed)
    per_epoch = max(1, round(len(learned) / settings.batch))
    run = _Run(network, learned, settings, device, per_epoch * settings.epochs)
    losses, areas, best = [], [], None
    for epoch in range(settings.epochs):
        order = generator(settings.seed, "classifier order", epoch).permutation(len(learned))
        total = 0.0
        for part, chosen in enumerate(np.array_split(order, per_epoch)):
            step = epoch * per_epoch + part
            total += run.step(step, chosen) * len(chosen)
            if progress is not None:
                progress(step + 1, run.steps)
        losses.append(total / len(learned))
        if watched is not None:
            areas.append(macro_auroc(predict(run.handed_on, watched, settings, device), watched.truth))
            if best is None or areas[-1] > areas[best[0]]:
                best = epoch, copy.deepcopy(run.handed_on.state_dict())
    network.load_state_dict(run.handed_on.state_dict() if best is None else best[1])
    network.eval()
    return Training(tuple(losses), tuple(areas), settings.epochs if best is None else best[0] + 1)


class _Run:
    """The network, its optimiser and its moving average on their way through the steps."""

    def __init__(
        self, network: nn.Module, records: LabelledRecords, settings: ClassifierSettings, device: torch.device, steps: int
    ) -> None:
        self.network, self.records, self.settings, self.device, self.steps = network, records, settings, device, steps
        # Any module will do: the optimiser looks at the names of its parts alone.
        self.optimiser = build_optimiser(cast(Any, network), settings.optimiser)
        self.average = (
            AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(settings.average), use_buffers=True)
            if settings.average
            else None
        )

    @property
    def handed_on(self) -> nn.Module:
        """The averaged network where there is one."""
        return self.network if self.average is None else self.average.module

    def step(self, step: int, chosen: np.ndarray) -> float:
        """Step number `step` on the `chosen` training records; its loss."""
        settings = self.settings
        ecg, truth = self.records.batch(chosen, settings.change, settings.seed, step, self.device)
        torch.manual_seed(torch_seed(settings.seed, "classifier dropout", step))
        set_rate(self.optimiser, settings.optimiser.rate * rate_factor(step, self.steps, settings.optimiser))
        self.network.train()
        self.optimiser.zero_grad(set_to_none=True)
        with computing(settings.precision, self.device):
            logits = self.network(ecg)
        loss = F.binary_cross_entropy_with_logits(logits.float(), truth)
        self._refuse_unless_finite(loss, "loss", step, chosen)
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), settings.optimiser.clip or math.inf)
        self._refuse_unless_finite(norm, "gradient", step, chosen)
        self.optimiser.step()
        if self.average is not None:
            self.average.update_parameters(self.network)
        return float(loss.detach())

    def _refuse_unless_finite(self, value: Tensor, what: str, step: int, chosen: np.ndarray) -> None:
        if not bool(torch.isfinite(value.detach())):
            rows = ", ".join(map(str, np.sort(self.records.rows[chosen])))
            remedy = "look at these records, or lower the learning rate"
            raise TrainingError(f"step {step + 1}", f"the {what} is not finite; the batch's rows of the store: {rows}", remedy)


def computing(precision: str, device: torch.device) -> torch.autocast:
    """The context of a forward pass. Raises TrainingError where the GPU has no bf16 and it is asked for."""
    has_bf16 = device.type != "cuda" or torch.cuda.is_bf16_supported()
    if precision == "bf16-mixed" and not has_bf16:
        raise TrainingError("precision", "this GPU has no bf16", "set it to 32-true, or auto")
    wanted = precision == "bf16-mixed" or (precision == "auto" and device.type == "cuda" and has_bf16)
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)


@torch.no_grad()
def predict(network: nn.Module, records: LabelledRecords, settings: ClassifierSettings, device: torch.device) -> np.ndarray:
    """Log-odds [n, C] float64 of the records as they are; where training saw crops, of the mean probability over windows."""
    network.eval()
    window = settings.change.crop_samples(records.store.rate)
    parts = []
    for start in range(0, len(records), RECORDS_AT_ONCE):
        ecg = torch.from_numpy(records.millivolts(np.arange(start, min(start + RECORDS_AT_ONCE, len(records)))))
        with computing(settings.precision, device):
            parts.append(windowed_logits(network, ecg.to(device), window).double().cpu().numpy())
    return np.concatenate(parts)


def split_by_patient(records: LabelledRecords, share: float, seed: int) -> tuple[LabelledRecords, LabelledRecords | None]:
    """The records to learn from, and those of a random share of the patients, who are not among the former."""
    patients = np.unique(records.patients)
    if share == 0.0 or len(patients) < 2:
        return records, None
    count = min(len(patients) - 1, max(1, round(share * len(patients))))
    chosen = generator(seed, "held-out patients").choice(patients, count, replace=False)
    away = np.isin(records.patients, chosen)
    return records.part(np.flatnonzero(~away)), records.part(np.flatnonzero(away))


def macro_auroc(scores: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the classes that have both kinds; scores, truth [n, C]. 0.5 where there is no such class."""
    from sklearn.metrics import roc_auc_score

    kept = truth.any(axis=0) & ~truth.all(axis=0)
    return float(roc_auc_score(truth[:, kept], scores[:, kept])) if kept.any() else 0.5
