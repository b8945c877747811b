"""Entity features from the host's models: a MODEL run once on the noised first frame, the last block's output kept.

They equal the core's for the same weights and seed (features.py there), but for one thing: the host's autoencoders
give the mode of a Stable Diffusion 1.5 picture's latents where the core draws a sample for each draw of noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import exp
from typing import Any

import comfy.model_base
import comfy.model_management as memory
import comfy.model_patcher
import comfy.patcher_extension
import torch
from torch import Tensor

from ..draganything_core.clip_input import ClipPreprocessing, clip_input
from ..draganything_core.features import LatentMasks, entity_features
from ..draganything_core.images import resized_picture
from ..draganything_core.types import Entities, EntityFeatures, FeatureSource, Size
from .types import pixels_from_picture

WRAPPER_KEY = "draganything_features"
SD15_CONTEXT_WIDTH = 768


def encode_entities(
    picture: Tensor,
    entities: Entities,
    size: Size,
    choices: Mapping[str, Any],
    seed: int,
    *,
    model: Any,
    vae: Any,
    clip_vision: Any = None,
    clip: Any = None,
) -> EntityFeatures:
    """One vector per entity, from the model and noise level that the weights' choices name.

    picture (3,H,W) in 0..1; model, vae, clip_vision, clip: the host's. Raises ValueError, which names the node's
    input, for a model of another family than the weights ask for, or a missing encoder.
    """
    source = FeatureSource(**choices["entity_source"])
    _require_last_block(model, source)
    if source.model_kind == "svd":
        _require_video_model(model, clip_vision)
        features = svd_feature_map(picture, size, choices, source, seed, model, vae, clip_vision)
    else:
        _require_sd15_model(model, clip)
        features = sd15_feature_map(picture, size, source, seed, model, vae, clip)
    latent_masks: LatentMasks = "reference" if choices["geometry"] == "reference" else "exact"
    return entity_features(features.cpu(), entities, replace(source, seed=seed), latent_masks=latent_masks)


def svd_feature_map(
    picture: Tensor,
    size: Size,
    choices: Mapping[str, Any],
    source: FeatureSource,
    seed: int,
    model: Any,
    vae: Any,
    clip_vision: Any,
) -> Tensor:
    """(C,h,w) float32 output of the video UNet's last block, which is shown the picture as a video of one frame."""
    embeds = image_embeds(clip_vision, picture, choices["clip_preprocessing"])
    image_latents = vae.encode(pixels_from_picture(resized_picture(picture, size))).float().cpu()
    sigma = exp(4 * source.timestep)
    generator = torch.Generator().manual_seed(seed)
    clean = model.model.process_latent_in(image_latents)
    noisy = [clean + sigma * torch.randn(image_latents.shape, generator=generator) for _ in range(source.ensemble)]
    time_ids = model.model.encode_adm(
        fps=choices["fps_id"] + 1, motion_bucket_id=choices["motion_bucket_id"], augmentation_level=0.0
    )
    conditioning = {"c_concat": image_latents, "c_crossattn": embeds, "y": time_ids}
    return mean_last_block(model, noisy, torch.tensor([sigma]), conditioning, num_video_frames=1)


def sd15_feature_map(
    picture: Tensor, size: Size, source: FeatureSource, seed: int, model: Any, vae: Any, clip: Any
) -> Tensor:
    """(C,h,w) float32 output of a Stable Diffusion 1.5 UNet's last block for the empty prompt."""
    empty_prompt = clip.encode_from_tokens(clip.tokenize(""))
    image_latents = vae.encode(pixels_from_picture(resized_picture(picture, size))).float().cpu()
    sigma = model.model.model_sampling.sigma(torch.tensor([float(source.timestep)])).cpu()
    clean = model.model.process_latent_in(image_latents)
    generator = torch.Generator().manual_seed(seed)
    noisy = []
    for _ in range(source.ensemble):
        torch.randn(image_latents.shape, generator=generator)  # where the core draws from the latents' distribution
        noisy.append(clean + sigma * torch.randn(image_latents.shape, generator=generator))
    return mean_last_block(model, noisy, sigma, {"c_crossattn": empty_prompt})


