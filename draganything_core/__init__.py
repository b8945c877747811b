"""DragAnything without a user interface: a picture, masks and lines in, frames out (arXiv 2403.07420)."""

__version__ = "0.1.0"
