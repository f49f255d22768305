"""Checkpoints: staged, hashed, renamed; read only after their hashes are checked; never pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmelt.checkpoints.embedder import ModelEmbedder, load_embedder, load_model, random_model

__all__ = ["ModelEmbedder", "load_embedder", "load_model", "random_model"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from cmelt.checkpoints import embedder

        return getattr(embedder, name)
    raise AttributeError(name)
