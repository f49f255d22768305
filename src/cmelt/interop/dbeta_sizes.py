"""The sizes of a model of the authors' release, under the names of its configuration, and ours for the same model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from cmelt.config.parsing import from_mapping, to_mapping
from cmelt.config.settings import (
    FLAN_T5_BASE,
    DecoderSettings,
    EcgSettings,
    FusionSettings,
    Lead,
    ModelSettings,
    TextSettings,
)
from cmelt.errors import ConfigError
from cmelt.interop.dbeta_stages import stages_of, stages_text
from cmelt.model.t5_encoder import T5Sizes

#: The order of the leads in MIMIC-IV-ECG's files, from which the release trained and which it never changed.
MIMIC_LEADS: tuple[Lead, ...] = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")
#: The release reckons with these, whatever its configuration says.
RATE, SAMPLES, LEAD_COUNT = 500.0, 5000, 12
#: Rows of the decoder's table of positions.
POSITION_ROWS = 512

#: What else the release's configuration says of the network, with the one value that its published weights have.
_CONSTRUCTION: dict[str, Any] = {"layer_norm_first": False, "extractor_mode": "default", "conv_bias": False}
#: The rest of its keys: data, training, and ways of masking that it does not use. None changes what the weights compute.
_IDLE = {
    "_name", "all_gather", "normalize", "filter", "data", "args", "lead_masking", "activation_dropout", "encoder_layerdrop",
    "dropout_input", "dropout_features", "apply_mask", "mask_length", "mask_prob", "mask_selection", "mask_other",
    "no_mask_overlap", "mask_min_space", "mask_channel_length", "mask_channel_prob", "mask_channel_selection",
    "mask_channel_other", "no_mask_channel_overlap", "mask_channel_min_space", "feature_grad_mult", "load_pretrained_weights",
    "pretrained_model_path", "mem_prob", "num_layers",
}  # fmt: skip
#: Keys of T5 configurations that say nothing of what an encoder computes.
_IDLE_T5 = {
    "_name_or_path", "architectures", "classifier_dropout", "decoder_start_token_id", "dense_act_fn", "dropout_rate", "dtype",
    "eos_token_id", "initializer_factor", "is_decoder", "is_encoder_decoder", "is_gated_act", "model_type", "n_positions",
    "num_decoder_layers", "output_past", "pad_token_id", "scale_decoder_outputs", "task_specific_params",
    "tie_word_embeddings", "torch_dtype", "transformers_version", "use_cache",
}  # fmt: skip


@dataclass(frozen=True)
class DbetaSizes:
    """Sizes as the release's configuration names them; the defaults are the published checkpoint's.

    Attributes:
        conv_feature_layers: (channels, kernel, stride) of each stage of the front end.
        mem_layer: the fusion layer in front of which the decoder takes the ECG stream; −1: behind the last.
        t5: the text encoder's, as transformers names them.
    """

    encoder_layers: int = 8
    encoder_embed_dim: int = 768
    encoder_ffn_embed_dim: int = 3072
    encoder_attention_heads: int = 12
    hidden_dim: int = 768
    num_top_layer: int = 6
    num_heads: int = 12
    mem_layer: int = 3
    mem_decoder_hidden_dim: int = 384
    mem_decoder_num_layers: int = 4
    mem_decoder_num_heads: int = 6
    conv_feature_layers: tuple[tuple[int, int, int], ...] = ((256, 2, 2),) * 4
    conv_pos: int = 128
    conv_pos_groups: int = 16
    in_d: int = LEAD_COUNT
    vocab_size: int = 32128
    max_text_size: int = 256
    dropout: float = 0.1
    attention_dropout: float = 0.1
    drop_rate: float = 0.1
    t5: T5Sizes = field(default_factory=lambda: T5Sizes.of(FLAN_T5_BASE))

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, int) and value < 1 and one.name != "mem_layer":
                raise ValueError(f"{one.name} {value} is below 1")
        for width, parts in (
            ("encoder_embed_dim", "encoder_attention_heads"),
            ("encoder_embed_dim", "conv_pos_groups"),
            ("hidden_dim", "num_heads"),
            ("mem_decoder_hidden_dim", "mem_decoder_num_heads"),
        ):
            if getattr(self, width) % getattr(self, parts):
                raise ValueError(f"{width} {getattr(self, width)} is no multiple of {parts} {getattr(self, parts)}")
        if not -1 <= self.mem_layer < self.num_top_layer:
            raise ValueError(f"mem_layer {self.mem_layer} is none of the {self.num_top_layer} fusion layers")
        if self.in_d != LEAD_COUNT:
            raise ValueError(f"in_d is {self.in_d}: the release's decoder rebuilds {LEAD_COUNT} leads")
        if self.mem_decoder_hidden_dim % 2:
            raise ValueError(f"mem_decoder_hidden_dim {self.mem_decoder_hidden_dim} is odd: its sines and cosines come in pairs")
        if self.t5.d_model != self.encoder_embed_dim:
            raise ValueError(f"encoder_embed_dim {self.encoder_embed_dim} is not t5.d_model {self.t5.d_model}")
        if self.t5.vocab_size != self.vocab_size:
            raise ValueError(f"vocab_size {self.vocab_size} is not t5.vocab_size {self.t5.vocab_size}")
        if not 2 <= self.tokens < POSITION_ROWS:
            most = POSITION_ROWS - 1
            raise ValueError(f"conv_feature_layers make {self.tokens} tokens of {SAMPLES} samples, not 2 to {most}")

    @property
    def tokens(self) -> int:
        """ECG tokens of a record, the class token not counted."""
        count = SAMPLES
        for _, kernel, stride in self.conv_feature_layers:
            count = max(0, (count - kernel) // stride + 1)
        return count

    @property
    def samples_per_token(self) -> int:
        """Samples of a lead that the decoder rebuilds for a token."""
        return SAMPLES // self.tokens

    @property
    def projected(self) -> bool:
        """Whether a linear layer stands between front end and transformer: the release has none where the widths agree."""
        return self.conv_feature_layers[-1][0] != self.encoder_embed_dim


def read_sizes(config: str | Path | Mapping[str, Any] | None) -> DbetaSizes:
    """The sizes that a configuration of the release states: `{"model": {…}, "t5": {…}}`, or the json file of one.

    What it leaves out has the published value; keys of the release's that say nothing of the network are passed over, and so is
    all beside "model" and "t5".

    Raises:
        ConfigError: no such file, no json, a key that the release does not have, another construction, sizes that contradict.
    """
    if config is None or isinstance(config, Mapping):
        where, content = "config", config or {}
    else:
        where, content = str(config), _json(Path(config))
    model, text = (_section(content, name, where) for name in ("model", "t5"))
    if config is not None and not (model or text):
        raise ConfigError(where, 'has neither "model" nor "t5"', 'give {"model": {…}, "t5": {…}}, as the release names its sizes')
    for name, value in _CONSTRUCTION.items():
        if model.get(name, value) != value:
            raise ConfigError(where, f"model.{name} is {model[name]!r}: another construction than the published one, {value!r}")
    sizes = {name: value for name, value in model.items() if name not in _IDLE | _CONSTRUCTION.keys()}
    if "t5" in sizes:
        raise ConfigError(where, "model.t5 is out of place", 'the text encoder\'s sizes stand beside "model", under "t5"')
    if "conv_feature_layers" in sizes:
        sizes["conv_feature_layers"] = stages_of(sizes["conv_feature_layers"], where)
    return from_mapping(DbetaSizes, {**sizes, "t5": _text(text, where)}, where, "model")


def settings_of(sizes: DbetaSizes) -> ModelSettings:
    """Our settings of the same model. Masks come after the positional convolution, leads in MIMIC's order: so it was trained."""
    windows = tuple((kernel, stride) for _, kernel, stride in sizes.conv_feature_layers)
    plain = set(windows) == {(2, 2)}
    return ModelSettings(
        width=sizes.hidden_dim,
        ecg=EcgSettings(
            rate=RATE,
            samples=SAMPLES,
            leads=LEAD_COUNT,
            lead_order=MIMIC_LEADS,
            stem_channels=tuple(channels for channels, _, _ in sizes.conv_feature_layers),
            stem_windows=() if plain else windows,
            width=sizes.encoder_embed_dim,
            layers=sizes.encoder_layers,
            heads=sizes.encoder_attention_heads,
            feed_forward=sizes.encoder_ffn_embed_dim,
            dropout=sizes.dropout,
            attention_dropout=sizes.attention_dropout,
            position_kernel=sizes.conv_pos,
            position_groups=sizes.conv_pos_groups,
            masking="after_position",
        ),
        text=TextSettings(architecture=_architecture(sizes.t5), vocabulary=sizes.vocab_size, max_tokens=sizes.max_text_size),
        fusion=FusionSettings(sizes.num_top_layer, sizes.num_heads, 4 * sizes.hidden_dim, sizes.drop_rate),
        decoder=DecoderSettings(
            fusion_layer=sizes.mem_layer,
            width=sizes.mem_decoder_hidden_dim,
            layers=sizes.mem_decoder_num_layers,
            heads=sizes.mem_decoder_num_heads,
            position_rows=POSITION_ROWS,
        ),
    )


