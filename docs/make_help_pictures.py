"""Makes the pictures of the nodes' help pages: ``python docs/make_help_pictures.py [NODE_ID ...]``, in about a minute.

Each shows what its node takes and gives for the sample that ships, by the same calls of the core that the node makes;
the videos are the small model's. No ComfyUI is needed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from help_panels import Panel, enlarged, row, sheet_of, write_sheets
from PIL import Image
from torch import Tensor

from draganything_core.conditions import Geometry
from draganything_core.curves import document_tracks
from draganything_core.document import CameraMove, Click, ControlPoint, Easing, MotionPath, Prompts, Zoom
from draganything_core.evaluation.obedience import obedience_overlay
from draganything_core.evaluation.track_error import followed_paths
from draganything_core.generation import Motion, Sampling, generate_video, preview_maps, resolve_motion
from draganything_core.interchange import collected_losses, write_points_store
from draganything_core.models import Models, tiny_models
from draganything_core.motion_export import lines_for_video
from draganything_core.motion_import import given_owners, motion_from_bytes
from draganything_core.motion_input import read_motion
from draganything_core.motion_preview import condition_frames, moving_cutouts
from draganything_core.pictures import condition_picture, cutout_preview, overlay_frames
from draganything_core.segment import SCALES, GrabCutSegmenter
from draganything_core.types import Entities, Size, Tracks
from draganything_core.video_motion import video_motion
from draganything_core.weights import PRESETS

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "draganything_core" / "tiny" / "sample" / "motion.json"
PICTURES = ROOT / "web" / "docs" / "pictures"
FINE = 3  # times the sample's size, so that lines and names on it are fine
CLICK, NOT_THIS = (1.0, 1.0, 1.0), (0.9, 0.1, 0.1)  # colours of clicks on a thing, and beside it


class Sample:
    """The shipped sample, and what nodes make of it, each made once and only when it is needed."""

    @cached_property
    def motion(self) -> Motion:
        return resolve_motion(read_motion(SAMPLE), GrabCutSegmenter())

    @cached_property
    def models(self) -> Models:
        return tiny_models()

    @property
    def picture(self) -> Tensor:
        return self.motion.image

    @property
    def fine_picture(self) -> Tensor:
        """(3,H,W), FINE times as large."""
        return enlarged(self.picture[None], FINE)[0]

    def video(self, strength: float = 1.0) -> Tensor:
        """(T,3,H,W): what the small model makes of the sample."""
        if strength not in self._videos:
            sampling = Sampling(num_inference_steps=12, max_guidance_scale=1.0, control_strength=strength)
            self._videos[strength] = generate_video(self.models, self.motion, self.models.native_size, sampling).frames
        return self._videos[strength]

    def drawn(self, frames: Tensor, motion: Motion | None = None) -> Tensor:
        """Frames, FINE times as large, with the motion's lines, discs and names."""
        motion = motion or self.motion
        return overlay_frames(frames, motion.tracks, motion.names, motion.colors, scale=FINE)

    def masked(self, entities: Entities) -> Tensor:
        """(3,H,W): the picture, FINE times as large, with masks, discs and names."""
        return cutout_preview(self.fine_picture, entities.resized(Size.of(self.fine_picture)))

    def with_camera(self, camera: CameraMove) -> Motion:
        """The sample's motion with a camera move instead of its own."""
        document = replace(self.motion.document, camera=camera)
        things = Entities(
            tuple(entity for entity in self.motion.entities if entity.entity_id), self.motion.entities.size
        )
        return Motion(document, self.picture, *document_tracks(document, things))

    def __init__(self) -> None:
        self._videos: dict[float, Tensor] = {}


def load_tiny(sample: Sample) -> Image.Image:
    video = sample.video()
    shown = [round(place * (len(video) - 1) / 3) for place in range(4)]
    return row([(f"frame {index + 1} of {len(video)}", video[index]) for index in shown])


def sample_picture(sample: Sample) -> Image.Image:
    motion = sample.motion
    return row(
        [
            ("image", sample.fine_picture),
            ("masks", sample.masked(motion.entities)),
            ("document", sample.drawn(still(sample.picture, motion.tracks))[0]),
        ]
    )


