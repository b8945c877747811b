"""What never changes while a network is trained on a clip, computed once and kept in files.

Latents, image embedding and noised first frames depend on the autoencoder and the image encoder; what is controlled,
and its features, on the annotation and on the feature model. They lie in folders of their own, so that other features
do not encode all videos anew.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from ..annotation import Share
from ..drawn_motion import motion_bucket
from ..types import Size, Tracks
from .clips import Bucket, ClipSource
from .config import Noise, TrainingConfig
from .encoding import FEATURE_SEED, ClipNetworks, entity_tensors, video_tensors
from .shards import Shards

SCHEMA_VERSION = 1


@dataclass(frozen=True, eq=False)
class CachedClip:
    """One clip as training takes it, all tensors on the CPU.

    latents (T,4,h,w) float32: the mean of the autoencoder's distribution times its scaling factor; latents_std: its
    deviation, scaled alike, None for an autoencoder without a distribution. picture (3,H,W) uint8: the first frame.
    picture_latents (K,4,h,w) float32: of the first frame under noise of the levels picture_levels (K,), not scaled.
    image_embeds (D,) float32. motion_bucket_id, fps: as the configuration wants them.
    paths (T,P,2), path_entity (P,), visibility (T,P), radii (T,P): a Tracks at the picture's size; frame_radii (T,P).
    coverage (E,T,h,w) uint8: 255 times the part of each cell in which the entity is seen. embeddings (E,C) float32:
    its features, None where no ControlNet is trained. grabs (E,8,2) float32: (x, y) of points on its first mask.
    boxes (E,2,2) float32: see ``representations.boxes_in_radii``; None in a cache made before they were kept.
    """

    clip_id: str
    latents: Tensor
    latents_std: Tensor | None
    picture: Tensor
    picture_latents: Tensor
    picture_levels: Tensor
    image_embeds: Tensor
    motion_bucket_id: float
    fps: float
    paths: Tensor
    path_entity: Tensor
    visibility: Tensor
    radii: Tensor
    frame_radii: Tensor
    coverage: Tensor
    embeddings: Tensor | None
    grabs: Tensor
    boxes: Tensor | None = None

    @property
    def size(self) -> Size:
        return Size.of(self.picture)

    @property
    def tracks(self) -> Tracks:
        return Tracks(self.paths, self.path_entity, self.visibility, self.radii, self.size)


class ClipCache:
    """The cached clips of a source by bucket and number there, read when they are asked for.

    buckets: (frames, size) of each; bucket_sizes: its number of clips.
    """

    def __init__(self, source: ClipSource, noise: Noise, videos: Shards, entities: Shards) -> None:
        self.buckets: tuple[Bucket, ...] = source.buckets
        self._members = [
            [index for index, own in enumerate(source.clip_buckets) if own == bucket]
            for bucket in range(len(self.buckets))
        ]
        self._source = source
        self._noise = noise
        self._layers = (videos, entities)

    @property
    def bucket_sizes(self) -> tuple[int, ...]:
        return tuple(len(members) for members in self._members)

    @property
    def bytes(self) -> int:
        """What the cache takes on disk."""
        return sum(layer.bytes for layer in self._layers)

    @property
    def identity(self) -> list[str]:
        """Names of its two layers, which hold hashes of all that made them: equal names, equal clips."""
        return [layer.folder.name for layer in self._layers]

    def __len__(self) -> int:
        return sum(self.bucket_sizes)

    def index(self, bucket: int, number: int) -> int:
        """The number in the source of a clip of a bucket."""
        return self._members[bucket][number]

    def place(self, index: int) -> int:
        """The number in its bucket of a clip of the source."""
        return self._members[self._source.clip_buckets[index]].index(index)

    def clip(self, bucket: int, number: int) -> CachedClip:
        """A clip of a bucket, in memory of its own."""
        index = self.index(bucket, number)
        stored = {name: tensor for layer in self._layers for name, tensor in layer.read(index).items()}
        motion, fps = stored.pop("motion").item(), stored.pop("fps").item()
        name = self._source.name(index)
        return CachedClip(
            clip_id=name,
            motion_bucket_id=_motion_bucket_id(self._noise, motion, name),
            fps=fps if self._noise.fps is None else self._noise.fps,
            latents_std=stored.pop("latents_std", None),
            embeddings=stored.pop("embeddings", None),
            **stored,
        )


def build_cache(
    source: ClipSource, config: TrainingConfig, networks: ClipNetworks, share: Share | None = None
) -> ClipCache:
    """The source's clips encoded under ``config.data.cache``, what is there already being left as it is.

    share: of several processes, each of which must call this; they take turns by shard. A shard that is damaged is
    made again. In bf16 the small autoencoder runs under autocast. Equal weights and thread counts give equal bits.
    Raises what reading a clip raises, ValueError for latents that are not finite, and for a clip whose motion is not
    known where ``noise.motion_bucket_id`` is None.
    """
    share = share or Share()
    root = Path(config.data.cache)
    videos = Shards(root, "latents", _videos_recipe(source, config, networks), len(source))
    entities = Shards(root, "entities", _entities_recipe(source, networks), len(source))
    if share.is_main:
        videos.begin()
        entities.begin()
    share.wait()
    own = range(share.rank, videos.count, share.count)
    total = sum(len(videos.members(shard)) for shard in own)
    with tqdm(desc="encoding clips", total=total, unit="clip", disable=not share.is_main) as progress:
        for shard in own:
            missing = [layer for layer in (videos, entities) if not layer.is_whole(shard)]
            made: dict[str, list[dict[str, Tensor]]] = {layer.name: [] for layer in missing}
            for index in videos.members(shard):
                if missing:
                    clip = source.clip(index)
                    _motion_bucket_id(config.noise, clip.motion, clip.clip_id)  # sooner an error than after hours
                    if videos in missing:
                        made[videos.name].append(video_tensors(clip, index, config, networks))
                    if entities in missing:
                        made[entities.name].append(entity_tensors(clip, index, networks))
                progress.update()
            for layer in missing:
                layer.write(shard, made[layer.name])
    share.wait()
    return ClipCache(source, config.noise, videos, entities)


def _motion_bucket_id(noise: Noise, motion: float, name: str) -> float:
    if noise.motion_bucket_id is not None:
        return float(noise.motion_bucket_id)
    if math.isnan(motion):
        raise ValueError(
            f"clip {name}: how much moves in it is not known, so it has no motion bucket of its own. Give one for all "
            "clips with --noise.motion_bucket_id"
        )
    return float(motion_bucket(motion))


# --- what made them ---------------------------------------------------------------------------------------------------


def _videos_recipe(source: ClipSource, config: TrainingConfig, networks: ClipNetworks) -> dict[str, Any]:
    noise = config.noise
    drawn = [noise.image_noise_mean, noise.image_noise_std, noise.image_noise_draws, config.seed]
    return _as_json(
        {
            "schema version": SCHEMA_VERSION,
            "set of clips": source.fingerprint["videos"],
            "size or length": _shapes(source.buckets),
            "autoencoder": networks.vae_sha256,
            "precision": str(networks.encoding_type(config.precision)),
            "image encoder": networks.image_encoder_sha256,
            "clip preprocessing": networks.clip_preprocessing,
            "image noise": drawn if noise.image_noise_draws else None,
        }
    )


def _entities_recipe(source: ClipSource, networks: ClipNetworks) -> dict[str, Any]:
    recipe = {
        "schema version": SCHEMA_VERSION,
        "set of clips": source.fingerprint["videos"],
        "set of tracks": source.fingerprint["entities"],
        "size or length": _shapes(source.buckets),
    }
    if networks.choices is None:
        return _as_json({**recipe, "feature source": None})
    feature_source = networks.feature_source
    recipe |= {
        "feature source": {**asdict(feature_source), "model": None, "seed": FEATURE_SEED},
        "feature model": networks.feature_model_sha256,
        "kind of latent masks": networks.latent_masks,
    }
    if feature_source.model_kind == "sd15":
        return _as_json(recipe)
    return _as_json(
        {
            **recipe,
            "autoencoder": networks.vae_sha256,
            "image encoder": networks.image_encoder_sha256,
            "clip preprocessing": networks.clip_preprocessing,
            "time ids": networks.feature_time_ids,
        }
    )


def _shapes(buckets: Iterable[Bucket]) -> list[list[int]]:
    return [[frames, size.height, size.width] for frames, size in buckets]


def _as_json(value: dict[str, Any]) -> dict[str, Any]:
    # As it is read back: there, tuples are lists.
    stored: dict[str, Any] = json.loads(json.dumps(value))
    return stored
