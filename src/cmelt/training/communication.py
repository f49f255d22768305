"""How many bytes a process sends to the others in one step, as formulas. Tests count what is really sent.

W processes, sums and gathers by rings, as NCCL and gloo do them; all of it in single precision unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from cmelt.config.settings import Recipe

SINGLE = 4  # bytes of a value


@dataclass(frozen=True)
class Sent:
    """Bytes that one process sends in one step.

    Attributes:
        weights: gradients, and where the model is divided the weights, too.
        contrast: embeddings of ECGs, reports and phrases, and their gradients.
    """

    weights: float
    contrast: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.weights + self.contrast


def sent_in_a_step(recipe: Recipe, model: nn.Module, processes: int) -> Sent:
    """What each of so many processes sends in a step of the recipe, which trains `model`."""
    learned = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    held = sum(parameter.numel() for parameter in model.parameters())
    divided = recipe.training.strategy == "fsdp"
    weights = fsdp_bytes(held, learned, processes) if divided else ddp_bytes(learned, processes)
    return Sent(weights, recipe.training.accumulate * contrast_bytes(recipe, processes))


def ddp_bytes(learned: int, processes: int) -> float:
    """2 (W−1)/W · values: gradients are summed piece by piece round the ring, then the sums are handed round."""
    return 2 * (processes - 1) / processes * SINGLE * learned


def fsdp_bytes(held: int, learned: int, processes: int) -> float:
    """(W−1)/W · (2 · weights + gradients): a layer's weights are gathered to compute it and again for its gradients, which are
    summed where their share lies. Of layers that see several inputs in a step (texts masked, clean, phrases) as often again."""
    return (processes - 1) / processes * SINGLE * (2 * held + learned)


def contrast_bytes(recipe: Recipe, processes: int) -> float:
    """2 (W−1) · rows · D for each set of embeddings that the others see: they go out, their gradients come back.

    The ring sends as many as gathering does: each block goes W−1 hops, and its gradient W−1 hops.
    """
    weights, width, batch = recipe.objectives.weights, recipe.model.width, recipe.training.batch
    sides = 1 if "ets" in weights else 0  # the reports
    sides += 2 if "info_nce" in weights else 0  # each side searches the other
    sides += 2 if "ecg_alignment" in weights else 0
    phrases = -(-recipe.objectives.phrase.drawn // processes) if "phrases" in weights else 0
    return 2 * (processes - 1) * (sides * batch + phrases) * width * SINGLE
