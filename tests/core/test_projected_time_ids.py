"""The ControlNet takes time ids that are embedded already, as another host of the network gives them."""

from __future__ import annotations

import pytest
import torch
from einops import rearrange
from small_networks import random_maps, small_controlnet, small_inputs


def test_embedded_time_ids_give_the_same_residuals():
    controlnet = small_controlnet()
    inputs = small_inputs(batch=2)
    frames, _, height, width = inputs["sample"].shape[1:]
    maps = random_maps(frames=frames, height=8 * height, width=8 * width)
    with torch.no_grad():
        features = controlnet.encode_conditions(maps).repeat(2, 1, 1, 1)
        expected = controlnet(**inputs, condition_features=features)
        ids = controlnet.add_time_proj(inputs["added_time_ids"].flatten())
        embedded = {**inputs, "added_time_ids": rearrange(ids, "(b n) c -> b (n c)", b=2)}
        found = controlnet(**embedded, condition_features=features)
    assert torch.equal(found.mid, expected.mid)
    assert all(torch.equal(a, b) for a, b in zip(found.down, expected.down, strict=True))


def test_another_width_is_refused():
    inputs = {**small_inputs(batch=2), "added_time_ids": torch.zeros(2, 95)}
    with pytest.raises(ValueError, match=r"added_time_ids must be \(2, 3\), or \(2, 96\) once projected"):
        small_controlnet()(**inputs, condition_features=torch.zeros(1))
