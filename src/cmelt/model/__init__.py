"""The model: `cmelt.py` joins the encoders, `ecg_encoder.py`, `text_encoder.py`, `fusion.py` and `heads.py` hold its parts."""
