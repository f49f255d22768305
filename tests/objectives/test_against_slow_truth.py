"""Every objective against loops written out from the method page, in float64, values and gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cmelt.objectives.ecg_alignment import ecg_alignment_loss
from cmelt.objectives.etm import etm_loss
from cmelt.objectives.ets import ets_loss
from cmelt.objectives.info_nce import info_nce_loss
from cmelt.objectives.mem import mem_loss, mem_target
from cmelt.objectives.mlm import mlm_loss
from cmelt.objectives.pairs import Pairs, pairs

TOLERANCE = 1e-12


def same(fast, slow, *inputs: Tensor) -> None:
    """The two functions agree in value and in the gradient of every input."""
    results = []
    for function in (fast, slow):
        leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
        loss = function(*leaves)
        assert loss.dtype == torch.float64
        results.append((loss, *torch.autograd.grad(loss, leaves)))
    for mine, truth in zip(*results, strict=True):
        torch.testing.assert_close(mine, truth, atol=TOLERANCE, rtol=TOLERANCE)


def doubles(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_mlm_is_the_cross_entropy_of_the_masked_pieces_alone():
    words = torch.tensor([[-100, 3, -100, 1], [0, -100, -100, 4]])

    def slow(logits):
        targets = [w for row in words.tolist() for w in row if w >= 0]
        losses = [-(row[w] - torch.log(sum(torch.exp(x) for x in row))) for row, w in zip(logits, targets, strict=True)]
        return sum(losses) / len(losses)

    same(lambda logits: mlm_loss(logits, words), slow, doubles(4, 5))


def test_mlm_of_a_batch_without_masked_pieces_is_zero_and_can_be_derived():
    logits = torch.zeros(0, 5, requires_grad=True)
    loss = mlm_loss(logits, torch.full((2, 3), -100))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None


@pytest.mark.parametrize("absent", [(), (2,), (0, 1)])
def test_mem_is_the_error_of_masked_tokens_on_measured_leads(absent):
    leads, tokens, samples = 3, 7, 5  # six tokens are hidden: no count can stand in for another
    ecg = doubles(2, leads, tokens * samples + 3, seed=1)  # the last samples belong to no token
    measured = torch.ones(2, leads, dtype=torch.bool)
    measured[0, list(absent)] = False
    ecg = ecg * measured[..., None]
    kept = torch.tensor([[1], [3]])
    hidden = torch.tensor([[token for token in range(tokens) if token != k] for (k,) in kept.tolist()])
    hidden = hidden[..., None].expand(-1, -1, leads * samples)

    def slow(predicted):
        total, count = 0.0, 0
        for b in range(2):
            for lead in range(leads):
                if not measured[b, lead]:
                    continue
                values = ecg[b, lead, : tokens * samples].tolist()
                mean = sum(values) / len(values)
                variance = sum((v - mean) ** 2 for v in values) / (len(values) - 1)
                for token in range(tokens):
                    if token in kept[b].tolist():
                        continue
                    for s in range(samples):
                        target = (values[token * samples + s] - mean) / math.sqrt(variance + 1e-6)
                        total = total + (predicted[b, token, lead * samples + s] - target) ** 2
                        count += 1
        return total / count

    same(
        lambda predicted: mem_loss(predicted.gather(1, hidden), mem_target(ecg, tokens, samples), kept, measured),
        slow,
        doubles(2, tokens, leads * samples, seed=2),
    )


def test_etm_is_the_cross_entropy_of_two_answers():
    aligned = torch.tensor([True, False, False])

    def slow(logits):
        losses = [torch.log(sum(torch.exp(x) for x in row)) - row[int(a)] for row, a in zip(logits, aligned, strict=True)]
        return sum(losses) / 3

    same(lambda logits: etm_loss(logits, aligned), slow, doubles(3, 2))


OWN = torch.tensor([4, 4, 7, 9, 2])  # rows 0 and 1 have the same report
SEEN = torch.tensor([4, 4, 7, 4, 2])  # row 3's own report was replaced by that of 0 and 1


def judged(identical: str) -> list[list[int]]:
    """+1 positive, −1 negative, 0 left out, written from the words of the configuration."""
    table = []
    for i, own in enumerate(OWN.tolist()):
        row = []
        for j, seen in enumerate(SEEN.tolist()):
            if i == j:
                row.append(1 if own == seen else -1)
            elif own == seen:
                row.append({"negative": -1, "ignore": 0, "positive": 1}[identical])
            else:
                row.append(-1)
        table.append(row)
    return table


@pytest.mark.parametrize("balance", [False, True])
@pytest.mark.parametrize("identical", ["negative", "ignore", "positive"])
def test_ets_is_its_formula(identical, balance):
    table = judged(identical)

    def slow(ecg, text, scale, bias):
        total = 0.0
        for i in range(5):
            losses = {1: [], -1: [], 0: []}
            for j in range(5):
                logit = scale * sum(ecg[i, d] * text[j, d] for d in range(3)) + bias
                losses[table[i][j]].append(torch.log(1 + torch.exp(-table[i][j] * logit)))
            if balance:
                total = total + sum(sum(losses[y]) / len(losses[y]) for y in (1, -1) if losses[y])
            else:
                total = total + sum(losses[1]) + sum(losses[-1])
        return total / 5

    same(
        lambda ecg, text, scale, bias: ets_loss(ecg, text, pairs(OWN, SEEN, identical), scale, bias, balance),
        slow,
        doubles(5, 3, seed=3),
        doubles(5, 3, seed=4),
        torch.tensor(1.5, dtype=torch.float64),
        torch.tensor(-0.5, dtype=torch.float64),
    )


@pytest.mark.parametrize("identical", ["negative", "ignore", "positive"])
def test_info_nce_shares_a_row_s_target_among_its_positives(identical):
    table = judged(identical)

    def slow(ecg, text, scale):
        losses = []
        for i in range(5):
            positives = [j for j in range(5) if table[i][j] == 1]
            counted = [j for j in range(5) if table[i][j] != 0]
            if not positives:
                continue  # row 3: nothing in the batch is its report
            logits = {j: scale * (ecg[i] @ text[j]) for j in counted}
            partition = torch.log(sum(torch.exp(value) for value in logits.values()))
            losses.append(sum(partition - logits[j] for j in positives) / len(positives))
        assert len(losses) == 4
        return sum(losses) / len(losses)

    same(
        lambda ecg, text, scale: info_nce_loss(ecg, text, pairs(OWN, SEEN, identical), scale),
        slow,
        doubles(5, 3, seed=5),
        doubles(5, 3, seed=6),
        torch.tensor(2.0, dtype=torch.float64),
    )


def test_info_nce_of_rows_without_any_positive_is_zero_not_nan():
    truth = pairs(torch.tensor([0, 1]), torch.tensor([2, 3]), "ignore")
    ecg = doubles(2, 3).requires_grad_()
    loss = info_nce_loss(ecg, doubles(2, 3, seed=1), truth, torch.tensor(1.0, dtype=torch.float64))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(ecg.grad, torch.zeros_like(ecg))


@pytest.mark.parametrize("within", [False, True])
def test_ecg_alignment_finds_the_other_view_of_each_ecg_both_ways(within):
    """Without `within` the candidates are the other side's views (MERL); with it every view but the searching one (SimCLR)."""
    temperature = 0.3

    def cosine(a, b):
        return sum(a * b) / (torch.sqrt(sum(a * a)) * torch.sqrt(sum(b * b)))

    def slow(one, other):
        views = [(i, side, view) for side, rows in enumerate((one, other)) for i, view in enumerate(rows)]
        losses = []
        for i, side, view in views:
            logits = {
                (j, where): cosine(view, candidate) / temperature
                for j, where, candidate in views
                if where != side or (within and j != i)
            }
            losses.append(torch.log(sum(torch.exp(value) for value in logits.values())) - logits[i, 1 - side])
        assert len(losses) == 8
        return sum(losses) / len(losses)

    same(
        lambda one, other: ecg_alignment_loss(one, other, temperature, within),
        slow,
        doubles(4, 3, seed=7),
        doubles(4, 3, seed=8),
    )


@pytest.mark.parametrize(("within", "candidates"), [(False, 4), (True, 7)])
def test_views_that_say_nothing_cost_the_logarithm_of_the_candidates(within, candidates):
    nothing = torch.ones(4, 3, dtype=torch.float64)
    assert ecg_alignment_loss(nothing, nothing, 0.1, within).item() == pytest.approx(math.log(candidates))


def test_half_types_are_summed_in_single_precision():
    ecg, text = doubles(4, 8).bfloat16(), doubles(4, 8, seed=1).bfloat16()
    truth = Pairs(torch.eye(4, dtype=torch.bool), torch.ones(4, 4))
    one, none = torch.tensor(1.0), torch.tensor(0.0)
    assert ets_loss(ecg, text, truth, one, none).dtype == torch.float32
    torch.testing.assert_close(
        ets_loss(ecg, text, truth, one, none), ets_loss(ecg.double(), text.double(), truth, one, none).float()
    )
