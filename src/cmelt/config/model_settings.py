"""The sizes and construction of a model, as types. The comments of `recipes/*.yaml` say what each key is for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

FLAN_T5_BASE: dict[str, Any] = {
    "model_type": "t5",
    "vocab_size": 32128,
    "d_model": 768,
    "d_kv": 64,
    "d_ff": 2048,
    "num_layers": 12,
    "num_heads": 12,
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
    "dropout_rate": 0.1,
}


#: The leads by name; `cmelt.records.record.LEADS` has them in the order of a store.
Lead = Literal["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]


@dataclass(frozen=True)
class EcgSettings:
    """The ECG encoder: front end, positions, transformer."""

    rate: float = 500.0
    samples: int = 5000
    leads: int = 12
    # The leads in the order of the input channels, where that is not a store's: imported weights have the order that they were
    # trained in. Whatever goes by lead names is put into it.
    lead_order: tuple[Lead, ...] | None = None
    stem: Literal["strided", "residual", "resnet1d"] = "strided"
    stem_channels: tuple[int, ...] = (256, 256, 256, 256)
    stem_kernel: int = 2
    # Kernel and stride of each stage of a strided stem, where they are not (stem_kernel, 2): imported weights may have others.
    stem_windows: tuple[tuple[int, int], ...] = ()
    # Each lead's size, which the front end's norms take away, given back to every token.
    amplitude: bool = False
    width: int = 768
    layers: int = 8
    heads: int = 12
    feed_forward: int = 3072
    dropout: float = 0.1
    attention_dropout: float = 0.1
    position_kernel: int = 128
    position_groups: int = 16
    # Where masked tokens are blotted out: in the signal itself, before the positional convolution, or after it. The last is
    # what the authors' release does; there, kept tokens already contain the masked ones.
    masking: Literal["signal", "before_position", "after_position"] = "before_position"
    # `attention`: the class token's state asks all tokens once more, as MERL's attention pooling does.
    pooling: Literal["first", "mean", "attention"] = "first"
    # What makes an embedding of the pooled state: the paper's tanh(W · state + b), or nothing, for objectives that never
    # reach W (masked modelling alone): a probe then sees states that have learned.
    pooler: Literal["tanh", "none"] = "tanh"

    def __post_init__(self) -> None:
        if self.layers < 0:
            raise ValueError(f"layers {self.layers} is out of range")
        if self.layers == 0 and self.pooling == "first":
            raise ValueError("with layers 0 the class token never sees the ECG; choose pooling mean or attention")
        if self.lead_order is not None and (len(set(self.lead_order)), len(self.lead_order)) != (self.leads, self.leads):
            raise ValueError(f"lead_order does not name each of {self.leads} leads once")
        self._check_windows()

    def _check_windows(self) -> None:
        if not self.stem_windows:
            return
        if self.stem != "strided" or len(self.stem_windows) != len(self.stem_channels):
            raise ValueError("stem_windows wants a strided stem, and one kernel and stride a stage")
        if min(min(window) for window in self.stem_windows) < 1:
            raise ValueError(f"stem_windows {self.stem_windows} holds a kernel or stride below 1")
        if self.masking != "after_position" and any(kernel > stride for kernel, stride in self.stem_windows):
            raise ValueError("stem_windows that overlap show masked samples to kept tokens; choose masking after_position")

    @property
    def samples_per_token(self) -> int:
        """Samples that one token stands for: each stage halves the rate, unless `stem_windows` says otherwise."""
        return self.samples // max(1, self.tokens) if self.stem_windows else int(2**self._halvings)

    @property
    def tokens(self) -> int:
        """Number of ECG tokens P of a full record, the class token not counted."""
        return self.tokens_in(self.samples)

    def tokens_in(self, samples: int) -> int:
        """Number of tokens that so many samples give."""
        for kernel, stride in self.stem_windows or ((2, 2),) * self._halvings:
            samples = max(0, (samples - kernel) // stride + 1)
        return samples

    @property
    def _halvings(self) -> int:
        """How often the front end halves the rate: once a stage; a resnet1d's first one does not."""
        return len(self.stem_channels) - (self.stem == "resnet1d")


@dataclass(frozen=True)
class TextSettings:
    """The text encoder: any Hugging Face encoder by its configuration; weights by name or local path, or from scratch."""

    architecture: dict[str, Any] = field(default_factory=lambda: dict(FLAN_T5_BASE))
    weights: str | None = None
    tokenizer: str | None = None
    vocabulary: int = 4096
    max_tokens: int = 256
    pooling: Literal["first", "mean"] = "first"
    # The encoder's weights stay as they are (its projection and pooler learn), and its dropout is off.
    frozen: bool = False


@dataclass(frozen=True)
class FusionSettings:
    """Pairs of layers with cross-attention between the two streams."""

    layers: int = 6
    heads: int = 12
    feed_forward: int = 3072
    dropout: float = 0.1


@dataclass(frozen=True)
class DecoderSettings:
    """Masked ECG modelling's decoder, and the fusion layer in front of which the ECG stream is taken; −1: behind the last."""

    fusion_layer: int = 3
    width: int = 384
    layers: int = 4
    heads: int = 6
    # Rows of a table of positions that is kept with the weights, as imported ones have it; 0: positions are computed.
    position_rows: int = 0


@dataclass(frozen=True)
class ModelSettings:
    """All sizes of one model. The defaults are the paper's."""

    width: int = 768
    ecg: EcgSettings = field(default_factory=EcgSettings)
    text: TextSettings = field(default_factory=TextSettings)
    fusion: FusionSettings = field(default_factory=FusionSettings)
    decoder: DecoderSettings = field(default_factory=DecoderSettings)

    def __post_init__(self) -> None:
        for name, width, heads in (
            ("ecg.heads", self.ecg.width, self.ecg.heads),
            ("fusion.heads", self.width, self.fusion.heads),
            ("decoder.heads", self.decoder.width, self.decoder.heads),
        ):
            if width % heads:
                raise ValueError(f"width {width} is not a multiple of {name} {heads}")
        if self.ecg.width % self.ecg.position_groups:
            raise ValueError(f"ecg.width {self.ecg.width} is not a multiple of ecg.position_groups {self.ecg.position_groups}")
        if not -1 <= self.decoder.fusion_layer < max(1, self.fusion.layers):
            raise ValueError(
                f"decoder.fusion_layer {self.decoder.fusion_layer} is none of the {self.fusion.layers} fusion layers"
            )
        if self.ecg.stem != "strided" and self.ecg.masking == "before_position":
            # Its kernels reach over the tokens' borders: kept tokens would carry masked samples all the same.
            raise ValueError(f"ecg.masking before_position does not hide anything from a {self.ecg.stem} stem; choose signal")
        if self.ecg.tokens < 2:
            raise ValueError(f"ecg.samples {self.ecg.samples} gives fewer than two tokens")
        if 0 < self.decoder.position_rows <= self.ecg.tokens:
            raise ValueError(
                f"decoder.position_rows {self.decoder.position_rows} is too few for {self.ecg.tokens} tokens and the class token"
            )
