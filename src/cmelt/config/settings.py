"""What a recipe can say, as types. The comments of `recipes/*.yaml` say what each key is for; here stand the paper's values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cmelt.config.model_settings import FLAN_T5_BASE as FLAN_T5_BASE
from cmelt.config.model_settings import DecoderSettings as DecoderSettings
from cmelt.config.model_settings import EcgSettings as EcgSettings
from cmelt.config.model_settings import FusionSettings as FusionSettings
from cmelt.config.model_settings import Lead as Lead
from cmelt.config.model_settings import ModelSettings as ModelSettings
from cmelt.config.model_settings import TextSettings as TextSettings

#: Every objective; each has a weight of its name in `ObjectiveSettings`.
OBJECTIVE_NAMES = ("mlm", "mem", "etm", "ets", "info_nce", "phrases", "ecg_alignment")
#: Objectives that look at the fused pair, and those that compare the two embeddings before fusion.
FUSED = frozenset({"mlm", "mem", "etm"})
CONTRASTIVE = frozenset({"ets", "info_nce", "phrases"})
#: Of the latter, those that compare an ECG with whole reports.
PAIRED = frozenset({"ets", "info_nce"})


def _within(name: str, value: float, holds: bool) -> None:
    if not holds:
        raise ValueError(f"{name} {value} is out of range")


@dataclass(frozen=True)
class MaskingSettings:
    """What is hidden from the model during pre-training."""

    ecg_keep: float = 0.25
    text_share: float = 0.25
    lead_drop: float = 0.5
    # Share of the records that show a usual reduced set of leads (I alone, I and II, … the limb leads) instead.
    lead_sets: float = 0.0
    # The view that the contrastive objectives see: the masked one (as published), or a second, unmasked pass.
    contrast_view: Literal["masked", "clean"] = "masked"

    def __post_init__(self) -> None:
        _within("ecg_keep", self.ecg_keep, 0 < self.ecg_keep <= 1)
        _within("text_share", self.text_share, 0 <= self.text_share <= 1)
        _within("lead_drop", self.lead_drop, 0 <= self.lead_drop < 1)
        _within("lead_sets", self.lead_sets, 0 <= self.lead_sets <= 1)


@dataclass(frozen=True)
class AugmentationSettings:
    """Changes of a pair that leave it true. None is the paper's."""

    shift_seconds: float = 0.0
    gain: float = 0.0
    noise_mv: float = 0.0
    # A stretch of so many seconds is cut out of each record, anywhere; 0 shows records whole.
    crop_seconds: float = 0.0
    shuffle_sentences: bool = False
    drop_sentences: float = 0.0

    def __post_init__(self) -> None:
        for name in ("shift_seconds", "gain", "noise_mv", "crop_seconds"):
            _within(name, getattr(self, name), getattr(self, name) >= 0)
        _within("drop_sentences", self.drop_sentences, 0 <= self.drop_sentences < 1)


@dataclass(frozen=True)
class NegativeSettings:
    """Nearest-neighbour negative sampling, N3S."""

    share: float = 0.5
    # `in_batch` puts in another report of the same batch and needs no table.
    strategy: Literal["farthest", "band", "random", "in_batch"] = "farthest"
    candidates: int = 64
    # Quantiles of distance from which `band` draws: 0 is the nearest report, 1 the farthest.
    band: tuple[float, float] = (0.5, 0.95)
    # "lsa" (no download), or a Hugging Face encoder by name or path; the paper's is google/flan-t5-small.
    encoder: str = "lsa"

    def __post_init__(self) -> None:
        _within("share", self.share, 0 <= self.share <= 1)


@dataclass(frozen=True)
class ContrastSettings:
    """The ECG–text sigmoid objective, and what the paper leaves open in it."""

    normalise: bool = False
    scale: float = 1.0
    bias: float = 0.0
    learn_scale_and_bias: bool = False
    identical_reports: Literal["negative", "ignore", "positive"] = "ignore"
    # Mean over a row's positives plus mean over its negatives, instead of the sum over the row.
    balance: bool = False
    # The learned temperature that info_nce starts from.
    temperature: float = 0.07

    def __post_init__(self) -> None:
        _within("scale", self.scale, self.scale > 0)
        _within("temperature", self.temperature, self.temperature > 0)


@dataclass(frozen=True)
class AlignmentSettings:
    """Two views of the same ECG that are to agree."""

    # `dropout`: two dropout masks on the latent (MERL's uni-modal alignment); `augmented`: two augmentations of the ECG (SimCLR).
    view: Literal["dropout", "augmented"] = "dropout"
    dropout: float = 0.1
    temperature: float = 0.07

    def __post_init__(self) -> None:
        _within("dropout", self.dropout, 0 <= self.dropout < 1)
        _within("temperature", self.temperature, self.temperature > 0)


@dataclass(frozen=True)
class PhraseSettings:
    """Statement-level alignment: which phrases of the reports are asked of each ECG."""

    longest: int = 4
    least: int = 8
    share: float = 0.9
    most: int = 8192
    drawn: int = 96
    scale: float = 10.0
    bias: float = -3.0

    def __post_init__(self) -> None:
        for name in ("longest", "least", "most", "drawn"):
            _within(name, getattr(self, name), getattr(self, name) >= 1)
        _within("share", self.share, 0 < self.share <= 1)
        _within("scale", self.scale, self.scale > 0)


