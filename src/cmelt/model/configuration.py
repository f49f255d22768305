"""C-MELT's configuration as transformers knows it: our typed settings, carried as plain json."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from cmelt.config.parsing import from_mapping, to_mapping
from cmelt.config.settings import ModelSettings, ObjectiveSettings
from cmelt.errors import ConfigError

#: What a model can be without, and still embed ECGs and texts.
OPTIONAL_PARTS = ("fusion", "word_head", "ecg_decoder", "match_head", "view_head", "phrase_scale")


class CMeltConfig(PreTrainedConfig):
    """Sizes of a C-MELT model.

    Args:
        settings: a `ModelSettings` as a mapping; unknown keys in it are errors.
        objectives: what trains it (`ObjectiveSettings` as a mapping): some objectives have weights of their own, and which
            there were says what the model can be asked. None where it is not known.
        absent: parts of `OPTIONAL_PARTS` that the model is without: weights that inference has no use for, or that no objective
            has trained, are not handed on.
    """

    model_type = "cmelt"

    def __init__(
        self,
        settings: dict[str, Any] | None = None,
        objectives: dict[str, Any] | None = None,
        absent: Iterable[str] = (),
        **kwargs: Any,
    ) -> None:
        self.settings = to_mapping(from_mapping(ModelSettings, settings or {}, "config.json", "settings"))
        self.objectives = None if objectives is None else to_mapping(_objectives(objectives))
        self.absent = sorted(absent)
        if unknown := set(self.absent) - set(OPTIONAL_PARTS):
            raise ConfigError("config.json", f"absent names {', '.join(sorted(unknown))}", f"known: {', '.join(OPTIONAL_PARTS)}")
        super().__init__(**kwargs)

    @classmethod
    def of(cls, settings: ModelSettings, objectives: ObjectiveSettings | None = None) -> CMeltConfig:
        """The configuration that carries these settings."""
        return cls(settings=to_mapping(settings), objectives=None if objectives is None else to_mapping(objectives))

    @property
    def model_settings(self) -> ModelSettings:
        """The typed settings."""
        return from_mapping(ModelSettings, self.settings, "config.json", "settings")

    @property
    def objective_settings(self) -> ObjectiveSettings:
        """The typed settings of the objectives; the paper's where they are not known."""
        return ObjectiveSettings() if self.objectives is None else _objectives(self.objectives)

    @property
    def aligned(self) -> bool:
        """Whether an objective has put ECGs and texts into one space (`ObjectiveSettings.aligned`)."""
        return self.objective_settings.aligned


def _objectives(mapping: dict[str, Any]) -> ObjectiveSettings:
    return from_mapping(ObjectiveSettings, mapping, "config.json", "objectives")


# transformers' auto classes look a model's folder up by its type; they must know ours before they read one.
AutoConfig.register(CMeltConfig.model_type, CMeltConfig, exist_ok=True)
