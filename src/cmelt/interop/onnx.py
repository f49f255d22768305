"""A model's two towers as ONNX files, which run without PyTorch: in a browser, in another language, on a small device."""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cmelt.checkpoints.finding import find_model
from cmelt.checkpoints.inference import TrainedTowers, load_towers
from cmelt.errors import CheckpointError, ConfigError
from cmelt.interop.dbeta_file import refuse_existing
from cmelt.interop.onnx_agreement import Agreement, Feed, agreement, by_onnx_runtime, by_the_towers, ecg_feeds, text_feeds
from cmelt.interop.onnx_graphs import EcgGraph, TextGraph
from cmelt.model.lead_order import channels
from cmelt.pages.notice import NOTICE
from cmelt.publishing import published, sha256
from cmelt.records.record import LEADS
from cmelt.text.pieces import AbsentTokenizer, PieceTokenizer

if TYPE_CHECKING:
    from cmelt.text.tokenizers import Tokenizer

FACTS = "model.json"
#: What runtimes of three years ago know, browsers' among them.
OPSET = 18
#: Greatest difference between two components of unit vectors that a file may have; an int8 file has a lowest cosine instead.
TOLERANCE, LOWEST_COSINE = 1e-4, 0.9

_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
_OUTPUT = "embeddings"
_INPUTS = {
    "ecg": {"ecg": {0: "batch", 2: "samples"}},
    "text": {"input_ids": {0: "batch", 1: "pieces"}, "attention_mask": {0: "batch", 1: "pieces"}},
}
#: A file of a graph with its weights holds less than this.
_MOST_BYTES = 2**31 - 2**20
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def export_onnx(model: str | Path, out: str | Path, *, int8: bool = False) -> dict[str, Agreement]:
    """Write `ecg.onnx` and `text.onnx`, the tokenizer and `model.json`, which says what goes in, into a new folder.

    `ecg.onnx`: "ecg" [batch, leads, samples] float32 millivolts; `text.onnx`: "input_ids" and "attention_mask" [batch, pieces]
    int64; both → "embeddings" [batch, D], unit vectors. The folder appears only after ONNX Runtime has been found to compute what
    PyTorch does.

    Args:
        model: a bundled model, the folder of a run or of a model, or a name of a hub.
        int8: write `ecg.int8.onnx` and `text.int8.onnx`, too: weights of whole numbers, activations rounded as they come.
    Returns:
        How near each file's vectors are to the model's, by the file's name.
    Raises:
        ConfigError: the packages of the extra "onnx" are not there.
        CheckpointError: no such model, `out` exists, a tower that ONNX cannot hold, or files that compute something else.

    Example:
        >>> export_onnx("small", "small-onnx")["ecg.onnx"].difference < 1e-4  # doctest: +SKIP
        True
    """
    _require_extra()
    out = Path(out)
    refuse_existing(out)
    trained = load_towers(model)
    feeds = _feeds(trained)
    expected = {tower: [by_the_towers(trained.towers, feed) for feed in feeds[tower]] for tower in feeds}
    graphs: dict[str, nn.Module] = {"ecg": EcgGraph(trained.towers), "text": TextGraph(trained.towers)}
    found: dict[str, Agreement] = {}
    with published(out, {"kind": "onnx", "weights_sha256": trained.identity}) as folder:
        for tower, graph in graphs.items():
            for path in _written(tower, graph.eval(), feeds[tower], folder, trained.identity, int8):
                found[path.name] = _agreeing(path, agreement(by_onnx_runtime(path, feeds[tower]), expected[tower]))
        _copy_words(trained.tokenizer, find_model(model), folder)
        (folder / FACTS).write_text(
            json.dumps(_facts(trained, found, folder), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    return found


def _require_extra() -> None:
    if lacking := [name for name in _PACKAGES if find_spec(name) is None]:
        raise ConfigError("ONNX", f"{' and '.join(lacking)} not installed", 'pip install "cmelt[onnx]"')


def _feeds(trained: TrainedTowers) -> dict[str, list[Feed]]:
    settings = trained.towers.settings
    return {"ecg": ecg_feeds(settings.ecg), "text": text_feeds(settings.text, trained.tokenizer)}


def _written(tower: str, graph: nn.Module, feeds: list[Feed], folder: Path, identity: str, int8: bool) -> Iterator[Path]:
    """The files of one tower, one after another as they are written."""
    import onnx

    whole = folder / f"{tower}.onnx"
    with _quiet():
        proto = _captured(tower, graph, feeds[1])
        onnx.helper.set_model_props(proto, {"notice": NOTICE, "weights_sha256": identity})
        onnx.save(proto, str(whole))
    yield whole
    if int8:
        rounded = folder / f"{tower}.int8.onnx"
        with _quiet():
            _write_rounded(whole, rounded)
        yield rounded


@torch.no_grad()
def _captured(tower: str, graph: nn.Module, example: Feed) -> Any:
    """The graph with its weights as ONNX has it (a `ModelProto`), captured on an example of at least two rows."""
    if sum(tensor.numel() * tensor.element_size() for tensor in graph.state_dict().values()) > _MOST_BYTES:
        raise CheckpointError(
            "model", f"its {tower} tower takes more than 2 GB, which one ONNX file cannot hold", "export a smaller one"
        )
    names = _INPUTS[tower]
    dimensions = {name: torch.export.Dim(name) for axes in names.values() for name in axes.values()}
    try:
        program = torch.onnx.export(
            graph,
            tuple(torch.from_numpy(example[name]) for name in names),
            input_names=list(names),
            output_names=[_OUTPUT],
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes=tuple({axis: dimensions[name] for axis, name in axes.items()} for axes in names.values()),
            verbose=False,
        )
    except (torch.onnx.OnnxExporterError, torch._dynamo.exc.UserError) as fault:
        reason = f"its {tower} tower cannot be captured as a graph ({type(fault).__name__})"
        raise CheckpointError("model", reason, "models with a T5 text encoder can") from fault
    if program is None:
        raise CheckpointError("model", f"PyTorch made no graph of its {tower} tower")
    proto = program.model_proto
    _forget_sources(proto)
    return proto


def _forget_sources(proto: Any) -> None:
    """Take out what the exporter notes of each node: lines of code with their paths on the machine that wrote it."""
    for graph in (proto.graph, *proto.functions):
        for part in (*graph.node, *graph.value_info):
            del part.metadata_props[:]
    del proto.graph.metadata_props[:]


def _write_rounded(whole: Path, rounded: Path) -> None:
    """Products and tables of embeddings in int8; convolutions stay, for which ONNX Runtime has no such kernel.

    Weights take seven bits: with eight, processors without VNNI instructions overflow, and would compute something else.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(whole),
        str(rounded),
        op_types_to_quantize=["MatMul", "Gemm", "Gather"],
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
    )


def _agreeing(path: Path, found: Agreement) -> Agreement:
    """The argument, where it is near enough. Raises CheckpointError."""
    if ".int8." in path.name and not found.cosine >= LOWEST_COSINE:
        fault = f"a vector's cosine to the model's is {found.cosine:.4f}; {LOWEST_COSINE} is the least"
        raise CheckpointError(path.name, fault, "export without int8")
    if ".int8." not in path.name and not found.difference <= TOLERANCE:
        fault = f"ONNX Runtime's vectors differ from PyTorch's by {found.difference:.2g}; {TOLERANCE:g} is the most"
        raise CheckpointError(path.name, fault, "try other versions of onnxruntime and torch")
    return found


def _copy_words(tokenizer: Tokenizer, model: Path, folder: Path) -> None:
    """The tokenizer, where there is one, and the model's card, which tells its licence and its limits."""
    if isinstance(tokenizer, PieceTokenizer):
        for name in _TOKENIZER_FILES:
            shutil.copyfile(Path(tokenizer.name_or_path) / name, folder / name)
    elif not isinstance(tokenizer, AbsentTokenizer):
        tokenizer.save_pretrained(folder)
    if (model / "README.md").is_file():
        shutil.copyfile(model / "README.md", folder / "README.md")


def _facts(trained: TrainedTowers, found: dict[str, Agreement], folder: Path) -> dict[str, Any]:
    """What whoever runs the files must know."""
    settings, tokenizer = trained.towers.settings, trained.tokenizer
    return {
        "format": "cmelt-onnx",
        "version": 1,
        "notice": NOTICE,
        "weights_sha256": trained.identity,
        "width": settings.width,
        "ecg": {
            "leads": [LEADS[place] for place in channels(settings.ecg)],
            "rate": settings.ecg.rate,
            "samples": settings.ecg.samples,
            "unit": "mV",
            "absent_lead": 0.0,
        },
        "text": {
            "tokenizer": (folder / _TOKENIZER_FILES[0]).is_file(),
            "max_tokens": settings.text.max_tokens,
            "pad_id": None if isinstance(tokenizer, AbsentTokenizer) else tokenizer.pad_token_id,
            "cleaning": "lower case, one line, no full stop at the end, as cmelt.text.clean_report",
        },
        "scoring": {
            "aligned": trained.aligned,
            "negative_weight": trained.negative_weight,
            "score": "mean cosine to the prompts of a class − negative_weight × mean cosine to its negative prompts",
        },
        "files": {name: {"sha256": sha256(folder / name), **asdict(found[name])} for name in found},
        "made_with": {name: str(import_module(name).__version__) for name in ("cmelt", "torch", *_PACKAGES)},
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's talk of packages that it could use and of names that it shortens."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
