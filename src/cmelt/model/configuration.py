"""C-MELT's configuration as transformers knows it: our typed settings, carried as plain json."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from cmelt.config.parsing import from_mapping, to_mapping
from cmelt.config.settings import ContrastSettings, ModelSettings


class CMeltConfig(PreTrainedConfig):
    """Sizes of a C-MELT model.

    Args:
        settings: a `ModelSettings` as a mapping; unknown keys in it are errors.
        contrast: how the contrastive objectives start (`ContrastSettings` as a mapping): their scale and bias are weights.
    """

    model_type = "cmelt"

    def __init__(self, settings: dict[str, Any] | None = None, contrast: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self.settings = to_mapping(from_mapping(ModelSettings, settings or {}, "config.json", "settings"))
        self.contrast = to_mapping(from_mapping(ContrastSettings, contrast or {}, "config.json", "contrast"))
        super().__init__(**kwargs)

    @classmethod
    def of(cls, settings: ModelSettings, contrast: ContrastSettings | None = None) -> CMeltConfig:
        """The configuration that carries these settings."""
        return cls(settings=to_mapping(settings), contrast=to_mapping(contrast or ContrastSettings()))

    @property
    def model_settings(self) -> ModelSettings:
        """The typed settings."""
        return from_mapping(ModelSettings, self.settings, "config.json", "settings")

    @property
    def contrast_settings(self) -> ContrastSettings:
        """The typed settings of the contrastive objectives."""
        return from_mapping(ContrastSettings, self.contrast, "config.json", "contrast")


# transformers' auto classes look a model's folder up by its type; they must know ours before they read one.
AutoConfig.register(CMeltConfig.model_type, CMeltConfig, exist_ok=True)
