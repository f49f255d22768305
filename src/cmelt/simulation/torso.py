"""From the heart vector to the nine electrodes, and from the electrodes to the twelve leads.

Noise enters at electrodes, so Einthoven's and Goldberger's equations hold in whatever is computed here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ELECTRODES: tuple[str, ...] = ("RA", "LA", "LL", "V1", "V2", "V3", "V4", "V5", "V6")

# Dower's transform (Dower, Machado, Osborne, Clin Cardiol 1980): leads from Frank's X, Y, Z.
_LEAD_I = np.array([0.632, -0.235, 0.059])
_LEAD_II = np.array([0.235, 1.066, -0.132])
_CHEST = np.array(
    [
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)

#: [8, 3] the eight leads that the rest follow from (I, II, V1 … V6), from Frank's X, Y, Z.
DOWER: Array = np.vstack([_LEAD_I, _LEAD_II, _CHEST])


def electrodes_from_leads(leads: Array) -> Array:
    """[9, 3] potential at each electrode for a unit dipole, from what the leads [8, 3] I, II, V1 … V6 see of it."""
    right_arm = -(leads[0] + leads[1]) / 3
    return np.concatenate([np.stack([right_arm, right_arm + leads[0], right_arm + leads[1]]), leads[2:]])


def electrode_vectors(chest_shift: Array, chest_gain: Array) -> Array:
    """[9, 3] potential at each electrode for a unit dipole, Wilson's terminal being zero.

    Args:
        chest_shift: [6] how far V1…V6 sit off their places, in distances to the next electrode (positive towards V6).
        chest_gain: [6] how strongly each chest electrode sees the heart, around 1.
    """
    right_arm = -(_LEAD_I + _LEAD_II) / 3
    limbs = np.stack([right_arm, right_arm + _LEAD_I, right_arm + _LEAD_II])
    place = np.clip(np.arange(6) + chest_shift, 0, 5)
    below = np.minimum(place.astype(int), 4)
    part = (place - below)[:, None]
    chest = (_CHEST[below] * (1 - part) + _CHEST[below + 1] * part) * chest_gain[:, None]
    return np.concatenate([limbs, chest])


def _lead_matrix() -> Array:
    """[12, 9] the leads, in canonical order, as differences of electrode potentials."""
    right, left, foot = np.eye(9)[:3]
    wilson = (right + left + foot) / 3
    limb = [left - right, foot - right, foot - left]
    augmented = [right - (left + foot) / 2, left - (right + foot) / 2, foot - (right + left) / 2]
    return np.stack(limb + augmented + [row - wilson for row in np.eye(9)[3:]])


#: [12, 9] leads I … V6 from electrode potentials.
LEADS_FROM_ELECTRODES: Array = _lead_matrix()


def frontal_axis(lead_i: float, lead_avf: float) -> float:
    """Electrical axis in degrees, (-180, 180], from net areas in I and aVF (aVF sees √3/2 of what I sees)."""
    return float(np.rad2deg(np.arctan2(2 * lead_avf / np.sqrt(3), lead_i)))
