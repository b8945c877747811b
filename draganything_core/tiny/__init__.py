"""The small network of the same classes as the large one, and a sample input: everything runs without downloads."""

from .networks import TinyParts, tiny_pipeline_parts

__all__ = ["TinyParts", "tiny_pipeline_parts"]