def image_embeds(clip_vision: Any, picture: Tensor, preprocessing: ClipPreprocessing) -> Tensor:
    """(1,1,D) float32 embedding of a picture that was scaled as the weights were trained with.

    The host's own CLIP Vision Encode crops and rounds the picture, which changes the embedding by about half a percent.
    """
    memory.load_model_gpu(clip_vision.patcher)
    pixels = clip_input(picture[None].cpu(), preprocessing).to(clip_vision.load_device)
    embeds: Tensor = clip_vision.model(pixel_values=pixels, intermediate_output=-2)[2]
    return embeds.float().cpu().unsqueeze(0)


def mean_last_block(
    model: Any, noisy: list[Tensor], sigma: Tensor, conditioning: dict[str, Tensor], **constants: Any
) -> Tensor:
    """(C,h,w) float32 on the CPU: what the UNet's last block gives, averaged over noisy latents (1,4,h,w) at a sigma.

    One after the other, so that memory for one is enough. The user's MODEL keeps its patches and is left as it was.
    """
    clone = model.clone()
    memory.load_models_gpu([clone], memory_required=clone.model.memory_required(list(noisy[0].shape)))
    device = clone.load_device
    outputs: list[Tensor] = []

    def keep_last_block(executor: Any, *args: Any, **kwargs: Any) -> Any:
        # Hooks on the blocks themselves never run: the host calls their layers one by one.
        output_layers = executor.class_obj.out
        handle = output_layers.register_forward_pre_hook(lambda _layers, inputs: outputs.append(inputs[0]))
        try:
            return executor(*args, **kwargs)
        finally:
            handle.remove()

    clone.pre_run()
    options = comfy.model_patcher.create_model_options_clone(clone.model_options)["transformer_options"]
    wrappers = comfy.patcher_extension
    wrappers.merge_nested_dicts(options.setdefault("wrappers", {}), clone.wrappers, copy_dict1=False)
    wrappers.add_wrapper_with_key(wrappers.WrappersMP.DIFFUSION_MODEL, WRAPPER_KEY, keep_last_block, options)
    given = {name: tensor.to(device) for name, tensor in conditioning.items()}
    try:
        with torch.inference_mode():
            for latents in noisy:
                clone.model.apply_model(
                    latents.to(device), sigma.to(device), transformer_options=options, **given, **constants
                )
    finally:
        clone.cleanup()
    return torch.cat(outputs).float().mean(dim=0).cpu()


def _require_last_block(model: Any, source: FeatureSource) -> None:
    levels = len(model.model.model_config.unet_config.get("channel_mult", ()))
    if source.block not in (-1, levels - 1):
        raise ValueError(
            f"Entity Encoder: these weights take entity features from up block {source.block}; in ComfyUI only the "
            "last one (-1) can be read. Take the features with `python -m draganything_core.generate`."
        )


def _require_video_model(model: Any, clip_vision: Any) -> None:
    if not isinstance(model.model, comfy.model_base.SVD_img2vid):
        raise ValueError(
            "Entity Encoder, model: these weights take entity features from the video model itself, and this one is "
            f"{type(model.model).__name__}. Link the Stable Video Diffusion MODEL that will be sampled."
        )
    if clip_vision is None:
        raise ValueError(
            "Entity Encoder, clip_vision: these weights take entity features from the video model, which sees the "
            "picture through it. Link the CLIP_VISION of the video model's loader."
        )


def _require_sd15_model(model: Any, clip: Any) -> None:
    unet = model.model.model_config.unet_config
    if unet.get("context_dim") != SD15_CONTEXT_WIDTH or unet.get("adm_in_channels") is not None:
        raise ValueError(
            "Entity Encoder, model: these weights take entity features from a Stable Diffusion 1.5 family model, and "
            f"this one is {type(model.model).__name__} with text embeddings of {unet.get('context_dim')}. Link MODEL, "
            "VAE and CLIP of a Stable Diffusion 1.5 checkpoint (Load Checkpoint)."
        )
    if clip is None:
        raise ValueError(
            "Entity Encoder, clip: these weights take entity features from a Stable Diffusion 1.5 family model and its "
            "empty prompt. Link the CLIP of the same checkpoint."
        )
