"""Back again: every tensor byte by byte, leads by name, and a reason where a model is of another construction."""

from __future__ import annotations

import json

import pytest
import torch

from cmelt.checkpoints.model_folder import without_parts
from cmelt.config.parsing import from_mapping
from cmelt.config.settings import ObjectiveSettings
from cmelt.errors import CheckpointError
from cmelt.interop import load_dbeta, save_dbeta
from cmelt.interop.dbeta_export import release_sizes
from cmelt.interop.dbeta_sizes import MIMIC_LEADS
from cmelt.model.cmelt import CMeltModel
from cmelt.model.configuration import CMeltConfig
from cmelt.model.heads import sinusoids
from cmelt.records.record import LEADS
from dbeta_release import VARIANTS, WITH_WORDS, write_random
from tiny_runs import tiny_recipe

T5 = '{"model_type": "t5", "vocab_size": 50, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}'
#: What makes the tiny recipe's model one of the release's construction.
RELEASED = ("model.ecg.samples=5000", "model.ecg.rate=500", "model.fusion.feed_forward=64", f"model.text.architecture={T5}",
            "model.ecg.stem_channels=[8,8,8,12]")  # fmt: skip


def own(*changes: str, **objectives: object) -> CMeltModel:
    torch.manual_seed(0)
    settings = from_mapping(ObjectiveSettings, objectives, "a test")
    model = CMeltModel(CMeltConfig.of(tiny_recipe(*RELEASED, *changes).model, settings)).eval()
    with torch.no_grad():  # as initialised, all embeddings would be nearly alike
        for name, weight in model.named_parameters():
            weight.add_(0.1 * torch.randn_like(weight) * (not name.startswith("contrast.")))
    return model


@pytest.mark.parametrize("name", VARIANTS)
def test_an_imported_checkpoint_comes_back_byte_by_byte(name, tmp_path):
    path, state = write_random(tmp_path, VARIANTS[name])
    config = save_dbeta(load_dbeta(path, VARIANTS[name]), tmp_path / "back.pt")
    assert config == tmp_path / "back.json"
    back = torch.load(tmp_path / "back.pt", weights_only=True)
    assert list(back) == ["model"]
    assert list(back["model"]) == list(state)
    for key, tensor in state.items():
        again = back["model"][key]
        assert (again.dtype, again.shape) == (tensor.dtype, tensor.shape), key
        assert again.numpy().tobytes() == tensor.numpy().tobytes(), key
    names = ("language_encoder.shared.weight", "language_encoder.encoder.embed_tokens.weight")
    shared, alias = (back["model"][key] for key in names)
    assert shared.data_ptr() == alias.data_ptr()
    load_dbeta(tmp_path / "back.pt", config)


def test_the_parity_checkpoint_comes_back_byte_by_byte(data_dir, tmp_path):
    folder = data_dir.parent / "parity"
    if not folder.exists():
        pytest.skip(f"no reference numbers of the release at {folder}")
    config = save_dbeta(load_dbeta(folder / "checkpoint.pt", folder / "expected.json"), tmp_path / "back.pt")
    theirs, back = (torch.load(path, weights_only=True)["model"] for path in (folder / "checkpoint.pt", tmp_path / "back.pt"))
    assert list(theirs) == list(back)
    assert all(back[key].numpy().tobytes() == tensor.numpy().tobytes() for key, tensor in theirs.items())
    expected, said = json.loads((folder / "expected.json").read_text()), json.loads(config.read_text())
    assert said["model"].items() >= expected["model"].items()
    assert said["t5"].items() >= expected["t5"].items()


