"""An imported checkpoint computes what the authors' release computes: their numbers, and at other sizes the slow truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from cmelt.interop import load_dbeta
from cmelt.interop.dbeta_sizes import DbetaSizes, read_sizes
from cmelt.interop.dbeta_tensors import layout
from cmelt.model.cmelt import CMeltModel
from cmelt.model.heads import hidden_of
from cmelt.model.packing import Packing
from cmelt.objectives.etm import etm_loss
from cmelt.objectives.ets import ets_loss
from cmelt.objectives.mem import mem_loss, mem_target
from cmelt.objectives.mlm import mlm_loss
from cmelt.objectives.pairs import Pairs
from dbeta_release import VARIANTS, Release, write_random

TOLERANCE = 2e-5


def close(mine: Tensor, theirs: Tensor, tolerance: float = TOLERANCE) -> None:
    assert mine.shape == theirs.shape
    torch.testing.assert_close(mine.double(), theirs.double(), atol=tolerance, rtol=tolerance)


@torch.no_grad()
def computed(model: CMeltModel, ecg: Tensor, tokens: Tensor, mask: Tensor, kept: Tensor | None) -> dict[str, Tensor]:
    """What the model makes of a batch, under the release's names. As in the release, its text encoder sees the padding."""
    everything = torch.ones_like(mask, dtype=torch.bool)
    x, y = model.encode_text(tokens, everything), model.encode_ecg(ecg, kept)
    fused = model.fusion(x, mask.bool(), y)
    out = {
        "uni_modal_ecg_feats": model.ecg_pooler(y),
        "uni_modal_text_feats": model.text_pooler(x),
        "multi_modal_text_feats": fused.text,
        "multi_modal_ecg_feats": fused.ecg,
        "multi_modal_cls_feats": fused.pair,
        "etm_logits": model.match_head(fused.pair),
    }
    if kept is None:
        return out
    layer, settings = model.fusion.midway, model.settings
    if layer >= 0:
        out[f"multi_modal_ecg_feats_{layer}"] = fused.ecg_midway
        out[f"multi_modal_text_feats_{layer}"] = text_midway(model, x, mask.bool(), y)
    count = settings.ecg.tokens
    everywhere = torch.arange(count).expand(len(ecg), count)
    out["mlm_logits"] = model.word_head(fused.text)
    out["mem_logits"] = model.ecg_decoder(fused.ecg_midway, kept, count, everywhere)
    return out


def text_midway(model: CMeltModel, x: Tensor, mask: Tensor, y: Tensor) -> Tensor:
    """The text's stream where the decoder takes the ECG's."""
    fusion = model.fusion
    padded = Packing(mask, None)
    x, y = x + fusion.modality.weight[0], fusion.before_any_text(y)
    for i in range(fusion.midway):
        x, y = fusion.text_layers[i](x, padded, y, None), fusion.ecg_layers[i](y, None, x, padded)
    return x


@pytest.fixture(scope="module")
def parity(data_dir: Path) -> Path:
    folder = data_dir.parent / "parity"
    if not folder.exists():
        pytest.skip(f"no reference numbers of the release at {folder}")
    return folder


@pytest.fixture(scope="module")
def model(parity: Path) -> CMeltModel:
    return load_dbeta(parity / "checkpoint.pt", parity / "expected.json")


