"""What one ECG is: leads by name, units, rate, quality; `readers` has one file a format."""

from cmelt.records.record import LEADS, LIMB_LEADS, Record

__all__ = ["LEADS", "LIMB_LEADS", "Record"]
