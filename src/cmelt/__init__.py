"""C-MELT: an ECG encoder and a report encoder, pre-trained together. Research software, not a medical device."""

__version__ = "0.1.0"
