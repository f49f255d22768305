"""Which tensors each tower owns, and a hash of each tower's: who embeds ECGs reads and checks the ECG tower alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import torch

Share = Literal["ecg", "text"]

#: The parts of each tower; tensors' names begin so.
PARTS: Mapping[Share, tuple[str, ...]] = {
    "ecg": ("ecg_encoder", "ecg_projection", "ecg_pooler"),
    "text": ("text_encoder", "text_projection", "text_pooler"),
}
#: Under this key a manifest says the hashes.
SHARES = "shares"


def prefixes(share: Share) -> tuple[str, ...]:
    """How the names of a tower's tensors begin."""
    return tuple(f"{part}." for part in PARTS[share])


def share_hashes(tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """SHA-256 of each tower: of names, types, shapes and bytes of its tensors, in the order of their names."""
    hashes: dict[str, str] = {}
    for share in PARTS:
        digest = hashlib.sha256()
        for name in sorted(name for name in tensors if name.startswith(prefixes(share))):
            add_tensor(digest, name, tensors[name])
        hashes[share] = digest.hexdigest()
    return hashes


def add_tensor(digest: Any, name: str, tensor: torch.Tensor) -> None:
    """One tensor more, as it lies in a file, into a hash of `hashlib`."""
    content = tensor.detach().cpu().contiguous()
    digest.update(f"{name} {content.dtype} {list(content.shape)}\n".encode())
    digest.update(content.reshape(-1).view(torch.uint8).numpy().data)
