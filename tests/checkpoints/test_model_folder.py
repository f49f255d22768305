"""A model on disk comes back as it was, or not at all."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cmelt.checkpoints import load_embedder, load_model, random_model
from cmelt.checkpoints.model_folder import WEIGHTS, distinct_tensors, load_weights, read_model, save_model
from cmelt.errors import CheckpointError
from cmelt.model.cmelt import CMeltModel
from cmelt.model.configuration import CMeltConfig
from cmelt.publishing import seal
from cmelt.text import encode, train_tokenizer
from tiny_runs import tiny_recipe

REPORTS = ["sinus rhythm. normal ecg.", "atrial fibrillation with rapid response.", "left bundle branch block."] * 4
BERT = {"model_type": "bert", "vocab_size": 400, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16}  # fmt: skip
TEXTS = {
    "t5": {"model_type": "t5", "vocab_size": 400, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2},
    "bert": BERT,
    "distilbert": {"model_type": "distilbert", "vocab_size": 400, "dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16},
}


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(REPORTS, 400)


def fresh(text: str = "t5", seed: int = 0) -> CMeltModel:
    torch.manual_seed(seed)
    return CMeltModel(CMeltConfig.of(tiny_recipe(f"model.text.architecture={json.dumps(TEXTS[text])}").model)).eval()


@pytest.fixture(params=list(TEXTS))
def saved(request, tmp_path, tokenizer):
    model = fresh(request.param)
    save_model(model, tokenizer, tmp_path / "model", {"step": 3}, "# A card\n")
    return model, tmp_path / "model"


def test_a_saved_model_computes_to_the_bit_what_it_computed_before(saved, tokenizer):
    model, folder = saved
    state = torch.random.get_rng_state()
    again, manifest = read_model(folder)
    assert torch.equal(torch.random.get_rng_state(), state)  # reading draws nothing from the caller's randomness
    assert manifest["step"] == 3
    assert not again.training and not any(t.is_meta for t in (*again.parameters(), *again.buffers()))
    assert again.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    for (name, one), (other_name, other) in zip(model.named_buffers(), again.named_buffers(), strict=True):
        assert name == other_name and torch.equal(one, other)
    texts = encode(tokenizer, REPORTS[:3], 24)
    ecg, tokens, mask = torch.randn(2, 12, 1000), torch.from_numpy(texts.ids), torch.from_numpy(texts.mask)
    with torch.no_grad():
        assert torch.equal(again.embed_ecg(ecg), model.embed_ecg(ecg))
        assert torch.equal(again.embed_text(tokens, mask), model.embed_text(tokens, mask))


def test_t5_s_word_embeddings_stay_one_tensor(tokenizer, tmp_path):
    model = fresh("t5")
    save_model(model, tokenizer, tmp_path / "model", {}, "")
    for again in (read_model(tmp_path / "model")[0], CMeltModel.from_pretrained(tmp_path / "model")):
        assert len(list(again.parameters())) == len(list(model.parameters()))
    names = [name for name in load_file(tmp_path / "model" / WEIGHTS) if "shared" in name or "embed_tokens" in name]
    assert len(names) == 1


def test_transformers_reads_what_we_write(saved):
    model, folder = saved
    again, report = CMeltModel.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    with torch.no_grad():
        ecg = torch.randn(2, 12, 1000)
        assert torch.equal(again.eval().embed_ecg(ecg), model.embed_ecg(ecg))


def test_the_embedder_gives_unit_vectors_in_the_order_asked_for(saved):
    _, folder = saved
    embedder = load_embedder(folder, device="cpu")
    assert (embedder.rate, embedder.samples, len(embedder.leads)) == (100.0, 1000, 12)
    texts = ["Sinus rhythm, normal ECG.", "x", "Left bundle branch block and atrial fibrillation with rapid response."]
    vectors = embedder.embed_texts(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for row, text in enumerate(texts):
        np.testing.assert_allclose(embedder.embed_texts([text])[0], vectors[row], atol=1e-5)
    ecgs = np.random.default_rng(0).normal(size=(70, 12, 1000)).astype(np.float32)
    together = embedder.embed_ecgs(ecgs)
    np.testing.assert_allclose(embedder.embed_ecgs(ecgs[66:])[1], together[67], atol=1e-5)
    assert embedder.embed_ecgs(ecgs[:0]).shape == (0, 16)


def test_the_random_control_has_other_weights_the_same_shape_and_a_name_of_its_own(saved):
    model, folder = saved
    trained, control = load_embedder(folder, device="cpu"), load_embedder(folder, random=True, seed=4, device="cpu")
    assert control.identity != trained.identity and control.identity.endswith("random-4")
    own, other = control.model.state_dict(), trained.model.state_dict()
    assert {n: t.shape for n, t in own.items()} == {n: t.shape for n, t in other.items()}
    matrices = [name for name, tensor in own.items() if tensor.ndim >= 2 and tensor.std() > 0]
    assert matrices and not any(torch.equal(own[name], other[name]) for name in matrices)
    state = torch.random.get_rng_state()
    again, third = random_model(model, 4), random_model(model, 5)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(tensor, own[name]) for name, tensor in again.state_dict().items())
    assert not torch.equal(third.ecg_encoder.class_token, again.ecg_encoder.class_token)


@pytest.mark.parametrize("file", [WEIGHTS, "config.json", "tokenizer.json", "README.md"])
def test_a_flipped_byte_anywhere_is_refused_naming_the_file(file, tokenizer, tmp_path):
    save_model(fresh(), tokenizer, tmp_path / "model", {}, "# A card\n")
    path = tmp_path / "model" / file
    whole = path.read_bytes()
    for place in (0, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CheckpointError, match="SHA-256") as error:
            load_model(tmp_path / "model")
        assert file in str(error.value)
    path.write_bytes(whole[:-1])
    with pytest.raises(CheckpointError, match="bytes"):
        load_model(tmp_path / "model")
    path.unlink()
    with pytest.raises(CheckpointError, match="holds no model" if file == "config.json" else "missing"):
        load_model(tmp_path / "model")


def test_tensors_missing_unknown_or_of_another_shape_are_refused_by_name(tokenizer, tmp_path):
    folder = tmp_path / "model"
    save_model(fresh(), tokenizer, folder, {}, "")
    whole = load_file(folder / WEIGHTS)
    name = "ecg_encoder.class_token"
    for fault, state in (
        ("missing tensors", {k: v for k, v in whole.items() if k != name}),
        ("unknown tensors", {**whole, "ecg_encoder.extra": torch.zeros(1)}),
        ("another shape", {**whole, name: torch.zeros(3)}),
    ):
        save_file(state, folder / WEIGHTS)
        seal(folder, {})
        with pytest.raises(CheckpointError, match=fault) as error:
            load_model(folder)
        assert "ecg_encoder." in str(error.value)


def test_weights_are_put_in_whole_or_not_at_all():
    model, other = fresh(), fresh(seed=1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = {name: tensor.detach().clone() for name, tensor in distinct_tensors(other).items()}
    state["ecg_encoder.class_token"] = torch.zeros(3)
    with pytest.raises(CheckpointError):
        load_weights(model, state, "somewhere")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    state["ecg_encoder.class_token"] = other.ecg_encoder.class_token.detach()
    load_weights(model, state, "somewhere")
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_fault_11_a_folder_without_a_model_is_no_random_model(tmp_path):
    with pytest.raises(CheckpointError, match="holds no model"):
        load_embedder(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(CheckpointError, match="has not finished"):
        load_embedder(tmp_path)


def test_fault_11_an_embedder_has_no_dropout(saved):
    ecg = np.random.default_rng(0).normal(size=(2, 12, 1000)).astype(np.float32)
    embedder = load_embedder(saved[1], device="cpu")
    assert np.array_equal(embedder.embed_ecgs(ecg), embedder.embed_ecgs(ecg))
