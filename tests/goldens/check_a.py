"""Golden A: the ControlNet's residuals with small random weights, against the original's, one sample at a time."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from comparison import Comparison, relative_to_max
from einops import rearrange
from recipe import weights_of
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from draganything_core.controlnet import SvdControlNet
from draganything_core.types import ControlResiduals

TOLERANCE = 1e-5
SEED = 1234
WEIGHTS = "weights_fp16exact.safetensors"
SHIPPED = Path(__file__).parent / "A"


def is_controlnet_golden(folder: Path) -> bool:
    outputs = folder / "outputs.safetensors"
    if not (outputs.is_file() and (folder / "inputs.safetensors").is_file() and (folder / "config.json").is_file()):
        return False
    with safe_open(outputs, "pt") as stored:
        return {"b1_0.mid", "b1_1.mid"} <= set(stored.keys())


def check_a(folder: Path) -> list[Comparison]:
    """Residuals of a batch of two and of each of its samples alone, and what leads to them."""
    controlnet = load_controlnet_golden(folder, _seed(folder))
    inputs, golden = load_file(folder / "inputs.safetensors"), load_file(folder / "outputs.safetensors")
    with torch.no_grad():
        features = condition_features(controlnet, inputs)
        together = _run(controlnet, inputs, features, slice(0, 2))
        alone = [_run(controlnet, inputs, features, slice(i, i + 1)) for i in range(2)]
        time, ids = _embeddings(controlnet, inputs)

    comparisons = [
        _compare("condition features", features, golden["b2.cond_embedding"]),
        _compare("time embedding", time, golden["b2.t_emb"]),
        _compare("embedding of the time ids", ids, golden["b2.aug_emb"]),
    ]
    frames = inputs["sample"].shape[1]
    for i, residuals in enumerate(alone):
        for name, computed in _named(residuals).items():
            comparisons.append(_compare(f"b1_{i}.{name}", computed, golden[f"b1_{i}.{name}"]))
        for name, computed in _named(together).items():
            of_sample = computed[i * frames : (i + 1) * frames]
            comparisons.append(_compare(f"batch of two, b1_{i}.{name}", of_sample, golden[f"b1_{i}.{name}"]))
    return comparisons


def load_controlnet_golden(path: Path, seed: int) -> SvdControlNet:
    """The ControlNet of an A folder, or of the config.json in one; of the shipped folder if there is none.

    Weights are the stored ones where they lie beside the configuration, else they are made from the seed.
    """
    folder = path if path.is_dir() else path.parent
    config_file = folder / "config.json" if path.exists() else SHIPPED / "config.json"
    # The original takes Gaussian frames of 0..255.
    controlnet = SvdControlNet(**json.loads(config_file.read_text()), gaussian_scale=255.0)
    controlnet.load_state_dict(weights_of(controlnet, folder / WEIGHTS, seed))
    return controlnet.eval()


def condition_features(controlnet: SvdControlNet, inputs: dict[str, Tensor]) -> Tensor:
    """(B*T,C0,h,w): the golden's three Gaussian channels differ from each other, so the branches are fed directly."""
    encoder = controlnet.controlnet_cond_embedding
    gaussian = inputs["controlnet_cond_quarter"].repeat_interleave(4, -1).repeat_interleave(4, -2)
    labels = rearrange(inputs["entity_labels"], "b t h w -> (b t) h w")
    # The golden's table has the empty entity in row 0; ours marks it by -1.
    entities = encoder.encode_entities(labels.to(torch.int16) - 1, inputs["entity_embeddings"][1:])
    return encoder.encode_gaussian(rearrange(gaussian, "b t c h w -> (b t) c h w")) + entities


def _run(controlnet: SvdControlNet, inputs: dict[str, Tensor], features: Tensor, samples: slice) -> ControlResiduals:
    frames = inputs["sample"].shape[1]
    return controlnet(
        inputs["sample"][samples],
        inputs["timestep"],
        inputs["encoder_hidden_states"][samples],
        inputs["added_time_ids"][samples],
        features[samples.start * frames : samples.stop * frames],
    )


def _embeddings(controlnet: SvdControlNet, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    batch = len(inputs["sample"])
    time = controlnet.time_embedding(controlnet.time_proj(inputs["timestep"].expand(batch)))
    ids = controlnet.add_time_proj(inputs["added_time_ids"].flatten())
    return time, controlnet.add_embedding(rearrange(ids, "(b n) c -> b (n c)", b=batch))


def _named(residuals: ControlResiduals) -> dict[str, Tensor]:
    return {**{f"down_{i:02}": down for i, down in enumerate(residuals.down)}, "mid": residuals.mid}


def _seed(folder: Path) -> int:
    recipe = folder / "recipe.json"
    return int(json.loads(recipe.read_text())["seed"]) if recipe.is_file() else SEED


def _compare(name: str, computed: Tensor, golden: Tensor) -> Comparison:
    return relative_to_max(name, computed.numpy(), golden.numpy(), TOLERANCE)
