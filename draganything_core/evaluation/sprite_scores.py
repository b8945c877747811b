"""A video of a synthetic clip judged against exact truth: did what was dragged go there, and is the picture kept?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import get_args

import cv2
import numpy as np
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from ..camera import CAMERA_ENTITY_ID
from ..data.synthetic import GROUND_ID, SyntheticClip
from ..data.synthetic_motion import Kind
from .locate import Place
from .sprite_search import AT_REST, Array, Mask, Role, Thing, found_places, things_of, whole_shape

CLOSE = 8 / 128  # of the short side: a point found this near to where it was asked for counts as there
BLOCK = 1 / 8  # of the short side: side of a block of resting content, and how far its new place is looked for
LOOKS_LIKE = 0.2  # of the range; a pixel whose colours differ less (root mean square) shows the sprite
CLEARLY_BETTER = 0.5  # of the difference where it was: what a block's new place must stay below to be believed


@dataclass(frozen=True)
class PathScore:
    """One requested or resting thing's path: distances in px, one for each counted frame.

    entity_id and name as in the clip's entities; is_sprite: not the ground and not the camera. role: "moved" and
    "held" are asked for (to go somewhere, to stay), "carried" goes where the camera takes it, "static" just rests.
    errors: from the true to the found place; standing: from the true place to that in the first frame, the error of a
    video in which nothing moves. ious: of the sprite's shape laid at the found place with its true mask, seen or
    hidden: it says where the sprite is. pixel_ious: the same, of those pixels of that shape that look like the sprite
    (what another hides is taken for so): it falls as the sprite dissolves, too. differences: root mean square of the
    colours at the found place against the sprite's own, 0..1. inside_error: sum of squared differences against the
    true sprite moved to the found place, over inside_values values. The ground and the camera have no IoUs and no
    inside.
    """

    entity_id: int
    name: str
    is_sprite: bool
    role: Role
    errors: tuple[float, ...]
    standing: tuple[float, ...]
    differences: tuple[float, ...]
    ious: tuple[float, ...]
    pixel_ious: tuple[float, ...]
    inside_error: float
    inside_values: int


@dataclass(frozen=True)
class ClipScore:
    """A video judged against its clip; the sums from which ``pooled`` makes figures.

    close_px: how near counts as there. leaks: how far in px each block of uncontrolled resting content went, in each
    frame. outside_error: sum of squared differences over outside_values values of the ground that the first frame
    shows, away from every sprite, true or found. gradient, true_gradient: sums of squared steps between neighbouring
    pixels of the frames after the first, in the video and in the clip.
    """

    seed: int
    index: int
    kind: Kind
    close_px: float
    paths: tuple[PathScore, ...]
    leaks: tuple[float, ...]
    outside_error: float
    outside_values: int
    gradient: float
    true_gradient: float


@dataclass(frozen=True)
class ScoreSummary:
    """Figures over many clips; nan where nothing was there to measure.

    Of moved sprites: points, ratio (sum of errors / the same sum standing still), mean_px, median_px, standing_px
    (mean, standing still), close (share within 8 px of 128), iou, pixel_iou and difference (means). kind_ratios: the
    same ratio of all moved paths, the ground's and the camera's too, by kind of clip. static_drift_px, held_drift_px,
    carried_drift_px: median error of sprites with that role. leakage: mean displacement of uncontrolled resting
    content / mean displacement asked for, in the clips that have such content. psnr_inside, psnr_outside: dB, of moved
    sprites at their found places and of the ground. gradient_energy: the videos' / the clips'.
    """

    clips: int
    points: int
    ratio: float
    mean_px: float
    median_px: float
    standing_px: float
    close: float
    iou: float
    pixel_iou: float
    difference: float
    kind_ratios: dict[str, float]
    static_drift_px: float
    held_drift_px: float
    carried_drift_px: float
    leakage: float
    psnr_inside: float
    psnr_outside: float
    gradient_energy: float

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {ratio:.3f}" for kind, ratio in self.kind_ratios.items())
        return (
            f"{self.clips} clips, {self.points} points: ratio {self.ratio:.3f} ({kinds}), "
            f"{self.mean_px:.1f} px mean, {self.median_px:.1f} px median (standing still: {self.standing_px:.1f} px), "
            f"{self.close:.1%} close, IoU {self.iou:.2f} ({self.pixel_iou:.2f} by pixels), "
            f"static drift {self.static_drift_px:.1f} px, leakage {self.leakage:.3f}, "
            f"PSNR {self.psnr_inside:.1f} dB inside, {self.psnr_outside:.1f} dB outside, "
            f"gradient energy {self.gradient_energy:.2f}"
        )


def score_clip(video: Tensor, clip: SyntheticClip) -> ClipScore:
    """What a video (T,3,H,W) in 0..1 of a clip does with everything that the clip's first frame shows.

    Sprites are found by their cutouts, the ground and the camera by a disc of the first frame's ground about each of
    their paths' starts, at the size that the truth has in that frame or that of the first frame, whatever fits
    better. Only what the truth shows of a thing is looked for. Frames count after the first, where the truth's path
    is visible and at least a quarter of the thing is seen: the video has no say in that.

    Sprites that share their looks are exchangeable: nobody could tell one from the other, so the places found for
    them, which differ from each other, are handed out so that the sum of their errors is least.

    Sprites that enter later are not judged; where one looks like another it takes a place of its own.
    Raises ValueError if the video is not of the clip's shape or holds values that are not finite.
    """
    if tuple(video.shape) != tuple(clip.frames.shape):
        raise ValueError(
            f"scores: the video is {tuple(video.shape)}, the clip (T, 3, H, W) = {tuple(clip.frames.shape)}; "
            "a video is scored at its clip's own size and length"
        )
    video = video.detach().float().cpu()
    things = things_of(clip)
    found = found_places(video, things)
    frames, truth = (rearrange(pictures, "t c h w -> t h w c").numpy() for pictures in (video, clip.frames))
    covered = _dilated(clip.layers.numpy() > 0)
    paths = []
    for thing, places in zip(things, found, strict=True):
        if thing.role == "entering":
            continue  # a video made from the first frame knows nothing of it
        laid = {frame: whole_shape(thing, place, covered.shape[1:]) for frame, place in places.items()}
        if thing.is_sprite:
            for frame, mask in laid.items():
                covered[frame] |= _dilated(mask[None])[0]
        counted = {frame: place for frame, place in places.items() if thing.counted[frame]}
        paths.append(_path_score(clip, thing, counted, laid, frames, truth))
    outside = _known_ground(clip) & ~covered
    outside[0] = False
    return ClipScore(
        seed=clip.seed,
        index=clip.index,
        kind=clip.kind,
        close_px=CLOSE * min(clip.size.height, clip.size.width),
        paths=tuple(paths),
        leaks=_leaks(frames, _resting(clip)),
        outside_error=float(((frames - truth)[outside].astype(np.float64) ** 2).sum()),
        outside_values=3 * int(outside.sum()),
        gradient=_gradient(frames[1:]),
        true_gradient=_gradient(truth[1:]),
    )


def pooled(scores: Sequence[ClipScore]) -> ScoreSummary:
    """The figures over all clips together: every counted frame of every path weighs the same."""
    paths = [path for score in scores for path in score.paths]
    moved = [path for path in paths if path.is_sprite and path.role == "moved"]
    errors, standing = _joined(path.errors for path in moved), _joined(path.standing for path in moved)
    close = [
        error <= score.close_px
        for score in scores
        for path in score.paths
        if path.is_sprite and path.role == "moved"
        for error in path.errors
    ]
    drifts = {
        role: _median(_joined(path.errors for path in paths if path.is_sprite and path.role == role))
        for role in get_args(Role)
    }
    leaky = [score for score in scores if score.leaks]
    asked = _joined(path.standing for score in leaky for path in score.paths if path.role == "moved")
    kinds = {kind: [score for score in scores if score.kind == kind] for kind in get_args(Kind)}
    return ScoreSummary(
        clips=len(scores),
        points=len(errors),
        ratio=_share(sum(errors), sum(standing)),
        mean_px=_mean(errors),
        median_px=_median(errors),
        standing_px=_mean(standing),
        close=_mean(close),
        iou=_mean(_joined(path.ious for path in moved)),
        pixel_iou=_mean(_joined(path.pixel_ious for path in moved)),
        difference=_mean(_joined(path.differences for path in moved)),
        kind_ratios={kind: _ratio(own) for kind, own in kinds.items() if own},
        static_drift_px=drifts["static"],
        held_drift_px=drifts["held"],
        carried_drift_px=drifts["carried"],
        leakage=_share(_mean(_joined(score.leaks for score in leaky)), _mean(asked)),
        psnr_inside=_psnr(sum(path.inside_error for path in moved), sum(path.inside_values for path in moved)),
        psnr_outside=_psnr(sum(score.outside_error for score in scores), sum(score.outside_values for score in scores)),
        gradient_energy=_share(sum(score.gradient for score in scores), sum(score.true_gradient for score in scores)),
    )


# --- how good it is ---------------------------------------------------------------------------------------------------


def _path_score(
    clip: SyntheticClip,
    thing: Thing,
    places: dict[int, Place],
    laid: dict[int, Mask],
    frames: NDArray[np.float32],
    truth: NDArray[np.float32],
) -> PathScore:
    ious: list[float] = []
    pixel_ious: list[float] = []
    inside_error, inside_values = 0.0, 0
    for frame, place in places.items() if thing.is_sprite else ():
        step = np.array(place.middle) - thing.middles[frame]
        shown = _shifted((clip.layers[frame] == thing.layer).numpy().astype(np.float32), step) > 0.5
        wrong = (frames[frame] - _shifted(truth[frame], step)).astype(np.float64) ** 2
        inside_error += float(wrong[shown].sum())
        inside_values += 3 * int(shown.sum())
        true = clip.amodal[frame, thing.layer - 1].numpy()
        whole = laid[frame] | true
        ious.append(float((laid[frame] & true).sum() / whole.sum()))
        alike = laid[frame] & (~shown | (wrong.mean(axis=-1) < LOOKS_LIKE**2))
        pixel_ious.append(float((alike & true).sum() / whole.sum()))
    asked = thing.asked
    return PathScore(
        entity_id=thing.entity_id,
        name=thing.name,
        is_sprite=thing.is_sprite,
        role=thing.role,
        errors=tuple(float(np.linalg.norm(thing.path_point(place) - asked[frame])) for frame, place in places.items()),
        standing=tuple(float(np.linalg.norm(asked[frame] - asked[0])) for frame in places),
        differences=tuple(place.difference for place in places.values()),
        ious=tuple(ious),
        pixel_ious=tuple(pixel_ious),
        inside_error=inside_error,
        inside_values=inside_values,
    )


def _shifted(picture: NDArray[np.float32], step: Array) -> NDArray[np.float32]:
    """A picture moved by (x, y) px; nothing comes in from outside."""
    by = np.array([[1, 0, -step[0]], [0, 1, -step[1]]])
    return cv2.warpAffine(picture, by, picture.shape[1::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _dilated(masks: Mask) -> Mask:
    """(T,H,W) with the pixels around: a sprite's edge is mixed into them."""
    return np.stack([cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0 for mask in masks])