def sizes_of(settings: ModelSettings) -> DbetaSizes:
    """The sizes of a model of ours in the release's words; what they have no word for is not looked at.

    Raises:
        ValueError, ConfigError: the release has no model of these sizes.
    """
    ecg, text, fusion, decoder = settings.ecg, settings.text, settings.fusion, settings.decoder
    words = T5Sizes.of(text.architecture)
    windows = ecg.stem_windows or ((ecg.stem_kernel, 2),) * len(ecg.stem_channels)
    return DbetaSizes(
        encoder_layers=ecg.layers,
        encoder_embed_dim=ecg.width,
        encoder_ffn_embed_dim=ecg.feed_forward,
        encoder_attention_heads=ecg.heads,
        hidden_dim=settings.width,
        num_top_layer=fusion.layers,
        num_heads=fusion.heads,
        mem_layer=decoder.fusion_layer,
        mem_decoder_hidden_dim=decoder.width,
        mem_decoder_num_layers=decoder.layers,
        mem_decoder_num_heads=decoder.heads,
        conv_feature_layers=tuple((c, kernel, stride) for c, (kernel, stride) in zip(ecg.stem_channels, windows, strict=True)),
        conv_pos=ecg.position_kernel,
        conv_pos_groups=ecg.position_groups,
        in_d=ecg.leads,
        vocab_size=words.vocab_size,
        max_text_size=text.max_tokens,
        dropout=ecg.dropout,
        attention_dropout=ecg.attention_dropout,
        drop_rate=fusion.dropout,
        t5=words,
    )


