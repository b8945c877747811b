"""Diffusion features of the first frame, averaged over each entity's mask: one vector per entity.

Paper section 3.3: noise the first frame's latents, run the denoising U-Net once, take the output of an up block (the
feature map), average it over the mask on the map's grid. The U-Net is Stable Diffusion 1.5's, as in the authors'
code, or the frozen video U-Net itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import exp
from pathlib import Path
from typing import Any, Literal

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from .autoencoder import encoded_distribution
from .conditions import reference_latent_mask
from .images import resized_picture
from .masks import latent_mask
from .types import LATENT_SCALE, Entities, Entity, EntityFeatures, FeatureSource, Size

logger = logging.getLogger(__name__)

LatentMasks = Literal["exact", "reference"]

MEMORY_LIMIT_GIB = 4.0  # what the noise draws of one forward pass may use, besides the weights
MAPS_PER_DRAW = 64  # peak memory of a forward pass in copies of its first feature map; both U-Nets took 44 to 67
TRAINING_STEPS = 1000
BETA_START, BETA_END = 0.00085, 0.012  # Stable Diffusion's noise schedule, linear in the square root


class StableDiffusionFeatures:
    """Feature maps from a Stable Diffusion 1.5 family model and its empty prompt.

    unet: UNet2DConditionModel; vae: AutoencoderKL or AutoencoderTiny; empty_prompt (1,L,D); all on one device.
    model: a name for the record of where features come from. memory_limit_gib: bounds how many draws run at once.
    """

    def __init__(
        self,
        unet: Any,
        vae: Any,
        empty_prompt: Tensor,
        *,
        model: str = "",
        memory_limit_gib: float = MEMORY_LIMIT_GIB,
    ) -> None:
        self.unet = unet
        self.vae = vae
        self.empty_prompt = empty_prompt
        self.model = model
        self.memory_limit_gib = memory_limit_gib

    def to(self, device: torch.device | str) -> None:
        """Moves the networks and the empty prompt to a device."""
        self.unet.to(device)
        self.vae.to(device)
        self.empty_prompt = self.empty_prompt.to(device)

    @classmethod
    def from_pretrained(
        cls,
        path: Path | str,
        *,
        config: Path | str | None = None,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        memory_limit_gib: float = MEMORY_LIMIT_GIB,
    ) -> StableDiffusionFeatures:
        """The model in a diffusers folder or a checkpoint file (.safetensors, .ckpt); nothing is downloaded.

        config: for checkpoint files, a folder with unet/, vae/ and text_encoder/config.json instead of the standard
        ones. In fp16 the autoencoder stays in fp32. Raises FileNotFoundError or ValueError, which say what the path
        holds and what was expected.
        """
        from .sd15 import SINGLE_FILE_CONFIGS, load_stable_diffusion

        parts = load_stable_diffusion(path, config=config or SINGLE_FILE_CONFIGS, device=device, dtype=dtype)
        return cls(parts.unet, parts.vae, parts.empty_prompt, model=Path(path).name, memory_limit_gib=memory_limit_gib)

    @torch.no_grad()
    def feature_map(
        self, image: Tensor, size: Size, source: FeatureSource, seed: int, *, max_batch: int | None = None
    ) -> Tensor:
        """(C,h,w) float32 output of up block ``source.block``, averaged over ``source.ensemble`` noise draws.

        image (3,H,W) in 0..1 is resized to ``size`` whatever its shape. The latents are a sample of the autoencoder's
        distribution, new in each draw, times its scaling factor. Equal seeds give equal draws on any device and in
        any batching. max_batch: draws at once; by default as many as the memory limit allows.
        Raises ValueError for a timestep that is no whole number in 0..999, or a block the U-Net does not have.
        """
        _require_kind(source, "sd15")
        timestep = _training_step(source.timestep)
        signal = noise_schedule()[timestep]
        mean, std = encode_latents(self.vae, image, size, self.unet.device)
        generator = torch.Generator().manual_seed(seed)
        draws = []
        for _ in range(source.ensemble):
            latents = mean + std * _noise_like(mean, generator)
            noise = _noise_like(mean, generator)
            scaled = latents * self.vae.config.scaling_factor
            draws.append(signal.sqrt().item() * scaled + (1 - signal).sqrt().item() * noise)

        def forward(noisy: Tensor) -> None:
            prompts = repeat(self.empty_prompt, "1 l d -> b l d", b=len(noisy))
            self.unet(noisy, timestep, encoder_hidden_states=prompts)

        batch = max_batch or draws_at_once(self.unet, Size.of(mean), self.memory_limit_gib)
        return mean_block_output(self.unet, source.block, torch.cat(draws).to(self.unet.dtype), batch, forward)


class SvdFeatures:
    """Feature maps from Stable Video Diffusion's own frozen U-Net, shown the first frame as a video of one frame.

    unet: UNetSpatioTemporalConditionModel; vae: AutoencoderKLTemporalDecoder or AutoencoderTiny. The modules are used
    where they are, so the pipeline's own serve. device: where they run, if that is not where the U-Net lies
    (offloading).
    """

    def __init__(
        self,
        unet: Any,
        vae: Any,
        *,
        device: torch.device | str | None = None,
        model: str = "",
        memory_limit_gib: float = MEMORY_LIMIT_GIB,
    ) -> None:
        self.unet = unet
        self.vae = vae
        self.device = device
        self.model = model
        self.memory_limit_gib = memory_limit_gib

    @torch.no_grad()
    def feature_map(
        self,
        image: Tensor,
        size: Size,
        source: FeatureSource,
        seed: int,
        *,
        image_embeds: Tensor,
        added_time_ids: Tensor,
        max_batch: int | None = None,
    ) -> Tensor:
        """(C,h,w) float32 output of up block ``source.block``, averaged over ``source.ensemble`` noise draws.

        image (3,H,W) in 0..1 is resized to ``size``; image_embeds (1,1,D) and added_time_ids (1,3) are the pipeline's
        conditioning on it. ``source.timestep`` is the network's own, 0.25 * ln(sigma). The network sees, as in
        generation, the noisy latents times 1 / sqrt(sigma^2 + 1) and the image latents, which are not scaled.
        Seeds and max_batch as in StableDiffusionFeatures.
        """
        _require_kind(source, "svd")
        device = torch.device(self.device or self.unet.device)
        if tuple(image_embeds.shape[:2]) != (1, 1) or tuple(added_time_ids.shape) != (1, 3):
            raise ValueError(
                "svd features: image_embeds must be (1, 1, D) and added_time_ids (1, 3), "
                f"got {tuple(image_embeds.shape)} and {tuple(added_time_ids.shape)}"
            )
        sigma = _sigma(source.timestep)
        image_latents, _ = encode_latents(self.vae, image, size, device)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.cat([_noise_like(image_latents, generator) for _ in range(source.ensemble)])
        noisy = (image_latents * self.vae.config.scaling_factor + sigma * noise) / (sigma**2 + 1) ** 0.5
        model_input = torch.cat([noisy, repeat(image_latents, "1 c h w -> b c h w", b=len(noisy))], dim=1)

        def forward(chunk: Tensor) -> None:
            self.unet(
                rearrange(chunk, "b c h w -> b 1 c h w"),
                torch.tensor(source.timestep, device=device),
                encoder_hidden_states=repeat(image_embeds.to(chunk), "1 1 d -> b 1 d", b=len(chunk)),
                added_time_ids=repeat(added_time_ids.to(chunk), "1 n -> b n", b=len(chunk)),
            )

        batch = max_batch or draws_at_once(self.unet, Size.of(image_latents), self.memory_limit_gib)
        return mean_block_output(self.unet, source.block, model_input.to(self.unet.dtype), batch, forward)


def extract_entity_features(
    image: Tensor,
    entities: Entities,
    size: Size,
    source: FeatureSource,
    seed: int,
    *,
    sd15: StableDiffusionFeatures | None = None,
    svd: SvdFeatures | None = None,
    image_embeds: Tensor | None = None,
    added_time_ids: Tensor | None = None,
    latent_masks: LatentMasks = "exact",
) -> EntityFeatures:
    """One vector per entity from the model that ``source`` names; see feature_map and entity_features.

    image (3,H,W) in 0..1. Give sd15 for the kind "sd15"; svd, image_embeds and added_time_ids for the kind "svd".
    Raises ValueError where the model that the source names is not there.
    """
    model: StableDiffusionFeatures | SvdFeatures
    if source.model_kind == "sd15":
        if sd15 is None:
            raise ValueError(
                "These weights take entity features from a Stable Diffusion 1.5 model at step "
                f"{source.timestep:g}, and none was given. Give its diffusers folder or checkpoint file."
            )
        model, features = sd15, sd15.feature_map(image, size, source, seed)
    else:
        if svd is None or image_embeds is None or added_time_ids is None:
            raise ValueError(
                "These weights take entity features from the video U-Net itself: give svd=SvdFeatures(unet, vae), "
                "image_embeds and added_time_ids."
            )
        model = svd
        features = svd.feature_map(image, size, source, seed, image_embeds=image_embeds, added_time_ids=added_time_ids)
    recorded = replace(source, model=model.model or source.model, seed=seed)
    return entity_features(features, entities, recorded, latent_masks=latent_masks)


def entity_features(
    feature_map: Tensor, entities: Entities, source: FeatureSource, *, latent_masks: LatentMasks = "exact"
) -> EntityFeatures:
    """One vector per entity: the feature map's mean over the entity's mask on the map's own grid.

    feature_map (C,h,w); the entities' masks may be of any size. latent_masks: "exact" averages over the cells a mask
    covers by more than half, "reference" over those the original's resizing leaves. An entity too small for the grid
    takes the cells nearest to it, with a warning. Raises ValueError for features that are not finite.
    """
    if feature_map.ndim != 3:
        raise ValueError(f"feature map must be (C, h, w), got shape {tuple(feature_map.shape)}")
    if latent_masks not in ("exact", "reference"):
        raise ValueError(f'latent_masks must be "exact" or "reference", got {latent_masks!r}')
    grid = Size.of(feature_map)
    vectors = [
        feature_map[:, _cells(entity, grid, latent_masks).to(feature_map.device)].float().mean(dim=1)
        for entity in entities
    ]
    embeddings = torch.stack(vectors) if vectors else feature_map.new_zeros(0, len(feature_map)).float()
    return EntityFeatures(embeddings, source)


def encode_latents(vae: Any, image: Tensor, size: Size, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (1,4,h,w) float32 of a picture's latents, not scaled; the mean is also the mode.

    image (3,H,W) in 0..1, resized to ``size`` (bicubic, antialiased). An autoencoder in fp16 that would overflow goes
    to fp32 and stays there. One without a distribution (AutoencoderTiny) has a deviation of 0.
    """
    if vae.dtype == torch.float16 and vae.config.force_upcast:
        logger.info("The autoencoder runs in fp32: fp16 overflows in it.")
        vae.to(dtype=torch.float32)
    if size.height % LATENT_SCALE or size.width % LATENT_SCALE:
        raise ValueError(f"size: height and width must be multiples of {LATENT_SCALE}, got {size}")
    pixels = resized_picture(image, size) * 2 - 1
    mean, std = encoded_distribution(vae, rearrange(pixels, "c h w -> 1 c h w").to(device, vae.dtype))
    return mean, torch.zeros_like(mean) if std is None else std


