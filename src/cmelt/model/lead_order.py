"""The leads in the order of a model's input channels: a store's, unless the model came with another."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cmelt.config.settings import EcgSettings
from cmelt.records.record import LEADS

Ecg = TypeVar("Ecg", Tensor, NDArray[np.float32])


def channels(settings: EcgSettings) -> list[int]:
    """Which row of a signal in the order of `LEADS` goes to each of the model's input channels."""
    return [LEADS.index(lead) for lead in settings.lead_order or LEADS[: settings.leads]]


def in_model_order(ecg: Ecg, settings: EcgSettings) -> Ecg:
    """ecg [..., L, T], leads in the order of `LEADS` → the same with leads in the model's order."""
    return ecg if settings.lead_order is None else ecg[..., channels(settings), :]
