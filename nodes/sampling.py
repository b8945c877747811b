"""Nodes that steer and sample: the ControlNet on any conditioning, and the whole generation in one node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import comfy.sample
import comfy.samplers
import comfy.utils
import latent_preview
import torch
from comfy_api.v0_0_2 import io
from torch import Tensor

from ..draganything_core.drawn_motion import wanted_motion_bucket
from ..draganything_core.images import resized_picture
from ..draganything_core.types import Size
from .conditions import motion_conditions
from .loaders import CATEGORY
from .sizes import size_inputs, video_size
from .types import (
    ConditionsType,
    ControlNetType,
    DrawnMotion,
    EncodedEntities,
    FeaturesType,
    MotionConditions,
    MotionType,
    empty_latents,
    pixels_from_picture,
)

if TYPE_CHECKING:
    from .control import DragAnythingControl

Conditioning = list[Any]

STRENGTH = "How strongly the ControlNet steers: 1 as trained, 0 not at all."
START = "From which part of the schedule on it steers: 0 is the first step."
END = "Up to which part of the schedule it steers: 1 is the last step."


class ApplyDragAnything(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingApply",
            display_name="Apply DragAnything",
            category=CATEGORY,
            description="Makes whatever is sampled with this conditioning move as drawn. Several of them can follow "
            "each other.",
            search_aliases=["draganything", "controlnet", "apply", "drag", "motion control"],
            inputs=[
                io.Conditioning.Input("positive", tooltip="From SVD_img2vid_Conditioning."),
                io.Conditioning.Input("negative", tooltip="From SVD_img2vid_Conditioning."),
                ControlNetType.Input("control_net", tooltip="The DragAnything ControlNet."),
                ConditionsType.Input("conditions", tooltip="From the Gaussian Map Builder, made for the same weights."),
                *control_inputs(),
            ],
            outputs=[
                io.Conditioning.Output("positive", display_name="positive", tooltip="For the sampler."),
                io.Conditioning.Output("negative", display_name="negative", tooltip="For the sampler."),
            ],
        )

    @classmethod
    def execute(
        cls,
        positive: Conditioning,
        negative: Conditioning,
        control_net: DragAnythingControl,
        conditions: MotionConditions,
        strength: float,
        start_percent: float,
        end_percent: float,
    ) -> io.NodeOutput:
        return io.NodeOutput(
            *with_control(positive, negative, control_net, conditions, strength, start_percent, end_percent)
        )


class SvdControlNetSampler(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingSVDSampler",
            display_name="SVD ControlNet Sampler",
            category=CATEGORY,
            description="A whole generation in one node: encodes the picture and its entities, steers and samples, "
            "decodes. The same seed gives the video that the command line gives. For more freedom use the nodes that "
            "do one of these each.",
            search_aliases=["draganything", "svd", "sampler", "image to video", "generate", "all in one"],
            inputs=[
                io.Model.Input("model", tooltip="Stable Video Diffusion, or the tiny demo model."),
                io.ClipVision.Input("clip_vision", tooltip="Its image encoder."),
                io.Vae.Input("vae", tooltip="Its autoencoder."),
                ControlNetType.Input("control_net", tooltip="The DragAnything ControlNet."),
                MotionType.Input("motion", tooltip="The picture and what moves where; its frames are the video's."),
                FeaturesType.Input(
                    "features",
                    optional=True,
                    tooltip="The entities' vectors, if the weights take them from another model than the video model.",
                ),
                *size_inputs(),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Of all randomness.",
                ),
                io.Int.Input(
                    "steps",
                    default=0,
                    min=0,
                    max=10000,
                    tooltip="Denoising steps. 0: as many as the weights name, which is 25 for Stable Video Diffusion.",
                ),
                io.Float.Input(
                    "min_cfg",
                    default=1.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    tooltip="Guidance of the first frame; it rises linearly to the last one's.",
                ),
                io.Float.Input(
                    "cfg",
                    default=-1.0,
                    min=-1.0,
                    max=100.0,
                    step=0.1,
                    tooltip="Guidance of the last frame. No guidance, and half the work, if neither is above 1. "
                    "Below 0: what the weights name, which is 3 for Stable Video Diffusion.",
                ),
                io.Combo.Input(
                    "sampler_name",
                    options=comfy.samplers.KSampler.SAMPLERS,
                    default="euler",
                    tooltip="The sampling algorithm; euler is the command line's.",
                ),
                io.Combo.Input(
                    "scheduler",
                    options=comfy.samplers.KSampler.SCHEDULERS,
                    default="karras",
                    tooltip="How noise levels are spaced; karras is the command line's.",
                ),
                *control_inputs(),
                io.Int.Input(
                    "motion_bucket_id",
                    default=-1,
                    min=-1,
                    max=1023,
                    advanced=True,
                    tooltip="How much moves, as the video model was told in its training. -1: what the weights "
                    "name, or what is drawn, if they go by that.",
                ),
                io.Int.Input(
                    "fps",
                    default=0,
                    min=0,
                    max=1024,
                    advanced=True,
                    tooltip="Frames per second, as the video model is told. 0: what the weights name.",
                ),
                io.Float.Input(
                    "augmentation_level",
                    default=-1.0,
                    min=-1.0,
                    max=10.0,
                    step=0.01,
                    advanced=True,
                    tooltip="Noise on the picture, in units of half its range. -1: what the weights name.",
                ),
            ],
            outputs=[
                io.Image.Output("images", display_name="images", tooltip="The video's frames, for Create Video."),
                io.Latent.Output("latent", display_name="latent", tooltip="The same before decoding."),
            ],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        clip_vision: Any,
        vae: Any,
        control_net: DragAnythingControl,
        motion: DrawnMotion,
        width: int,
        height: int,
        seed: int,
        steps: int,
        min_cfg: float,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        strength: float,
        start_percent: float,
        end_percent: float,
        motion_bucket_id: int,
        fps: int,
        augmentation_level: float,
        features: EncodedEntities | None = None,
    ) -> io.NodeOutput:
        from .control import require_fitting_model
        from .features import encode_entities, image_embeds

        require_fitting_model(model.model, control_net.network.config)
        size = video_size("SVD ControlNet Sampler", control_net, width, height)
        choices = control_net.choices
        steps = steps or choices["num_inference_steps"]
        cfg = choices["max_guidance_scale"] if cfg < 0 else cfg
        picture = resized_picture(motion.picture, size)
        if features is None:
            entities, _ = motion.resolved(choices["anchor"])
            vectors = encode_entities(
                picture, entities, size, choices, seed, model=model, vae=vae, clip_vision=clip_vision
            )
            features = EncodedEntities(vectors, entities, size, choices)
        check_features_size(features, size)
        conditions = motion_conditions(motion, features)

        generator = torch.Generator().manual_seed(seed)
        positive, negative = svd_conditioning(
            picture,
            image_embeds(clip_vision, picture, choices["clip_preprocessing"]),
            vae,
            generator,
            fps=fps or choices["fps_id"] + 1,
            motion_bucket_id=(
                wanted_motion_bucket(choices, conditions.maps.motion if strength else None)
                if motion_bucket_id < 0
                else motion_bucket_id
            ),
            augmentation_level=choices["noise_aug_strength"] if augmentation_level < 0 else augmentation_level,
        )
        positive, negative = with_control(
            positive, negative, control_net, conditions, strength, start_percent, end_percent
        )
        latents = empty_latents(motion.document.frames, size)
        noise = torch.randn(latents.shape, generator=generator)
        samples = comfy.sample.sample(
            guided_by_frame(model, min_cfg, cfg),
            noise,
            steps,
            cfg if max(min_cfg, cfg) > 1 else 1.0,
            sampler_name,
            scheduler,
            positive,
            negative,
            latents,
            callback=latent_preview.prepare_callback(model, steps),
            disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
            seed=seed,
        )
        return io.NodeOutput(vae.decode(samples), {"samples": samples})


def control_inputs() -> list[io.Float.Input]:
    """Strength and range, which both nodes have."""
    return [
        io.Float.Input("strength", default=1.0, min=0.0, max=10.0, step=0.01, tooltip=STRENGTH),
        io.Float.Input("start_percent", default=0.0, min=0.0, max=1.0, step=0.001, tooltip=START),
        io.Float.Input("end_percent", default=1.0, min=0.0, max=1.0, step=0.001, tooltip=END),
    ]


def with_control(
    positive: Conditioning,
    negative: Conditioning,
    control_net: DragAnythingControl,
    conditions: MotionConditions,
    strength: float,
    start_percent: float,
    end_percent: float,
) -> tuple[Conditioning, Conditioning]:
    """Both conditionings, steered; at strength 0 they come back as they are."""
    if strength == 0:
        return positive, negative
    if start_percent > end_percent:
        raise ValueError(
            f"Apply DragAnything, start_percent and end_percent: the start must not be after the end, got "
            f"{start_percent} and {end_percent}"
        )
    if conditions.choices != control_net.choices:
        raise ValueError(
            "Apply DragAnything, conditions: they were made for other weights than control_net, which would take them "
            "for something else. Link the same control_net to the Entity Encoder."
        )
    # One control where both halves of guidance continue the same one, so that the host can run them in one call.
    controls: dict[Any, DragAnythingControl] = {}

    def steered(entry: list[Any]) -> list[Any]:
        embedding, options = entry[0], entry[1].copy()
        previous = options.get("control")
        if previous not in controls:
            control = control_net.applied(conditions, strength, start_percent, end_percent)
            control.set_previous_controlnet(previous)
            controls[previous] = control
        options |= {"control": controls[previous], "control_apply_to_uncond": False}
        return [embedding, options]

    return [steered(entry) for entry in positive], [steered(entry) for entry in negative]


def svd_conditioning(
    picture: Tensor,
    embeds: Tensor,
    vae: Any,
    generator: torch.Generator,
    *,
    fps: float,
    motion_bucket_id: float,
    augmentation_level: float,
) -> tuple[Conditioning, Conditioning]:
    """What SVD knows besides the noise, with the picture and without: as the core's pipeline conditions it.

    picture (3,H,W) in 0..1; augmentation_level: noise on the picture in -1..1, half as much in 0..1.
    """
    noise = torch.randn((1, *picture.shape), generator=generator)[0]
    image_latents = vae.encode(pixels_from_picture(picture + augmentation_level * noise / 2))
    time_ids = {"fps": fps, "motion_bucket_id": motion_bucket_id, "augmentation_level": augmentation_level}
    positive = [[embeds, {**time_ids, "concat_latent_image": image_latents}]]
    negative = [[torch.zeros_like(embeds), {**time_ids, "concat_latent_image": torch.zeros_like(image_latents)}]]
    return positive, negative


def guided_by_frame(model: Any, first: float, last: float) -> Any:
    """A copy of the MODEL whose guidance rises linearly over the frames; the model itself where there is none."""
    if max(first, last) <= 1:
        return model

    def guide(arguments: dict[str, Any]) -> Tensor:
        unconditional: Tensor = arguments["uncond"]
        scale = torch.linspace(first, last, len(unconditional), device=unconditional.device).view(-1, 1, 1, 1)
        return unconditional + scale * (arguments["cond"] - unconditional)

    guided = model.clone()
    # At a cfg of 1 the host would leave out the unconditional half.
    guided.set_model_sampler_cfg_function(guide, disable_cfg1_optimization=True)
    return guided


def check_features_size(features: EncodedEntities, size: Size) -> None:
    """Raises ValueError where features were taken at another size than the video's."""
    if features.size != size:
        raise ValueError(
            f"SVD ControlNet Sampler, features: they were taken at {features.size}, the video is {size} (height x "
            "width). Set the same width and height in the Entity Encoder."
        )
