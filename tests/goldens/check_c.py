"""Condition maps against those the original code drew: any folder of .npz files that hold its inputs and outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from comparison import Comparison

from draganything_core.conditions import (
    Geometry,
    build_condition_maps,
    painted_embeddings,
    reference_latent_mask,
    reference_radius,
)
from draganything_core.features import entity_features
from draganything_core.reference_geometry import gaussian_template, reference_centers, reference_sides
from draganything_core.types import ConditionMaps, Entities, FeatureSource, Size, Tracks

PUBLISHED = Geometry("reference", max_radius=50, max_radius_size=Size(320, 576))
INPUTS = {"image_size_wh", "trajectories", "masks_packed", "mask_shape"}
OUTPUTS = {"gaussian", "labels", "radius", "side", "centres", "latent_masks", "embeddings320"}
TEMPLATE = "heatmap_template_200.npy"

EXACT = 0.0
EMBEDDING_TOLERANCE = 1e-6
HALF_TOLERANCE = 1e-3  # the stored dense frame is rounded to float16; its values stay below 2


def is_conditions_golden(folder: Path) -> bool:
    return bool(case_files(folder))


def case_files(folder: Path | str) -> list[Path]:
    """The condition-map cases in a folder, known by what the files hold."""
    return [path for path in sorted(Path(folder).glob("*.npz")) if _keys(path) >= INPUTS | OUTPUTS]


def load_case(path: Path | str) -> tuple[Entities, Tracks, Size, dict[str, np.ndarray]]:
    """Entities and tracks on the picture's canvas, the size of the maps and the arrays as stored.

    The original knew no visibility: every point counts as visible, also off the picture.
    """
    with np.load(path) as archive:
        arrays = dict(archive)
    width, height = (int(side) for side in arrays["image_size_wh"])
    if not (arrays["mask_shape"] == [height, width]).all():
        raise ValueError(f"{path}: masks of another size than the picture are not supported here")
    bits = np.unpackbits(arrays["masks_packed"], axis=1)[:, : height * width]
    entities = Entities.from_masks(torch.from_numpy(bits.reshape(-1, height, width).astype(bool)))
    paths = torch.from_numpy(arrays["trajectories"]).movedim(0, 1).contiguous()  # (T, E, 2)
    radii = torch.tensor([entity.radius for entity in entities]).expand(paths.shape[:2])
    visible = torch.ones(paths.shape[:2], dtype=torch.bool)
    tracks = Tracks(paths, torch.arange(len(entities)), visible, radii, entities.size)
    return entities, tracks, Size(*arrays["gaussian"].shape[1:]), arrays


def check_c(folder: Path | str) -> list[Comparison]:
    """Every quantity of every case in the folder; empty if it holds none."""
    checks = [check for path in case_files(folder) for check in _check_case(path)]
    template = Path(folder) / TEMPLATE
    if checks and template.exists():
        error = _largest(gaussian_template().copy(), np.load(template))
        checks.append(Comparison(template.stem, error, EXACT))
    return checks


def _check_case(path: Path) -> list[Comparison]:
    entities, tracks, size, stored = load_case(path)
    limit = PUBLISHED.radius_limit(size)
    latent_masks = torch.stack([reference_latent_mask(entity.mask, size) for entity in entities])
    features = entity_features(_feature_map(size), entities, FeatureSource("sd15"), latent_masks="reference")
    painted = painted_embeddings(features, features.embeddings.shape[1] // 2)
    single = painted_embeddings(features, features.embeddings.shape[1] // 2, "channel_0")
    maps = build_condition_maps(entities, tracks, painted, size, PUBLISHED)
    measured: list[tuple[str, object, float]] = [
        ("radius", [reference_radius(entity.mask, size) for entity in entities], EXACT),
        ("side", reference_sides(entities, tracks, size, limit)[0], EXACT),
        ("centres", reference_centers(tracks, size).movedim(0, 1), EXACT),
        ("latent_masks", latent_masks, EXACT),
        ("gaussian", maps.gaussian[:, 0] * 255, EXACT),
        ("labels", maps.entity_index + 1, EXACT),
        ("embeddings320", features.embeddings, EMBEDDING_TOLERANCE),
    ]
    if "embeddings160_full" in stored:
        measured.append(("embeddings160_full", painted, EMBEDDING_TOLERANCE))
    if "scalar_reference" in stored:
        measured.append(("scalar_reference", single[:, -1], EMBEDDING_TOLERANCE))
    if "entity_map_full_frame10_fp16" in stored:
        measured.append(("entity_map_full_frame10_fp16", _dense_frame(maps, 10), HALF_TOLERANCE))
    return [Comparison(f"{path.stem}.{name}", _largest(value, stored[name]), bound) for name, value, bound in measured]


def _keys(path: Path) -> set[str]:
    with np.load(path) as archive:
        return set(archive.files)


def _feature_map(size: Size) -> torch.Tensor:
    """(320,h,w) random numbers that stand for a feature map in these cases."""
    drawn = np.random.RandomState(7).randint(-1024, 1025, (320, size.latent.height, size.latent.width)) / 512
    return torch.from_numpy(drawn.astype(np.float32))


def _dense_frame(maps: ConditionMaps, frame: int) -> torch.Tensor:
    return maps.entity_map(slice(frame, frame + 1))[0]


def _largest(value: object, stored: np.ndarray) -> float:
    """Largest absolute difference; infinity where the shapes differ or a value is not a number."""
    tensor, expected = torch.as_tensor(value), torch.from_numpy(stored)
    if tensor.shape != expected.shape:
        return float("inf")
    # float32 holds every whole number that occurs here, so that equal stays equal.
    return float((tensor.float() - expected.float()).abs_().nan_to_num_(nan=float("inf")).max())
