"""One big Redis made of many small nodes."""

__version__ = "0.1.0"
