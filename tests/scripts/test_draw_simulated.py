"""The documentation's pictures are those that the script draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .conftest import script

drawing = script("draw_simulated")


def test_the_picture_that_the_documentation_shows_is_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {path.name for path in drawing.PICTURES.glob("simulated-*.png")}
    monkeypatch.setattr(drawing, "PICTURES", tmp_path / "pictures")
    drawing.main(["paced-rhythm"])
    (drawn,) = (tmp_path / "pictures").iterdir()
    assert drawn.name in shown and len(shown) == len(drawing.EXAMPLES)
    there = Path(drawing.__file__).resolve().parents[1] / "docs" / "pictures" / drawn.name
    mine, theirs = (np.asarray(Image.open(path).convert("L"), float) for path in (drawn, there))
    assert mine.shape == theirs.shape
    # Fonts and rounding differ between machines; another rhythm would move the traces.
    assert np.mean(np.abs(mine - theirs)) < 2.0
