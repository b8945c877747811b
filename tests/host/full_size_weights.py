"""Random weights of full size in the files that workflows name: ``python full_size_weights.py COMFYUI PACK MODELS``.

MODELS gets the folders of a ComfyUI's models/. Checkpoints are built as the host itself lays them out when it saves:
its classes are asked for keys and shapes, on no device, so that the host's own loading is what is tried. Half precision
as published, 8 GB in all, no more than 5 GB of it in memory at a time. Files that are there are kept.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

host, pack, models = sys.argv[1:]
sys.path[:0] = [host]
sys.path.append(pack)  # behind the host: both have a package called nodes
sys.path.append(str(Path(__file__).parent))
sys.argv = ["main.py", "--cpu"]
importlib.import_module("comfy.options").enable_args_parsing()
import comfy.clip_vision  # noqa: E402
import comfy.ldm.models.autoencoder as autoencoders  # noqa: E402
import comfy.ops  # noqa: E402
import comfy.sd1_clip  # noqa: E402
from comfy.clip_model import CLIPTextModel  # noqa: E402
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel  # noqa: E402
from diffusers import UNetSpatioTemporalConditionModel  # noqa: E402
from workflow_parts import CONTROLNET, SAM, SD15, SVD  # noqa: E402

from draganything_core.controlnet import SvdControlNet  # noqa: E402
from draganything_core.unet_keys import sgm_unet_config  # noqa: E402

Shapes = dict[str, torch.Size]
HALF = torch.float16
DRAWN = 2**26  # numbers drawn once, of which every layer gets a stretch: drawing four thousand million takes minutes
AUTOENCODER = {
    "double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": 128,
    "ch_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_resolutions": [], "dropout": 0.0,
}  # fmt: skip
SD15_UNET = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320, "channel_mult": [1, 2, 4, 4],
    "num_res_blocks": [2, 2, 2, 2], "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0], "transformer_depth_middle": 1,
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0], "use_spatial_transformer": True,
    "use_linear_in_transformer": False, "context_dim": 768, "num_heads": 8, "legacy": False,
}  # fmt: skip


def main() -> None:
    torch.manual_seed(0)
    folder = Path(models)
    makers: dict[Path, Callable[[Path], None]] = {
        folder / SVD.folder / SVD.name: write_svd,
        folder / SD15.folder / SD15.name: write_sd15,
        folder / CONTROLNET.folder / CONTROLNET.name: write_controlnet,
        folder / SAM.folder / SAM.name: write_sam,
    }
    for path, write in makers.items():
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            start = time.monotonic()
            part = path.with_name(f"part-{path.name}")
            write(part)
            os.replace(part, path)
            print(f"{path.relative_to(folder)}: {bytes_of(path) / 1e9:.2f} GB, {time.monotonic() - start:.0f} s")


def write_svd(path: Path) -> None:
    """UNet, temporal autoencoder and CLIP vision tower in one checkpoint."""
    with torch.device("meta"):
        unet = UNetSpatioTemporalConditionModel()
    arguments = sgm_unet_config(unet.config)
    decoder = {**AUTOENCODER, "video_kernel_size": [3, 1, 1], "alpha": 0.0}
    engine = autoencoders.AutoencodingEngine(
        regularizer_config={"target": "comfy.ldm.models.autoencoder.DiagonalGaussianRegularizer"},
        encoder_config={"target": "comfy.ldm.modules.diffusionmodules.model.Encoder", "params": AUTOENCODER},
        decoder_config={"target": "comfy.ldm.modules.temporal_ae.VideoDecoder", "params": decoder},
    )
    settings = Path(comfy.clip_vision.__file__).with_name("clip_vision_config_h.json")
    tower = comfy.clip_vision.ClipVisionModel(str(settings))
    vision = "conditioner.embedders.0.open_clip.model.visual."
    write_checkpoint(
        path,
        below("model.diffusion_model.", empty_unet(arguments)),
        below("first_stage_model.", engine),
        below(vision, tower.model),
    )


def write_sd15(path: Path) -> None:
    """UNet, autoencoder and CLIP text tower in one checkpoint."""
    autoencoder = autoencoders.AutoencoderKL(ddconfig=AUTOENCODER, embed_dim=4)
    text = comfy.sd1_clip.SDClipModel(device="cpu", dtype=HALF).transformer
    assert isinstance(text, CLIPTextModel)
    write_checkpoint(
        path,
        below("model.diffusion_model.", empty_unet(SD15_UNET)),
        below("first_stage_model.", autoencoder),
        below("cond_stage_model.transformer.", text),
    )


def write_controlnet(path: Path) -> None:
    """This project's own layout: a folder with its choices in config.json."""
    torch.set_default_dtype(HALF)
    with torch.device("meta"):
        controlnet = SvdControlNet()
    torch.set_default_dtype(torch.float32)
    controlnet.load_state_dict(random_tensors(shapes_of(controlnet)), assign=True)
    controlnet.save_pretrained(path)


def write_sam(path: Path) -> None:
    """As segment-anything's own builder makes it."""
    from segment_anything import sam_model_registry

    torch.save(sam_model_registry["vit_b"]().state_dict(), path)


def write_checkpoint(path: Path, *parts: Shapes) -> None:
    shapes = {key: shape for part in parts for key, shape in part.items()}
    save_file(random_tensors(shapes), path)


def empty_unet(arguments: dict[str, object]) -> nn.Module:
    return UNetModel(**arguments, device="meta", operations=comfy.ops.disable_weight_init)


def shapes_of(network: nn.Module) -> Shapes:
    return {key: tensor.shape for key, tensor in network.state_dict().items()}


def below(prefix: str, network: nn.Module) -> Shapes:
    return {prefix + key: shape for key, shape in shapes_of(network).items()}


def random_tensors(shapes: Shapes) -> dict[str, Tensor]:
    """Layers that keep the size of what goes through them; gains 1, biases 0, mixes of space and time half and half."""
    drawn = torch.randn(DRAWN).half()
    tensors = {}
    for key, shape in shapes.items():
        if len(shape) > 1:
            start = int(torch.randint(DRAWN - shape.numel(), ()))
            tensors[key] = drawn[start : start + shape.numel()].reshape(shape) * shape[1:].numel() ** -0.5
        else:
            tensors[key] = torch.full(shape, float(key.endswith("weight")), dtype=HALF)
    return tensors


def bytes_of(path: Path) -> int:
    files: Iterable[Path] = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


if __name__ == "__main__":
    main()
