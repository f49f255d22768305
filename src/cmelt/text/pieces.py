"""A saved tokenizer read by the `tokenizers` library alone: all that inference needs, without the imports of transformers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmelt.errors import ConfigError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_PIECES, _FACTS = "tokenizer.json", "tokenizer_config.json"


@dataclass(frozen=True)
class PieceTokenizer:
    """Texts to ids, as transformers' tokenizer that was saved into the same folder does; `cmelt.text.encode` takes either."""

    name_or_path: str
    pad_token: str | None

    @cached_property
    def pieces(self) -> Tokenizer:
        """The library's own, read when the first text comes. Raises ConfigError for a damaged file."""
        from tokenizers import Tokenizer

        path = Path(self.name_or_path) / _PIECES
        try:
            return Tokenizer.from_file(str(path))
        except Exception as fault:  # the library raises plain exceptions
            raise ConfigError(path, f"cannot be read ({type(fault).__name__})", "save the tokenizer again") from None

    @property
    def pad_token_id(self) -> int | None:
        """The id that fills texts up; None where there is none."""
        found: int | None = None if self.pad_token is None else self.pieces.token_to_id(self.pad_token)
        return found

    def __call__(self, texts: Sequence[str], *, truncation: bool, max_length: int, **_: Any) -> dict[str, list[list[int]]]:
        """The ids of each text, not padded, cut to `max_length` with its end token kept."""
        if truncation:
            self.pieces.enable_truncation(max_length)
        else:
            self.pieces.no_truncation()
        self.pieces.no_padding()
        return {"input_ids": [found.ids for found in self.pieces.encode_batch(list(texts))]}


@dataclass(frozen=True)
class AbsentTokenizer:
    """Stands where a model has no tokenizer: imported weights may come without. Whoever gives it a text is told so."""

    name_or_path: str
    pad_token_id: int = 0

    def __call__(self, texts: Sequence[str], **_: Any) -> dict[str, list[list[int]]]:
        """Raises ConfigError."""
        remedy = "import it again with --tokenizer: a folder of tokenizer files that fits the weights"
        raise ConfigError(self.name_or_path, f"has no tokenizer: it embeds ECGs, but cannot read {len(texts)} texts", remedy)


def lacks_tokenizer(folder: Path) -> bool:
    """Whether a model's folder was written without a tokenizer of any kind."""
    return not any((folder / name).is_file() for name in (_PIECES, _FACTS))


def read_pieces(folder: Path) -> PieceTokenizer | AbsentTokenizer:
    """The tokenizer of a model's folder, or what says that it has none.

    Raises ConfigError where it was not saved as `tokenizer.json`.
    """
    if lacks_tokenizer(folder):
        return AbsentTokenizer(str(folder))
    try:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise ConfigError(folder / _FACTS, f"cannot be read ({type(fault).__name__})", "transformers reads others") from None
    if not (folder / _PIECES).is_file():
        raise ConfigError(folder / _PIECES, "missing", "transformers reads others")
    pad = facts.get("pad_token")
    return PieceTokenizer(str(folder), pad if isinstance(pad, str) else None)
