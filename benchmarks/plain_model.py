"""The model as one would write it down first, of PyTorch's and transformers' own parts: what the fast paths gain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from cmelt.config import Recipe
    from cmelt.model.cmelt import CMeltModel


def plain_model(recipe: Recipe) -> CMeltModel:
    """The recipe's model with PyTorch's linear maps, dropout and attention, transformers' T5 without its fused attention, the
    positional convolution over all tokens, words predicted at every piece, and every activation kept.

    It changes the classes themselves: for a process of its own.
    """
    import torch.nn.functional as F
    from torch import nn
    from transformers import AutoModelForTextEncoding

    import cmelt.model.attention as attention
    import cmelt.model.cmelt as whole
    import cmelt.model.recompute as recompute
    from cmelt.model.configuration import CMeltConfig
    from cmelt.model.dropout import Dropout
    from cmelt.model.linear import Linear
    from cmelt.model.positions import PositionalConvolution
    from cmelt.model.text_encoder import text_config

    def attend(query: Tensor, key: Tensor, value: Tensor, bias: Any = None, *, dropout: float = 0.0, scale: Any = None) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout, scale=scale)

    def eager_t5(config: Any) -> Any:
        return AutoModelForTextEncoding.from_config(text_config(config), attn_implementation="eager")

    _put(Linear, forward=nn.Linear.forward)
    _put(Dropout, forward=nn.Dropout.forward)
    _put(PositionalConvolution, forward=everywhere)
    _put(attention, attend=attend)
    _put(recompute, _worth_it=lambda _: False)
    _put(whole, _asked_of=_all_pieces, build_text_encoder=lambda _: eager_t5(recipe.model.text.architecture))
    return whole.CMeltModel(CMeltConfig.of(recipe.model, recipe.objectives)).train()


def _put(place: object, **functions: object) -> None:
    for name, function in functions.items():
        setattr(place, name, function)


def everywhere(self: Any, tokens: Tensor, places: Tensor | None, length: int) -> Tensor:
    """The positional convolution over all tokens, the kept ones' results picked out."""
    import torch
    import torch.nn.functional as F

    places = torch.arange(length)[None] if places is None else places
    at = places.expand(len(tokens), -1)[..., None].expand(-1, -1, tokens.shape[2])
    spread = tokens.new_zeros(len(tokens), length, tokens.shape[2]).scatter(1, at, tokens)
    weight = self.direction * (self.magnitude / self._norm())
    mixed = F.conv1d(spread.transpose(1, 2), weight, self.bias, padding=self.kernel // 2, groups=self.groups)
    return F.gelu(mixed[..., :length]).transpose(1, 2).gather(1, at)


def _all_pieces(words: Tensor) -> tuple[Tensor, Tensor]:
    import torch

    return torch.arange(words.shape[1]).expand(len(words), -1), words >= 0
