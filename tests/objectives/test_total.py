"""What the total hands to each objective, of outputs, truth and settings: each part against its formula in float64."""

from __future__ import annotations

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cmelt.config.settings import AlignmentSettings, ContrastSettings, ObjectiveSettings
from cmelt.model.cmelt import Outputs
from cmelt.objectives.ets_ring import Groups, ets_loss_of_all
from cmelt.objectives.total import OBJECTIVES, Truth, total_loss

#: Row 2 has row 0's report word for word; row 1's was replaced for the fused batch, row 3's for the contrast.
OWN, FUSED, SEEN = torch.tensor([0, 1, 0, 3]), torch.tensor([0, 8, 0, 3]), torch.tensor([0, 1, 0, 9])
SCALE, BIAS, TEMPERATURE_SCALE = 1.7, -0.4, 9.0
NONE_ON = dict.fromkeys(OBJECTIVES, 0.0)


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def step() -> tuple[Outputs, Truth]:
    """Four pairs whose every number differs from every other."""
    scale, bias, temperature = (torch.tensor(value, dtype=torch.float64) for value in (SCALE, BIAS, TEMPERATURE_SCALE))
    held = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]]).bool()
    # Four phrases were embedded so that two processes have equal shares; the step has three.
    phrases = (drawn(4, 5, seed=7), torch.tensor(3.0).double(), torch.tensor(-1.5).double())
    outputs = Outputs(
        drawn(4, 5, seed=1), drawn(4, 5, seed=2), drawn(3, 7, seed=3), drawn(4, 2, 8, seed=4), drawn(4, 2, seed=5),
        scale, bias, temperature, (drawn(4, 5, seed=8), drawn(4, 5, seed=9)), phrases,
    )  # fmt: skip
    words = torch.tensor([[-100, 4], [2, -100], [-100, -100], [-100, 6]])
    measured, kept = torch.tensor([[1, 1], [0, 1], [1, 0], [1, 1]]).bool(), torch.tensor([[0], [1], [2], [0]])
    counted = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 1, 1], [0, 1, 1]]).bool()
    return outputs, Truth(drawn(4, 2, 13, seed=6), measured, kept, words, OWN, FUSED, SEEN, 4, held, counted)


def part(name: str, **settings: object) -> float:
    outputs, truth = step()
    losses = total_loss(outputs, truth, ObjectiveSettings(**NONE_ON | {name: 0.5}, **settings))
    assert losses.parts.keys() == {name} and losses.total.item() == pytest.approx(0.5 * losses.parts[name].item(), rel=1e-12)
    return losses.parts[name].item()


def unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=1, keepdim=True)


@pytest.mark.parametrize(
    ("normalise", "balance", "identical"), list(product((False, True), (False, True), ("negative", "ignore", "positive")))
)
def test_the_sigmoid_contrast_is_told_all_that_its_settings_say(normalise: bool, balance: bool, identical: str) -> None:
    outputs, _ = step()
    ecg, text = (unit(one) if normalise else one for one in (outputs.ecg_embedding, outputs.text_embedding))
    rows = []
    for row, column in product(range(4), range(4)):
        same = bool(OWN[row] == SEEN[column])
        positive = same and (row == column or identical == "positive")
        if same and not positive and identical == "ignore":
            continue
        logit = SCALE * float(ecg[row] @ text[column]) + BIAS
        rows.append((row, positive, -float(F.logsigmoid(torch.tensor(logit if positive else -logit, dtype=torch.float64)))))
    losses = [[[loss for r, p, loss in rows if (r, p) == (row, kind)] for kind in (True, False)] for row in range(4)]
    per_row = [sum(sum(kind) / (len(kind) or 1) if balance else sum(kind) for kind in kinds) for kinds in losses]
    contrast = ContrastSettings(normalise=normalise, balance=balance, identical_reports=identical)
    assert part("ets", contrast=contrast) == pytest.approx(sum(per_row) / 4, rel=1e-9)


