"""How good a model is: zero-shot and linear probe, with patient intervals and controls, from records it has not been trained on.

Submodules are imported where they are used; this file pulls nothing in, so that the command line stays light.
"""