def _known_ground(clip: SyntheticClip) -> Mask:
    """(T,H,W) bool: pixels whose ground the first frame shows, so that a video can be right about them."""
    camera, (height, width) = clip.camera, clip.layers.shape[1:]
    seen = (clip.layers[0] == 0).numpy().astype(np.uint8)
    known = []
    for scale, shift in zip(camera.scale / camera.scale[0], camera.shift - camera.shift[0], strict=True):
        x, y = camera.center - (camera.center + shift) / scale
        to_first = np.array([[1 / scale, 0, x], [0, 1 / scale, y]])
        flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        known.append(cv2.warpAffine(seen, to_first, (width, height), flags=flags) > 0)
    return np.stack(known)


def _resting(clip: SyntheticClip) -> Mask:
    """(T,H,W) bool: pixels that show, from the first frame on, ground or sprites that rest and are not controlled."""
    owners = {entity.entity_id: bool(asked) for entity, asked in zip(clip.entities, clip.controlled, strict=True)}
    resting = [
        place + 1
        for place, sprite in enumerate(clip.sprites)
        if not owners.get(sprite.sprite_id, True)
        and bool((sprite.origins - sprite.origins[0]).abs().max() <= AT_REST)
        and bool((sprite.scales == sprite.scales[0]).all())
    ]
    still = not owners.get(GROUND_ID, False) and not owners.get(CAMERA_ENTITY_ID, False)
    if still:
        resting.append(0)
    layers = clip.layers.numpy()
    return np.isin(layers, resting) & (layers == layers[0])


