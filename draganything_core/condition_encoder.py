"""Condition maps to features at latent resolution: two small convolutional encoders, summed (paper section 3.4)."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .sparse_encoder import convolve_sparsely
from .surroundings import NumberedMap, numbered_values
from .types import ConditionMaps

INDEX_BYTES = 56  # about what a pixel takes while the frames' surroundings are compared with each other
CHUNK_BYTES = 256 * 2**20  # what one chunk's largest activation may take; 2 frames of 320x576 in fp32


class ConditionEncoder(nn.Module):
    """A Gaussian branch and an entity branch, each from pixels to 1/8 resolution, added up.

    Both branches end in convolutions that start at zero, so an untrained encoder adds nothing. ``gaussian_widths``
    and ``entity_widths`` are the channels of their four resolutions (full, 1/2, 1/4, 1/8).
    """

    def __init__(
        self,
        out_channels: int,
        gaussian_channels: int,
        gaussian_widths: tuple[int, ...],
        entity_channels: int,
        entity_widths: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.conv_in = _strong_conv(gaussian_channels, gaussian_widths[0])
        self.blocks = _halving_convs(gaussian_widths[0], gaussian_widths)
        self.conv_out = zero_conv(gaussian_widths[-1], out_channels, kernel_size=3)
        self.blocks_feature = _halving_convs(entity_channels, entity_widths)
        self.conv_out_feature = zero_conv(entity_widths[-1], out_channels, kernel_size=3)
        self.entity_channels = entity_channels
        self.full_resolution_width = max(gaussian_widths[0], entity_widths[0])
        self.gradient_checkpointing = False

    def forward(
        self,
        maps: ConditionMaps,
        gaussian_scale: float = 1.0,
        chunk_frames: int | None = None,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """(T, out_channels, H/8, W/8) features of the maps.

        The maps' Gaussians are 0..1, the network gets gaussian_scale times them. ``device`` and ``dtype``: where and
        in what to compute; None: as the weights are. Without gradients each branch is computed once for what is
        different in its map, see ``sparse_encoder``; with them, and where too much is different, densely, in chunks:
        chunk_frames bounds their memory and changes no result; None: about 256 MiB an activation.
        Raises ValueError where the embeddings have another width than the network's entity channels.
        """
        if maps.embeddings.shape[1] != self.entity_channels:
            raise ValueError(
                f"condition maps: the embeddings have {maps.embeddings.shape[1]} channels, these weights expect "
                f"{self.entity_channels}. Build the maps with this network's entity_channels."
            )
        device = device or _device_of(self.conv_in.weight, maps.gaussian.device)
        dtype = dtype or self.conv_in.weight.dtype
        chunk = chunk_frames or self._frames_per_chunk(maps, dtype)
        if torch.is_grad_enabled():
            return self._encode_densely(maps, gaussian_scale, chunk, device, dtype)
        # As many frames at once as memory allows: what rests or repeats in them is computed once.
        together = max(1, CHUNK_BYTES // (INDEX_BYTES * maps.size.height * maps.size.width))
        groups = [maps.sliced(slice(first, first + together)) for first in range(0, maps.frames, together)]
        return torch.cat([self._encode_sparsely(group, gaussian_scale, chunk, device, dtype) for group in groups])

    def _encode_densely(
        self, maps: ConditionMaps, gaussian_scale: float, chunk: int, device: torch.device, dtype: torch.dtype
    ) -> Tensor:
        embeddings = maps.embeddings.to(device, dtype)

        def encode(gaussian: Tensor, entity_index: Tensor, embeddings: Tensor) -> Tensor:
            gaussian = self._as_input(gaussian, gaussian_scale, device, dtype)
            return self.encode_gaussian(gaussian) + self.encode_entities(entity_index.to(device), embeddings)

        features = []
        for gaussian, entity_index in zip(maps.gaussian.split(chunk), maps.entity_index.split(chunk), strict=True):
            if self.gradient_checkpointing and torch.is_grad_enabled():
                features.append(checkpoint(encode, gaussian, entity_index, embeddings, use_reentrant=False))
            else:
                features.append(encode(gaussian, entity_index, embeddings))
        return torch.cat(features)

    def _encode_sparsely(
        self, maps: ConditionMaps, gaussian_scale: float, chunk: int, device: torch.device, dtype: torch.dtype
    ) -> Tensor:
        # Not every kind of device can sort and count, which is what comparing comes to.
        indexing = device if device.type in ("cpu", "cuda") else torch.device("cpu")
        pixels, values = numbered_values(rearrange(maps.gaussian.to(indexing), "t 1 h w -> t h w"))
        table = self._as_input(rearrange(values, "n -> n 1 1 1"), gaussian_scale, device, dtype)
        features = convolve_sparsely(pixels, table.flatten(1), [self.conv_in, *self.blocks, self.conv_out])
        if features is None:
            inputs = (self._as_input(some, gaussian_scale, device, dtype) for some in maps.gaussian.split(chunk))
            features = torch.cat([self.encode_gaussian(gaussian) for gaussian in inputs])

        embeddings = maps.embeddings.to(device, dtype)
        index = maps.entity_index.to(indexing)
        is_entity = (index >= 0) & (index < len(embeddings))
        pixels = NumberedMap(torch.where(is_entity, index + 1, 0).int(), len(embeddings) + 1)
        table = F.pad(embeddings, (0, 0, 1, 0))  # number 0 is no entity's
        of_entities = convolve_sparsely(pixels, table, [*self.blocks_feature, self.conv_out_feature])
        if of_entities is None:
            indices = (some.to(device) for some in maps.entity_index.split(chunk))
            of_entities = torch.cat([self.encode_entities(index, embeddings) for index in indices])
        return features.add_(of_entities)

    def _as_input(self, gaussian: Tensor, scale: float, device: torch.device, dtype: torch.dtype) -> Tensor:
        # (n, gaussian_channels, H, W) of (n, 1, H, W) in 0..1
        return (gaussian.to(device, dtype) * scale).expand(-1, self.conv_in.in_channels, -1, -1)

    def encode_gaussian(self, gaussian: Tensor) -> Tensor:
        """(t, out_channels, H/8, W/8) of Gaussian frames (t, gaussian_channels, H, W), already at their scale."""
        features = F.silu(self.conv_in(gaussian))
        for block in self.blocks:
            features = F.silu(block(features))
        return self.conv_out(features)

    def encode_entities(self, entity_index: Tensor, embeddings: Tensor) -> Tensor:
        """(t, out_channels, H/8, W/8) of an entity map given as index map (t, H, W), -1 = none, and table (E, C)."""
        first, *others = self.blocks_feature
        features = F.silu(convolve_indexed(first, entity_index, embeddings))
        for block in others:
            features = F.silu(block(features))
        return self.conv_out_feature(features)

    def encode_entity_map(self, entity_map: Tensor) -> Tensor:
        """The same features from the dense map (t, C, H, W): the definition that the index map is measured against."""
        features = entity_map
        for block in self.blocks_feature:
            features = F.silu(block(features))
        return self.conv_out_feature(features)

    def _frames_per_chunk(self, maps: ConditionMaps, dtype: torch.dtype) -> int:
        frame_bytes = self.full_resolution_width * maps.size.height * maps.size.width * dtype.itemsize
        return max(1, CHUNK_BYTES // frame_bytes)


def convolve_indexed(layer: nn.Module, entity_index: Tensor, embeddings: Tensor) -> Tensor:
    """A 3x3 convolution (t, out, H, W) of the map that an index map (t, H, W) and a table (E, C) stand for.

    The map is constant on each entity, so its convolution is one of the E one-hot masks with each kernel contracted
    by the entity's vector: E input channels in place of C, the same sums. The layer itself is asked for those
    kernels, by its answer to a single dot of each entity; that holds for any kind of layer, wherever its weights are.
    """
    entities, channels = embeddings.shape
    if entities == 0:
        embeddings, entities = embeddings.new_zeros(1, channels), 1
    dots = F.pad(rearrange(embeddings, "e c -> e c 1 1"), (1, 1, 1, 1))
    bias = layer(torch.zeros_like(dots[:1]))[0, :, 1, 1]
    answers = layer(dots) - rearrange(bias, "o -> 1 o 1 1")
    kernels = rearrange(answers.flip(-2, -1), "e o y x -> o e y x")

    rows = torch.arange(entities, device=kernels.device)
    masks = rearrange(entity_index.to(kernels.device), "t h w -> t 1 h w") == rearrange(rows, "e -> e 1 1")
    return F.conv2d(masks.to(kernels.dtype), kernels, bias, padding=1)


def zero_conv(in_channels: int, out_channels: int, kernel_size: int) -> nn.Conv2d:
    """A size-keeping convolution that starts as zero, so that training starts from the frozen network's answer."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
    for parameter in conv.parameters():
        nn.init.zeros_(parameter)
    return conv


def _strong_conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that starts so that what goes in comes out as strong.

    Under torch's own start every layer takes most of the signal away and leaves its biases: six layers on, entities
    differ by a fiftieth of what all have in common, and training spends its first thousands of steps on amplifying it.
    """
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, stride=stride)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def _halving_convs(in_channels: int, widths: tuple[int, ...]) -> nn.ModuleList:
    # Pairs of one convolution that keeps the resolution and one that halves it and takes the next width.
    convs = nn.ModuleList()
    for width, next_width in pairwise(widths):
        convs.append(_strong_conv(in_channels, width))
        convs.append(_strong_conv(width, next_width, stride=2))
        in_channels = next_width
    return convs


def _device_of(weight: Tensor, fallback: torch.device) -> torch.device:
    # Weights that are streamed in layer by layer are on "meta" in between; their hooks move the inputs.
    return fallback if weight.device.type == "meta" else weight.device
