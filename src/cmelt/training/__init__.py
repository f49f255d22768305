"""Pre-training: `loop.py` is the whole of it; Fabric is known to `engine.py` alone."""
