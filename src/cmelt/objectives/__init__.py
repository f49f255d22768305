"""One file a loss (`mlm.py`, `mem.py`, `etm.py`, `ets.py`, `info_nce.py`, `ecg_alignment.py`) and their sum, `total.py`."""
