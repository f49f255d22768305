"""Pictures of the page: taken, kept small, and compared so that another machine's letters pass and a moved trace does not.

Letters are drawn by one font (of matplotlib), so that lines break alike everywhere. What is left of a machine, how it smooths
letters and what its menus look like, is compared loosely; everything else closely: places, inks and paper.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

FOLDER = Path(__file__).parent / "screenshots"
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
#: Of a picture: its most frequent colours, as they are, and how many more stand for all others.
FREQUENT, OTHERS = 64, 80
#: Pixels of the screen that are one of a picture's; a picture's pixels along a tile, and along a cell of letters.
SHRUNK, TILE, LETTER = 3, 16, 8
#: Of full scale: what a pixel may differ by, a tile's mean, a cell of letters; and how many pixels of a tile may differ by more.
PIXEL_LIMIT, TILE_LIMIT, LETTER_LIMIT, PIXELS_LIMIT = 0.15, 0.017, 0.12, 8
#: A tile of which less is free of letters has no mean worth comparing.
LEAST_FREE = 0.3

_FONT = """
@font-face { font-family: Fixed; src: url(/fixed.ttf); }
@font-face { font-family: Fixed; font-weight: 600 900; src: url(/fixed-bold.ttf); }
*, svg.ecg text { font-family: Fixed !important; caret-color: transparent !important; }
"""
_LETTERS = """() => {
  const boxes = [];
  const add = ({left, top, right, bottom}) => { if (right > left && bottom > top) boxes.push([left, top, right, bottom]); };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    if (!walker.currentNode.data.trim() || getComputedStyle(walker.currentNode.parentElement).visibility === 'hidden') continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    for (const box of range.getClientRects()) add(box);
  }
  for (const one of document.querySelectorAll('select, input, textarea, summary')) add(one.getBoundingClientRect());
  return boxes;
}"""


@dataclass(frozen=True)
class Picture:
    """pixels [height, width, 3] from 0 to 1; letters [height, width]: where there are some, or a menu."""

    pixels: NDArray[np.float32]
    letters: NDArray[np.bool_]


def with_one_font(page: Page) -> None:
    """Has the page draw all letters with a font that is the same everywhere."""
    for address, file in (("fixed.ttf", "DejaVuSans.ttf"), ("fixed-bold.ttf", "DejaVuSans-Bold.ttf")):
        page.route(f"**/{address}", sending(FONTS / file))
    page.add_style_tag(content=_FONT)
    page.evaluate("Promise.all(['400', '600'].map((weight) => document.fonts.load(`${weight} 16px Fixed`)))")


def sending(file: Path) -> Callable[[Route], None]:
    """What answers a request with a file."""
    return lambda route: route.fulfill(path=file)


def taken(page: Page) -> Picture:
    """What the window shows."""
    image = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), np.float32) / 255
    height, width = (length // (SHRUNK * TILE) * TILE for length in image.shape[:2])
    pixels = means(image[: height * SHRUNK, : width * SHRUNK], SHRUNK)
    letters = np.zeros((height, width), bool)
    for box in page.evaluate(_LETTERS):
        left, top, right, bottom = (round(edge / SHRUNK) for edge in box)
        letters[max(0, top - 1) : max(0, bottom + 1), max(0, left - 1) : max(0, right + 1)] = True
    return Picture(pixels, letters)


def means(pixels: NDArray[Any], size: int) -> NDArray[Any]:
    """[height, width, …] → the means of squares of `size`."""
    height, width = pixels.shape[0] // size, pixels.shape[1] // size
    return pixels.reshape(height, size, width, size, *pixels.shape[2:]).mean(axis=(1, 3))


def keep(name: str, picture: Picture) -> Path:
    """Stores a picture as the reference of that name."""
    file = FOLDER / f"{name}.png"
    few_colours(np.rint(picture.pixels * 255).astype(np.uint8)).save(file, optimize=True)
    return file


def few_colours(pixels: NDArray[np.uint8]) -> Image.Image:
    """The picture in few colours, each the nearest one: the mean of a tile stays within half a hundredth."""
    colours, places, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True, return_counts=True)
    others = Image.fromarray(pixels).quantize(OTHERS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).getpalette() or []
    palette = np.concatenate([colours[np.argsort(-counts, kind="stable")[:FREQUENT]], np.reshape(others, (-1, 3))[:OTHERS]])
    one, other = colours.astype(np.float32), palette.astype(np.float32)
    nearest = ((other**2).sum(axis=1) - 2 * one @ other.T).argmin(axis=1)
    image = Image.fromarray(nearest[places.ravel()].reshape(pixels.shape[:2]).astype(np.uint8)).convert("P")
    image.putpalette(palette.astype(np.uint8).ravel().tolist())
    return image


def reference(name: str) -> NDArray[np.float32]:
    """The pixels of the reference of that name."""
    return np.asarray(Image.open(FOLDER / f"{name}.png").convert("RGB"), np.float32) / 255


def differences(picture: Picture, known: NDArray[np.float32]) -> list[str]:
    """What of `picture` is not as in the reference `known`, place by place; empty where they agree."""
    if picture.pixels.shape != known.shape:
        return [f"its size is {picture.pixels.shape[:2]}, not {known.shape[:2]}"]
    free = ~picture.letters
    other = (np.abs(picture.pixels - known).max(axis=2) > PIXEL_LIMIT) & free
    many = means(other, TILE) * TILE**2 > PIXELS_LIMIT
    share = means(free, TILE)
    off = means((picture.pixels - known) * free[:, :, None], TILE) / np.maximum(share, LEAST_FREE)[:, :, None]
    inked = (np.abs(off).max(axis=2) > TILE_LIMIT) & (share >= LEAST_FREE)
    written = np.abs(means(picture.pixels, LETTER) - means(known, LETTER)).max(axis=2) > LETTER_LIMIT
    kinds = {"lines elsewhere": (many, TILE), "another colour": (inked, TILE), "other letters": (written, LETTER)}
    return [
        f"{what} at {column * size * SHRUNK}, {row * size * SHRUNK}"
        for what, (where, size) in kinds.items()
        for row, column in np.argwhere(where)
    ]
