"""ETS over several processes: the reports' embeddings go round, or are gathered where that is small (SigLIP, 2303.15343, 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from cmelt.model.across_ranks import Passing, gather, pass_on, processes
from cmelt.objectives.ets import both_kinds, ets_loss, ets_rows
from cmelt.objectives.pairs import Pairs, judged, pairs
from cmelt.objectives.precision import full

#: Pairs of this process's ECGs and everyone's reports from which the reports go round. Some six tensors of that size are alive at
#: once when all are judged together: 100 MB in single precision here, nothing beside the activations of a model. Below it two
#: collectives take less time than the ring's many small messages.
RING_FROM = 2**22


@dataclass(frozen=True)
class Groups:
    """The numbers of distinct reports that say which pairs are positive.

    Attributes:
        own, seen: [B] number of each ECG's own report, and of the one whose embedding the batch holds.
        identical: what another ECG's word for word identical report is: "negative", "ignore" or "positive".
    """

    own: Tensor
    seen: Tensor
    identical: str


def ets_loss_of_all(ecg: Tensor, text: Tensor, groups: Groups, scale: Tensor, bias: Tensor, balance: bool) -> Tensor:
    """`ets_loss` of this process's ecg [B, D] against every process's reports, of which text [B, D] are this one's. Scalar.

    The same number and gradients by either way, and as many bytes sent: gathered, or a block at a time. B is everyone's.
    """
    if processes() > 1 and len(ecg) ** 2 * processes() >= RING_FROM:
        return ets_loss_by_ring(ecg, text, groups, scale, bias, balance)
    truth = pairs(groups.own, groups.seen, groups.identical)
    return ets_loss(ecg, gather(text), truth, scale, bias, balance)


def ets_loss_by_ring(ecg: Tensor, text: Tensor, groups: Groups, scale: Tensor, bias: Tensor, balance: bool) -> Tensor:
    """The same by ring exchange: never more than one block, [B, B], is held, and its gradient goes round with the block."""
    seen, rank = gather(groups.seen).unflatten(0, (processes(), -1)), torch.distributed.get_rank()  # numbers only: 8 bytes a pair

    def truth_of(process: int) -> Pairs:
        return judged(groups.own, seen[process], groups.identical, 0 if process == rank else None)

    divisor: Tensor | int = len(ecg)
    if balance:
        counts = torch.stack([both_kinds(truth_of(process)) for process in range(processes())]).sum(0)  # [2, B]
        divisor = counts.clamp(min=1) * len(ecg)
    loss: Tensor = _Ring.apply(full(ecg), full(text), scale, bias, truth_of, divisor)
    return loss


class _Ring(torch.autograd.Function):
    """Σ over the processes' blocks of (row sums / divisor).

    The loss is a scalar, hence its gradients are known, but for one factor, as soon as a block is: they are taken in the forward
    pass, where the block is at hand. Recomputing the blocks in the backward pass would send all reports round a second time,
    among the messages that average the weights' gradients. The factor must be the same in every process.
    """

    @staticmethod
    def forward(
        ctx: Any, ecg: Tensor, text: Tensor, scale: Tensor, bias: Tensor, truth_of: Callable[[int], Pairs], divisor: Tensor | int
    ) -> Tensor:
        rank, size = torch.distributed.get_rank(), processes()
        coming = pass_on(text.detach())  # the next block travels while one is judged
        loss, (of_ecg, at_home, of_scale, of_bias) = _judge(ecg, text, scale, bias, truth_of(rank), divisor)
        returning: Passing | None = None
        for hop in range(1, size):
            visitors = coming.arrived()
            if hop < size - 1:
                coming = pass_on(visitors)
            part, found = _judge(ecg, visitors, scale, bias, truth_of((rank - hop) % size), divisor)
            loss, of_ecg, of_scale, of_bias = loss + part, of_ecg + found[0], of_scale + found[2], of_bias + found[3]
            # A block's gradient follows one hop behind it, and reaches home after as many hops as the block made, and one.
            returning = pass_on(found[1] if returning is None else returning.arrived() + found[1])
        assert returning is not None  # there are several processes
        ctx.save_for_backward(of_ecg, at_home + returning.arrived(), of_scale, of_bias)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (*(gradient * part for part in ctx.saved_tensors), None, None)


def _judge(
    ecg: Tensor, text: Tensor, scale: Tensor, bias: Tensor, truth: Pairs, divisor: Tensor | int
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One block's share of the loss, and its gradients of the four tensors."""
    leaves = [tensor.detach().requires_grad_() for tensor in (ecg, text, scale, bias)]
    with torch.enable_grad():
        loss = (ets_rows(leaves[0], leaves[1], truth, leaves[2], leaves[3]) / divisor).sum()
    return loss.detach(), torch.autograd.grad(loss, leaves)
