"""Drawn pictures with one thing in them, and clicks on it."""

import cv2
import numpy as np
import torch

from draganything_core.document import Click, Prompts


def texture(height: int, width: int, color: tuple[int, int, int], seed: int) -> np.ndarray:
    """(H,W,3) in 0..255: a colour with smooth noise."""
    noise = np.random.default_rng(seed).normal(0, 90, (height, width, 3)).astype(np.float32)
    return np.clip(cv2.GaussianBlur(noise, (0, 0), 2) + color, 0, 255)


def picture_of(mask: np.ndarray, seed: int = 0) -> torch.Tensor:
    """(3,H,W): an orange thing of this mask on a blue ground."""
    ground, thing = texture(*mask.shape, (60, 90, 170), seed), texture(*mask.shape, (210, 120, 40), seed + 1)
    return torch.from_numpy(np.where(mask[..., None], thing, ground)).movedim(-1, 0).float() / 255


def ellipse(height: int, width: int, center: tuple[int, int], axes: tuple[int, int], angle: float = 30) -> np.ndarray:
    canvas = np.zeros((height, width), np.uint8)
    cv2.ellipse(canvas, center, axes, angle, 0, 360, 1, -1)
    return canvas.astype(bool)


def iou(mask: torch.Tensor, truth: np.ndarray) -> float:
    return float((mask.numpy() & truth).sum() / (mask.numpy() | truth).sum())


def one_click(x: float, y: float) -> Prompts:
    return Prompts(points=(Click(x, y),))
