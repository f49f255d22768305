"""Which pairs are positive, and what a total is made of: the faults of the release that live here, by number."""

from __future__ import annotations

import pytest
import torch

from cmelt.config.settings import OBJECTIVE_NAMES, ContrastSettings, ObjectiveSettings
from cmelt.model.cmelt import Outputs
from cmelt.objectives.ets import ets_loss
from cmelt.objectives.mem import mem_target
from cmelt.objectives.pairs import Pairs, pairs
from cmelt.objectives.total import OBJECTIVES, Truth, total_loss


def test_fault_7_identical_reports_are_not_negatives_of_each_other():
    group = torch.tensor([3, 5, 3])
    ignored = pairs(group, group, "ignore")
    assert ignored.weight.tolist() == [[1, 1, 0], [1, 1, 1], [0, 1, 1]]
    assert torch.equal(ignored.positive, torch.eye(3, dtype=torch.bool))
    shared = pairs(group, group, "positive")
    assert shared.positive.tolist() == [[True, False, True], [False, True, False], [True, False, True]]
    assert shared.weight.min() == 1
    published = pairs(group, group, "negative")
    assert torch.equal(published.positive, torch.eye(3, dtype=torch.bool)) and published.weight.min() == 1


@pytest.mark.parametrize("identical", ["negative", "ignore", "positive"])
def test_a_row_whose_report_was_replaced_is_a_negative_pair(identical):
    truth = pairs(torch.tensor([0, 1]), torch.tensor([0, 8]), identical)
    assert truth.positive.tolist() == [[True, False], [False, False]]
    assert truth.weight.min() == 1


def test_fault_10_the_sigmoid_loss_is_divided_by_b_once():
    """With nothing to tell pairs apart each of the B² judgements costs log 2: B · log 2 a row, whatever B is."""
    for batch in (2, 5):
        nothing = torch.zeros(batch, 4)
        truth = Pairs(torch.eye(batch, dtype=torch.bool), torch.ones(batch, batch))
        loss = ets_loss(nothing, nothing, truth, torch.tensor(1.0), torch.tensor(0.0))
        assert loss.item() == pytest.approx(batch * torch.log(torch.tensor(2.0)).item())


def test_balance_keeps_many_identical_reports_from_outweighing_the_rest():
    ecg = text = torch.zeros(6, 4)
    group = torch.tensor([0, 0, 0, 0, 0, 1])
    loss = ets_loss(ecg, text, pairs(group, group, "positive"), torch.tensor(1.0), torch.tensor(0.0), balance=True)
    assert loss.item() == pytest.approx(2 * torch.log(torch.tensor(2.0)).item())


def batch(aligned: bool = True) -> tuple[Outputs, Truth]:
    torch.manual_seed(0)
    ecg, words = torch.randn(3, 2, 32), torch.tensor([[-100, 4], [2, -100], [-100, -100]])
    own = torch.arange(3)
    outputs = Outputs(
        torch.randn(3, 5), torch.randn(3, 5), torch.randn(2, 7), torch.randn(3, 1, 32), torch.randn(3, 2),
        torch.tensor(1.0), torch.tensor(0.0), torch.tensor(14.0), (torch.randn(3, 5), torch.randn(3, 5)),
    )  # fmt: skip
    truth = Truth(ecg, torch.ones(3, 2, dtype=torch.bool), torch.tensor([[0], [1], [0]]), words, own,
                  own if aligned else own.roll(1), own if aligned else own.roll(1), 16)  # fmt: skip
    return outputs, truth


def test_the_total_is_the_weighted_sum_of_what_is_switched_on():
    outputs, truth = batch()
    settings = ObjectiveSettings(mlm=0.5, mem=2.0, etm=0.0, ets=1.0, info_nce=0.25)
    losses = total_loss(outputs, truth, settings)
    assert losses.parts.keys() == settings.weights.keys() == {"mlm", "mem", "ets", "info_nce"}
    parts = {name: part.item() for name, part in losses.parts.items()}
    assert losses.total.item() == pytest.approx(0.5 * parts["mlm"] + 2 * parts["mem"] + parts["ets"] + 0.25 * parts["info_nce"])
    for name, part in losses.parts.items():  # no part knows of the others
        alone = ObjectiveSettings(**{other: float(other == name) for other in OBJECTIVES})
        assert total_loss(outputs, truth, alone).total.item() == pytest.approx(part.item())


def test_every_objective_of_the_settings_exists_and_the_other_way_round():
    assert tuple(OBJECTIVES) == OBJECTIVE_NAMES
    assert OBJECTIVES.keys() == ObjectiveSettings(**dict.fromkeys(OBJECTIVE_NAMES, 1.0)).weights.keys()


def test_etm_asks_whether_the_report_is_the_ecg_s_own():
    for aligned in (True, False):
        outputs, truth = batch(aligned)
        sure = outputs._replace(match_logits=torch.tensor([[-20.0, 20.0]]).expand(3, 2))
        settings = ObjectiveSettings(mlm=0, mem=0, etm=1, ets=0)
        assert (total_loss(sure, truth, settings).total.item() < 1e-6) is aligned


def test_normalised_contrast_does_not_see_lengths():
    outputs, truth = batch()
    longer = outputs._replace(ecg_embedding=7 * outputs.ecg_embedding, text_embedding=0.1 * outputs.text_embedding)
    for contrast, same in ((ContrastSettings(normalise=True), True), (ContrastSettings(normalise=False), False)):
        settings = ObjectiveSettings(mlm=0, mem=0, etm=0, ets=1, contrast=contrast)
        one, other = total_loss(outputs, truth, settings).total, total_loss(longer, truth, settings).total
        assert torch.isclose(one, other, atol=1e-6).item() is same


def test_the_mem_target_is_each_lead_s_shape_not_its_size():
    ecg = torch.randn(2, 3, 70)
    target = mem_target(ecg, 4, 16)
    assert target.shape == (2, 4, 48)
    torch.testing.assert_close(mem_target(5 * ecg + 3, 4, 16), target, atol=1e-4, rtol=0)
    leads = target.unflatten(2, (3, 16)).transpose(1, 2).flatten(2)  # [B, L, 64]
    torch.testing.assert_close(leads.mean(2), torch.zeros(2, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(leads.var(2), torch.ones(2, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(leads[0, 1], (ecg[0, 1, :64] - ecg[0, 1, :64].mean()) / ecg[0, 1, :64].std(), atol=1e-4, rtol=0)
