"""Starts ComfyUI in this process, on the CPU and in a folder of its own, and imports the pack as ComfyUI does."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HOST = Path(os.environ["COMFYUI_PATH"])
BASE = Path(tempfile.mkdtemp(prefix="comfyui-"))
atexit.register(shutil.rmtree, BASE, ignore_errors=True)
GOLDENS = Path(__file__).parents[2] / "goldens"
sys.path[:0] = [str(HOST), str(Path(__file__).parent), str(GOLDENS)]

arguments, sys.argv = sys.argv, ["main.py", "--cpu", "--base-directory", str(BASE)]
import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()
import comfy.cli_args  # noqa: E402

sys.argv = arguments

import small_model  # noqa: E402
import torch  # noqa: E402
from small_model import FRAMES, SEED, SIZE, core, pack  # noqa: E402

# The goldens' checks ask for the core by its own name, whether it is installed here or not.
sys.modules.setdefault("draganything_core", pack("draganything_core"))

NOT_APPLIED = "control could not be applied"  # all that the host says of residuals of another shape


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def every_residual_fits(caplog: Any) -> Iterator[None]:
    caplog.set_level(logging.WARNING)
    yield
    logged = [record.getMessage() for record in caplog.get_records("call")]
    assert not [message for message in logged if NOT_APPLIED in message]


@pytest.fixture(scope="session")
def base() -> Path:
    return BASE


@pytest.fixture(scope="session")
def weights(tmp_path_factory: Any) -> Path:
    return small_model.write_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def tiny(weights: Path) -> Any:
    return pack("nodes.tiny_model").load_tiny(weights)


@pytest.fixture(scope="session")
def headless(weights: Path) -> Any:
    """The same weights in the core's own pipeline."""
    models = core("models").load_models(weights, weights / "controlnet")
    models.pipeline.set_progress_bar_config(disable=True)
    return models


@pytest.fixture(scope="session")
def motion() -> Any:
    return small_model.small_motion()


@pytest.fixture(scope="session")
def features(tiny: Any, motion: Any) -> Any:
    node = pack("nodes.conditions").EntityEncoder
    return node.execute(
        tiny.control, motion, tiny.model, tiny.vae, SIZE[1], SIZE[0], SEED, clip_vision=tiny.clip_vision
    ).result[0]


@pytest.fixture(scope="session")
def conditions(motion: Any, features: Any) -> Any:
    return pack("nodes.conditions").GaussianMapBuilder.execute(motion, features).result[0]


@pytest.fixture(scope="session")
def conditioning(tiny: Any, motion: Any) -> tuple[Any, Any]:
    """Positive and negative as the host's own node gives them, with the time ids of the weights."""
    from comfy_extras.nodes_video_model import SVD_img2vid_Conditioning

    image = pack("nodes.types").pixels_from_picture(motion.picture)
    height, width = SIZE
    positive, negative, _ = SVD_img2vid_Conditioning().encode(
        tiny.clip_vision, image, tiny.vae, width, height, FRAMES, motion_bucket_id=30, fps=7, augmentation_level=0.0
    )
    return positive, negative
