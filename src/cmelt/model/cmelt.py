"""The C-MELT model: two encoders, their projections and poolers, fusion, and three heads (method page, from top to bottom)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from cmelt.config.settings import CONTRASTIVE, FUSED, PAIRED, ObjectiveSettings
from cmelt.errors import ConfigError
from cmelt.model.configuration import CMeltConfig
from cmelt.model.ecg_encoder import EcgEncoder, PositionalConvolution
from cmelt.model.fusion import Fusion
from cmelt.model.heads import DropoutViews, EcgDecoder, ViewProjection, WordHead
from cmelt.model.linear import Linear
from cmelt.model.t5_encoder import T5Encoder
from cmelt.model.text_encoder import build_text_encoder, text_config, text_width
from cmelt.model.towers import Towers

#: What an objective needs beside the two towers.
PARTS_NEEDED = {
    "mlm": ("fusion", "word_head"),
    "mem": ("fusion", "ecg_decoder"),
    "etm": ("fusion", "match_head"),
    "ecg_alignment": ("view_head",),
    "phrases": ("phrase_scale",),
}


class Views(NamedTuple):
    """What the model is shown of a batch of B pairs.

    Attributes:
        ecg: [B, L, T] float, millivolts, absent and dropped leads zero.
        kept: [B, K] indices of the ECG tokens that are not masked.
        tokens, text_mask: [B, S] word pieces with some masked (of the negative, where one was put in), True at real ones.
        words: [B, S] the piece to be predicted, −100 where none is.
        clean_tokens, clean_text_mask: [B, S'] the pair's own report, unmasked; None where the contrast sees the masked view.
        second_ecg: [B, L, T] the same ECGs, changed and dropped anew; None where no objective compares two.
        phrase_tokens, phrase_mask: [K, S''] phrases that are asked of every ECG; None where no objective asks.
    """

    ecg: Tensor
    kept: Tensor
    tokens: Tensor
    text_mask: Tensor
    words: Tensor
    clean_tokens: Tensor | None = None
    clean_text_mask: Tensor | None = None
    second_ecg: Tensor | None = None
    phrase_tokens: Tensor | None = None
    phrase_mask: Tensor | None = None


class Outputs(NamedTuple):
    """What the objectives need; a part that no objective asked for is None.

    Attributes:
        ecg_embedding, text_embedding: [B, D], before fusion; what the contrastive objectives compare.
        word_logits: [M, vocabulary] at the M masked pieces, in the order of `views.words[views.words >= 0]`.
        samples: [B, P − K, leads × samples] predicted samples of the hidden tokens (`hidden_of`), those of a lead side by side.
        match_logits: [B, 2], the second is "this report is this ECG's".
        scale, bias: of the sigmoid contrast; `temperature_scale` of the softmax one. Scalars.
        ecg_views: two views of each ECG, [B, D] each, that are to agree.
        phrases: embeddings of the phrases [K, D], and scale and bias of their logits.
    """

    ecg_embedding: Tensor | None
    text_embedding: Tensor | None
    word_logits: Tensor | None
    samples: Tensor | None
    match_logits: Tensor | None
    scale: Tensor
    bias: Tensor
    temperature_scale: Tensor
    ecg_views: tuple[Tensor, Tensor] | None = None
    phrases: tuple[Tensor, Tensor, Tensor] | None = None


class CMeltModel(Towers, PreTrainedModel):
    """An ECG encoder and a text encoder, joined."""

    config: CMeltConfig
    config_class = CMeltConfig
    base_model_prefix = ""
    main_input_name = "ecg"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ("TransformerLayer", "FusionLayer", "T5Block", "_Block")

    def __init__(self, config: CMeltConfig) -> None:
        super().__init__(config)
        settings, contrast = config.model_settings, config.objective_settings.contrast
        ecg, text, width = settings.ecg, text_config(settings.text.architecture), settings.width
        self.build_towers(settings, lambda: build_text_encoder(text), text_width(text))
        self.fusion = Fusion(width, settings.fusion, settings.decoder.fusion_layer)
        self.word_head = WordHead(width, text.vocab_size)
        self.ecg_decoder = EcgDecoder(width, settings.decoder, ecg.samples_per_token, ecg.leads)
        self.match_head = Linear(2 * width, 2)
        self.contrast = ContrastScale(contrast.learn_scale_and_bias, contrast.scale, contrast.bias, contrast.temperature)
        self.view_head = _view_head(width, config.objective_settings)
        self.phrase_scale = _phrase_scale(config.objective_settings)
        self.text_frozen = settings.text.frozen
        for part in config.absent:
            setattr(self, part, None)
        for module in self.text_encoder.modules():
            # Its weights are drawn already, in its own way.
            module._is_hf_initialized = True  # type: ignore[assignment]
        PreTrainedModel.post_init(self)

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """As of every model of transformers; with the text encoder's buffers that no file holds (BERT's position ids), which
        transformers would leave as the memory happens to be."""
        found = super().from_pretrained(*args, **kwargs)
        (found[0] if isinstance(found, tuple) else found)._restore_text_buffers()
        return found

    def _restore_text_buffers(self) -> None:
        stored = self.text_encoder.state_dict().keys()
        absent = {name: buffer for name, buffer in self.text_encoder.named_buffers() if name not in stored}
        if not absent:
            return
        with torch.random.fork_rng():
            fresh = build_text_encoder(text_config(self.settings.text.architecture))
        for name, buffer in fresh.named_buffers():
            if name in absent:
                absent[name].copy_(buffer)

    def recompute_everything(self) -> None:
        """Keep no activations of the layers: all of them are computed twice (gradient checkpointing)."""
        for part in (self.ecg_encoder, self.fusion, self.ecg_decoder):
            part.gradient_checkpointing = True
        if isinstance(self.text_encoder, PreTrainedModel):
            self.text_encoder.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        elif isinstance(self.text_encoder, T5Encoder):
            self.text_encoder.gradient_checkpointing = True

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
        elif isinstance(module, nn.BatchNorm1d | EcgEncoder | PositionalConvolution | EcgDecoder | ContrastScale | PhraseScale):
            module.reset_parameters()

    def train(self, mode: bool = True) -> CMeltModel:
        """Training or evaluation mode. A frozen text encoder is in evaluation mode always: its dropout would be noise."""
        super().train(mode)
        if self.text_frozen:
            self.text_encoder.eval()
        return self

    def forward(self, views: Views, objectives: frozenset[str]) -> Outputs:
        """One pre-training pass over the views, computing only what the named objectives need.

        Raises ConfigError where the model is without a part that one of them needs.
        """
        if lacking := {part for name in objectives for part in PARTS_NEEDED.get(name, ())} & set(self.config.absent):
            fault = f"the model was saved without its {', '.join(sorted(lacking))}"
            raise ConfigError("objectives", fault, "they need the model of the run itself, which has all of its parts")
        fused, compared = objectives & FUSED, bool(objectives & CONTRASTIVE)
        masked_compared = compared and views.clean_tokens is None
        # Samples that are taken before the ECG has seen any text need none.
        textless = fused == {"mem"} and self.fusion.midway == 0
        ecg = text = words = samples = match = ecg_embedding = text_embedding = ecg_views = None
        if fused or masked_compared:
            ecg = self.encode_ecg(views.ecg, views.kept)  # [B, 1 + K, D]
        if masked_compared or (fused and not textless):
            text = self.encode_text(views.tokens, views.text_mask)  # [B, S, D]
        if ecg is not None and textless:
            samples = self.ecg_decoder(self.fusion.before_any_text(ecg), views.kept, self._tokens(views))
        elif ecg is not None and text is not None and fused:
            words, samples, match = self._fused(text, ecg, views, objectives)
        if (compared or "ecg_alignment" in objectives) and not masked_compared:
            ecg = self.encode_ecg(views.ecg)  # [B, 1 + P, D], nothing masked
        if ecg is not None and compared:
            ecg_embedding = self.ecg_pooler(ecg)
            text_embedding = self._text_embedding(text, views) if objectives & PAIRED else None
        if ecg is not None and "ecg_alignment" in objectives:
            ecg_views = self._ecg_views(ecg, views)
        scale, bias, temperature_scale = self.contrast()
        phrases = self._phrases(views) if "phrases" in objectives else None
        return Outputs(
            ecg_embedding, text_embedding, words, samples, match, scale, bias, temperature_scale, ecg_views, phrases
        )  # fmt: skip

    def _phrases(self, views: Views) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings [K, D] of the phrases, and scale and bias of their logits."""
        if self.phrase_scale is None or views.phrase_tokens is None or views.phrase_mask is None:
            raise ValueError("the model has no scale for phrases, or the batch has none")
        return self.embed_text(views.phrase_tokens, views.phrase_mask), *self.phrase_scale()

    def _text_embedding(self, text: Tensor | None, views: Views) -> Tensor:
        """What the contrast sees of the texts [B, D]: of the masked ones' states, or of the clean ones."""
        if views.clean_tokens is None or views.clean_text_mask is None:
            return self.text_pooler(text, views.text_mask)
        return self.embed_text(views.clean_tokens, views.clean_text_mask)

    def _ecg_views(self, ecg: Tensor, views: Views) -> tuple[Tensor, Tensor]:
        """Two views [B, D] of each ECG, from its projected tokens and, where views are augmented, from the second ECG."""
        if isinstance(self.view_head, DropoutViews):
            return self.view_head(ecg.mean(1))
        if self.view_head is None or views.second_ecg is None:
            raise ValueError("the model has no head for two views of an ECG, or the batch has no second view")
        return self.view_head(self.ecg_pooler(ecg)), self.view_head(self.embed_ecg(views.second_ecg))

    def _tokens(self, views: Views) -> int:
        """Number of ECG tokens of what is shown: a stretch has fewer than a record."""
        return self.settings.ecg.tokens_in(views.ecg.shape[2])

    def _fused(self, text: Tensor, ecg: Tensor, views: Views, objectives: frozenset[str]) -> tuple[Tensor | None, ...]:
        """Logits of masked words, samples of hidden tokens, logits of a match: what the objectives ask of the fused streams."""
        # Words are predicted at masked pieces only: the vocabulary is wide, the rest would be thrown away.
        asked, masked = _asked_of(views.words)
        fused = self.fusion(text, views.text_mask, ecg, asked)
        words = self.word_head(fused.text[masked]) if "mlm" in objectives else None
        samples = self.ecg_decoder(fused.ecg_midway, views.kept, self._tokens(views)) if "mem" in objectives else None
        match = self.match_head(fused.pair) if "etm" in objectives else None
        return words, samples, match