def config_of(sizes: DbetaSizes) -> dict[str, dict[str, Any]]:
    """What `read_sizes` reads back to these sizes, with the release's own notation of the front end."""
    model = to_mapping(sizes)
    text = model.pop("t5")
    stages = stages_text(sizes.conv_feature_layers)
    return {"model": {**model, "num_layers": sizes.num_top_layer, "conv_feature_layers": stages}, "t5": text}


def _architecture(sizes: T5Sizes) -> dict[str, Any]:
    """The text encoder as transformers configures it, every size said: its own defaults are another T5's."""
    return {**FLAN_T5_BASE, **to_mapping(sizes)}


def _text(text: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The sizes of Flan-T5-base's encoder with what `text` says otherwise."""
    if text.get("model_type", "t5") != "t5":
        raise ConfigError(where, f"t5.model_type is {text['model_type']!r}", "the release's text encoder is a T5")
    stated = {name: value for name, value in text.items() if name not in _IDLE_T5}
    sizes = {**to_mapping(DbetaSizes().t5), **stated}
    from_mapping(T5Sizes, sizes, where, "t5")  # every key known, every value of its type
    try:
        T5Sizes.of({"model_type": "t5", **sizes})
    except ConfigError:
        kind = sizes["feed_forward_proj"]
        raise ConfigError(where, f"t5.feed_forward_proj is {kind!r}", "Flan-T5's is gated-gelu") from None
    return sizes


def _json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise ConfigError(path, f"cannot be read ({type(fault).__name__})", "give the json file of the sizes") from None
    except ValueError:
        raise ConfigError(path, "is no json", 'give {"model": {…}, "t5": {…}}') from None
    if not isinstance(content, Mapping):
        raise ConfigError(path, f"holds a {type(content).__name__}", 'give {"model": {…}, "t5": {…}}')
    return content


def _section(content: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    section = content.get(name, {})
    if not isinstance(section, Mapping):
        raise ConfigError(where, f"{name} is a {type(section).__name__}", "a mapping of keys is needed")
    return section