def noise_schedule() -> Tensor:
    """(1000,) float32: the share of the signal's variance left at each step (alphas_cumprod)."""
    betas = torch.linspace(BETA_START**0.5, BETA_END**0.5, TRAINING_STEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, dim=0).float()


def mean_block_output(unet: Any, block: int, draws: Tensor, batch: int, forward: Callable[[Tensor], None]) -> Tensor:
    """(C,h,w) float32 output of an up block, averaged over the draws (N,...); ``forward`` runs the U-Net on some."""
    sums = []
    for chunk in draws.split(batch):
        with captured_output(up_block(unet, block)) as outputs:
            forward(chunk)
        sums.append(outputs[-1].float().sum(dim=0))
    return torch.stack(sums).sum(dim=0) / len(draws)


def up_block(unet: Any, block: int) -> nn.Module:
    """Up block of that index, negative ones from the end; ValueError where there is none."""
    count = len(unet.up_blocks)
    if not -count <= block < count:
        raise ValueError(f"entity_source: block must be in {-count}..{count - 1} for this U-Net, got {block}")
    module: nn.Module = unet.up_blocks[block]
    return module


@contextmanager
def captured_output(module: nn.Module) -> Iterator[list[Tensor]]:
    """A list that receives the module's output at each call inside the block; the hook is gone afterwards."""
    outputs: list[Tensor] = []
    handle = module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    try:
        yield outputs
    finally:
        handle.remove()


