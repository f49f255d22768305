"""Rivals: networks that a pre-trained model is to be compared with."""