@dataclass(frozen=True)
class ObjectiveSettings:
    """Weight of each objective in the sum; 0 leaves it out and costs nothing."""

    mlm: float = 1.0
    mem: float = 1.0
    etm: float = 1.0
    ets: float = 1.0
    info_nce: float = 0.0
    phrases: float = 0.0
    ecg_alignment: float = 0.0
    contrast: ContrastSettings = field(default_factory=ContrastSettings)
    phrase: PhraseSettings = field(default_factory=PhraseSettings)
    alignment: AlignmentSettings = field(default_factory=AlignmentSettings)

    @property
    def weights(self) -> dict[str, float]:
        """The objectives that count, by name."""
        named = {name: float(getattr(self, name)) for name in OBJECTIVE_NAMES}
        return {name: weight for name, weight in named.items() if weight > 0}

    @property
    def negative_weight(self) -> float:
        """How much of the similarity to negative prompts zero-shot scoring takes off that to a class's own.

        A contrast of whole reports ranks by how like any report an ECG is, which must go. Phrases are judged one by one:
        half does better then (folds 7 and 8, docs/recipe.md).
        """
        return 0.5 if self.phrases > 0 else 1.0

    @property
    def aligned(self) -> bool:
        """Whether one of them puts ECGs and texts into one space. Without, nothing relates the two embeddings: zero-shot scores
        and retrieval are chance, whatever figure they give; what is made of ECG embeddings alone is not concerned."""
        return bool(self.weights.keys() & CONTRASTIVE)

    @property
    def two_views(self) -> bool:
        """Whether a second augmented view of every ECG is needed."""
        return self.ecg_alignment > 0 and self.alignment.view == "augmented"

    def __post_init__(self) -> None:
        for name in OBJECTIVE_NAMES:
            _within(name, getattr(self, name), getattr(self, name) >= 0)
        if not self.weights:
            raise ValueError("every objective is switched off")


@dataclass(frozen=True)
class OptimiserSettings:
    """AdamW, its rates and its schedule."""

    rate: float = 5e-5
    # The two encoders' rate is this share of `rate`: a pre-trained text tower may want less than fresh heads.
    encoder_share: float = 1.0
    # Of that, the text encoder's share: published weights want far less than an ECG encoder that starts from nothing.
    text_share: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    epsilon: float = 1e-6
    weight_decay: float = 0.01
    clip: float = 1.0
    schedule: Literal["tri_stage", "cosine"] = "tri_stage"
    warm_up: float = 0.1
    hold: float = 0.4
    first: float = 0.01
    last: float = 0.05

    def __post_init__(self) -> None:
        _within("rate", self.rate, self.rate > 0)
        for name in ("encoder_share", "text_share", "weight_decay", "clip"):
            _within(name, getattr(self, name), getattr(self, name) >= 0)
        for name in ("warm_up", "hold"):
            _within(name, getattr(self, name), 0 <= getattr(self, name) <= 1)
        for name in ("first", "last"):
            _within(name, getattr(self, name), 0 < getattr(self, name) <= 1)


@dataclass(frozen=True)
class TrainingSettings:
    """How long, how wide, how often to save."""

    batch: int = 128
    accumulate: int = 1
    # One of the two: steps, or passes over the training pairs.
    steps: int | None = None
    epochs: float | None = None
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    # How several processes share the work: each with the whole model (ddp, which auto is), or with its share of it (fsdp).
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    compile: bool = False
    gradient_checkpointing: bool = False
    # Exponential moving average of the weights; the averaged ones are what a run hands on. 0 switches it off.
    average: float = 0.0
    checkpoint_every: int = 500
    keep_checkpoints: int = 2
    log_every: int = 10
    # Threads a process that make the next batches while one is trained on, at most one a core; 0 makes each when it is needed.
    loaders: int = 2

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give exactly one of training.steps and training.epochs")
        if self.batch < 2 or self.accumulate < 1:
            raise ValueError("training.batch must be 2 or more, training.accumulate 1 or more")
        _within("average", self.average, 0 <= self.average < 1)
        _within("loaders", self.loaders, self.loaders >= 0)
        for name in ("checkpoint_every", "keep_checkpoints", "log_every"):
            _within(name, getattr(self, name), getattr(self, name) >= 1)


@dataclass(frozen=True)
class Recipe:
    """One pre-training run, whole."""

    name: str
    description: str = ""
    seed: int = 0
    model: ModelSettings = field(default_factory=ModelSettings)
    masking: MaskingSettings = field(default_factory=MaskingSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    negatives: NegativeSettings = field(default_factory=NegativeSettings)
    objectives: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    training: TrainingSettings = field(default_factory=lambda: TrainingSettings(steps=300_000))

    @property
    def seen_samples(self) -> int:
        """Samples of what the model is shown of a record: all of it, or a stretch of whole tokens."""
        token = self.model.ecg.samples_per_token
        cropped = int(self.augmentation.crop_seconds * self.model.ecg.rate) // token * token
        return cropped or self.model.ecg.samples

    def __post_init__(self) -> None:
        token, seen = self.model.ecg.samples_per_token, self.seen_samples
        if self.augmentation.crop_seconds and not 2 * token <= seen <= self.model.ecg.samples:
            raise ValueError(
                f"augmentation.crop_seconds {self.augmentation.crop_seconds:g} is under two tokens, or longer than a record"
            )
