"""The two towers: each encoder with its projection and pooler, which together make the two embeddings (method page)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from cmelt.config.settings import ModelSettings
from cmelt.model.ecg_encoder import EcgEncoder
from cmelt.model.fusion import Pooler
from cmelt.model.linear import Linear
from cmelt.model.t5_encoder import T5Encoder, T5Sizes

#: The towers' parts, whose tensors' names begin so.
TOWERS = ("ecg_encoder", "text_encoder", "ecg_projection", "text_projection", "ecg_pooler", "text_pooler")


class Towers(nn.Module):
    """What embeds ECGs and texts: the whole model's share that inference needs."""

    settings: ModelSettings
    ecg_encoder: EcgEncoder
    text_encoder: nn.Module
    ecg_projection: nn.Linear
    text_projection: nn.Linear
    ecg_pooler: Pooler
    text_pooler: Pooler

    def build_towers(self, settings: ModelSettings, text_encoder: Callable[[], nn.Module], text_width: int) -> None:
        """Make the parts, the text encoder by the function given."""
        ecg, width = settings.ecg, settings.width
        self.settings = settings
        self.ecg_encoder = EcgEncoder(ecg)
        self.text_encoder = text_encoder()
        self.ecg_projection = Linear(ecg.width, width)
        self.text_projection = Linear(text_width, width)
        # A pooling attention is of the fusion's width, hence of its heads.
        self.ecg_pooler = Pooler(width, ecg.pooling, settings.fusion.heads, ecg.pooler == "tanh")
        self.text_pooler = Pooler(width, settings.text.pooling)

    def encode_ecg(self, ecg: Tensor, kept: Tensor | None = None) -> Tensor:
        """ecg [B, L, T] millivolts → projected tokens [B, 1 + K, D], the class token first."""
        return self.ecg_projection(self.ecg_encoder(ecg, kept))

    def encode_text(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Word pieces [B, S] with mask [B, S] (True at real ones) → projected states [B, S, D]."""
        states = self.text_encoder(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        return self.text_projection(states)

    def embed_ecg(self, ecg: Tensor) -> Tensor:
        """ecg [B, L, T] millivolts → embeddings [B, D], nothing masked, not normalised."""
        states = self.ecg_encoder(ecg, class_alone=self.ecg_pooler.pooling == "first")
        return self.ecg_pooler(self.ecg_projection(states))

    def embed_text(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Word pieces [B, S] with mask [B, S] → embeddings [B, D], not normalised."""
        return self.text_pooler(self.encode_text(tokens, mask), mask)


class PlainTowers(Towers):
    """The towers without transformers: text encoders of the T5 family only, for inference."""

    def __init__(self, settings: ModelSettings) -> None:
        """Raises ConfigError where the text encoder is no plain T5."""
        super().__init__()
        sizes = T5Sizes.of(settings.text.architecture)
        self.build_towers(settings, lambda: T5Encoder(sizes), sizes.d_model)
