"""The C-MELT model: two encoders, their projections and poolers, fusion, and three heads (method page, from top to bottom)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedModel

from cmelt.model.configuration import CMeltConfig
from cmelt.model.ecg_encoder import EcgEncoder, PositionalConvolution
from cmelt.model.fusion import Fused, Fusion, Pooler
from cmelt.model.heads import EcgDecoder, WordHead
from cmelt.model.text_encoder import build_text_encoder, text_config, text_width


class Views(NamedTuple):
    """What the model is shown of a batch of B pairs.

    Attributes:
        ecg: [B, L, T] float, millivolts, absent and dropped leads zero.
        kept: [B, K] indices of the ECG tokens that are not masked.
        tokens, text_mask: [B, S] word pieces with some masked (of the negative, where one was put in), True at real ones.
        words: [B, S] the piece to be predicted, −100 where none is.
        clean_tokens, clean_text_mask: [B, S'] the pair's own report, unmasked; None where the contrast sees the masked view.
    """

    ecg: Tensor
    kept: Tensor
    tokens: Tensor
    text_mask: Tensor
    words: Tensor
    clean_tokens: Tensor | None = None
    clean_text_mask: Tensor | None = None


class Outputs(NamedTuple):
    """What the objectives need; a part that no objective asked for is None.

    Attributes:
        ecg_embedding, text_embedding: [B, D], before fusion; what the contrastive objectives compare.
        word_logits: [M, vocabulary] at the M masked pieces, in the order of `views.words[views.words >= 0]`.
        samples: [B, P, leads × samples] predicted samples of every token, those of a lead side by side.
        match_logits: [B, 2], the second is "this report is this ECG's".
        scale, bias: of the sigmoid contrast; `temperature_scale` of the softmax one. Scalars.
    """

    ecg_embedding: Tensor | None
    text_embedding: Tensor | None
    word_logits: Tensor | None
    samples: Tensor | None
    match_logits: Tensor | None
    scale: Tensor
    bias: Tensor
    temperature_scale: Tensor


class CMeltModel(PreTrainedModel):
    """An ECG encoder and a text encoder, joined."""

    config_class = CMeltConfig
    base_model_prefix = ""
    main_input_name = "ecg"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ("TransformerLayer", "FusionLayer", "T5Block")

    def __init__(self, config: CMeltConfig) -> None:
        super().__init__(config)
        settings, contrast = config.model_settings, config.contrast_settings
        ecg, text, width = settings.ecg, text_config(settings.text.architecture), settings.width
        self.ecg_encoder = EcgEncoder(ecg)
        self.text_encoder = build_text_encoder(text)
        self.ecg_projection = nn.Linear(ecg.width, width)
        self.text_projection = nn.Linear(text_width(text), width)
        self.ecg_pooler = Pooler(width, ecg.pooling)
        self.text_pooler = Pooler(width, settings.text.pooling)
        self.fusion = Fusion(width, settings.fusion, settings.decoder.fusion_layer)
        self.word_head = WordHead(width, text.vocab_size)
        self.ecg_decoder = EcgDecoder(width, settings.decoder, ecg.samples_per_token, ecg.leads)
        self.match_head = nn.Linear(2 * width, 2)
        self.contrast = ContrastScale(contrast.learn_scale_and_bias, contrast.scale, contrast.bias, contrast.temperature)
        self.ecg_tokens = ecg.tokens
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Initial values of everything that is not the text encoder's; called by transformers for weights it did not load."""
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv1d):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.LayerNorm | nn.GroupNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, EcgEncoder | PositionalConvolution | EcgDecoder | ContrastScale):
            module.reset_parameters()

    def encode_ecg(self, ecg: Tensor, kept: Tensor | None = None) -> Tensor:
        """ecg [B, L, T] millivolts → projected tokens [B, 1 + K, D], the class token first."""
        return self.ecg_projection(self.ecg_encoder(ecg, kept))

    def encode_text(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Word pieces [B, S] with mask [B, S] (True at real ones) → projected states [B, S, D]."""
        states = self.text_encoder(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        return self.text_projection(states)

    def embed_ecg(self, ecg: Tensor) -> Tensor:
        """ecg [B, L, T] millivolts → embeddings [B, D], nothing masked, not normalised."""
        return self.ecg_pooler(self.encode_ecg(ecg))

    def embed_text(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Word pieces [B, S] with mask [B, S] → embeddings [B, D], not normalised."""
        return self.text_pooler(self.encode_text(tokens, mask), mask)

    def forward(self, views: Views, objectives: frozenset[str]) -> Outputs:
        """One pre-training pass over the views, computing only what the named objectives need."""
        fused_needed = bool(objectives & {"mlm", "mem", "etm"})
        contrast_needed = bool(objectives & {"ets", "info_nce"})
        words = samples = match = ecg_embedding = text_embedding = None
        if fused_needed or (contrast_needed and views.clean_tokens is None):
            ecg = self.encode_ecg(views.ecg, views.kept)  # [B, 1 + K, D]
            text = self.encode_text(views.tokens, views.text_mask)  # [B, S, D]
            if fused_needed:
                words, samples, match = self._heads(self.fusion(text, views.text_mask, ecg), views, objectives)
        if contrast_needed and views.clean_tokens is None:
            ecg_embedding, text_embedding = self.ecg_pooler(ecg), self.text_pooler(text, views.text_mask)
        elif contrast_needed:
            assert views.clean_tokens is not None and views.clean_text_mask is not None
            ecg_embedding = self.embed_ecg(views.ecg)
            text_embedding = self.embed_text(views.clean_tokens, views.clean_text_mask)
        scale, bias, temperature_scale = self.contrast()
        return Outputs(ecg_embedding, text_embedding, words, samples, match, scale, bias, temperature_scale)

    def _heads(self, fused: Fused, views: Views, objectives: frozenset[str]) -> tuple[Tensor | None, ...]:
        # Words are predicted at masked pieces only: the vocabulary is wide, the rest would be thrown away.
        words = self.word_head(fused.text[views.words >= 0]) if "mlm" in objectives else None
        samples = self.ecg_decoder(fused.ecg_midway, views.kept, self.ecg_tokens) if "mem" in objectives else None
        match = self.match_head(fused.pair) if "etm" in objectives else None
        return words, samples, match


class ContrastScale(nn.Module):
    """Scale and bias of the contrastive logits: fixed at the paper's 1 and 0, or learned as in SigLIP and CLIP."""

    def __init__(self, learned: bool, scale: float, bias: float, temperature: float) -> None:
        super().__init__()
        self.start = (math.log(scale), bias, math.log(1 / temperature))
        self.log_scale = nn.Parameter(torch.empty(()), requires_grad=learned)
        self.bias = nn.Parameter(torch.empty(()), requires_grad=learned)
        self.log_temperature_scale = nn.Parameter(torch.empty(()))

    def reset_parameters(self) -> None:
        """Back to the configured start."""
        with torch.no_grad():
            for weight, value in zip((self.log_scale, self.bias, self.log_temperature_scale), self.start, strict=True):
                nn.init.constant_(weight, value)

    def forward(self) -> tuple[Tensor, Tensor, Tensor]:
        """Scale, bias, and the softmax contrast's scale (at most 100, as in CLIP)."""
        return self.log_scale.exp(), self.bias, self.log_temperature_scale.exp().clamp(max=100.0)


AutoModel.register(CMeltConfig, CMeltModel, exist_ok=True)
