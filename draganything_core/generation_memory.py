"""How much memory a generation takes on its device, stage by stage, found by running it on tensors without data.

``python -m draganything_core.generate --dry-run`` prints it. No weights are read: configurations are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from .autoencoder import decoded_frames, encoded_distribution
from .controlnet import SvdControlNet
from .counting import GIB, Meter, byte_count, without_data
from .features import MEMORY_LIMIT_GIB, draws_at_once
from .pipeline import ENCODE_CHUNK
from .residual_injection import injected_residuals
from .sd15 import SINGLE_FILE_CONFIGS
from .svd import empty_svd_networks
from .types import LATENT_SCALE, Size
from .weights import empty_controlnet


@dataclass(frozen=True, eq=False)
class GenerationNetworks:
    """Everything that a generation loads, as it is or on the device "meta", in the types it will compute in.

    sd15: UNet and autoencoder of the Stable Diffusion 1.5 model that gives entity features, None where the video UNet
    gives them: that takes less than any of its denoising steps.
    """

    unet: Any
    controlnet: SvdControlNet
    vae: Any
    image_encoder: Any
    sd15: tuple[Any, Any] | None = None


@dataclass(frozen=True)
class GenerationStage:
    """Bytes on the device while one part of a generation works: weights that lie there, and the most beyond them."""

    name: str
    weights: int
    working: int

    @property
    def total(self) -> int:
        return self.weights + self.working


@dataclass(frozen=True)
class GenerationPlan:
    """The stages of a generation in their order.

    Not counted: the device's own context (half a GiB on NVIDIA's), kernels' scratch space, gaps in the allocator.
    """

    stages: tuple[GenerationStage, ...]

    @property
    def peak(self) -> int:
        """Bytes of the largest stage: what must be free."""
        return max(stage.total for stage in self.stages)

    def __str__(self) -> str:
        rows = [f"{'':<34}{'weights':>9}{'working':>9}{'together':>10}"]
        for stage in self.stages:
            numbers = "".join(
                f"{size / GIB:>{width}.2f}"
                for size, width in ((stage.weights, 9), (stage.working, 9), (stage.total, 10))
            )
            rows.append(f"{stage.name:<34}{numbers}")
        return "\n".join([*rows, f"{'most at once':<52}{self.peak / GIB:>10.2f} GiB"])


def plan_generation(
    networks: GenerationNetworks,
    frames: int,
    size: Size,
    *,
    guided: bool = True,
    split_guidance: bool = False,
    offload: bool = False,
    decode_chunk_size: int = 8,
) -> GenerationPlan:
    """What ``DragAnythingPipeline`` and the feature model before it hold at ``frames`` frames of ``size`` px.

    guided, split_guidance, decode_chunk_size: as the pipeline's; offload: each network on the device only while it
    works. The condition encoder counts as if it worked densely, the most it can take. Takes seconds at full size.
    Raises ValueError for counts below one and sizes that are no multiple of what the UNet can halve.
    """
    if frames < 1 or decode_chunk_size < 1:
        raise ValueError(f"frames and decode_chunk_size must be at least 1, got {frames} and {decode_chunk_size}")
    step = LATENT_SCALE * 2 ** (len(networks.unet.config.block_out_channels) - 1)
    if size.height % step or size.width % step:
        raise ValueError(f"size: height and width must be multiples of {step}, got {size}")
    at_once = 2 if guided and not split_guidance else 1
    with FakeTensorMode(), torch.no_grad():
        device = _Device(networks, offload)
        stages = [] if networks.sd15 is None else [_feature_stage(device, size)]
        stages += [
            _picture_stage(device, size),
            _condition_stage(device, frames, size),
            _denoising_stage(device, frames, size, at_once, halves=2 if guided else 1),
            _decoding_stage(device, frames, size, decode_chunk_size),
        ]
    return GenerationPlan(tuple(stages))


def described_networks(
    svd: Path | str, controlnet: Path | str, *, preset: str | None = None, dtype: torch.dtype = torch.float16
) -> GenerationNetworks:
    """The networks of local folders by their configurations alone, in the types that ``load_models`` gives them.

    Raises as ``load_models`` does for what is missing or is something else.
    """
    _, network = empty_controlnet(controlnet, preset)
    parts = empty_svd_networks(Path(svd), dtype)
    sd15 = None
    if network.feature_source.model_kind == "sd15":
        with torch.device("meta"):
            unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(SINGLE_FILE_CONFIGS / "unet"))
            vae = AutoencoderKL.from_config(AutoencoderKL.load_config(SINGLE_FILE_CONFIGS / "vae"))
        sd15 = _typed(unet, dtype), _typed(vae, torch.float32 if dtype == torch.float16 else dtype)
    return GenerationNetworks(
        unet=parts["unet"],
        controlnet=_typed(network, dtype),
        vae=parts["vae"],
        image_encoder=parts["image_encoder"],
        sd15=sd15,
    )


def _typed(network: Any, dtype: torch.dtype) -> Any:
    # torch's own .to: the one of diffusers warns of modules to keep in fp32 even where it has none.
    return nn.Module.to(network, dtype)


class _Device:
    """Networks without data, and what lies on the device while some of them work."""

    def __init__(self, networks: GenerationNetworks, offload: bool) -> None:
        self.offload = offload
        self.unet = without_data(networks.unet)
        self.controlnet = without_data(networks.controlnet)
        self.vae = without_data(networks.vae)
        self.image_encoder = without_data(networks.image_encoder)
        self.sd15 = [without_data(network) for network in networks.sd15 or ()]
        self._sampling = [self.unet, self.controlnet, self.vae, self.image_encoder]

    def stage(
        self, name: str, works: list[Any], work: Callable[[], object], held: Iterable[Tensor] = ()
    ) -> GenerationStage:
        """Measures ``work``: ``works`` are its networks, ``held`` the tensors that are there before and after it."""
        # The feature model is on the device only while it works, whether the others are moved or not.
        there = works if self.offload else [*self._sampling, *(each for each in works if each in self.sd15)]
        tensors = [tensor for network in there for tensor in (*network.parameters(), *network.buffers())]
        held = list(held)
        with Meter([*tensors, *held]) as meter:
            work()
        return GenerationStage(name, byte_count(tensors), byte_count(held) + meter.peak)


def _feature_stage(device: _Device, size: Size) -> GenerationStage:
    unet, vae = device.sd15
    draws = min(device.controlnet.feature_source.ensemble, draws_at_once(unet, size.latent, MEMORY_LIMIT_GIB))

    def work() -> None:
        encoded_distribution(vae, torch.zeros(1, 3, size.height, size.width, dtype=vae.dtype))
        noisy = torch.zeros(draws, 4, size.latent.height, size.latent.width, dtype=unet.dtype)
        unet(noisy, 1, encoder_hidden_states=torch.zeros(draws, 77, unet.config.cross_attention_dim, dtype=unet.dtype))

    return device.stage("entity features", device.sd15, work)


def _picture_stage(device: _Device, size: Size) -> GenerationStage:
    encoder, vae = device.image_encoder, device.vae

    def work() -> None:
        side = encoder.config.image_size
        encoder(torch.zeros(1, 3, side, side, dtype=encoder.dtype))
        encoded_distribution(vae, torch.zeros(1, 3, size.height, size.width, dtype=vae.dtype))

    return device.stage("picture", [encoder, vae], work)


def _condition_stage(device: _Device, frames: int, size: Size) -> GenerationStage:
    controlnet = device.controlnet
    encoder, dtype = controlnet.controlnet_cond_embedding, controlnet.dtype
    features = _condition_features(controlnet, frames, size)

    def work() -> None:
        maps = min(frames, ENCODE_CHUNK), size.height, size.width
        encoder.encode_gaussian(torch.zeros(maps[0], 3, *maps[1:], dtype=dtype))
        encoder.encode_entity_map(torch.zeros(maps[0], controlnet.config.entity_channels, *maps[1:], dtype=dtype))

    # Offloading moves the image encoder away when the video model comes, which is after this.
    return device.stage(
        "condition maps, at most", [device.image_encoder, controlnet], work, [*_maps(frames, size), features]
    )


def _denoising_stage(device: _Device, frames: int, size: Size, at_once: int, halves: int) -> GenerationStage:
    unet, controlnet = device.unet, device.controlnet
    grid = size.latent.height, size.latent.width
    context = unet.config.cross_attention_dim
    known = {
        "encoder_hidden_states": torch.zeros(
            at_once, 1, context if isinstance(context, int) else context[0], dtype=unet.dtype
        ),
        "added_time_ids": torch.zeros(
            at_once, unet.config.projection_class_embeddings_input_dim // unet.config.addition_time_embed_dim
        ),
    }
    features = _condition_features(controlnet, frames, size)
    inputs = torch.zeros(halves, frames, unet.config.in_channels, *grid, dtype=unet.dtype)
    last_output = torch.zeros(halves, frames, unet.config.out_channels, *grid, dtype=unet.dtype)
    latents, scaled = torch.zeros(2, frames, unet.config.out_channels, *grid)

    def work() -> None:
        seen = torch.cat([features] * at_once)
        residuals = controlnet(inputs[:at_once], 1.0, condition_features=seen, **known)
        with injected_residuals(unet, residuals.multiplied(*controlnet.residual_multiplicity)):
            unet(inputs[:at_once], 1.0, **known)

    return device.stage(
        "denoising step",
        [unet, controlnet],
        work,
        [*_maps(frames, size), features, inputs, last_output, latents, scaled],
    )


def _decoding_stage(device: _Device, frames: int, size: Size, chunk_size: int) -> GenerationStage:
    latents = torch.zeros(frames, device.vae.config.latent_channels, size.latent.height, size.latent.width)
    video = torch.zeros(frames, 3, size.height, size.width)
    return device.stage(
        "decoding", [device.vae], lambda: decoded_frames(device.vae, latents[:chunk_size]).float(), [latents, video]
    )


def _maps(frames: int, size: Size) -> list[Tensor]:
    """The Gaussian map and the index map; the entities' vectors are next to nothing."""
    shape = size.height, size.width
    return [torch.zeros(frames, 1, *shape), torch.zeros(frames, *shape, dtype=torch.int16)]


def _condition_features(controlnet: SvdControlNet, frames: int, size: Size) -> Tensor:
    return torch.zeros(
        frames, controlnet.config.block_out_channels[0], size.latent.height, size.latent.width, dtype=controlnet.dtype
    )