def test_a_model_of_ours_is_written_for_the_leads_as_the_release_feeds_them(tmp_path):
    model = own()
    again = load_dbeta(tmp_path / "own.pt", save_dbeta(model, tmp_path / "own.pt"))
    ecg, kept = torch.randn(2, 12, 5000), torch.arange(78).expand(2, 78)
    as_fed = ecg[:, [LEADS.index(lead) for lead in MIMIC_LEADS]]
    with torch.no_grad():
        torch.testing.assert_close(again.embed_ecg(as_fed), model.embed_ecg(ecg))
        assert not torch.allclose(again.embed_ecg(ecg), model.embed_ecg(ecg), atol=1e-5)
        states = torch.randn(2, 79, 16)
        samples, as_rebuilt = (m.ecg_decoder(states, kept, 312).unflatten(2, (12, 16)) for m in (model, again))
    torch.testing.assert_close(as_rebuilt, samples[:, :, [LEADS.index(lead) for lead in MIMIC_LEADS]])
    torch.testing.assert_close(again.ecg_decoder.positions, sinusoids(512, 8))


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        (["model.ecg.samples=1000", "model.ecg.rate=100"], ["1000 samples at 100 Hz"]),
        (["model.ecg.stem=residual", "model.ecg.stem_kernel=3", "model.ecg.masking=signal"], ["front end is residual"]),
        (["model.ecg.amplitude=true"], ["amplitudes"]),
        (["model.ecg.pooling=mean"], ["pools ECG tokens by mean"]),
        (["model.ecg.pooling=attention"], ["pools ECG tokens by attention"]),
        (["model.ecg.pooler=none"], ["no pooler"]),
        (["model.text.pooling=mean", "model.fusion.feed_forward=16"], ["pools word pieces by mean", "fusion.feed_forward is 16"]),
        (["model.ecg.stem_channels=[8,8,8]"], ["625 tokens"]),
        (["model.ecg.stem_channels=[8,8,8,16]"], ["as wide as the transformer"]),
        (["model.decoder.position_rows=400"], ["400 rows"]),
        (['model.text.architecture={"model_type": "bert", "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, '
          '"intermediate_size": 16, "vocab_size": 50}'], ["not a plain T5"]),
        ([T5.join(["model.text.architecture=", ""]).replace('"d_model": 16', '"d_model": 24')], ["is not t5.d_model 24"]),
    ],
)  # fmt: skip
def test_a_model_of_another_construction_is_refused_with_every_reason(changes, reasons, tmp_path):
    with pytest.raises(CheckpointError) as caught:
        save_dbeta(own(*changes), tmp_path / "own.pt")
    assert all(reason in str(caught.value) for reason in reasons), caught.value
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("objectives", "reason"),
    [
        ({"contrast": {"normalise": True}}, "unit vectors"),
        ({"contrast": {"scale": 10.0, "bias": -10.0}}, "scales and shifts"),
        ({"ecg_alignment": 1.0}, "its own objectives"),
        ({"phrases": 1.0}, "its own objectives"),
    ],
)
def test_objectives_that_the_release_does_not_know_are_a_reason(objectives, reason):
    with pytest.raises(CheckpointError, match=reason):
        release_sizes(own(**objectives))
    assert release_sizes(own(info_nce=1.0)).encoder_embed_dim == 16


def test_a_model_without_all_of_its_parts_is_refused():
    with pytest.raises(CheckpointError, match="saved without its ecg_decoder, word_head"):
        release_sizes(without_parts(own(), ("word_head", "ecg_decoder")))


def test_where_the_release_has_no_projection_one_that_has_learned_is_refused(tmp_path):
    path, _ = write_random(tmp_path, WITH_WORDS)
    model = load_dbeta(path, WITH_WORDS)
    assert torch.equal(model.ecg_encoder.project.weight, torch.eye(16))
    release_sizes(model)
    with torch.no_grad():
        model.ecg_encoder.project.weight[0, 1] += 0.1
    with pytest.raises(CheckpointError, match="as wide as the transformer"):
        release_sizes(model)


def test_neither_file_is_written_over(tmp_path):
    for name in ("own.pt", "own.json"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(CheckpointError, match=f"{name}.*exists already"):
            save_dbeta(own(), tmp_path / "own.pt")
        assert [path.name for path in tmp_path.iterdir()] == [name]
        (tmp_path / name).unlink()
    with pytest.raises(CheckpointError, match=r"end it in \.pt"):
        save_dbeta(own(), tmp_path / "own.json")
