"""Picture and condition maps in, frames out: Stable Video Diffusion steered by the DragAnything ControlNet."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from diffusers.video_processor import VideoProcessor
from einops import rearrange, repeat
from PIL import Image
from torch import Tensor

from .autoencoder import decoded_frames, encoded_distribution
from .clip_input import ClipPreprocessing, clip_input
from .contiguous_context import contiguous_contexts
from .controlnet import SvdControlNet
from .drawn_motion import wanted_motion_bucket
from .pipeline_inputs import (
    as_batch,
    as_list,
    check_choices,
    check_draws,
    check_multiple,
    check_numbers,
    frame_count,
)
from .residual_injection import injected_residuals
from .types import LATENT_SCALE, ConditionMaps, Size

logger = logging.getLogger(__name__)

ENCODE_CHUNK = 4  # frames of the condition maps that are encoded at once where that is done densely


@dataclass(frozen=True, eq=False)
class SvdConditioning:
    """What SVD knows besides the noise: image_embeds (B,1,D), image_latents (B,4,h,w), added_time_ids (B,3).

    added_time_ids are (fps - 1, motion_bucket_id, noise_aug_strength).
    """

    image_embeds: Tensor
    image_latents: Tensor
    added_time_ids: Tensor

    def unconditional(self) -> SvdConditioning:
        """Guidance's other half: no picture (zeros), the same time ids."""
        return SvdConditioning(
            torch.zeros_like(self.image_embeds), torch.zeros_like(self.image_latents), self.added_time_ids
        )

    def joined(self, other: SvdConditioning) -> SvdConditioning:
        """Both in one batch, this one first."""
        return SvdConditioning(
            torch.cat([self.image_embeds, other.image_embeds]),
            torch.cat([self.image_latents, other.image_latents]),
            torch.cat([self.added_time_ids, other.added_time_ids]),
        )


@dataclass
class DragAnythingOutput(BaseOutput):
    """frames: (B,T,3,H,W) float 0..1 for "pt", (B,T,H,W,3) for "np", lists of pictures for "pil", else the latents."""

    frames: Any


