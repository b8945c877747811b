"""Synthetic clips as files in VIPSeg's own layout, so that whatever reads VIPSeg can be proven on known truth."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from einops import rearrange
from PIL import Image

from ..atomic import replacing, write_text
from ..camera import CAMERA_ENTITY_ID
from .synthetic import SyntheticClip

FRAME_NAME = "{:08d}"
JPEG_QUALITY = 100  # with full colour resolution: what is left of the error is rounding


def write_vipseg(clips: Iterable[SyntheticClip], folder: Path | str, split: str = "train") -> list[str]:
    """The names of the videos written, one for each clip, in their order.

    The layout is that of the raw dataset, whose frames are JPEGs (here of the best quality) and whose masks are
    PNGs of 16 bits::

        FOLDER/imgs/VIDEO/00000000.jpg
        FOLDER/panomasks/VIDEO/00000000.png    the clip's ids as they are
        FOLDER/SPLIT.txt                       one video a line
        FOLDER/truth/VIDEO.npz                 not VIPSeg's: what an annotation of the video should find

    truth: paths (T,P,2) float32 (x, y) px, visibility (T,P) bool, radii (T,P) float32, path_id (P,) int32 the entity's
    id in the masks, controlled (P,) bool, void (H,W) bool. A camera, which is in no mask, is left out.
    """
    folder = Path(folder)
    names = []
    for clip in clips:
        name = f"synthetic_{clip.seed}_{clip.index:06d}"
        frames = rearrange((clip.frames.clamp(0, 1) * 255).round().byte(), "t c h w -> t h w c").numpy()
        for number, (frame, ids) in enumerate(zip(frames, clip.ids.numpy(), strict=True)):
            file = FRAME_NAME.format(number)
            with replacing(folder / "imgs" / name / f"{file}.jpg") as temporary:
                Image.fromarray(frame).save(temporary, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
            with replacing(folder / "panomasks" / name / f"{file}.png") as temporary:
                Image.fromarray(ids.astype(np.uint16)).save(temporary, format="PNG")
        _write_truth(clip, folder / "truth" / f"{name}.npz")
        names.append(name)
    write_text(folder / f"{split}.txt", "".join(f"{name}\n" for name in names))
    return names


def _write_truth(clip: SyntheticClip, file: Path) -> None:
    owners = clip.tracks.path_entity.numpy()
    ids = np.array([entity.entity_id for entity in clip.entities], dtype=np.int32)[owners]
    labelled = ids != CAMERA_ENTITY_ID
    with replacing(file) as temporary:
        np.savez_compressed(
            temporary,
            paths=clip.tracks.paths.numpy()[:, labelled],
            visibility=clip.tracks.visibility.numpy()[:, labelled],
            radii=clip.tracks.radii.numpy()[:, labelled],
            path_id=ids[labelled],
            controlled=clip.controlled.numpy()[owners][labelled],
            void=clip.void.numpy(),
        )
