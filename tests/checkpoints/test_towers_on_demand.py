"""Each tower is read when it is needed, and no more of the file than that; what is damaged is refused when it is read."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from cmelt.checkpoints import load_embedder
from cmelt.checkpoints.inference import TowersOnDemand, load_towers
from cmelt.checkpoints.shapes import shapes_alone
from cmelt.checkpoints.shares import PARTS, SHARES, prefixes, share_hashes
from cmelt.checkpoints.tensors import WEIGHTS, read_tensors, stored_tensors
from cmelt.errors import CheckpointError
from cmelt.model.towers import PlainTowers
from cmelt.publishing import MANIFEST, seal
from cmelt.text import encode
from tiny_runs import tiny_recipe
from trained_towers import REPORTS, saved_model

SOURCE = Path(__file__).resolve().parents[2] / "src"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved_model(tmp_path_factory.mktemp("on-demand") / "model")


def ecgs(count=3):
    return torch.from_numpy(np.random.default_rng(0).normal(size=(count, 12, 1000)).astype(np.float32))


def words_of(found):
    words = encode(found.tokenizer, REPORTS[:3], 24)
    return torch.from_numpy(words.ids), torch.from_numpy(words.mask)


def altered(folder: Path, part: str) -> Path:
    """The folder, one bit changed in the middle of a part's first matrix."""
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        name = next(name for name in file.keys() if name.startswith(part) and file.get_tensor(name).ndim > 1)  # noqa: SIM118
        needle = file.get_tensor(name).numpy().tobytes()
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[content.index(needle) + len(needle) // 2] ^= 1
    (folder / WEIGHTS).write_bytes(bytes(content))
    return folder


def test_the_text_tower_is_not_there_until_a_text_comes(folder):
    towers = load_towers(folder).towers
    assert isinstance(towers, TowersOnDemand)
    assert not any(name.startswith(prefixes("text")) for name in towers.state_dict())
    with torch.no_grad():
        towers.embed_ecg(ecgs())
    assert not any(name.startswith(prefixes("text")) for name in towers.state_dict())
    assert next(towers.text_encoder.parameters()).dtype == torch.float32
    assert any(name.startswith(prefixes("text")) for name in towers.state_dict())
    assert not any(module.training for module in towers.modules())


def test_both_towers_embed_as_the_whole_model_does(folder):
    found, whole = load_towers(folder), load_embedder(folder, device="cpu").model
    with torch.no_grad():
        assert torch.equal(found.towers.embed_ecg(ecgs()), whole.embed_ecg(ecgs()))
        text = whole.embed_text(*words_of(found))
        torch.testing.assert_close(found.towers.embed_text(*words_of(found)), text, atol=1e-6, rtol=1e-5)


def test_towers_can_be_copied_and_moved_before_the_first_text(folder):
    found = load_towers(folder)
    other = copy.deepcopy(found.towers).to("cpu", torch.float64)
    assert other.ecg_encoder.class_token.dtype == torch.float64
    with torch.no_grad():
        assert torch.equal(other.embed_text(*words_of(found)), found.towers.embed_text(*words_of(found)))


def test_several_threads_may_come_with_the_first_text(folder):
    found = load_towers(folder)
    with ThreadPoolExecutor(8) as pool:
        vectors = [*pool.map(lambda _: found.towers.embed_text(*words_of(found)).detach(), range(16))]
    assert all(torch.equal(vector, vectors[0]) for vector in vectors)


def test_a_damaged_ecg_tower_is_refused_when_it_is_loaded(tmp_path):
    with pytest.raises(CheckpointError, match="SHA-256 of its ecg tower"):
        load_towers(altered(saved_model(tmp_path / "model"), "ecg_encoder"))


def test_a_damaged_text_tower_is_refused_with_every_text_and_embeds_ecgs_all_the_same(tmp_path):
    towers = load_towers(altered(saved_model(tmp_path / "model"), "text_encoder")).towers
    with torch.no_grad():
        assert torch.isfinite(towers.embed_ecg(ecgs())).all()
    for _ in range(2):
        with pytest.raises(CheckpointError, match="SHA-256 of its text tower"):
            towers.embed_text(torch.ones(1, 4, dtype=torch.long), torch.ones(1, 4, dtype=torch.bool))


def test_a_damaged_head_concerns_nobody_who_embeds_but_who_reads_the_whole_model(tmp_path):
    folder = altered(saved_model(tmp_path / "model"), "fusion")
    load_towers(folder)
    with pytest.raises(CheckpointError, match="SHA-256"):
        load_embedder(folder)


def test_a_folder_without_hashes_of_its_towers_is_checked_whole(tmp_path):
    folder = saved_model(tmp_path / "model")
    said = json.loads((folder / MANIFEST).read_text())
    seal(folder, {key: value for key, value in said.items() if key not in ("files", "sha256", SHARES)})
    with torch.no_grad():
        load_towers(folder).towers.embed_ecg(ecgs())
    with pytest.raises(CheckpointError, match="SHA-256 is not the manifest's"):
        load_towers(altered(folder, "fusion"))


def test_a_hash_knows_names_types_shapes_and_every_byte():
    weight = torch.arange(6.0)
    base = {"ecg_encoder.a": weight, "text_encoder.b": weight, "word_head.c": weight}
    found = share_hashes(base)
    assert share_hashes({**base, "word_head.c": weight + 1}) == found
    for changed in (weight.view(2, 3), weight.view(torch.int32), torch.nextafter(weight, torch.tensor(9.0))):
        other = share_hashes({**base, "ecg_encoder.a": changed})
        assert other["ecg"] != found["ecg"] and other["text"] == found["text"]
    assert share_hashes({"ecg_encoder.z": weight, "text_encoder.b": weight})["ecg"] != found["ecg"]


def test_the_parts_of_both_towers_are_all_that_inference_holds(folder):
    towers = load_towers(folder).towers
    _ = towers.text_encoder
    assert {name for name, _ in towers.named_children()} == {part for parts in PARTS.values() for part in parts}


def test_tensors_of_single_precision_are_mapped_and_halves_are_widened(folder, tmp_path):
    from cmelt.checkpoints.model_folder import save_model
    from trained_towers import DETAILS, tiny_model

    class NoTokenizer:
        def save_pretrained(self, _: Path) -> None: ...

    save_model(tiny_model(), NoTokenizer(), tmp_path / "half", DETAILS, "# A card\n", half=True)
    halves, whole = read_tensors(tmp_path / "half", prefixes("ecg")), read_tensors(folder, prefixes("ecg"))
    assert {tensor.dtype for tensor in halves.values()} == {torch.float32}
    assert [name for name, _ in stored_tensors(folder, prefixes("ecg"))] == sorted(whole)
    for name, tensor in whole.items():
        torch.testing.assert_close(halves[name], tensor, atol=1e-3, rtol=1e-3)


def test_shapes_cost_no_memory_no_randomness_and_hold_every_tensor():
    state = torch.random.get_rng_state()
    with shapes_alone():
        towers = PlainTowers(tiny_recipe("model.text.architecture.vocab_size=400").model)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(tensor.is_meta for tensor in (*towers.parameters(), *towers.buffers()))
    drawn = PlainTowers(towers.settings)
    assert {name: tensor.shape for name, tensor in towers.state_dict().items()} == {
        name: tensor.shape for name, tensor in drawn.state_dict().items()
    }
    assert torch.ones(1).device.type == "cpu"


def test_the_first_embedding_imports_nothing_that_takes_long(folder):
    script = f"""
import sys
import numpy, cmelt
model, processor = cmelt.load({str(folder)!r}, device="cpu")
record = cmelt.record_of(numpy.sin(numpy.arange(12000.).reshape(12, 1000)), rate=100.0, unit="mV", leads=cmelt.LEADS)
cmelt.embed(model, processor, record)
print([name for name in ("transformers", "pandas", "sklearn", "sympy", "torch._dynamo") if name in sys.modules])
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "[]"
