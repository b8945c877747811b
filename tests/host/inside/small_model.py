"""The small model with random weights, a motion, and sampling with the core alone to compare the host with."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

PACK_NAME = "a pack-of any_x_name"  # the folder may have any; the host turns dots into _x_
SIZE, FRAMES, STEPS, SEED = (64, 96), 5, 3, 11  # (height, width)
CONTROL_GAIN = 0.05
AUTOENCODER_GAIN = 1.6  # random layers fade a picture out


def load_pack() -> Any:
    """The pack's package, imported as the host imports a folder of custom nodes."""
    if PACK_NAME not in sys.modules:
        folder = Path(os.environ["DRAGANYTHING_PACK"])
        spec = importlib.util.spec_from_file_location(PACK_NAME, folder / "__init__.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[PACK_NAME] = module
        spec.loader.exec_module(module)
    return sys.modules[PACK_NAME]


def pack(name: str) -> Any:
    """One of the pack's modules."""
    load_pack()
    return importlib.import_module(f"{PACK_NAME}.{name}")


def core(name: str) -> Any:
    return pack(f"draganything_core.{name}")


def write_weights(folder: Path) -> Path:
    """The small model's folder, as it ships, with random weights and a control that visibly acts."""
    architecture = core("tiny.architecture")
    with architecture.seeded(0):
        unet = architecture.tiny_unet()
        networks = {
            "unet": unet,
            "vae": architecture.tiny_autoencoder(),
            "image_encoder": architecture.tiny_image_encoder(),
        }
        for network in networks.values():
            disturb(network)
        for parameter in networks["vae"].parameters():
            parameter.data.mul_(AUTOENCODER_GAIN if parameter.ndim == 4 else 1.0)
        networks["controlnet"] = architecture.tiny_controlnet(unet)
        make_control_act(networks["controlnet"])
    for name, network in networks.items():
        network.half().save_pretrained(folder / name)
    architecture.tiny_scheduler().save_pretrained(folder / "scheduler")
    return folder


def make_control_act(controlnet: Any) -> None:
    """Random values where training starts from zeros, and an encoder that does not fade what is drawn."""
    disturb(controlnet)
    for name, parameter in controlnet.named_parameters():
        if "controlnet_cond_embedding" in name and parameter.ndim == 4:
            torch.nn.init.kaiming_normal_(parameter)
        elif name.startswith(("controlnet_down", "controlnet_mid")):
            torch.nn.init.normal_(parameter, std=CONTROL_GAIN)


def disturb(network: torch.nn.Module) -> None:
    """Norms and biases too, so that no path is silent."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim < 2:
                parameter.add_(0.2 * torch.randn_like(parameter))


def small_motion(frames: int = FRAMES) -> Any:
    """Two things, one of which comes into view late."""
    types, document = core("types"), core("document")
    height, width = SIZE
    generator = torch.Generator().manual_seed(SEED)
    coarse = torch.rand(1, 3, 8, 12, generator=generator)
    picture = torch.nn.functional.interpolate(coarse, SIZE, mode="bicubic").clamp(0, 1)[0]
    masks = torch.zeros(2, height, width, dtype=torch.bool)
    masks[0, 10:34, 8:30] = True
    masks[1, 30:52, 50:84] = True
    entities = types.Entities.from_masks(masks, ["box", "bar"])
    point, path = document.ControlPoint, document.MotionPath
    paths = (
        path(1, (point(18, 20), point(40, 26), point(60, 50))),
        path(2, (point(66, 40), point(40, 20)), visible=((0.3, 1.0),)),
    )
    named = tuple(document.DocumentEntity(entity.entity_id, entity.name) for entity in entities)
    drawn = document.MotionDocument(types.Size(height, width), frames, named, paths)
    return pack("nodes.types").DrawnMotion(picture, drawn, entities)


def unit_noise(frames: int = FRAMES, seed: int = SEED) -> Tensor:
    return torch.randn(frames, 4, SIZE[0] // 8, SIZE[1] // 8, generator=torch.Generator().manual_seed(seed))


def error(found: Tensor, expected: Tensor) -> float:
    """Largest difference over the largest value."""
    return float((found - expected).abs().max() / expected.abs().max())


@torch.no_grad()
def core_sample(
    headless: Any, positive: Any, noise: Tensor, guidance: Tensor | None, controls: list[tuple[Any, float, Any]]
) -> Tensor:
    """(T,4,h,w) latents sampled by the core's networks alone: Euler, Karras, for the host's conditioning.

    guidance (T,): None for none; controls: (maps, strength, acts at this sigma?), added up.
    """
    pipeline = headless.pipeline
    network = pipeline.controlnet
    embeds, options = positive[0][0], positive[0][1]
    time_ids = torch.tensor([[options["fps"] - 1.0, options["motion_bucket_id"], options["augmentation_level"]]])
    picture = options["concat_latent_image"][:, None].expand(1, len(noise), -1, -1, -1)
    encoded = [(network.encode_conditions(maps), strength, acts) for maps, strength, acts in controls]

    def predict(latents: Tensor, timestep: Tensor, sigma: float, embeds: Tensor, picture: Tensor) -> Tensor:
        model_input = torch.cat([latents, picture], dim=2)
        with ExitStack() as stack:
            for features, strength, acts in encoded:
                if acts(sigma):
                    residuals = network(model_input, timestep, embeds, time_ids, features, strength)
                    residuals = residuals.multiplied(*network.residual_multiplicity)
                    stack.enter_context(core("residual_injection").injected_residuals(pipeline.unet, residuals))
            return pipeline.unet(model_input, timestep, embeds, time_ids).sample

    scheduler = pipeline.scheduler
    scheduler.set_timesteps(STEPS)
    latents = noise[None] * scheduler.init_noise_sigma
    for timestep, sigma in zip(scheduler.timesteps, scheduler.sigmas.tolist(), strict=False):
        scaled = scheduler.scale_model_input(latents, timestep)
        output = predict(scaled, timestep, sigma, embeds, picture)
        if guidance is not None:
            without = predict(scaled, timestep, sigma, torch.zeros_like(embeds), torch.zeros_like(picture))
            output = without + guidance.view(1, -1, 1, 1, 1) * (output - without)
        latents = scheduler.step(output, timestep, latents).prev_sample
    return latents[0]


def host_sample(model: Any, positive: Any, negative: Any, noise: Tensor, cfg: float, steps: int = STEPS) -> Tensor:
    import comfy.sample

    latents = torch.zeros_like(noise)
    return comfy.sample.sample(
        model, noise.clone(), steps, cfg, "euler", "karras", positive, negative, latents, disable_pbar=True, seed=0
    )