def _asked_of(words: Tensor) -> tuple[Tensor, Tensor]:
    """The places [B, W] of each text's first and masked pieces, ascending, and which of them are masked [B, W].

    words: [B, S], −100 where nothing is masked. Texts with fewer than the most have other pieces' places at the end.
    """
    wanted = words >= 0
    wanted[:, 0] = True
    width = int(wanted.sum(1).max())
    asked = wanted.byte().argsort(dim=1, descending=True, stable=True)[:, :width]
    return asked, words.gather(1, asked) >= 0


def _view_head(width: int, objectives: ObjectiveSettings) -> DropoutViews | ViewProjection | None:
    """The head of ECG alignment; other models have none, so that their weights do not depend on its being known."""
    if not objectives.ecg_alignment:
        return None
    if objectives.alignment.view == "dropout":
        return DropoutViews(width, objectives.alignment.dropout)
    return ViewProjection(width)


def _phrase_scale(objectives: ObjectiveSettings) -> PhraseScale | None:
    return PhraseScale(objectives.phrase.scale, objectives.phrase.bias) if objectives.phrases else None


class PhraseScale(nn.Module):
    """Learned scale and bias of the logits of statement-level alignment."""

    def __init__(self, scale: float, bias: float) -> None:
        super().__init__()
        self.start = (math.log(scale), bias)
        self.log_scale = nn.Parameter(torch.empty(()))
        self.bias = nn.Parameter(torch.empty(()))

    def reset_parameters(self) -> None:
        """Back to the configured start."""
        nn.init.constant_(self.log_scale, self.start[0])
        nn.init.constant_(self.bias, self.start[1])

    def forward(self) -> tuple[Tensor, Tensor]:
        """Scale and bias."""
        return self.log_scale.exp(), self.bias


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
