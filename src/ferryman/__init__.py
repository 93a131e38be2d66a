"""Ferryman: from a git commit to a healthy HTTPS service on your own Linux servers, and back."""

__version__ = "0.1.0"
