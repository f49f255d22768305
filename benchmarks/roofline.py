"""The paper's model on paper: operations and bytes of each part, and the least time that a machine needs for them.

Run: python benchmarks/roofline.py [--text-tokens 64] [--batch 8]

Operations are had twice: in closed form (`model_costs.py`) and by counting every operator that a step of the real model runs,
forward and backward (`counted_costs.py`, with PyTorch's formulas). Peak and bandwidth are those of the machine at hand, measured
in the same run. What is said of an H200 is a projection from its peak and named so.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import TYPE_CHECKING

from measuring import Figure, options, tell, verdict
from model_costs import (
    PAPER_VIEWS,
    RELEASE,
    RELEASE_TOTAL,
    Cost,
    Work,
    costs,
    gflop_a_record,
    seconds_at_best,
)

if TYPE_CHECKING:
    from cmelt.config import Recipe
    from cmelt.config.settings import ModelSettings
    from counted_costs import Counted

#: Measured bf16 peak of an H200, operations a second, and its memory's bytes a second as its maker states them.
H200_PEAK, H200_BANDWIDTH, SHARE_AIMED_AT = 790e12, 4.8e12, 0.4
GPU_BATCH, BF16, FLOAT32 = 128, 2, 4
#: Bytes that AdamW moves for a float32 parameter: reads it, its gradient and two moments, writes all but the gradient.
ADAMW_BYTES = 28


def main() -> None:
    """Tell the figures."""
    parser = options(__doc__)
    parser.add_argument("--text-tokens", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8, help="pairs of the step whose least time on this machine is told")
    parser.add_argument("--counted", type=int, default=1, help="pairs of the step that is counted; 0 counts none")
    chosen = parser.parse_args()
    from cmelt.config import load_recipe

    recipe = load_recipe("paper")
    figures = of_parts(recipe.model, chosen.text_tokens)
    skipped = []
    if chosen.counted:
        figures += of_counting(recipe, chosen.counted, chosen.text_tokens)
    else:
        skipped.append("counting a step of the real model: --counted 0")
    figures += of_this_machine(recipe.model, chosen.text_tokens, chosen.batch)
    figures += projections(recipe.model)
    tell(figures, chosen.json, skipped)


def of_parts(settings: ModelSettings, text_tokens: int) -> list[Figure]:
    """Operations of each part a record, beside those of computing every place, and operations a byte."""
    ours = costs(settings, Work.ours(settings, text_tokens), GPU_BATCH)
    whole = gflop_a_record(costs(settings, Work.whole(settings, text_tokens), GPU_BATCH), GPU_BATCH)
    found = []
    for part, value in sorted(gflop_a_record(ours, GPU_BATCH).items(), key=lambda item: -item[1]):
        intensity = sum(ours[part].operations) / (sum(ours[part].moved) * BF16)
        note = f"{intensity:.0f} operations a byte at batch {GPU_BATCH} in bf16"
        found.append(Figure(f"{part}, forward and backward", value, "GFLOP/record", f"every place: {whole[part]:.2f}", note=note))
    total, target = sum(gflop_a_record(ours, GPU_BATCH).values()), f"≤ {RELEASE_TOTAL:g}"
    note = f"{text_tokens} text tokens, 78 of 312 ECG tokens kept"
    asked = text_tokens == 64  # the release was measured at this length
    found.append(
        Figure(
            "whole training step", total, "GFLOP/record", f"every place: {sum(whole.values()):.1f}",
            target=target if asked else "", met=verdict(total, target) if asked else None, note=note,
        )
    )  # fmt: skip
    if asked:
        apart = max(abs(whole[part] - value) for part, value in RELEASE.items())
        found.append(_judged("closed form of every place against the release as measured, any part", apart, "GFLOP", "≤ 0.06"))
    return found


def of_counting(recipe: Recipe, size: int, text_tokens: int) -> list[Figure]:
    """How far closed form and count are apart, and what operators move that no matrix product does."""
    from counted_costs import OUTSIDE, count_step

    counted = count_step(recipe, size, text_tokens)
    closed = costs(recipe.model, Work.ours(recipe.model, text_tokens), size)
    operations = greatest_difference(closed, counted)
    products = sum(sum(counted[part].product_values.values()) for part in closed)
    moved = sum(sum(cost.moved) for cost in closed.values())
    everything = sum(sum(part.all_values.values()) for part in counted.values())
    outside = sum(counted[OUTSIDE].operations.values()) / size / 1e9 if OUTSIDE in counted else 0.0
    size_told = f"{size} pair{'s' if size > 1 else ''}"
    return [
        _judged("operations in closed form against those counted in the model, any part", operations, "%", "≤ 0.1", size_told),
        _judged("values moved by matrix products, the same", 100 * abs(products / moved - 1), "%", "≤ 2", size_told),
        Figure("operations counted outside these parts", outside, "GFLOP/record", note="the contrast between records, losses"),
        Figure(
            "values that all operators move, one by one", everything / products, "×", "matrix products alone",
            note="what fusing operators can save at most; eager, attention unfused",
        ),
    ]  # fmt: skip


def greatest_difference(closed: Mapping[str, Cost], counted: Mapping[str, Counted]) -> float:
    """Percent by which any part's count, forward or backward, differs from its closed form."""
    return max(
        100 * abs(counted[part].operations[backward] / cost.operations[backward] - 1)
        for part, cost in closed.items()
        for backward in (False, True)
    )


