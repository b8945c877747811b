"""Golden B: the whole pipeline on tiny networks, against the original run with its context mix-up taken out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from check_a import load_controlnet_golden
from comparison import Comparison, relative_to_max
from diffusers import AutoencoderKLTemporalDecoder, EulerDiscreteScheduler, UNetSpatioTemporalConditionModel
from einops import rearrange
from recipe import weights_of
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from draganything_core.clip_input import clip_input
from draganything_core.pipeline import DragAnythingPipeline
from draganything_core.types import ConditionMaps, Size

# The original's outputs at multiplicity (4,4,4,4,3,3,3,2,2,2,1,1), and those of residuals added once.
MULTIPLICITY = [4, 4, 4, 4, 3, 3, 3, 2, 2, 2, 1, 1]
REPEATED = "final_latents.separate_context.repeated_residuals"
ONCE = "final_latents.separate_context.once_residuals"


def is_pipeline_golden(folder: Path) -> bool:
    outputs, config = folder / "outputs.safetensors", folder / "config.json"
    if not (outputs.is_file() and config.is_file() and (folder / "inputs.safetensors").is_file()):
        return False
    with safe_open(outputs, "np") as stored:
        return "frames_np" in stored.keys() and "unet" in json.loads(config.read_text())  # noqa: SIM118


def check_b(folder: Path) -> list[Comparison]:
    config = json.loads((folder / "config.json").read_text())
    inputs, golden = load_file(folder / "inputs.safetensors"), load_file(folder / "outputs.safetensors")
    pipeline = golden_pipeline(folder, config)
    call = config["call"]
    image = rearrange(inputs["image_u8"], "h w c -> 1 c h w").float() / 255

    comparisons = _check_conditioning(pipeline, image, inputs, golden, call)
    comparisons += _check_schedule(pipeline, golden)
    for target, multiplicity in ((REPEATED, MULTIPLICITY), (ONCE, None)):
        pipeline.controlnet.register_to_config(residual_multiplicity=multiplicity)
        latents, first_input = _sample(pipeline, image, inputs, call)
        comparisons.append(_compare(target, latents, golden[target], 1e-4))
    comparisons.append(_compare("step0.model_input", first_input, golden["step0.model_input"], 1e-5))
    frames = pipeline.decode(golden["final_latents"], chunk_size=call["decode_chunk_size"])
    frames = rearrange(frames, "b t c h w -> b t h w c")
    comparisons.append(_compare("frames_np from final_latents", frames, golden["frames_np"], 1e-4))
    return comparisons


def golden_pipeline(folder: Path, config: dict[str, Any]) -> DragAnythingPipeline:
    """The networks of a B folder: stored weights where they are there, else regenerated from their seeds."""
    seeds = config["seeds"]
    unet = UNetSpatioTemporalConditionModel(**config["unet"])
    vae = AutoencoderKLTemporalDecoder(**config["vae"])
    clip = CLIPVisionModelWithProjection(CLIPVisionConfig(**config["clip_vision"]))
    for name, network in (("unet", unet), ("vae", vae), ("clip", clip)):
        network.load_state_dict(weights_of(network, folder / f"{name}_weights_fp16exact.safetensors", seeds[name]))
        network.eval()
    controlnet = load_controlnet_golden((folder / config["controlnet"]).resolve(), seeds["controlnet"])
    scheduler = EulerDiscreteScheduler(**config["scheduler"])
    pipeline = DragAnythingPipeline(vae, clip, unet, controlnet, scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _check_conditioning(
    pipeline: DragAnythingPipeline, image: Tensor, inputs: dict[str, Tensor], golden: dict[str, Tensor], call: dict
) -> list[Comparison]:
    with torch.no_grad():
        conditional = pipeline.condition_on(image, **_reference_conditioning(call), image_noise=inputs["image_noise"])
    both = conditional.unconditional().joined(conditional)
    return [
        _compare("clip_input_224", clip_input(image, "reference"), golden["clip_input_224"], 1e-5),
        _compare("image embeddings", both.image_embeds, golden["encoder_hidden_states"], 1e-5),
        _compare("image_latents", both.image_latents, golden["image_latents"], 1e-5),
        _compare("added_time_ids", both.added_time_ids, golden["added_time_ids"], 1e-5),
    ]


def _check_schedule(pipeline: DragAnythingPipeline, golden: dict[str, Tensor]) -> list[Comparison]:
    comparisons = []
    for steps in (25, 4):
        pipeline.scheduler.set_timesteps(steps)
        comparisons.append(
            _compare(f"timesteps_{steps}", pipeline.scheduler.timesteps, golden[f"timesteps_{steps}"], 1e-5)
        )
        comparisons.append(_compare(f"sigmas_{steps}", pipeline.scheduler.sigmas, golden[f"sigmas_{steps}"], 1e-5))
    return comparisons


def _sample(
    pipeline: DragAnythingPipeline, image: Tensor, inputs: dict[str, Tensor], call: dict
) -> tuple[Tensor, Tensor]:
    """Final latents, and the first step's network input for both halves of guidance."""
    first_inputs: list[Tensor] = []

    def keep_first(_pipeline: Any, _step: int, _timestep: Tensor, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        first_inputs.append(tensors["network_input"])
        return {}

    latents = pipeline(
        image,
        _golden_conditions(inputs),
        **_reference_conditioning(call),
        num_inference_steps=call["num_inference_steps"],
        min_guidance_scale=call["min_guidance_scale"],
        max_guidance_scale=call["max_guidance_scale"],
        control_strength=call["controlnet_cond_scale"],
        latents=inputs["initial_noise"],
        image_noise=inputs["image_noise"],
        output_type="latent",
        callback_on_step_end=keep_first,
        callback_on_step_end_tensor_inputs=["network_input"],
    ).frames
    return latents, first_inputs[0]


def _reference_conditioning(call: dict) -> dict[str, Any]:
    # The original computes time ids from fps and motion_bucket_id, then overwrites them with 6 and 128.
    return {
        "fps_id": 6,
        "motion_bucket_id": 128,
        "noise_aug_strength": call["noise_aug_strength"],
        "clip_preprocessing": "reference",
    }


def _golden_conditions(inputs: dict[str, Tensor]) -> ConditionMaps:
    # The golden's table has the empty entity in row 0; ours marks it by -1.
    return ConditionMaps(
        gaussian=inputs["control_gray_u8"][:, None].float() / 255,
        entity_index=inputs["entity_labels"].to(torch.int16) - 1,
        embeddings=inputs["entity_embeddings"][1:],
        size=Size.of(inputs["control_gray_u8"]),
    )


def _compare(name: str, computed: Tensor, golden: Tensor, tolerance: float) -> Comparison:
    as_array: np.ndarray = computed.detach().float().cpu().numpy()
    return relative_to_max(name, as_array, golden.float().numpy(), tolerance)