def _leaks(frames: NDArray[np.float32], resting: Mask) -> tuple[float, ...]:
    """How far each block that should rest went since the first frame, in px; of those without a better place 0."""
    count, height, width = resting.shape
    side = max(5, round(BLOCK * min(height, width)))
    leaks = []
    for top, left in product(range(0, height - side + 1, side), range(0, width - side + 1, side)):
        rows, columns = slice(top, top + side), slice(left, left + side)
        block = frames[0, rows, columns]
        y, x = max(top - side, 0), max(left - side, 0)
        for frame in range(1, count):
            if not resting[frame, rows, columns].all():
                continue
            searched = frames[frame, y : top + 2 * side, x : left + 2 * side]
            difference = cv2.matchTemplate(searched, block, cv2.TM_SQDIFF)
            lowest, _, (best_x, best_y), _ = cv2.minMaxLoc(difference)
            believed = lowest < CLEARLY_BETTER * difference[top - y, left - x]
            leaks.append(math.hypot(best_x - (left - x), best_y - (top - y)) if believed else 0.0)
    return tuple(leaks)


def _gradient(frames: NDArray[np.float32]) -> float:
    return float(sum((np.diff(frames, axis=axis).astype(np.float64) ** 2).sum() for axis in (1, 2)))


# --- sums to figures --------------------------------------------------------------------------------------------------


def _ratio(scores: Sequence[ClipScore]) -> float:
    moved = [path for score in scores for path in score.paths if path.role == "moved"]
    return _share(sum(_joined(path.errors for path in moved)), sum(_joined(path.standing for path in moved)))


def _joined(values: Iterable[tuple[float, ...]]) -> list[float]:
    return list(chain.from_iterable(values))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if len(values) else math.nan


def _psnr(error: float, values: int) -> float:
    """dB of a sum of squared differences in 0..1; inf without any."""
    if not values:
        return math.nan
    return -10 * math.log10(error / values) if error else math.inf
