"""Entity features of the small built-in model against one noise draw at a time and a mean cell by cell."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.cases.sample import sample_motion
from benchmarks.measuring import Case, Way, relative_difference
from draganything_core.features import SvdFeatures, extract_entity_features
from draganything_core.images import resized_picture
from draganything_core.masks import latent_mask
from draganything_core.models import tiny_models

DRAWS = 8


def case(full: bool) -> Case:  # noqa: ARG001 (weights of full size are nothing this repository has)
    models, motion = tiny_models(), sample_motion()
    size, pipeline = models.native_size, models.pipeline
    picture = resized_picture(motion.image, size)
    source = replace(pipeline.controlnet.feature_source, ensemble=DRAWS)
    conditioning = pipeline.condition_on(
        picture[None],
        fps_id=6,
        motion_bucket_id=30,
        noise_aug_strength=0.0,
        clip_preprocessing="svd",
        generator=torch.Generator().manual_seed(0),
    )
    known = {"image_embeds": conditioning.image_embeds, "added_time_ids": conditioning.added_time_ids}
    svd = SvdFeatures(pipeline.unet, pipeline.vae)

    def ours() -> Tensor:
        return extract_entity_features(picture, motion.entities, size, source, 0, svd=svd, **known).embeddings

    def plain() -> Tensor:
        feature_map = svd.feature_map(picture, size, source, 0, max_batch=1, **known)
        _, height, width = feature_map.shape
        vectors = []
        for entity in motion.entities:
            cells = latent_mask(entity.mask, height, width, entity.name)
            inside = [feature_map[:, y, x] for y in range(height) for x in range(width) if cells[y, x]]
            vectors.append(torch.stack(inside).mean(dim=0))
        return torch.stack(vectors)

    return Case(
        "entity features",
        f"{len(motion.entities)} entities of a picture of {size}, {DRAWS} noise draws, small built-in model",
        [Way("ours", ours), Way("a draw at a time", plain)],
        relative_difference,
        ("a draw at a time",),
    )