def load_controlnet(sample: Sample) -> Image.Image:
    """The first thing is grabbed at its edge and dragged half out of the picture: there the choices differ."""
    thing = sample.motion.entities[0]
    (x, y), radius = thing.center, thing.radius
    points = (ControlPoint(x + 0.7 * radius, y), ControlPoint(sample.motion.document.size.width - 3.0, y))
    document = replace(sample.motion.document, paths=(MotionPath(thing.entity_id, points),), camera=None)
    things = Entities((thing,), sample.motion.entities.size)
    document = replace(document, entities=document.entities[:1])
    own = sample.models.pipeline.controlnet.config
    choices = {
        "from the weights (the tiny model's)": dict(own),
        **{f"preset: {name}": PRESETS[name] for name in PRESETS},
    }
    panels: list[Panel] = []
    for words, choice in choices.items():
        motion = Motion(document, sample.picture, *document_tracks(document, things, choice["anchor"]))
        geometry = Geometry(choice["geometry"], choice["max_radius"], Size(*choice["max_radius_size"]))
        maps = preview_maps(motion, Size.of(sample.fine_picture), geometry)
        panels.append((words, condition_frames(sample.picture, maps)[-1]))
    return row(panels)


def load_sam(sample: Sample) -> Image.Image:
    center = sample.motion.entities[0].center
    segmenter = GrabCutSegmenter()
    segmenter.set_image(sample.picture)
    found = segmenter.segment(Prompts((Click(*center),)))
    answers: list[Panel] = [
        (f"its {scale}", tinted(sample, mask)) for scale, mask in zip(SCALES, found.masks, strict=True)
    ]
    return row([("a click", dotted(sample.fine_picture, center, CLICK)), *answers])


def segment(sample: Sample) -> Image.Image:
    thing = sample.motion.entities[1]
    (x, y), radius = thing.center, thing.radius
    beside = (x - 1.8 * radius, y)
    clicks = dotted(dotted(sample.fine_picture, (x, y), CLICK), beside, NOT_THIS)
    segmenter = GrabCutSegmenter()
    segmenter.set_image(sample.picture)
    mask = segmenter.segment(Prompts((Click(x, y), Click(*beside, 0)))).chosen()
    entities = Entities.from_masks(mask[None], [thing.name])
    return row(
        [
            ("positive (white) and negative (red) coords", clicks),
            ("mask", mask.float().expand(3, -1, -1)),
            ("preview", sample.masked(entities)),
        ]
    )


def entities_from_masks(sample: Sample) -> Image.Image:
    things = sample.motion.entities
    masks: list[Panel] = [(f"mask {n}", thing.mask.float().expand(3, -1, -1)) for n, thing in enumerate(things, 1)]
    return row([*masks, ("entities", sample.masked(things))])