def of_this_machine(settings: ModelSettings, text_tokens: int, batch: int) -> list[Figure]:
    """Peak, bandwidth, and the least time of a step that follows, in float32."""
    import torch

    from device_limits import bandwidth, device_at_hand, matmul_peak

    device = device_at_hand()
    peak, half, moved = matmul_peak(device, torch.float32), matmul_peak(device, torch.bfloat16), bandwidth(device)
    found = [
        _measured("matrix product, float32", [one / 1e9 for one in peak], "GFLOP/s"),
        _measured("matrix product, bfloat16", [one / 1e9 for one in half], "GFLOP/s"),
        _measured("copying memory, bytes read and written", [one / 1e9 for one in moved], "GB/s"),
    ]
    step = costs(settings, Work.ours(settings, text_tokens), batch)
    for name, limit, size in (("float32", max(peak), FLOAT32), ("bfloat16", max(half), BF16)):
        least = seconds_at_best(step, limit, max(moved), size)
        slowest = sorted(least, key=lambda part: -least[part])[:3]
        note = "bound by " + ", ".join(f"{part} {least[part] / sum(least.values()):.0%}" for part in slowest)
        found.append(Figure(f"least time of a step of {batch} pairs, {name}", sum(least.values()), "s", note=note))
    weights = _parameters()
    note = f"{weights / 1e6:.1f} M parameters, {ADAMW_BYTES} bytes each"
    found.append(Figure("least time of AdamW, float32", weights * ADAMW_BYTES / max(moved), "s", note=note))
    return found


def projections(settings: ModelSettings) -> list[Figure]:
    """What the paper's run would take on an H200: projected, not measured."""
    found = []
    for tokens in (64, 32):
        step = costs(settings, Work.ours(settings, tokens), GPU_BATCH)
        a_record = sum(gflop_a_record(step, GPU_BATCH).values()) * 1e9
        hours = PAPER_VIEWS * a_record / (SHARE_AIMED_AT * H200_PEAK) / 3600
        what = f"projected: the paper's {PAPER_VIEWS / 1e6:.1f} M views on one H200, {tokens} text tokens"
        whole = PAPER_VIEWS * sum(gflop_a_record(costs(settings, Work.whole(settings, tokens), 1), 1).values()) * 1e9
        every_place = f"every place: {whole / (SHARE_AIMED_AT * H200_PEAK) / 3600:.1f} h"
        found.append(Figure(what, hours, "h", every_place, note=f"at {SHARE_AIMED_AT:.0%} of {H200_PEAK / 1e12:.0f} TFLOP/s"))
        least = sum(seconds_at_best(step, H200_PEAK, H200_BANDWIDTH, BF16).values())
        what = f"projected: most that one H200 can train, {tokens} text tokens"
        found.append(Figure(what, GPU_BATCH / least, "records/s", note=f"batch {GPU_BATCH}, no part below its roof"))
    return found


def _parameters() -> int:
    from cmelt.model.sizes import parameter_counts, settings_of_recipe

    return sum(parameter_counts(settings_of_recipe("paper")).values())


def _measured(what: str, rounds: list[float], unit: str) -> Figure:
    return Figure(what, median(rounds), unit, low=min(rounds), high=max(rounds))


def _judged(what: str, value: float, unit: str, target: str, note: str = "") -> Figure:
    return Figure(what, value, unit, target=target, met=verdict(value, target), note=note)


if __name__ == "__main__":
    main()
