"""CoTracker 3 as a tracker: the paper's choice, from the user's own copies of its code and weights.

No part of it is in this package and nothing is downloaded: it has a licence of its own, which forbids commercial use.
"""

from __future__ import annotations

import hashlib
import logging
import pickle
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from .annotation_config import NamedTracker
from .masks import distance_to_background
from .point_tracker import check_tracking_input, on_picture

logger = logging.getLogger(__name__)

COTRACKER_VERSION = 1  # to be raised when this module gives other tracks; then everything is annotated anew
ENTRY = "cotracker3_offline"  # of the folder's hubconf.py
LICENCE = "CC-BY-NC-4.0 (not for commercial use)"
NOTICE = (
    "CoTracker, by Meta AI and the University of Oxford, is under the licence CC-BY-NC 4.0: it is not for commercial "
    "use. Every clip's record names the licence."
)
HOW_TO_GET = (
    "CoTracker 3 is not part of this package (licence CC-BY-NC 4.0: not for commercial use) and nothing is downloaded. "
    "On a computer with a network: `git clone https://github.com/facebookresearch/co-tracker` (0.2 MB of Python, "
    "some MB of videos), and scaled_offline.pth (102 MB) from https://huggingface.co/facebook/cotracker3. "
    "Copy both to this computer and give --cotracker CLONE --cotracker-weights scaled_offline.pth"
)

POINTS = 17  # followed for one entity: its centre and 16 about it
REACH = 0.7  # of the circle's radius: how far from the centre; nearer to its edge the ground gets into the features
DISC_RADIUS = 16.0  # px, of a query without a mask
VISIBLE = 0.5  # share of its points that must be visible for an entity to be: about then its centre is
WINDOW = 60  # frames at once; the network has learned no longer clips
OVERLAP = 20  # frames in which one window must still see a point for the next to go on with it
POINTS_AT_ONCE = 30 * POINTS  # bounds the memory


def cotracker(folder: Path | str, weights: Path | str, device: torch.device | str = "cpu") -> NamedTracker:
    """CoTracker 3 with its licence, code and weights in the record. This runs the Python code in ``folder``.

    folder: a clone of github.com/facebookresearch/co-tracker. weights: scaled_offline.pth or baseline_offline.pth.
    The licence is logged as a warning. Raises FileNotFoundError or ValueError that say what is missing and where it is
    published; ImportError if that code needs a package that is not installed.
    """
    folder, weights = Path(folder).resolve(), Path(weights).resolve()
    version = _code_version(folder)
    state = _read_weights(weights)
    logger.warning(NOTICE)
    predictor = _load_predictor(folder)
    try:
        predictor.model.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{weights} does not fit {ENTRY}, which takes scaled_offline.pth or baseline_offline.pth, not the online "
            f"weights: {reason}"
        ) from error
    settings = {
        "licence": LICENCE,
        "entry": ENTRY,
        "code_sha256": _code_sha256(folder),
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "points": POINTS,
        "reach": REACH,
        "disc_radius": DISC_RADIUS,
        "visible": VISIBLE,
        "window": WINDOW,
        "overlap": OVERLAP,
        "points_at_once": POINTS_AT_ONCE,
    }
    track = CoTracker(predictor.to(device).eval(), torch.device(device))
    return NamedTracker("cotracker", f"{COTRACKER_VERSION} (CoTracker {version})", settings, track)


