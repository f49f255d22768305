"""People, hearts and recorders as in a hospital's archive, in place of a textbook's."""

from __future__ import annotations
