"""The width and height a video is made at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfy_api.v0_0_2 import io

from ..draganything_core.types import LATENT_SCALE, Size

if TYPE_CHECKING:
    from .control import DragAnythingControl

LARGEST = 4096  # px


def size_inputs() -> list[io.Int.Input]:
    """Width and height of a node that can leave them to the weights."""
    return [
        io.Int.Input(
            name,
            default=0,
            min=0,
            max=LARGEST,
            step=LATENT_SCALE,
            tooltip=f"{name.capitalize()} of the video in pixels, a multiple of 64. 0: what the weights were trained "
            "at. Set it to the same in SVD_img2vid_Conditioning.",
        )
        for name in ("width", "height")
    ]


def video_size(node: str, control: DragAnythingControl, width: int, height: int) -> Size:
    """The size to generate at: 0 leaves a side to the weights. Raises ValueError for one the UNet cannot halve."""
    native = control.native_size
    size = Size(height or native.height, width or native.width)
    multiple = LATENT_SCALE * 2 ** (len(control.network.config.block_out_channels) - 1)
    if size.height % multiple or size.width % multiple:
        nearest = [max(multiple, round(side / multiple) * multiple) for side in (size.width, size.height)]
        raise ValueError(
            f"{node}, width and height: the video's sides must be multiples of {multiple} px, got {size.width} x "
            f"{size.height}. The nearest is {nearest[0]} x {nearest[1]}."
        )
    return size