class CoTracker:
    """A point_tracker.Tracker by CoTracker's predictor."""

    def __init__(self, predictor: Any, device: torch.device) -> None:
        """predictor: (video (1,T,3,H,W) in 0..255, queries (1,N,3) t, x, y) -> tracks (1,T,N,2), visible (1,T,N)."""
        self.predictor = predictor
        self.device = device

    def __call__(self, video: Tensor, queries: Tensor, masks: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Tracks (T,N,2) float32 and visibility (T,N) bool of N points of the first frame, in pixels of the video.

        video (T,3,H,W) in 0..1, at least 2x2 pixels; queries (N,2) x, y px; masks (N,H,W) bool, as for track_points.

        With each query 16 points are followed in the largest circle about it that its mask holds. It moves by the
        median displacement, since the first frame, of those that are visible. It is visible where half of them are
        and it is on the picture; where none is, it holds its last position. Clips longer than 60 frames are followed
        in windows: each goes on from where a point was last seen in the 20 frames shared with the window before, and
        a point hidden throughout those is lost. Unlike with track_points, queries influence each other.

        Raises ValueError on shapes that do not fit, and if the predictor's results are not what is expected.
        """
        check_tracking_input(video, queries, masks)
        size = (video.shape[-2], video.shape[-1])
        if min(size) < 2:
            raise ValueError(f"CoTracker needs a video of at least 2x2 pixels, got {size[0]}x{size[1]}")
        start = queries.detach().cpu().float()
        points = _points_about(start.numpy(), _clear_radii(start.numpy(), masks, size))
        tracks, seen = self._follow(video, rearrange(torch.from_numpy(points), "n p xy -> (n p) xy"))
        displacement = rearrange(tracks - tracks[0], "t (n p) xy -> t n p xy", p=POINTS).numpy()
        visible = rearrange(seen, "t (n p) -> t n p", p=POINTS).numpy()
        positions = _moved(start.numpy(), displacement, visible)
        shown = (visible.mean(axis=2) >= VISIBLE) & on_picture(positions, size)
        return torch.from_numpy(positions), torch.from_numpy(shown)

    def _follow(self, video: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Where each of the points (M,2) is (T,M,2), which is to be relied on where it is seen (T,M)."""
        frames = len(video)
        tracks = points.expand(frames, -1, -1).clone()
        seen = torch.zeros(tracks.shape[:2], dtype=torch.bool)
        seen[0] = True
        if frames == 1:
            return tracks, seen
        for first in range(0, max(frames - OVERLAP, 1), WINDOW - OVERLAP):
            window = slice(first, first + WINDOW)
            known = seen[first : first + OVERLAP]
            if not known.any():
                break
            last_seen = (torch.arange(len(known))[:, None] * known).amax(dim=0)
            for some in known.any(dim=0).nonzero()[:, 0].split(POINTS_AT_ONCE):
                since = last_seen[some]
                queries = torch.cat([since[:, None].float(), tracks[first + since, some]], dim=1)
                found, visible = self._predict(video[window], queries)
                later = torch.arange(len(found))[:, None] > since
                tracks[window, some] = torch.where(later[..., None], found, tracks[window, some])
                seen[window, some] = torch.where(later, visible, seen[window, some])
        return tracks, seen

    @torch.no_grad()
    def _predict(self, video: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Tracks (T,M,2) and visibility (T,M) of queries (M,3): frame of the video, x, y.

        The predictor brings pictures to its own size with the centres of corner pixels on each other, and scales
        queries by (W' - 1) / (W - 1): pixel centres are at whole numbers, as everywhere here.
        """
        pictures = (video.detach().float() * 255).to(self.device)
        tracks, visible = self.predictor(pictures[None], queries=queries[None].to(self.device))
        expected = (1, len(video), len(queries))
        if tuple(tracks.shape) != (*expected, 2) or tuple(visible.shape) != expected or visible.dtype != torch.bool:
            raise ValueError(
                f"CoTracker gave tracks {tuple(tracks.shape)} and visibility {visible.dtype} {tuple(visible.shape)}; "
                f"expected {(*expected, 2)} and bool {expected}, as {ENTRY} of version 3.0.0 gives them"
            )
        if not bool(torch.isfinite(tracks).all()):
            raise ValueError("CoTracker gave tracks that are not finite numbers; are the weights damaged?")
        return tracks[0].float().cpu(), visible[0].cpu()


# --- the points of an entity ------------------------------------------------------------------------------------------


def _clear_radii(queries: NDArray[np.float32], masks: Tensor | None, size: tuple[int, int]) -> NDArray[np.float32]:
    """(N,) px from each query to the nearest pixel outside its mask or the picture; without masks DISC_RADIUS at most.

    For the centre of an inscribed circle this is that circle's radius; for a query outside its mask it is 0.
    """
    radii = np.zeros(len(queries), np.float32)
    regions = np.ones((len(queries), *size), np.uint8) if masks is None else masks.cpu().numpy().astype(np.uint8)
    shown = on_picture(queries, size)
    for index in np.flatnonzero(shown):
        column, row = np.floor(queries[index] + 0.5).astype(int)
        bordered = cv2.copyMakeBorder(regions[index], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        radii[index] = distance_to_background(bordered)[row + 1, column + 1]
    return radii if masks is not None else np.minimum(radii, np.float32(DISC_RADIUS))


def _points_about(centers: NDArray[np.float32], radii: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,POINTS,2): each centre, and points about it that are spread evenly over REACH of its circle."""
    number = np.arange(POINTS)
    turn = number * np.pi * (3 - np.sqrt(5))  # the golden angle: no two in line with the centre
    spread = REACH * np.sqrt(number / (POINTS - 1))
    offsets = np.stack([spread * np.cos(turn), spread * np.sin(turn)], axis=1)
    return (centers[:, None] + radii[:, None, None] * offsets).astype(np.float32)


def _moved(start: NDArray, displacement: NDArray, visible: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(T,N,2): start (N,2) moved by the median displacement (T,N,P,2) of its visible points, or held."""
    hidden = np.broadcast_to(~visible[..., None], displacement.shape)
    steps = np.ma.median(np.ma.masked_array(displacement, hidden), axis=2).filled(0)
    positions = [start]
    for step, points in zip(steps[1:], visible[1:], strict=True):
        positions.append(np.where(points.any(axis=1)[:, None], start + step, positions[-1]))
    return np.stack(positions).astype(np.float32)


# --- the user's copies ------------------------------------------------------------------------------------------------


def _code_version(folder: Path) -> str:
    """What the clone calls itself. Read, not run."""
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}. {HOW_TO_GET}")
    version_file = folder / "cotracker" / "version.py"
    if not (folder / "hubconf.py").is_file() or not version_file.is_file():
        raise FileNotFoundError(
            f"{folder} is no clone of CoTracker 3: it lacks hubconf.py or cotracker/version.py. {HOW_TO_GET}"
        )
    version = re.search(r'__version__\s*=\s*"([^"]+)"', version_file.read_text("utf-8"))
    if version is None or f"def {ENTRY}(" not in (folder / "hubconf.py").read_text("utf-8"):
        raise ValueError(f"{folder} is a CoTracker without {ENTRY}, older than version 3. {HOW_TO_GET}")
    return version[1]


def _code_sha256(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in (folder / "hubconf.py", *sorted((folder / "cotracker").rglob("*.py"))):
        digest.update(f"{file.relative_to(folder).as_posix()}\n".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f"no CoTracker weights at {path}. {HOW_TO_GET}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} is not a file of weights alone ({reason}). {HOW_TO_GET}") from error
    if isinstance(state, dict) and "model" in state:  # as training writes it
        state = state["model"]
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise ValueError(f"{path} holds no weights by name. {HOW_TO_GET}")
    return state


def _load_predictor(folder: Path) -> Any:
    imported = sys.modules.get("cotracker")
    if imported is not None and folder not in Path(str(imported.__file__)).resolve().parents:
        raise ValueError(
            f"a package named cotracker was imported from {imported.__file__}, so the code in {folder} cannot be "
            "loaded beside it; start anew, with one folder"
        )
    try:
        # Their modules seed the global random numbers when they are imported; nobody else's may change for that.
        with torch.random.fork_rng(devices=[]):
            return torch.hub.load(str(folder), ENTRY, source="local", pretrained=False)
    except ImportError as error:
        raise ImportError(f"the CoTracker code in {folder} cannot be imported: {error}") from error
