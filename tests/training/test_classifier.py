"""Training on labels: it learns what is there, repeats itself, chooses on nothing but its own patients, and says what broke."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from cmelt.config.settings import OptimiserSettings
from cmelt.errors import TrainingError
from cmelt.training import classifier
from cmelt.training.classifier import ClassifierSettings, macro_auroc, predict, split_by_patient, train_classifier
from cmelt.training.labelled import ChangeSettings, LabelledRecords
from labelled_signals import planted

CPU = torch.device("cpu")
FAST = OptimiserSettings(rate=3e-2, schedule="cosine", weight_decay=0.0, warm_up=0.1)
QUICK = ClassifierSettings(epochs=6, batch=16, optimiser=FAST)


class Reader(nn.Module):
    """A linear layer on each lead's mean."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.ecg_encoder = nn.Linear(12, 12)
        self.head = nn.Linear(12, 2)
        self.dropout = nn.Dropout(dropout)
        self.lengths: list[int] = []

    def forward(self, ecg):
        self.lengths.append(ecg.shape[2])
        return self.head(self.dropout(torch.relu(self.ecg_encoder(ecg.mean(2)))))


def reader(seed=0, dropout=0.0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Reader(dropout)


def state(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_what_is_in_the_signal_is_learned_and_the_loss_falls():
    network, training, test = reader(), planted(), planted(seed=1)
    before = macro_auroc(predict(network, test, QUICK, CPU), test.truth)
    done = train_classifier(network, training, QUICK, CPU)
    assert macro_auroc(predict(network, test, QUICK, CPU), test.truth) > max(0.97, before)
    assert done.losses[-1] < 0.5 * done.losses[0]
    assert (done.epoch, done.held_out) == (6, ())
    assert not network.training


def test_the_first_step_is_binary_cross_entropy_and_adamw_in_float64():
    """One step over all records from the same weights, by hand: loss, gradient, AdamW's first update (its size is the rate)."""
    records, network = planted(32), reader()
    settings = replace(QUICK, epochs=1, batch=32, optimiser=replace(FAST, warm_up=0.0, clip=0.0))
    start = {name: tensor.double() for name, tensor in state(network).items()}
    done = train_classifier(network, records, settings, CPU)
    means = torch.from_numpy(records.store.signal.astype(np.float64).mean(axis=2))
    weights = {name: tensor.requires_grad_() for name, tensor in start.items()}
    hidden = torch.relu(means @ weights["ecg_encoder.weight"].T + weights["ecg_encoder.bias"])
    logits = hidden @ weights["head.weight"].T + weights["head.bias"]
    truth = torch.from_numpy(records.truth.astype(np.float64))
    p = torch.sigmoid(logits)
    loss = -(truth * p.log() + (1 - truth) * (1 - p).log()).mean()
    loss.backward()
    assert done.losses[0] == pytest.approx(float(loss.detach()), abs=1e-6)
    for name, after in network.state_dict().items():
        gradient = weights[name].grad
        expected = weights[name].detach() - 3e-2 * gradient / (gradient.abs() + 1e-6)
        steep = gradient.abs() > 1e-4  # elsewhere single precision decides the sign
        assert torch.allclose(after.double()[steep], expected[steep], atol=1e-4)


def test_training_is_a_function_of_its_seed_and_leaves_the_callers_randomness_alone():
    change = ChangeSettings(shift_seconds=0.05, gain=0.1, noise_mv=0.1, lead_drop=0.2)
    settings = replace(QUICK, epochs=2, change=change)
    runs = []
    for seed in (1, 1, 2):
        network = reader(dropout=0.3)
        torch.manual_seed(len(runs))  # another state outside each time
        outside = torch.get_rng_state()
        train_classifier(network, planted(), replace(settings, seed=seed), CPU)
        assert torch.equal(outside, torch.get_rng_state())
        runs.append(state(network)["head.weight"])
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_an_encoder_learns_at_its_share_of_the_rate():
    network = reader()
    before = state(network)
    frozen = replace(QUICK, epochs=1, optimiser=replace(FAST, encoder_share=0.0))
    train_classifier(network, planted(), frozen, CPU)
    assert torch.equal(network.ecg_encoder.weight, before["ecg_encoder.weight"])
    assert not torch.equal(network.head.weight, before["head.weight"])


def test_every_record_is_seen_once_an_epoch_in_steps_of_nearly_equal_size(monkeypatch):
    seen = []
    true_batch = LabelledRecords.batch
    monkeypatch.setattr(
        LabelledRecords, "batch", lambda self, places, *rest: seen.append(places) or true_batch(self, places, *rest)
    )
    told = []
    train_classifier(reader(), planted(50), replace(QUICK, epochs=2), CPU, lambda *p: told.append(p))
    assert sorted(np.concatenate(seen[:3])) == sorted(np.concatenate(seen[3:])) == list(range(50))
    assert [len(s) for s in seen] == [17, 17, 16] * 2
    assert not np.array_equal(seen[0], seen[3])
    assert told == [(step, 6) for step in range(1, 7)]


def test_held_out_patients_are_not_learned_from_and_choose_the_epoch(monkeypatch):
    records = planted(100)
    learned, watched = split_by_patient(records, 0.2, seed=3)
    assert not set(learned.patients) & set(watched.patients)
    assert len(set(watched.patients)) == 10
    areas = iter([0.6, 0.9, 0.7])
    states = []
    network = reader()
    monkeypatch.setattr(classifier, "macro_auroc", lambda *_: states.append(state(network)) or next(areas))
    done = train_classifier(network, records, replace(QUICK, epochs=3, held_out=0.2), CPU)
    assert (done.epoch, done.held_out) == (2, (0.6, 0.9, 0.7))
    assert torch.equal(network.head.weight, states[1]["head.weight"])
    assert not torch.equal(network.head.weight, states[2]["head.weight"])


def test_a_lone_patient_cannot_be_held_out():
    records = replace(planted(4), patients=np.zeros(4, np.int64))
    assert split_by_patient(records, 0.5, 0)[1] is None


def test_averaged_weights_lie_between_those_of_the_steps():
    """With a decay of 0.5 the average after two steps is the mean of the weights after each."""
    steps = []
    network = reader()
    train_classifier(
        network, planted(32), replace(QUICK, epochs=2, batch=32, average=0.5), CPU, lambda *_: steps.append(state(network))
    )
    expected = 0.5 * steps[0]["head.weight"] + 0.5 * steps[1]["head.weight"]
    assert torch.allclose(network.head.weight, expected, atol=1e-7)


def test_a_broken_record_stops_training_before_the_weights_change_and_is_named():
    records, network = planted(16), reader()
    records.store.signal[7, 3, 5] = np.inf
    before = state(network)
    with pytest.raises(TrainingError, match=r"step 1: the loss is not finite.* 7,"):
        train_classifier(network, records, replace(QUICK, epochs=1), CPU)
    assert torch.equal(network.head.weight, before["head.weight"])


def test_crops_are_seen_in_training_and_averaged_as_probabilities_in_prediction():
    records, network = planted(20), reader()
    settings = replace(QUICK, epochs=1, change=ChangeSettings(crop_seconds=0.2))
    train_classifier(network, records, settings, CPU)
    assert set(network.lengths) == {20}
    found = predict(network, records, settings, CPU)
    with torch.no_grad():
        parts = [torch.sigmoid(network(torch.from_numpy(records.store.signal[..., s : s + 20]))).numpy() for s in (0, 10, 20)]
    mean = np.mean(parts, axis=0)
    np.testing.assert_allclose(found, np.log(mean / (1 - mean)), rtol=1e-4, atol=1e-5)


def test_bf16_computes_the_same_to_three_digits_on_the_cpu():
    found = []
    for precision in ("32-true", "bf16-mixed"):
        network = reader()
        done = train_classifier(network, planted(), replace(QUICK, epochs=1, precision=precision), CPU)
        assert network.head.weight.dtype == torch.float32
        found.append(done.losses[0])
    assert found[0] != found[1]
    assert found[0] == pytest.approx(found[1], rel=0.02)
    assert not classifier.computing("auto", CPU)._enabled


@pytest.mark.parametrize("change", [{"epochs": 0}, {"batch": 1}, {"average": 1.0}, {"held_out": -0.1}])
def test_impossible_settings_are_refused(change):
    with pytest.raises(ValueError, match="at least"):
        ClassifierSettings(**change)


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_learns_the_same():
    network, test = reader(), planted(seed=1)
    train_classifier(network, planted(), QUICK, torch.device("cuda"))
    assert macro_auroc(predict(network, test, QUICK, torch.device("cuda")), test.truth) > 0.97
