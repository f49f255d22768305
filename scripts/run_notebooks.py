"""Run the notebooks, each in a fresh kernel, and keep what they show: `make notebooks`.

python scripts/run_notebooks.py [NOTEBOOK …]            # run them and write their outputs into them; all, where none is named
python scripts/run_notebooks.py --check [NOTEBOOK …]    # run them and say where they no longer show what they show now

A notebook that fails, warns, names a path of this machine or grows beyond 300 kB is not written.
"""

from __future__ import annotations

import base64
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
LARGEST = 300_000  # bytes of a notebook with its outputs
WIDEST, COLOURS = 1400, 128  # of a stored picture: what a screen shows
SECONDS = 300  # that a cell may take
#: Two machines do not round alike: a number is the same if it is as near as this, or as this share of itself.
NEAR, SHARE = 0.02, 0.1
#: A tag of cells in which the last digit decides what is picked and shown: there only the kinds of output are compared.
VARIES = "differs-by-machine"
_NUMBER = re.compile(r"(?<![\w#])[-+−]?\d[\d,]*(?:\.\d+)?")
#: Of a cell's metadata: its tags, and the words of its picture for who cannot see it.
_KEPT = ("tags", "mystnb")
#: How a picture of matplotlib says what it is, which depends on its fonts.
_FIGURE_SIZE = re.compile(r"<Figure size .*?>")
_INLINE = "module://matplotlib_inline.backend_inline"
_PATH = re.compile(r"(?<![\w:/.<])/(?:[\w.+-]+/)+[\w.+-]*")


def main(arguments: list[str]) -> int:
    """The exit status: 1 where a notebook has a fault, or with --check where it shows something else."""
    check = "--check" in arguments
    paths = [Path(name) for name in arguments if name != "--check"] or sorted(NOTEBOOKS.glob("*.ipynb"))
    failed = 0
    for path in paths:
        fresh = run(path)
        wrong = faults(fresh) + (differences(nbformat.read(path, as_version=4), fresh) if check else [])
        for line in wrong:
            sys.stderr.write(f"{path.name}: {line}\n")
        if not check and not wrong:
            path.write_text(written(fresh), encoding="utf-8")
        sys.stdout.write(f"{path.name}: {'not ' if wrong else ''}as it should be\n")
        failed += bool(wrong)
    return 1 if failed else 0


def run(path: Path, store: str = "") -> NotebookNode:
    """The notebook with the outputs of a fresh kernel that works in an empty folder, tidied; an error ends it and is among them.

    Nothing of the user's own IPython or Jupyter settings has a say, and nothing is left on the disk.

    Args:
        store: for a notebook that can be given one of real ECGs; "" for its simulated ones.
    """
    import matplotlib.font_manager  # noqa: F401 (where fonts were never listed, this lists them: a kernel would warn that it does)

    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder, "work")
        work.mkdir()
        client = NotebookClient(
            notebook, timeout=SECONDS, allow_errors=True, kernel_name="python3", resources={"metadata": {"path": str(work)}}
        )
        kernel = client.create_kernel_manager()
        kernel.transport, kernel.ip = "ipc", str(Path(folder, "kernel"))  # no port is opened
        kernel.connection_file = str(Path(folder, "kernel.json"))
        settled = {"IPYTHONDIR": folder, "MPLBACKEND": _INLINE, "NOTEBOOK_STORE": store}
        client.execute(env=os.environ | settled)
    return tidied(notebook)


def tidied(notebook: NotebookNode) -> NotebookNode:
    """The same without what changes from run to run (times, names of the interpreter), and with small pictures."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {key: cell.metadata[key] for key in _KEPT if key in cell.metadata}
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = smaller(data["image/png"])
    return notebook


def smaller(png: str) -> str:
    """A PNG in base64 → one of at most `WIDEST` pixels across and `COLOURS` colours, which paper and curves can do with."""
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    if picture.width > WIDEST:
        picture = picture.resize((WIDEST, round(WIDEST * picture.height / picture.width)), Image.Resampling.BOX)
    small = io.BytesIO()
    # Rare colours, such as the bars of an explanation, keep theirs: a median cut would make them grey.
    picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode("ascii")


def faults(notebook: NotebookNode) -> list[str]:
    """What must not be in a notebook that is shown: errors, warnings, paths of this machine, too many bytes, cells not run."""
    found = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and not cell.execution_count:
            found.append(f"cell {number} was not run")
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                found.append(f"cell {number} ends in {output.ename}: {output.evalue}")
            if output.get("name") == "stderr":
                found.append(f"cell {number} says on stderr: {output.text.strip()[:200]}")
    text = "\n".join(line for cell in notebook.cells for line in _shown(cell))
    found += [f"names the path {place}" for place in sorted(set(_PATH.findall(text)))]
    size = len(written(notebook).encode())
    return found + ([f"has {size:,} bytes, {LARGEST:,} are allowed"] if size > LARGEST else [])


def differences(stored: NotebookNode, fresh: NotebookNode) -> list[str]:
    """Where two runs of a notebook show something else: other words, other kinds of output, numbers that are not near."""
    if [cell.source for cell in stored.cells] != [cell.source for cell in fresh.cells]:
        return ["the cells are others"]
    found = []
    for number, (one, other) in enumerate(zip(stored.cells, fresh.cells, strict=True)):
        before, after = ([*_kinds(cell)] if VARIES in cell.metadata.get("tags", []) else [*_shown(cell)] for cell in (one, other))
        if len(before) != len(after) or not all(map(alike, before, after)):
            found.append(f"cell {number} shows {_short(after)} where {_short(before)} is stored")
    return found


def alike(one: str, other: str) -> bool:
    """Two texts with the same words and near numbers."""
    if _words(one) != _words(other):
        return False
    pairs = zip(_numbers(one), _numbers(other), strict=True)
    return all(abs(a - b) <= max(NEAR, SHARE * max(abs(a), abs(b))) for a, b in pairs)


def written(notebook: NotebookNode) -> str:
    """The notebook as it lies on the disk."""
    return str(nbformat.writes(notebook, version=4)) + "\n"


def _shown(cell: NotebookNode) -> Iterator[str]:
    """What a cell shows, as texts: streams, errors, and of everything else its kind with what it says of itself."""
    for kind, output in zip(_kinds(cell), cell.get("outputs", []), strict=True):
        said = output.get("text") or output.get("evalue") or output.get("data", {}).get("text/plain", "")
        yield f"{kind}: {_FIGURE_SIZE.sub('<Figure>', said)}"


def _kinds(cell: NotebookNode) -> Iterator[str]:
    """What kinds of output a cell has: the name of a stream or an error, or the forms in which something is shown."""
    for output in cell.get("outputs", []):
        yield output.get("name") or output.get("ename") or " ".join(sorted(output.data))


def _words(text: str) -> str:
    return " ".join(_NUMBER.sub("#", text).split())


def _numbers(text: str) -> list[float]:
    return [float(number.replace("−", "-").replace(",", "")) for number in _NUMBER.findall(text)]


def _short(shown: list[str]) -> str:
    return repr(" | ".join(shown))[:300]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