def draws_at_once(unet: Any, latent_size: Size, memory_limit_gib: float) -> int:
    """How many noise draws fit into one forward pass under the memory limit; at least one."""
    cells = latent_size.height * latent_size.width
    bytes_per_draw = MAPS_PER_DRAW * cells * unet.config.block_out_channels[0] * unet.dtype.itemsize
    return max(1, int(memory_limit_gib * 2**30 / bytes_per_draw))


def _noise_like(latents: Tensor, generator: torch.Generator) -> Tensor:
    # Drawn on the CPU in fp32, so that a seed means the same noise on every device and in every precision.
    return torch.randn(latents.shape, generator=generator).to(latents.device)


def _cells(entity: Entity, grid: Size, latent_masks: LatentMasks) -> Tensor:
    """(h,w) bool mask of the cells an entity's features are averaged over; never empty."""
    if latent_masks == "reference":
        cells = reference_latent_mask(entity.mask, Size(grid.height * LATENT_SCALE, grid.width * LATENT_SCALE))
        if bool(cells.any()):
            return cells
        logger.warning(
            "entity %s (%s): its mask vanishes on the %s latent grid; the cells nearest to it stand for it",
            entity.entity_id,
            entity.name,
            grid,
        )
    return latent_mask(entity.mask, grid.height, grid.width, f"entity {entity.entity_id} ({entity.name}), a mask")


def _require_kind(source: FeatureSource, kind: str) -> None:
    if source.model_kind != kind:
        raise ValueError(f'entity_source: these features are of the kind "{kind}", not "{source.model_kind}"')


def _training_step(timestep: float) -> int:
    if timestep != int(timestep) or not 0 <= timestep < TRAINING_STEPS:
        raise ValueError(
            f"entity_source: Stable Diffusion's timestep is a whole number in 0..{TRAINING_STEPS - 1}, got {timestep}"
        )
    return int(timestep)


def _sigma(timestep: float) -> float:
    if not -3 <= timestep <= 3:
        raise ValueError(
            "entity_source: the video U-Net's timestep is 0.25 * ln(sigma), from -1.55 (sigma 0.002) to 1.64 "
            f"(sigma 700), got {timestep}"
        )
    return exp(4 * timestep)