class DragAnythingPipeline(DiffusionPipeline):
    """Image-to-video diffusion whose motion is given by condition maps.

    vae: AutoencoderKLTemporalDecoder or AutoencoderTiny; image_encoder: CLIPVisionModelWithProjection; unet: a stock
    UNetSpatioTemporalConditionModel, left as it is; controlnet: SvdControlNet, whose config holds every choice the
    numbers depend on; scheduler: EulerDiscreteScheduler as SVD configures it.
    """

    # The ControlNet alternates with the UNet at every step, so it is not part of the chain: once loaded it stays
    # until the loop ends.
    model_cpu_offload_seq = "image_encoder->unet->vae"
    _callback_tensor_inputs = ("latents", "network_input", "model_output")

    def __init__(self, vae: Any, image_encoder: Any, unet: Any, controlnet: SvdControlNet, scheduler: Any) -> None:
        super().__init__()
        self.register_modules(
            vae=vae, image_encoder=image_encoder, unet=unet, controlnet=controlnet, scheduler=scheduler
        )
        self.video_processor = VideoProcessor(do_resize=False, vae_scale_factor=LATENT_SCALE)

    @torch.no_grad()
    def __call__(
        self,
        image: Tensor | Image.Image | list[Image.Image],
        conditions: ConditionMaps | list[ConditionMaps] | None,
        *,
        num_frames: int | None = None,
        num_inference_steps: int | None = None,
        min_guidance_scale: float = 1.0,
        max_guidance_scale: float | None = None,
        fps_id: float | None = None,
        motion_bucket_id: float | None = None,
        noise_aug_strength: float | None = None,
        clip_preprocessing: ClipPreprocessing | None = None,
        control_strength: float = 1.0,
        control_start: float = 0.0,
        control_end: float = 1.0,
        split_guidance: bool = False,
        decode_chunk_size: int = 8,
        encode_chunk_size: int = ENCODE_CHUNK,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: Tensor | None = None,
        image_noise: Tensor | None = None,
        output_type: str = "pt",
        callback_on_step_end: Callable[[Any, int, Tensor, dict[str, Tensor]], dict[str, Tensor]] | None = None,
        callback_on_step_end_tensor_inputs: tuple[str, ...] | list[str] = ("latents",),
    ) -> DragAnythingOutput:
        """Frames in which the entities move as the condition maps say.

        image: (B,3,H,W) or (3,H,W) in 0..1, or PIL pictures of one size; height and width multiples of 64 for SVD.
        conditions: one ConditionMaps of that size a picture, or None for SVD alone.
        num_frames: the conditions' own count unless there are none.
        min_guidance_scale, max_guidance_scale: guidance rises linearly over the frames; no guidance (one network call
            a step, not two) if neither is above 1.
        num_inference_steps, max_guidance_scale, fps_id (frames per second minus one), motion_bucket_id,
            noise_aug_strength, clip_preprocessing: by default what the ControlNet's config says, which may be to take
            motion_bucket_id from how much each picture's conditions move.
            noise_aug_strength is both the noise on the picture and its time id.
        control_strength: factor on all residuals; 0 is exactly SVD alone. control_start, control_end: the part of
            the steps, 0..1, in which control acts.
        split_guidance: the two halves of guidance one after the other, for half the memory.
        decode_chunk_size: frames decoded at once (fewer: less memory, slightly other pixels); encode_chunk_size: frames
            of the condition maps encoded at once where that is done densely.
        generator: one, or one a picture. latents (B,T,4,h,w) unit noise and image_noise (B,3,H,W) replace its draws.
        output_type: "pt", "np", "pil" or "latent".
        callback_on_step_end(pipeline, step, timestep, tensors): may return {"latents": ...}; tensors among "latents",
            "network_input" (both halves of guidance, unconditional first) and "model_output" (guided).
        Raises ValueError naming the argument for sizes, counts and ranges that do not fit.
        Source: paper sections 3.3-3.4; guidance with control in both halves, as the authors' pipeline.
        """
        pixels = as_batch(image)
        maps = as_list(conditions)
        self.check_size(Size.of(pixels))
        check_choices(control_start, control_end, output_type, num_frames)
        config = self.controlnet.config
        if num_inference_steps is None:
            num_inference_steps = int(config.num_inference_steps)
        if max_guidance_scale is None:
            max_guidance_scale = float(config.max_guidance_scale)
        frames = frame_count(pixels, maps, num_frames, int(self.controlnet.config.frames))
        check_numbers(
            at_least_one={
                "num_inference_steps": num_inference_steps,
                "decode_chunk_size": decode_chunk_size,
                "encode_chunk_size": encode_chunk_size,
            },
            finite={
                "min_guidance_scale": min_guidance_scale,
                "max_guidance_scale": max_guidance_scale,
                "control_strength": control_strength,
            },
        )
        check_draws(pixels, generator, image_noise)
        device, batch = self._execution_device, len(pixels)
        guidance = torch.linspace(min_guidance_scale, max_guidance_scale, frames)
        guided = bool(guidance.max() > 1)

        motion_buckets: float | list[float] | None = motion_bucket_id
        if motion_buckets is None:
            motion_buckets = self._motion_buckets(maps if control_strength else None)
        conditioning = self.condition_on(
            pixels,
            fps_id=config.fps_id if fps_id is None else fps_id,
            motion_bucket_id=motion_buckets,
            noise_aug_strength=config.noise_aug_strength if noise_aug_strength is None else noise_aug_strength,
            clip_preprocessing=clip_preprocessing or config.clip_preprocessing,
            generator=generator,
            image_noise=image_noise,
        )
        halves = [conditioning.unconditional(), conditioning] if guided else [conditioning]
        if guided and not split_guidance:
            halves = [halves[0].joined(halves[1])]
        condition_features = self._encode_conditions(maps, control_strength, device, encode_chunk_size)

        self.scheduler.set_timesteps(num_inference_steps, device=device)
        self.scheduler.set_begin_index(0)  # it would look for it on the device, and wait for the answer
        latents = self._initial_latents(batch, frames, Size.of(pixels), device, generator, latents)
        guidance = guidance.to(device).view(1, frames, 1, 1, 1)
        with contiguous_contexts(self.unet), self.progress_bar(total=num_inference_steps) as progress:
            for step, timestep in enumerate(self.scheduler.timesteps):
                in_range = control_start <= step / num_inference_steps < control_end
                active = condition_features if in_range else None
                scaled = self.scheduler.scale_model_input(latents, timestep)
                network_inputs = [_network_input(scaled, half).to(self.unet.dtype) for half in halves]
                model_output = torch.cat(
                    [
                        self._predict(network_input, timestep, half, active, control_strength)
                        for network_input, half in zip(network_inputs, halves, strict=True)
                    ]
                )
                if guided:
                    unconditional, conditional = model_output.chunk(2)
                    model_output = unconditional + guidance * (conditional - unconditional)
                # In fp32: half precision would round the first latents, 700 times unit noise, to whole numbers.
                latents = self.scheduler.step(model_output, timestep, latents).prev_sample
                if callback_on_step_end is not None:
                    tensors = {
                        "latents": latents,
                        "network_input": torch.cat(network_inputs),
                        "model_output": model_output,
                    }
                    wanted = {name: tensors[name] for name in callback_on_step_end_tensor_inputs}
                    latents = callback_on_step_end(self, step, timestep, wanted).get("latents", latents)
                progress.update()

        self._offload(self.unet, self.controlnet)  # decoding is the peak of memory
        result = latents if output_type == "latent" else self._decoded(latents, decode_chunk_size, output_type)
        self.maybe_free_model_hooks()
        return DragAnythingOutput(frames=result)

    @torch.no_grad()
    def condition_on(
        self,
        pixels: Tensor,
        *,
        fps_id: float,
        motion_bucket_id: float | list[float],
        noise_aug_strength: float,
        clip_preprocessing: ClipPreprocessing,
        generator: torch.Generator | list[torch.Generator] | None = None,
        image_noise: Tensor | None = None,
    ) -> SvdConditioning:
        """SVD's conditioning on pictures (B,3,H,W) in 0..1.

        The image latents are those of the picture in -1..1 with noise_aug_strength times noise added, the mode of the
        autoencoder's distribution, not multiplied by its scaling factor. motion_bucket_id: one, or one a picture.
        """
        device = self._execution_device
        embeds = self.image_encoder(
            clip_input(pixels, clip_preprocessing).to(device, self.image_encoder.dtype)
        ).image_embeds
        if image_noise is None:
            image_noise = randn_tensor(pixels.shape, generator=generator, device=torch.device(device))
        noised = (pixels * 2.0 - 1.0).to(device) + noise_aug_strength * image_noise.to(device)
        self._keep_vae_out_of_half_precision()
        image_latents, _ = encoded_distribution(self.vae, noised.to(self.vae.dtype))
        self._offload(self.vae)  # its turn comes again only after the last step
        buckets = motion_bucket_id if isinstance(motion_bucket_id, list) else [motion_bucket_id] * len(pixels)
        time_ids = torch.tensor([[fps_id, bucket, noise_aug_strength] for bucket in buckets], device=device)
        return SvdConditioning(rearrange(embeds, "b d -> b 1 d").to(self.unet.dtype), image_latents, time_ids)

    @torch.no_grad()
    def decode(self, latents: Tensor, chunk_size: int = 8) -> Tensor:
        """(B,T,3,H,W) float32 in 0..1 from latents (B,T,4,h,w); ``chunk_size`` frames at a time, never in fp16.

        The decoder looks at neighbouring frames within a chunk, so the chunk size changes pixels a little.
        """
        self._keep_vae_out_of_half_precision()
        videos = []
        for video in latents / self.vae.config.scaling_factor:
            chunks = [decoded_frames(self.vae, chunk) for chunk in video.split(chunk_size)]
            videos.append(torch.cat(chunks).float())
        return (torch.stack(videos) / 2 + 0.5).clamp(0, 1)

    def check_size(self, size: Size) -> None:
        """Raises ValueError unless the UNet can halve height and width as often as it has to (64 px for SVD)."""
        check_multiple(size, LATENT_SCALE * 2 ** (len(self.unet.down_blocks) - 1))

    def _predict(
        self,
        network_input: Tensor,
        timestep: Tensor,
        conditioning: SvdConditioning,
        condition_features: Tensor | None,
        control_strength: float,
    ) -> Tensor:
        """The UNet's output (B,T,4,h,w) in fp32, its skips and middle block steered by the ControlNet's residuals."""
        residuals = None
        if condition_features is not None:
            # The same control in both halves of guidance, as the authors' pipeline has it.
            halves = network_input.shape[0] * network_input.shape[1] // len(condition_features)
            dtype = self.controlnet.dtype
            residuals = self.controlnet(
                network_input.to(dtype),
                timestep,
                encoder_hidden_states=conditioning.image_embeds.to(dtype),
                added_time_ids=conditioning.added_time_ids,
                condition_features=repeat(condition_features, "bt c h w -> (n bt) c h w", n=halves),
                strength=control_strength,
            ).multiplied(*self.controlnet.residual_multiplicity)
        with injected_residuals(self.unet, residuals):
            output = self.unet(
                network_input,
                timestep,
                encoder_hidden_states=conditioning.image_embeds,
                added_time_ids=conditioning.added_time_ids,
                return_dict=False,
            )[0]
        return output.float()

    def _motion_buckets(self, maps: list[ConditionMaps] | None) -> float | list[float]:
        config = self.controlnet.config
        if maps is None:
            return wanted_motion_bucket(config, None)
        return [wanted_motion_bucket(config, each.motion) for each in maps]

    def _encode_conditions(
        self, maps: list[ConditionMaps] | None, strength: float, device: torch.device, chunk_size: int
    ) -> Tensor | None:
        # Independent of the noise: once a video instead of once a step and half of guidance.
        if maps is None or strength == 0:
            return None
        return torch.cat([self.controlnet.encode_conditions(each.to(device), chunk_size) for each in maps])

    def _initial_latents(
        self,
        batch: int,
        frames: int,
        size: Size,
        device: torch.device,
        generator: torch.Generator | list[torch.Generator] | None,
        latents: Tensor | None,
    ) -> Tensor:
        shape = (batch, frames, self.unet.config.in_channels // 2, size.latent.height, size.latent.width)
        if latents is None:
            latents = randn_tensor(shape, generator=generator, device=torch.device(device))
        elif tuple(latents.shape) != shape:
            raise ValueError(f"latents must be unit noise of shape {shape}, got {tuple(latents.shape)}")
        return latents.to(device, torch.float32) * self.scheduler.init_noise_sigma

    def _decoded(self, latents: Tensor, chunk_size: int, output_type: str) -> Any:
        frames = self.decode(latents, chunk_size)
        if output_type == "pt":
            return frames
        arrays = rearrange(frames, "b t c h w -> b t h w c").cpu().numpy()
        if output_type == "np":
            return arrays
        return [self.video_processor.numpy_to_pil(video) for video in arrays]

    def _keep_vae_out_of_half_precision(self) -> None:
        # SVD's autoencoder overflows in fp16 (its config says force_upcast); bf16 has the range.
        if self.vae.dtype == torch.float16 and self.vae.config.force_upcast:
            logger.info("The autoencoder runs in fp32: fp16 overflows in it.")
            self.vae.to(dtype=torch.float32)

    def _offload(self, *networks: Any) -> None:
        """Takes networks off the device under model offloading, whose chain moves one only when the next runs."""
        if getattr(self, "_all_hooks", None):
            for network in networks:
                network.to("cpu")
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def _network_input(scaled_latents: Tensor, conditioning: SvdConditioning) -> Tensor:
    """(b,T,8,h,w): noisy latents beside the picture's, for each of the conditioning's one or two halves of guidance."""
    halves = len(conditioning.image_latents) // len(scaled_latents)
    noisy = repeat(scaled_latents, "b t c h w -> (n b) t c h w", n=halves)
    pictures = repeat(conditioning.image_latents, "b c h w -> b t c h w", t=noisy.shape[1])
    return torch.cat([noisy, pictures.to(noisy.dtype)], dim=2)
