"""Kinds of weights a user may have at hand: how tensors tell them apart, where each goes, and its licence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

SVD_LICENCE = "Stable Video Diffusion licence of Stability AI (research or community licence: read it before selling)"
SD15_LICENCE = "CreativeML OpenRAIL-M"
SAM_LICENCE = "Apache-2.0"

LICENCES = {
    "draganything_controlnet": "licence not stated by its authors",
    "svd_unet": SVD_LICENCE,
    "svd_unet_host": SVD_LICENCE,
    "svd_checkpoint": SVD_LICENCE,
    "svd_vae": SVD_LICENCE,
    "sd15_unet": SD15_LICENCE,
    "sd15_checkpoint": SD15_LICENCE,
    "sam_vit_b": SAM_LICENCE,
    "sam_vit_l": SAM_LICENCE,
    "sam_vit_h": SAM_LICENCE,
}


@dataclass(frozen=True)
class WeightsKind:
    """title: with its article, as "... is a ..."; belongs: one sentence on where such a file goes."""

    title: str
    belongs: str


@dataclass(frozen=True)
class Signature:
    """A kind is recognised when each pattern is found in some tensor's name.

    last_axis: a pattern and a number; the first tensor whose name it finds must have that many in its last axis.
    """

    kind: str
    patterns: tuple[str, ...]
    last_axis: tuple[str, int] | None = None

    def matches(self, shapes: Mapping[str, tuple[int, ...]], names: str) -> bool:
        if not all(re.search(pattern, names, re.MULTILINE) for pattern in self.patterns):
            return False
        if self.last_axis is None:
            return True
        pattern, width = self.last_axis
        return next((shape[-1:] for name, shape in shapes.items() if re.search(pattern, name)), ()) == (width,)


_IN_SVD = "of the Stable Video Diffusion folder."
_FOR_FEATURES = "It can be the model that entity features are taken from, where a ControlNet asks for that family."
_NOT_USED = "Nothing here uses it."
_FOR_CLICKS = "It finds masks from clicks: give it as the Segment Anything checkpoint."

KINDS = {
    "draganything_controlnet": WeightsKind("a DragAnything ControlNet", "It goes where a ControlNet is asked for."),
    "svd_controlnet": WeightsKind(
        "a ControlNet for Stable Video Diffusion without DragAnything's entity branch", _NOT_USED
    ),
    "image_controlnet": WeightsKind("a ControlNet for an image model", _NOT_USED),
    "svd_unet": WeightsKind("Stable Video Diffusion's UNet (diffusers layout)", f"It belongs in unet/ {_IN_SVD}"),
    "svd_unet_host": WeightsKind(
        "Stable Video Diffusion's UNet (single-file layout)",
        f"ComfyUI loads it as a diffusion model; here the diffusers layout is needed, in unet/ {_IN_SVD}",
    ),
    "svd_checkpoint": WeightsKind(
        "a whole Stable Video Diffusion checkpoint",
        "ComfyUI loads it with its image-only checkpoint loader; here the same model's diffusers folder is needed.",
    ),
    "svd_vae": WeightsKind("Stable Video Diffusion's autoencoder", f"It belongs in vae/ {_IN_SVD}"),
    "sd15_unet": WeightsKind("a Stable Diffusion 1.5 family UNet (diffusers layout)", _FOR_FEATURES),
    "sd15_checkpoint": WeightsKind("a whole Stable Diffusion 1.5 family checkpoint", _FOR_FEATURES),
    "other_unet": WeightsKind("the UNet of another image model (not the 1.5 family)", _NOT_USED),
    "other_checkpoint": WeightsKind("a whole checkpoint of another image model (not the 1.5 family)", _NOT_USED),
    "vae": WeightsKind("an image autoencoder", "It belongs in vae/ of an image model's folder."),
    "tiny_vae": WeightsKind("a tiny autoencoder (TAESD)", "It belongs in vae/ of a folder made for it."),
    "clip_vision_h": WeightsKind("CLIP's image encoder ViT-H", f"It belongs in image_encoder/ {_IN_SVD}"),
    "clip_vision": WeightsKind("a CLIP image encoder of another size than Stable Video Diffusion's", _NOT_USED),
    "clip_text": WeightsKind("a CLIP text encoder", "It belongs in text_encoder/ of an image model's folder."),
    "sam_vit_b": WeightsKind("Segment Anything ViT-B", _FOR_CLICKS),
    "sam_vit_l": WeightsKind("Segment Anything ViT-L", _FOR_CLICKS),
    "sam_vit_h": WeightsKind("Segment Anything ViT-H", _FOR_CLICKS),
    "sam_transformers": WeightsKind(
        "Segment Anything in the layout of transformers", "Clicks need the original checkpoint (sam_vit_*.pth)."
    ),
    "lora": WeightsKind("a LoRA", "It changes another model and is none by itself."),
    "unknown": WeightsKind("of no kind known here", "Look up where it comes from."),
}

_CONTEXT_768 = (r"attn2\.to_k\.weight", 768)
_WHOLE = r"^model\.diffusion_model\."

# Read from top to bottom; the first that matches counts.
SIGNATURES = (
    Signature("lora", (r"(^|[._])lora[._]",)),
    Signature(
        "draganything_controlnet",
        (r"^controlnet_down_blocks\.", r"^controlnet_cond_embedding\.blocks_feature\.", r"\.temporal_res_block\."),
    ),
    Signature("svd_controlnet", (r"^controlnet_down_blocks\.", r"\.temporal_res_block\.")),
    Signature("image_controlnet", (r"^controlnet_down_blocks\.",)),
    Signature("image_controlnet", (r"^(control_model\.)?zero_convs\.",)),
    Signature("svd_unet", (r"^up_blocks\.", r"\.temporal_res_block\.")),
    Signature("svd_unet_host", (r"^input_blocks\.", r"\.time_stack\.")),
    Signature("svd_checkpoint", (_WHOLE + r".*\.time_stack\.",)),
    Signature("sd15_checkpoint", (_WHOLE,), _CONTEXT_768),
    Signature("other_checkpoint", (_WHOLE,)),
    Signature("sd15_unet", (r"^up_blocks\.", r"^conv_in\."), _CONTEXT_768),
    Signature("other_unet", (r"^up_blocks\.", r"^conv_in\.")),
    Signature("svd_vae", (r"^encoder\.conv_in\.", r"^decoder\..*(\.temporal_res_block\.|\.time_stack\.)")),
    Signature("vae", (r"^encoder\.conv_in\.", r"^decoder\.conv_in\.")),
    Signature("tiny_vae", (r"^encoder\.layers\.0\.", r"^decoder\.layers\.0\.")),
    Signature("sam_vit_b", (r"^mask_decoder\.",), (r"^image_encoder\.pos_embed$", 768)),
    Signature("sam_vit_l", (r"^mask_decoder\.",), (r"^image_encoder\.pos_embed$", 1024)),
    Signature("sam_vit_h", (r"^mask_decoder\.",), (r"^image_encoder\.pos_embed$", 1280)),
    Signature("sam_transformers", (r"^mask_decoder\.", r"^vision_encoder\.")),
    Signature("clip_vision_h", (r"patch_embedding\.weight$",), (r"class_embedding$", 1280)),
    Signature("clip_vision_h", (r"visual\.conv1\.weight$",), (r"visual\.class_embedding$", 1280)),
    Signature("clip_vision", (r"(patch_embedding|visual\.conv1)\.weight$",)),
    Signature("clip_text", (r"token_embedding\.weight$",)),
)


def recognise(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The key of KINDS that tensors of these names and shapes belong to; "unknown" if none."""
    names = "\n".join(shapes)
    return next((signature.kind for signature in SIGNATURES if signature.matches(shapes, names)), "unknown")
