"""Learning-rate schedules, as factors of the peak rate: functions of the step."""

from __future__ import annotations

import math

from cmelt.config.settings import OptimiserSettings


def rate_factor(step: int, steps: int, settings: OptimiserSettings) -> float:
    """Share of the peak learning rate at `step` of `steps` (0-based)."""
    warm_up = settings.warm_up * steps
    if step < warm_up:
        return settings.first + (1 - settings.first) * step / warm_up
    if settings.schedule == "cosine":
        progress = (step - warm_up) / max(1.0, steps - warm_up)
        return settings.last + (1 - settings.last) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return _tri_stage(step, steps, settings)


def _tri_stage(step: int, steps: int, settings: OptimiserSettings) -> float:
    """Warm-up, hold, then exponential decay to `last` (method page, 'Pre-training recipe of the paper')."""
    start = (settings.warm_up + settings.hold) * steps
    if step < start:
        return 1.0
    progress = min(1.0, (step - start) / max(1.0, steps - start))
    return math.exp(math.log(settings.last) * progress)
