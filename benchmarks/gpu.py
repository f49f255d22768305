"""The paper's model on a GPU: how fast it trains and embeds, what share of the GPU's limit that is, and where the rest goes.

Run: python benchmarks/gpu.py [--text-tokens 64] [--batch 128] [--reports 180000] [--no-compile]

bfloat16 autocast over float32 weights, the model compiled, pairs made up (`synthetic_pairs.py`), int16 signals sent to the GPU
and scaled there in every step; loading is measured by `loading.py`. The share of the limit is told twice: with the operations
that the authors' release needs for a record (146.7 GFLOP), by which implementations are compared, and with those that ours
computes. Without a GPU every line of this runs on the CPU at tiny sizes, so that it is known to run; those figures mean nothing
and none is told.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from device_limits import bandwidth, device_at_hand, matmul_peak, seconds_of
from measuring import Figure, options, tell, verdict
from model_costs import PAPER_VIEWS, RELEASE_TOTAL, Work, costs, gflop_a_record
from step_profile import parts_named, profiled, seconds_by_kind, seconds_by_part

if TYPE_CHECKING:
    import torch

    from cmelt.config import Recipe
    from cmelt.model.cmelt import CMeltModel

#: Bytes that AdamW moves for a float32 parameter (`roofline.py`).
ADAMW_BYTES = 28
#: Share of the GPU's memory that may be filled: what else it holds, and fragments, need the rest.
FILLED = 0.94
MIMIC_REPORTS, REPORT_WIDTH, CANDIDATES = 180_000, 512, 64


@dataclass(frozen=True)
class Trainer:
    """A model with its optimiser, one step at a time, as the training loop does it."""

    recipe: Recipe
    model: CMeltModel
    forward: Callable[..., Any]
    optimiser: torch.optim.Optimizer
    device: torch.device
    rounds: int

    def step(self, batch: Any) -> None:
        """Send the batch, forward, losses, backward, clip, update."""
        import torch

        from cmelt.objectives.total import total_loss

        views, truth = batch.to(self.device).views(self.recipe.model.ecg.samples_per_token)
        with torch.autocast(self.device.type, torch.bfloat16):
            outputs = self.forward(views, frozenset(self.recipe.objectives.weights))
        total_loss(outputs, truth, self.recipe.objectives).total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.optimiser.clip)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)


def main() -> None:
    """Measure what there is a device for, and tell it."""
    import torch

    chosen = _arguments()
    device = device_at_hand()
    recipe = _paper()
    if device.type == "cpu":
        torch.set_num_threads(1)  # at these sizes threads wait for each other
        chosen.batch, chosen.text_tokens, chosen.reports, chosen.rounds, recipe = 4, 16, 500, 1, tiny(recipe)
    figures = measured(recipe, chosen, device)
    if device.type == "cpu":
        why = f"no GPU here; all {len(figures)} figures were rehearsed on the CPU at tiny sizes, where they mean nothing"
        names = "; ".join(dict.fromkeys(figure.what.split(",")[0].split(":")[0] for figure in figures))
        tell([], chosen.json, [why, f"not measured: {names}"])
        return
    tell(figures, chosen.json)


def _arguments() -> argparse.Namespace:
    parser = options(__doc__)
    parser.add_argument("--text-tokens", type=int, default=64)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--reports", type=int, default=MIMIC_REPORTS, help="distinct reports of the table of negatives")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--no-compile", action="store_true", help="step by step, as without torch.compile")
    return parser.parse_args()


def _paper() -> Recipe:
    from cmelt.config import load_recipe

    return load_recipe("paper")


def tiny(recipe: Recipe) -> Recipe:
    """The recipe with every width and depth small: the same code, nothing to measure."""
    model = recipe.model
    text = model.text.architecture | {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_heads": 4, "vocab_size": 200}
    ecg = replace(
        model.ecg, rate=100.0, samples=1000, stem_channels=(8, 8, 16, 16), width=32, layers=1, heads=4, feed_forward=48,
        position_kernel=16, position_groups=4,
    )  # fmt: skip
    return replace(
        recipe,
        model=replace(
            model,
            width=32,
            ecg=ecg,
            text=replace(model.text, architecture=text),
            fusion=replace(model.fusion, layers=2, heads=4, feed_forward=48),
            decoder=replace(model.decoder, fusion_layer=1, width=16, layers=1, heads=4),
        ),
    )


def measured(recipe: Recipe, chosen: argparse.Namespace, device: torch.device) -> list[Figure]:
    """Every figure: limits, training, profile, embedding, optimiser, negatives."""
    import torch

    small = device.type == "cpu"
    peak, moved = matmul_peak(device, torch.bfloat16, 256 if small else None), bandwidth(device, 2**20 if small else None)
    figures = [
        _spread("matrix product, bfloat16", [one / 1e12 for one in peak], "TFLOP/s"),
        _spread("copying the GPU's memory, read and written", [one / 1e9 for one in moved], "GB/s"),
    ]
    trainer = trainer_of(recipe, device, compiled=not chosen.no_compile, rounds=chosen.rounds)
    figures += of_training(trainer, chosen.batch, chosen.text_tokens, median(peak))
    largest = largest_batch(trainer, chosen.batch, chosen.text_tokens)
    if largest > chosen.batch:
        figures += of_training(trainer, largest, chosen.text_tokens, median(peak), ", the largest that fits")
    figures += of_profile(trainer, chosen.batch, chosen.text_tokens)
    figures += of_optimiser(trainer, median(moved))
    figures += of_embedding(trainer, chosen.batch)
    return figures + of_negatives(chosen.reports, device)


def trainer_of(recipe: Recipe, device: torch.device, compiled: bool, rounds: int) -> Trainer:
    """A model with random weights, and its optimiser; what is timed is done `rounds` times."""
    import torch

    from cmelt.model.cmelt import CMeltModel
    from cmelt.model.configuration import CMeltConfig
    from cmelt.training.optimiser import build_optimiser, freeze_unused

    torch.manual_seed(0)
    with torch.device(device):
        model = CMeltModel(CMeltConfig.of(recipe.model, recipe.objectives)).train()
    freeze_unused(model, frozenset(recipe.objectives.weights))
    forward = captured(model, device) if compiled else model
    return Trainer(recipe, model, forward, build_optimiser(model, recipe.optimiser), device, rounds)


def captured(forward: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
    """The compiled function. On the CPU the graph is captured and run as it is: making kernels of it takes minutes there."""
    import torch

    compiled: Callable[..., Any] = torch.compile(forward, backend="inductor" if device.type == "cuda" else "eager")
    return compiled


def of_training(trainer: Trainer, size: int, text_tokens: int, peak: float, which: str = "") -> list[Figure]:
    """Records a second, the share of the limit, memory, and the hours of the paper's run that follow."""
    batch = batch_of(trainer, size, text_tokens)
    _forget_peak(trainer.device)
    rates = [size / seconds for seconds in seconds_of(lambda: trainer.step(batch), trainer.device, trainer.rounds, warm=3)]
    settings = trainer.recipe.model
    ours = sum(gflop_a_record(costs(settings, Work.ours(settings, text_tokens), size), size).values())
    job = f"batch {size}{which}"
    hours, share = PAPER_VIEWS / median(rates) / 3600, 100 * RELEASE_TOTAL * 1e9 / peak
    note = f"{text_tokens} text tokens, bfloat16 autocast, {'compiled' if trainer.forward is not trainer.model else 'eager'}"
    return [
        _spread(f"training, {job}", rates, "records/s", note=note),
        _spread(
            f"share of the matrix-product peak, {job}", [rate * share for rate in rates], "%",
            f"{RELEASE_TOTAL} GFLOP a record", "≥ 40", "the release's operations",
        ),
        Figure(f"share that is computed, {job}", 100 * median(rates) * ours * 1e9 / peak, "%", f"{ours:.1f} GFLOP a record"),
        Figure(f"memory, {job}", _peak_memory(trainer.device) / 1e9, "GB"),
        Figure(
            f"projected: the paper's {PAPER_VIEWS / 1e6:.1f} M views, {job}", hours, "h", target="≤ 4",
            met=verdict(hours, "≤ 4"), note="from the rate above",
        ),
    ]  # fmt: skip


