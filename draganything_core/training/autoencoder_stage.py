"""The stage "autoencoder": squares of clips' frames in, an autoencoder in TAESD's layout out."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from diffusers import AutoencoderTiny
from torch import Tensor
from transformers import CLIPVisionModelWithProjection

from ..atomic import replacing_folder
from ..pictures import contact_sheet, save_png
from ..svd import load_networks, save_networks
from ..tiny.architecture import seeded, tiny_autoencoder, tiny_image_encoder
from ..types import LATENT_SCALE
from .autoencoder import AutoencoderObjective
from .clips import ClipSource
from .config import TrainingConfig
from .order import DataOrder, noise_generator
from .stage import StepInputs

CHANNEL_ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


class Squares(NamedTuple):
    """pictures (N,3,c,c) in 0..1; noise (N,4,c/8,c/8); names of the clips they are cut from."""

    pictures: Tensor
    noise: Tensor
    names: tuple[str, ...]


class AutoencoderStage:
    """Every clip of a batch gives one square of each frame; a square's colours come in any order of the channels.

    The image encoder that goes with the small networks is random and stays so, as CLIP stays as it is in SVD: what
    the UNet can use of it, it learns to. It is written beside the autoencoder.
    """

    def __init__(self, config: TrainingConfig, source: ClipSource, validation: ClipSource | None) -> None:
        crop = config.autoencoder.crop
        if any(min(size.height, size.width) < crop for _, size in source.buckets):
            raise ValueError(f"autoencoder.crop: squares of {crop} px do not fit into clips of the sizes in data.sizes")
        self.config = config
        self.source = source
        self.validation = validation
        self.vae, self.image_encoder = _networks(config)
        self.vae.requires_grad_(True).train()
        if config.autoencoder.train == "decoder":
            self.vae.encoder.requires_grad_(False)
        self.vae.to(memory_format=torch.channels_last)  # a sixth faster on CPUs
        autocast = torch.bfloat16 if config.precision == "bf16" else None
        self.objective = AutoencoderObjective(self.vae, config.autoencoder, autocast)
        self.members = [
            [clip for clip, own in enumerate(source.clip_buckets) if own == bucket]
            for bucket in range(len(source.buckets))
        ]
        self.bucket_sizes = tuple(len(members) for members in self.members)
        self.order = DataOrder(config.seed, config.global_batch, self.bucket_sizes)
        self.facts: dict[str, Any] = {
            "stage": "autoencoder",
            "seed": config.seed,
            "global_batch": config.global_batch,
            "crop": crop,
            "train": config.autoencoder.train,
            "clips": source.fingerprint,
        }

    def load(self, step: int, positions: range) -> Squares:
        parts = [self._squares(step, position) for position in positions]
        names = tuple(name for part in parts for name in part.names)
        return Squares(torch.cat([p.pictures for p in parts]), torch.cat([p.noise for p in parts]), names)

    def inputs(self, loaded: Squares, device: torch.device) -> StepInputs:
        return StepInputs((loaded.pictures.to(device), loaded.noise.to(device)), None, loaded.names)

    @torch.no_grad()
    def validate(self, folder: Path, interrupted: Callable[[], bool]) -> dict[str, float]:
        """PSNR in dB of whole frames of the validation clips, and a picture of the first clip above its decoding."""
        if self.validation is None:
            return {}
        errors, device = [], self.vae.device
        for number in range(min(self.config.validation.clips, len(self.validation))):
            if interrupted():
                break
            frames = self.validation.clip(number).frames
            decoded = torch.cat([self._decoded(part.to(device)) for part in frames.split(8)]).cpu()
            errors.append((decoded - frames).square().mean())
            if number == 0:
                save_png(contact_sheet([("clip", frames), ("decoded", decoded)]), folder / "decoded.png")
        return {"validation_psnr": -10 * math.log10(torch.stack(errors).mean())} if errors else {}

    def export(self, folder: Path) -> None:
        with replacing_folder(folder) as temporary:
            save_networks(temporary, {"vae": self.vae, "image_encoder": self.image_encoder})

    def _decoded(self, frames: Tensor) -> Tensor:
        latents = self.vae.encode(frames * 2 - 1).latents
        return (self.vae.decode(latents).sample / 2 + 0.5).clamp(0, 1)

    def _squares(self, step: int, position: int) -> Squares:
        choice = self.order.clip(step, position)
        clip = self.members[choice.bucket][choice.clip]
        frames = self.source.clip(clip).frames
        draw = noise_generator(self.config.seed, step, position, "squares")
        crop = self.config.autoencoder.crop
        squares = []
        for frame in frames:
            top, left = (int(torch.randint(length - crop + 1, (), generator=draw)) for length in frame.shape[-2:])
            order = CHANNEL_ORDERS[int(torch.randint(len(CHANNEL_ORDERS), (), generator=draw))]
            square = frame[list(order), top : top + crop, left : left + crop]
            squares.append(square.flip(-1) if bool(torch.rand((), generator=draw) < 0.5) else square)
        pictures = torch.stack(squares)
        cells = crop // LATENT_SCALE
        noise = torch.randn(
            len(pictures), 4, cells, cells, generator=noise_generator(self.config.seed, step, position, "noise")
        )
        return Squares(pictures, noise, (self.source.name(clip),))


def _networks(config: TrainingConfig) -> tuple[AutoencoderTiny, CLIPVisionModelWithProjection]:
    """Autoencoder and image encoder, new or from a folder."""
    if config.networks.svd is None:
        with seeded(config.seed):
            return tiny_autoencoder(), tiny_image_encoder().eval().requires_grad_(False)
    networks = load_networks(Path(config.networks.svd), ("vae", "image_encoder"), torch.float32)
    if not isinstance(networks["vae"], AutoencoderTiny):
        raise ValueError(
            f"networks.svd: {config.networks.svd}/vae is {type(networks['vae']).__name__}; the stage autoencoder "
            "trains AutoencoderTiny only"
        )
    return networks["vae"], networks["image_encoder"]