@pytest.mark.parametrize("identical", ["negative", "ignore", "positive"])
def test_the_softmax_contrast_is_the_mean_of_both_directions_by_its_own_temperature(identical: str) -> None:
    outputs, _ = step()
    cosines = unit(outputs.ecg_embedding) @ unit(outputs.text_embedding).T * TEMPERATURE_SCALE
    directions = []
    for logits, own, other in ((cosines, OWN, SEEN), (cosines.T, SEEN, OWN)):
        rows = []
        for row in range(4):
            same = [column for column in range(4) if own[row] == other[column]]
            right = [column for column in same if column == row or identical == "positive"]
            against = [column for column in range(4) if column not in same or column in right or identical == "negative"]
            chances = logits[row, against].softmax(0)
            rows.append(sum(-float(chances[against.index(column)].log()) for column in right) / (len(right) or 1))
        directions.append(sum(rows) / max(1, sum(bool(row) for row in rows)))
    contrast = ContrastSettings(identical_reports=identical)
    assert part("info_nce", contrast=contrast) == pytest.approx(sum(directions) / 2, rel=1e-9)


def test_phrases_are_compared_by_their_cosines_and_the_step_s_own_alone_count() -> None:
    outputs, truth = step()
    embedded, scale, bias = outputs.phrases
    logits = scale * unit(outputs.ecg_embedding) @ unit(embedded)[:3].T + bias
    total = 0.0
    for phrase in range(3):
        for held in (True, False):
            rows = [row for row in range(4) if truth.phrases_counted[row, phrase] and truth.phrases_held[row, phrase] == held]
            sign = 1 if held else -1
            total += 0.5 * sum(-float(F.logsigmoid(sign * logits[row, phrase])) for row in rows) / (len(rows) or 1)
    assert part("phrases") == pytest.approx(total / 3, rel=1e-9)


@pytest.mark.parametrize("view", ["dropout", "augmented"])
def test_views_are_searched_at_the_temperature_and_among_the_candidates_of_the_settings(view: str) -> None:
    one, other = (unit(vectors) for vectors in step()[0].ecg_views)
    total = 0.0
    for mine, its in ((one, other), (other, one)):
        for row in range(4):
            logits = [float(mine[row] @ its[column]) / 0.2 for column in range(4)]
            neighbours = [float(mine[row] @ mine[column]) / 0.2 for column in range(4) if column != row]
            candidates = torch.tensor(logits + (neighbours if view == "augmented" else []), dtype=torch.float64)
            total -= float(candidates.log_softmax(0)[row]) / 8
    assert part("ecg_alignment", alignment=AlignmentSettings(view=view, temperature=0.2)) == pytest.approx(total, rel=1e-9)


def test_words_are_named_at_their_places_and_matching_compares_the_fused_batch_s_reports() -> None:
    outputs, _ = step()
    named = outputs.word_logits.log_softmax(1)[torch.arange(3), torch.tensor([4, 2, 6])]
    assert part("mlm") == pytest.approx(-float(named.mean()), rel=1e-9)
    matches = outputs.match_logits.log_softmax(1)[torch.arange(4), (OWN == FUSED).long()]
    assert part("etm") == pytest.approx(-float(matches.mean()), rel=1e-9)


def test_hidden_tokens_are_rebuilt_of_the_samples_that_tokens_cover_on_measured_leads() -> None:
    outputs, truth = step()
    covered = truth.ecg[..., :12]  # three tokens of four samples; the thirteenth sample is nobody's
    normal = (covered - covered.mean(2, keepdim=True)) / (covered.var(2, keepdim=True) + 1e-6).sqrt()
    errors = []
    for row in range(4):
        hidden = [token for token in range(3) if token != truth.kept[row, 0]]
        for place, token in enumerate(hidden):
            for lead in range(2):
                if truth.measured[row, lead]:
                    guess = outputs.samples[row, place, lead * 4 : lead * 4 + 4]
                    errors.append(float((guess - normal[row, lead, token * 4 : token * 4 + 4]).square().mean()))
    assert part("mem") == pytest.approx(sum(errors) / len(errors), rel=1e-9)


@pytest.mark.parametrize("balance", [False, True])
def test_where_reports_go_round_the_contrast_is_given_all_of_it(balance: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    monkeypatch.setattr("cmelt.objectives.ets_ring.ets_loss_by_ring", lambda *all_of_it: given.append(all_of_it))
    monkeypatch.setattr("cmelt.objectives.ets_ring.processes", lambda: 2**19)
    handed = (
        drawn(4, 5, seed=1),
        drawn(4, 5, seed=2),
        Groups(OWN, SEEN, "ignore"),
        torch.tensor(1.0),
        torch.tensor(2.0),
        balance,
    )
    ets_loss_of_all(*handed)
    assert len(given) == 1 and all(one is other for one, other in zip(given[0], handed, strict=True))
