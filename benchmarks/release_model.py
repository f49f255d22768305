"""The authors' release, as it lies in a folder, made to run with today's transformers and without a network."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmelt.batches.batch import Batch
    from cmelt.config import Recipe


def release_step(folder: Path, recipe: Recipe) -> tuple[Any, Callable[[Batch], Any]]:
    """Their model in training mode, at the sizes of their configuration, and what makes the sum of its four losses of a batch.

    Weights are random: what they are changes no cost.
    """
    sys.path.insert(0, str(folder))
    _stand_ins(recipe)
    from losses.loss import DBETALoss  # type: ignore[import-not-found]
    from models.dbeta import DBETA  # type: ignore[import-not-found]

    settings = json.loads((folder / "configs" / "config.json").read_text())["model"]
    with contextlib.redirect_stdout(io.StringIO()):
        model = DBETA(types.SimpleNamespace(**settings)).train()
    losses = DBETALoss(types.SimpleNamespace(norm_pix_loss=True))

    def loss_of(batch: Batch) -> Any:
        views, truth = batch.views(recipe.model.ecg.samples_per_token)
        sample = {
            "net_input": {
                "ecg": views.ecg,
                "text": views.tokens,
                "ecg_padding_mask": None,
                "text_attention_mask": views.text_mask.long(),
            },
            "mlm_labels": views.words,
            "is_aligned": (truth.own_group == truth.text_group).long(),
        }
        return losses.forward(model, sample)[0]

    return model, loss_of


def release_embedding(folder: Path, recipe: Recipe) -> Callable[[Any], Any]:
    """What turns ECGs [B, 12, T] into embeddings [B, D] by their model, in evaluation mode, weights as above."""
    sys.path.insert(0, str(folder))
    _stand_ins(recipe)
    from models.dbeta import DBETA
    from models.processor import get_ecg_feats  # type: ignore[import-not-found]

    settings = json.loads((folder / "configs" / "config.json").read_text())["model"]
    with contextlib.redirect_stdout(io.StringIO()):
        model = DBETA(types.SimpleNamespace(**settings)).eval()
    model.remove_pretraining_modules()
    return lambda ecg: get_ecg_feats(model, ecg)


def _stand_ins(recipe: Recipe) -> None:
    """What the release imports and is no longer there: a name that it only mentions, two moved functions, its hub download."""
    import transformers.modeling_utils as modeling
    import transformers.pytorch_utils as moved
    from transformers import T5EncoderModel

    from cmelt.model.text_encoder import text_config

    sys.modules.setdefault("omegaconf", types.SimpleNamespace(DictConfig=dict, OmegaConf=None))  # type: ignore[arg-type]
    for name in ("apply_chunking_to_forward", "find_pruneable_heads_and_indices", "prune_linear_layer"):
        setattr(modeling, name, getattr(moved, name, None))

    def fresh(*_: object, **__: object) -> Any:
        return T5EncoderModel(text_config(recipe.model.text.architecture))

    def additive(_: object, mask: Any, *__: object, **___: object) -> Any:
        return (1.0 - mask[:, None, None, :].float()) * -1e9

    T5EncoderModel.from_pretrained = fresh
    T5EncoderModel.get_extended_attention_mask = additive
