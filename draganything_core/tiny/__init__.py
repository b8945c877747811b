"""The small model of the same classes as the large one, trained, and a sample input: all runs without downloads."""

from pathlib import Path

WEIGHTS = Path(__file__).parent / "weights"  # unet/, vae/, image_encoder/, scheduler/ as SVD's, and controlnet/
