"""What stands wherever a figure, a score or an ECG of ours is shown. The one place of these words."""

from __future__ import annotations

NOTICE = "Research use only, not a medical device: no figure or score may guide the care of a patient."