def largest_batch(trainer: Trainer, known: int, text_tokens: int) -> int:
    """The largest batch, a multiple of `known`'s half, that a step fits with: foreseen from the one known, then tried."""
    step = max(1, known // 2)
    foreseen = foreseen_batch(trainer, known) // step * step
    while foreseen > known and not fits(trainer, foreseen, text_tokens):
        foreseen -= step
    return max(known, foreseen)


def foreseen_batch(trainer: Trainer, known: int) -> int:
    """Records whose activations fill the memory, if each takes what it took in the batch that was just measured."""
    import torch

    if trainer.device.type == "cpu":
        return 2 * known
    kept = torch.cuda.memory_allocated(trainer.device)
    a_record = (torch.cuda.max_memory_allocated(trainer.device) - kept) / known
    return int((FILLED * torch.cuda.get_device_properties(trainer.device).total_memory - kept) / a_record)


def fits(trainer: Trainer, size: int, text_tokens: int) -> bool:
    """Whether a step of `size` pairs fits into the memory."""
    import torch

    torch.compiler.reset()  # or a second size would be compiled for sizes of any kind, which is slower
    try:
        trainer.step(batch_of(trainer, size, text_tokens))
    except torch.OutOfMemoryError:
        trainer.optimiser.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
        return False
    return True


def batch_of(trainer: Trainer, size: int, text_tokens: int) -> Any:
    """Made-up pairs, in memory from which a GPU fetches by itself."""
    from synthetic_pairs import synthetic_batch

    batch = synthetic_batch(trainer.recipe, size, text_tokens)
    return batch.pinned() if trainer.device.type == "cuda" else batch


def of_profile(trainer: Trainer, size: int, text_tokens: int) -> list[Figure]:
    """Shares of a step by part (step by step, since a compiled graph knows no parts) and by kind of kernel (as it is run)."""
    from counted_costs import PARTS

    batch = batch_of(trainer, size, text_tokens)
    eager = replace(trainer, forward=trainer.model)
    with parts_named(trainer.model, PARTS):
        parts = seconds_by_part(profiled(lambda: eager.step(batch)))
    kinds = seconds_by_kind(profiled(lambda: trainer.step(batch)))
    step = median(seconds_of(lambda: trainer.step(batch), trainer.device, 3))
    figures = _shares(parts, f"kernels of a step of {size}, eager")
    figures += _shares(kinds, f"kernels of a step of {size}")
    idle = max(0.0, 100 * (1 - sum(kinds.values()) / step))
    return [*figures, Figure(f"the GPU waits, step of {size}", idle, "%", note="time in which no kernel runs")]


def _shares(seconds: dict[str, float], what: str) -> list[Figure]:
    total = sum(seconds.values())
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    return [Figure(f"{what}: {name}", 100 * took / total, "%", note=f"{1000 * took:.1f} ms") for name, took in ordered]


def of_optimiser(trainer: Trainer, moved: float) -> list[Figure]:
    """AdamW alone, and its share of the memory's bandwidth."""
    import torch

    for parameter in trainer.model.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    rounds = seconds_of(trainer.optimiser.step, trainer.device, trainer.rounds)
    trainer.optimiser.zero_grad(set_to_none=True)
    weights = sum(parameter.numel() for parameter in trainer.model.parameters() if parameter.requires_grad)
    share = 100 * weights * ADAMW_BYTES / moved / median(rounds)
    return [
        _spread("AdamW", [1000 * one for one in rounds], "ms", note=f"{weights / 1e6:.1f} M parameters, fused"),
        Figure("AdamW: share of the memory's bandwidth", share, "%", note=f"{ADAMW_BYTES} bytes a parameter"),
    ]


def of_embedding(trainer: Trainer, size: int) -> list[Figure]:
    """ECGs embedded a second, nothing masked."""
    import torch

    model = trainer.model.eval()
    embed = captured(model.embed_ecg, trainer.device) if trainer.forward is not trainer.model else model.embed_ecg
    ecg = torch.randn(2 * size, trainer.recipe.model.ecg.leads, trainer.recipe.model.ecg.samples, device=trainer.device)

    @torch.inference_mode()
    def work() -> None:
        with torch.autocast(trainer.device.type, torch.bfloat16):
            embed(ecg)

    rates = [2 * size / seconds for seconds in seconds_of(work, trainer.device, trainer.rounds)]
    model.train()
    return [_spread(f"embedding ECGs, batch {2 * size}", rates, "records/s", note="bfloat16 autocast")]


def of_negatives(reports: int, device: torch.device) -> list[Figure]:
    """The paper's table: the farthest of all other reports, exactly."""
    import numpy as np

    from cmelt.negatives.candidates import farthest

    vectors = np.random.default_rng(0).standard_normal((reports, REPORT_WIDTH), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # Named with its number, a device is torch's: the processor too, whose plain name means FAISS.
    taken = seconds_of(lambda: farthest(vectors, CANDIDATES, f"{device.type}:0"), device, 1, warm=0)[0]
    what = f"negatives: the farthest {CANDIDATES} of {reports:,} reports × {REPORT_WIDTH}"
    return [Figure(what, taken, "s", target="≤ 60", met=verdict(taken, "≤ 60"), note="exact")]


def _forget_peak(device: torch.device) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak_memory(device: torch.device) -> float:
    import torch

    return float(torch.cuda.max_memory_allocated(device)) if device.type == "cuda" else 0.0


def _spread(
    what: str, rounds: list[float], unit: str, against: str = "", target: str = "", note: str = ""
) -> Figure:  # fmt: skip
    value = median(rounds)
    return Figure(what, value, unit, against, min(rounds), max(rounds), target, verdict(value, target) if target else None, note)


if __name__ == "__main__":
    main()
