"""The condition encoder at full width: once for what is different, densely, and plainly from the dense map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measuring import Case, Way, relative_difference
from draganything_core.condition_encoder import ConditionEncoder
from draganything_core.conditions import Geometry, exact_condition_maps
from draganything_core.types import ConditionMaps, Size, Tracks

SIZE, FRAMES = Size(320, 576), 14
RADII = (18.0, 50.0, 50.0)


def case(full: bool) -> Case:  # noqa: ARG001 (always at full width)
    encoder, maps = full_width_encoder(), three_discs()

    @torch.inference_mode()
    def ours() -> Tensor:
        return encoder(maps)

    def dense() -> Tensor:
        # With gradients allowed the encoder is dense; none are kept, for no parameter wants any.
        return encoder(maps)

    @torch.inference_mode()
    def plain() -> Tensor:
        return plain_features(encoder, maps)

    return Case(
        "condition encoder",
        f"both branches at full width, {FRAMES} frames of {SIZE}, discs of radius 18, 50 and 50, the last at rest",
        [Way("ours", ours), Way("dense, entities by index", dense), Way("dense map", plain)],
        relative_difference,
        ("dense, entities by index", "dense map"),
        [
            "Runs once a video. The original runs it in every step and for both halves of guidance.",
            f"All that the discs reach, those at rest once, counts for {region_flops(encoder, maps) / 1e9:.0f} GFLOP; "
            "ours computes equal surroundings within it once, too.",
        ],
    )


def full_width_encoder() -> ConditionEncoder:
    """4,064,816 random weights, those of the last layers included, which start as zeros."""
    encoder = ConditionEncoder(320, 3, (16, 32, 96, 256), 160, (160, 160, 256, 256))
    generator = torch.Generator().manual_seed(0)
    for parameter in encoder.requires_grad_(False).parameters():
        parameter.normal_(std=parameter[0].numel() ** -0.5, generator=generator)
    return encoder.eval()


def three_discs(
    frames: int = FRAMES, size: Size = SIZE, radii: tuple[float, ...] = RADII, resting: int = 1
) -> ConditionMaps:
    """Discs spread over the picture that move by a few pixels a frame, except the last ones, which rest.

    radii in px of 320x576; they and the places grow with ``size``.
    """
    progress = torch.arange(frames)[:, None]
    paths = []
    for index in range(len(radii)):
        start = torch.tensor([90 + 397.0 * (index * 0.618 % 1), 70 + 181.0 * (index * 0.414 % 1)])
        speed = 0.0 if index >= len(radii) - resting else 1.0
        paths.append(start + speed * progress * torch.tensor([4.3 if index % 2 else -3.1, 2.7]))
    shown = torch.ones(frames, len(radii), dtype=torch.bool)
    tracks = Tracks(
        torch.stack(paths, dim=1), torch.arange(len(radii)), shown, torch.tensor(radii).expand(frames, -1), SIZE
    )
    embeddings = torch.randn(len(radii), 160, generator=torch.Generator().manual_seed(1))
    return exact_condition_maps(tracks, embeddings, size, Geometry())


def region_flops(encoder: ConditionEncoder, maps: ConditionMaps) -> int:
    """FLOPs of the pixels that the discs reach in each layer, without those that are as in the frame before.

    The first layer of entities counts as contracted to one channel an entity.
    """
    entities = [*encoder.blocks_feature, encoder.conv_out_feature]
    total = 0
    for layers, values in (
        ([encoder.conv_in, *encoder.blocks, encoder.conv_out], maps.gaussian[:, 0]),
        (entities, maps.entity_index + 1.0),
    ):
        new = values != torch.cat([torch.zeros_like(values[:1]), values[:-1]])
        reached, renewed = (mask.float()[:, None] for mask in (values != 0, new))
        for index, layer in enumerate(layers):
            reached, renewed = (F.max_pool2d(mask, 3, layer.stride, padding=1) for mask in (reached, renewed))
            channels = len(maps.embeddings) if layers is entities and index == 0 else layer.in_channels
            total += 18 * channels * layer.out_channels * int((reached * renewed).sum())
    return total


def plain_features(encoder: ConditionEncoder, maps: ConditionMaps, scale: float = 1.0) -> Tensor:
    """The encoder from the dense map of 160 channels, frame by frame, to stay within a machine's memory."""
    features = []
    for frame in range(maps.frames):
        one = slice(frame, frame + 1)
        gaussian = (maps.gaussian[one] * scale).expand(-1, encoder.conv_in.in_channels, -1, -1)
        features.append(encoder.encode_gaussian(gaussian) + encoder.encode_entity_map(maps.entity_map(one)))
    return torch.cat(features)
