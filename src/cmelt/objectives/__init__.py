"""One file a loss (`mlm.py`, `mem.py`, `etm.py`, `ets.py`, `info_nce.py`) and their sum, `total.py`."""