@pytest.fixture(scope="module")
def numbers(parity: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    inputs, outputs = load_file(parity / "inputs.safetensors"), load_file(parity / "outputs.safetensors")
    return inputs, {name: part.flatten(2) if name.endswith("mem_logits") else part for name, part in outputs.items()}


def one_at_a_time(embed, tokens: Tensor, mask: Tensor) -> Tensor:
    return torch.cat([embed(row[own.bool()][None]) for row, own in zip(tokens, mask, strict=True)])


def test_the_two_embeddings_are_the_release_s(model, numbers):
    inputs, outputs = numbers
    with torch.no_grad():
        close(model.embed_ecg(inputs["ecg"]), outputs["get_ecg_feats"])
        alone = one_at_a_time(lambda t: model.embed_text(t, t > 0), inputs["text"], inputs["text_attention_mask"])
        close(alone, outputs["text_feats_one_at_a_time"])


def test_beside_a_longer_text_too_which_the_release_gets_wrong(model, numbers):
    inputs, outputs = numbers
    with torch.no_grad():
        together = model.embed_text(inputs["text"], inputs["text_attention_mask"].bool())
    close(together, outputs["text_feats_one_at_a_time"])
    shorter = inputs["text_attention_mask"].sum(1).argmin()
    astray = outputs["masked.uni_modal_text_feats"][shorter] - outputs["text_feats_one_at_a_time"][shorter]
    assert astray.abs().max() > 100 * TOLERANCE


@pytest.mark.parametrize("which", ["masked", "unmasked"])
def test_every_output_is_the_release_s(model, numbers, which):
    inputs, outputs = numbers
    theirs = {name.partition(".")[2]: part for name, part in outputs.items() if name.startswith(f"{which}.")}
    order = inputs["ids_shuffle"]
    kept = order[:, :78] if which == "masked" else None
    mine = computed(model, inputs["ecg"], inputs["text"], inputs["text_attention_mask"], kept)
    if kept is not None:  # whose masks these are: no computation, but the meaning of the inputs
        assert torch.equal(theirs.pop("mem_ids_restore"), order.argsort(1))
        assert torch.equal(theirs.pop("mem_masks").nonzero()[:, 1].view(2, -1), hidden_of(kept, 312))
    assert mine.keys() == theirs.keys()
    for name, part in mine.items():
        close(part, theirs[name])


def test_the_four_losses_are_the_release_s(parity, model, numbers):
    expected = json.loads((parity / "expected.json").read_text())["losses"]
    inputs, _ = numbers
    words, kept, aligned = inputs["mlm_labels"], inputs["ids_shuffle"][:, :78], inputs["is_aligned"].bool()
    mine = computed(model, inputs["ecg"], inputs["text"], inputs["text_attention_mask"], kept)
    hidden = hidden_of(kept, 312)[..., None].expand(-1, -1, 192)
    sums = {
        "mlm": mlm_loss(mine["mlm_logits"][words >= 0], words),
        "mem": mem_loss(
            mine["mem_logits"].gather(1, hidden), mem_target(inputs["ecg"], 312, 16), kept, torch.ones(2, 12, dtype=torch.bool)
        ),
        "etm": etm_loss(mine["etm_logits"], aligned),
        # Its sigmoid loss is divided by B twice, ours once, as in the paper.
        "ets": ets_loss(
            mine["uni_modal_ecg_feats"], mine["uni_modal_text_feats"], Pairs(torch.diag(aligned), torch.ones(2, 2)),
            *model.contrast()[:2],
        ) / 2,
    }  # fmt: skip
    for name, loss in sums.items():
        assert loss.item() == pytest.approx(expected[name], abs=TOLERANCE, rel=TOLERANCE), name
    assert sum(sums.values()).item() == pytest.approx(expected["total"], abs=TOLERANCE, rel=TOLERANCE)
    named = mine["mlm_logits"][words >= 0].argmax(1) == words[words >= 0]
    assert (int(named.sum()), len(named)) == (expected["mlm_correct"], expected["mlm_count"])
    assert int((mine["etm_logits"].argmax(1) == aligned).sum()) == expected["etm_correct"]


def test_the_slow_truth_is_the_release(parity, numbers):
    inputs, outputs = numbers
    state = torch.load(parity / "checkpoint.pt", weights_only=True)["model"]
    release = Release(state, read_sizes(parity / "expected.json"))
    mask = inputs["text_attention_mask"]
    found = {"get_ecg_feats": release.embed_ecg(inputs["ecg"])}
    found["text_feats_one_at_a_time"] = one_at_a_time(release.embed_text, inputs["text"], mask)
    for which, kept in (("masked", inputs["ids_shuffle"][:, :78]), ("unmasked", None)):
        parts = release(inputs["ecg"], inputs["text"], mask, kept)
        found |= {f"{which}.{name}": part for name, part in parts.items()}
    assert found.keys() == outputs.keys() - {"masked.mem_masks", "masked.mem_ids_restore"}
    for name, part in found.items():
        close(part, outputs[name], 5e-6)


def test_the_published_checkpoint_s_645_tensors_are_known_by_name_shape_and_order(parity):
    lines = (parity / "full_checkpoint_keys.txt").read_text().splitlines()
    known = [f"{entry.name}\t{entry.shape}\tfloat32" for entry in layout(DbetaSizes())]
    assert len(known) == 645
    assert known == lines


@pytest.mark.parametrize("name", VARIANTS)
def test_a_checkpoint_of_other_sizes_computes_what_the_release_would(name, tmp_path):
    path, state = write_random(tmp_path, VARIANTS[name])
    model, sizes = load_dbeta(path, VARIANTS[name]), read_sizes(VARIANTS[name])
    release, generator = Release(state, sizes), torch.Generator().manual_seed(1)
    ecg = torch.randn(2, 12, 5000, generator=generator)
    tokens = torch.randint(1, sizes.vocab_size, (2, 150), generator=generator)  # further apart than buckets tell
    mask = torch.arange(150) < torch.tensor([[150], [9]])
    tokens = tokens * mask
    kept = torch.rand(2, sizes.tokens, generator=generator).argsort(1)[:, : int(0.25 * sizes.tokens)]
    with torch.no_grad():
        close(model.embed_ecg(ecg), release.embed_ecg(ecg))
        close(model.embed_text(tokens, mask), one_at_a_time(release.embed_text, tokens, mask))
    # In double precision, since what some weights amplify in single precision would hide what differs.
    model.double()
    for places in (kept, None):
        mine, theirs = computed(model, ecg.double(), tokens, mask, places), release(ecg, tokens, mask, places)
        assert mine.keys() == theirs.keys()
        for part, value in theirs.items():
            close(mine[part], value, 1e-6)


def test_a_model_s_own_forward_has_the_same_outputs(model, numbers):
    """What training computes of the imported weights (masked pieces, hidden tokens) is taken from the same states."""
    from cmelt.model.cmelt import Views

    inputs, outputs = numbers
    words, kept, mask = inputs["mlm_labels"], inputs["ids_shuffle"][:, :78], inputs["text_attention_mask"].bool()
    alone = [Views(*(part[i : i + 1] for part in (inputs["ecg"], kept, inputs["text"], mask, words))) for i in range(2)]
    longest = int(mask.sum(1).argmax())  # of the two, the one without padding, which the release sees
    with torch.no_grad():
        found = model(alone[longest], frozenset({"mlm", "mem", "etm", "ets"}))
    row = slice(longest, longest + 1)
    hidden = hidden_of(kept[row], 312)[..., None].expand(-1, -1, 192)
    close(found.samples, outputs["masked.mem_logits"][row].gather(1, hidden))
    close(found.match_logits, outputs["masked.etm_logits"][row])
    close(found.word_logits, outputs["masked.mlm_logits"][row][words[row] >= 0])
    close(found.ecg_embedding, outputs["masked.uni_modal_ecg_feats"][row])