def trajectory_editor(sample: Sample) -> Image.Image:
    masked = sample.masked(sample.motion.entities)
    frames = overlay_frames(still(masked, sample.motion.tracks), sample.motion.tracks, sample.motion.names)
    shown = (0, len(frames) // 2, len(frames) - 1)
    return row([(f"preview, frame {index + 1}", frames[index]) for index in shown])


def camera(sample: Sample) -> Image.Image:
    size = sample.motion.document.size
    middle = ((size.width - 1) / 2, (size.height - 1) / 2)
    points = tuple((middle[0] * x, middle[1] * y) for y in (0.5, 1.5) for x in (0.5, 1.5))
    near = CameraMove(zoom=Zoom(1.4, (0.7 * size.width, 0.35 * size.height), points), easing=Easing("ease_in_out"))
    left = CameraMove(pan=(-0.3 * size.width, 0.0))
    panels: list[Panel] = [("motion: the picture", sample.fine_picture)]
    for words, move in (("zoom 1.4, last frame", near), (f"pan_x {left.pan[0]:.0f}, last frame", left)):
        motion = sample.with_camera(move)
        cutouts = moving_cutouts(motion.image, motion.entities, motion.tracks)
        panels.append((words, cutouts[-1]))
    return row(panels)


def entity_encoder(sample: Sample) -> Image.Image:
    """What is averaged, and the averages: each vector is a band of as many colours as it has numbers."""
    models, motion = sample.models, sample.motion
    grid = models.native_size.latent
    cells = torch.stack([tinted(sample, entity.mask) for entity in motion.entities.resized(grid)]).amax(dim=0)
    vectors = models.entity_features(motion.image, motion.entities, models.native_size, seed=0).embeddings
    return row(
        [
            ("motion", sample.masked(motion.entities)),
            (f"the cells of {grid} that count", cells),
            (f"features: a band of {vectors.shape[1]} numbers for each thing", bands(vectors)),
        ]
    )


def gaussian_map(sample: Sample) -> Image.Image:
    motion = sample.motion
    maps = preview_maps(motion, Size.of(sample.fine_picture), sample.models.geometry)
    return sheet_of(
        condition_picture(motion.image, maps, motion.tracks, motion.names, motion.colors, 3, entities=motion.entities)
    )


def apply(sample: Sample) -> Image.Image:
    return row([(f"strength {s:g}", sample.drawn(sample.video(s))[-1]) for s in (0.0, 0.5, 1.0)])


def svd_sampler(sample: Sample) -> list[Image.Image]:
    asked, made = sample.drawn(still(sample.picture, sample.motion.tracks)), sample.video()
    return [row([("motion", one), ("images", other)]) for one, other in zip(asked, made, strict=True)]


def import_tracks(sample: Sample) -> Image.Image:
    """The sample's lines as a text of another pack, and what is read out of that text."""
    document = replace(sample.motion.document, camera=None)
    with collected_losses():  # the node says them under itself
        text = write_points_store(document)
    read = motion_from_bytes(text.encode(), "text", document.size, document.frames).document
    owned = given_owners(read, sample.motion.entities)
    motion = Motion(owned, sample.picture, *document_tracks(owned, sample.motion.entities))
    return row(
        [
            ("text: points_store", listing(text)),
            ("motion", sample.drawn(still(sample.picture, motion.tracks), motion)[0]),
        ]
    )


def export_tracks(sample: Sample) -> Image.Image:
    motion = sample.motion
    with collected_losses():
        _, coordinates = lines_for_video(motion.document, motion.entities, motion.document.size)
    return row(
        [
            ("motion", sample.drawn(still(sample.picture, motion.tracks))[0]),
            ("coordinates: coord_str", listing(coordinates)),
        ]
    )


def preview_motion(sample: Sample) -> list[Image.Image]:
    motion = sample.motion
    cutouts = sample.drawn(moving_cutouts(motion.image, motion.entities, motion.tracks))
    maps = condition_frames(motion.image, preview_maps(motion, Size.of(sample.fine_picture), Geometry()), motion.colors)
    return [row([("cutouts", one), ("condition_maps", other)]) for one, other in zip(cutouts, maps, strict=True)]


def track_points(sample: Sample) -> Image.Image:
    motion = sample.motion
    video = moving_cutouts(motion.image, motion.entities, motion.tracks)
    found = video_motion(video, motion.entities, points=3)
    entities, tracks = document_tracks(found.document, found.entities)
    lines = overlay_frames(video, tracks, [entity.name for entity in entities], motion.colors, scale=FINE)
    return row([("video, first frame", video[0]), ("its last frame", video[-1]), ("tracks, 3 points each", lines[-1])])


def score(sample: Sample) -> Image.Image:
    """A video that obeys to the pixel, one whose things go half as far, and one that stands still."""
    motion = sample.motion
    start = motion.tracks.paths[:1]
    half = replace(motion.tracks, paths=start + (motion.tracks.paths - start) / 2)
    videos = {
        "obeys": moving_cutouts(motion.image, motion.entities, motion.tracks),
        "half as far": moving_cutouts(motion.image, motion.entities, half),
        "still": still(motion.image, motion.tracks),
    }
    panels: list[Panel] = []
    for words, video in videos.items():
        followed = followed_paths(video, motion.entities, motion.tracks)
        overlay = obedience_overlay(video, motion.tracks, followed, motion.names, motion.colors, FINE)
        panels.append((f"{words}: ratio {followed.error.ratio:.2f}", overlay[-1]))
    return row(panels)


# --- helpers ----------------------------------------------------------------------------------------------------------


def still(picture: Tensor, tracks: Tracks) -> Tensor:
    """(T,3,H,W): the picture in every frame."""
    return picture.expand(tracks.frames, -1, -1, -1)


def tinted(sample: Sample, mask: Tensor) -> Tensor:
    """(3,H,W): the picture, dark where the mask (of any size) is not."""
    fine = F.interpolate(mask[None, None].float(), sample.fine_picture.shape[1:], mode="nearest")[0]
    return sample.fine_picture * (0.25 + 0.75 * fine)


def dotted(picture: Tensor, at: tuple[float, float], color: tuple[float, float, float]) -> Tensor:
    """The enlarged picture with a click at a place, in pixels of the sample."""
    down, across = torch.meshgrid(torch.arange(picture.shape[1]), torch.arange(picture.shape[2]), indexing="ij")
    x, y = ((value + 0.5) * FINE - 0.5 for value in at)
    distance = ((down - y) ** 2 + (across - x) ** 2).sqrt()
    ringed = torch.where(distance < 10, torch.zeros(3, 1, 1), picture)
    return torch.where(distance < 8, torch.tensor(color).view(3, 1, 1), ringed)


def bands(vectors: Tensor) -> Tensor:
    """(3,H,W): each vector (C) as a band of C columns, blue for low numbers and yellow for high ones."""
    low, high = vectors.quantile(0.02), vectors.quantile(0.98)
    light = ((vectors - low) / (high - low)).clamp(0, 1)
    tall = light.repeat_interleave(vectors.shape[1] // len(vectors), dim=0)
    return torch.stack([tall, tall**2, (1 - tall) * 0.6])


def listing(text: str) -> str:
    """JSON of lines, a point a line."""
    lines = [line["points"] if isinstance(line, dict) else line for line in json.loads(text)]
    return "\n".join(row for line in lines for row in ["[", *(f"  {json.dumps(point)}" for point in line), "]"])


# The picture of each node's help page.
MADE: dict[str, Callable[[Sample], Image.Image | list[Image.Image]]] = {
    "DragAnythingApply.webp": apply,
    "DragAnythingCamera.webp": camera,
    "DragAnythingEntities.webp": entities_from_masks,
    "DragAnythingEntityEncoder.webp": entity_encoder,
    "DragAnythingExportTracks.webp": export_tracks,
    "DragAnythingGaussianMap.webp": gaussian_map,
    "DragAnythingImportTracks.webp": import_tracks,
    "DragAnythingLoadControlNet.webp": load_controlnet,
    "DragAnythingLoadSAM.webp": load_sam,
    "DragAnythingLoadTiny.webp": load_tiny,
    "DragAnythingPreviewMotion.webp": preview_motion,
    "DragAnythingSVDSampler.webp": svd_sampler,
    "DragAnythingSample.webp": sample_picture,
    "DragAnythingScore.webp": score,
    "DragAnythingSegment.webp": segment,
    "DragAnythingTrackPoints.webp": track_points,
    "DragAnythingTrajectoryEditor.webp": trajectory_editor,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="ids of nodes; default: all")
    wanted = parser.parse_args().names
    unknown = {f"{name}.webp" for name in wanted} - MADE.keys()
    if unknown:
        names = (", ".join(sorted(Path(name).stem for name in each)) for each in (unknown, MADE))
        parser.error("no picture is made for {}: write a function and enter it in MADE; there are {}".format(*names))
    sample = Sample()
    PICTURES.mkdir(exist_ok=True)
    for name, make in MADE.items():
        if not wanted or Path(name).stem in wanted:
            write_sheets(make(sample), PICTURES / name)
            print(f"wrote {PICTURES / name}, {(PICTURES / name).stat().st_size // 1000} kB", flush=True)


if __name__ == "__main__":
    main()
