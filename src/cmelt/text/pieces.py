"""A saved tokenizer read by the `tokenizers` library alone: all that inference needs, without the imports of transformers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmelt.errors import ConfigError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_PIECES, _FACTS = "tokenizer.json", "tokenizer_config.json"


@dataclass(frozen=True)
class PieceTokenizer:
    """Texts to ids, as transformers' tokenizer that was saved into the same folder does; `cmelt.text.encode` takes either."""

    pieces: Tokenizer
    pad_token_id: int | None
    name_or_path: str

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
    from tokenizers import Tokenizer

    if lacks_tokenizer(folder):
        return AbsentTokenizer(str(folder))
    try:
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        pieces = Tokenizer.from_file(str(folder / _PIECES))
    except Exception as fault:  # the library raises plain exceptions for files that are missing or damaged
        raise ConfigError(folder / _PIECES, f"cannot be read ({type(fault).__name__})", "transformers reads others") from None
    pad = facts.get("pad_token")
    return PieceTokenizer(pieces, pieces.token_to_id(pad) if isinstance(pad, str) else None, str(folder))
