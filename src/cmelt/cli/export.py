"""`cmelt export`: a model in a form that others read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cmelt.cli.console import say

app = typer.Typer()


@app.command()
def export(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A bundled model, or the folder of a run or of a model.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", help="The file, or for ONNX the folder, to write; it must not exist.", show_default=False)
    ],
    dbeta: Annotated[bool, typer.Option("--dbeta", help="As a checkpoint of the authors' release, sizes beside it.")] = False,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Both towers as ONNX files, with tokenizer and facts, in a folder.")
    ] = False,
    int8: Annotated[bool, typer.Option("--int8", help="With --onnx: files with weights in int8 beside the whole ones.")] = False,
) -> None:
    """Write a model in a form that others read.

    cmelt export --onnx small --out small-onnx
    cmelt export --dbeta models/dbeta --out sample.pt

    ONNX files are published only after ONNX Runtime has been found to compute what PyTorch does (needs the extra:
    pip install "cmelt\\[onnx]"). The authors' form is refused, with what differs, where the model is not of its construction.
    Research use only, not a medical device.
    """
    if dbeta == onnx:
        raise typer.BadParameter("name one form to write: --dbeta or --onnx")
    if int8 and not onnx:
        raise typer.BadParameter("is for --onnx", param_hint="--int8")
    if onnx:
        _write_onnx(model, out, int8)
    else:
        _write_dbeta(model, out)


def _write_onnx(model: str, out: Path, int8: bool) -> None:
    from cmelt.interop import export_onnx

    for name, found in export_onnx(model, out, int8=int8).items():
        near = f"components within {found.difference:.2g} of PyTorch's, lowest cosine {found.cosine:.6f}"
        say(f"{name}: {near} ({found.vectors} vectors)")
    print(out)


def _write_dbeta(model: str, out: Path) -> None:
    from cmelt.checkpoints import load_model
    from cmelt.interop import save_dbeta

    config = save_dbeta(load_model(model), out)
    say(f"sizes: {config}")
    print(out)
