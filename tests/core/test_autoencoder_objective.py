"""The small autoencoder's objective: latents by a formula, and what its decoder is shown."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderTiny

from draganything_core.tiny.latents import plan_latents, preview_factors
from draganything_core.training.autoencoder import AutoencoderObjective, picture_losses
from draganything_core.training.config import Autoencoder


def small_autoencoder() -> AutoencoderTiny:
    torch.manual_seed(2)
    return AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
        scaling_factor=1.0,
    )


def pictures() -> torch.Tensor:
    return torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(1))


def test_the_plan_of_blocks_of_one_colour():
    picture = torch.zeros(1, 3, 8, 16)
    picture[0, :, :, :8] = torch.tensor([0.9, 0.3, 0.6]).view(3, 1, 1)
    picture[0, :, :, 8:] = torch.tensor([0.0, 0.3, 0.3]).view(3, 1, 1)
    plan = plan_latents(picture)
    assert plan.shape == (1, 4, 1, 2)
    # 5 (mean - 0.5), 3 (red - green), 3 ((red + green) / 2 - blue), 12 x deviation of the brightness - 0.7
    torch.testing.assert_close(plan[0, :, 0, 0], torch.tensor([0.5, 1.8, 0.0, -0.7]))
    torch.testing.assert_close(plan[0, :, 0, 1], torch.tensor([-1.5, -0.9, -0.45, -0.7]))


def test_previews_show_each_blocks_mean_colour():
    seen = pictures()
    shown = torch.einsum("b l h w, l c -> b c h w", plan_latents(seen), torch.tensor(preview_factors()))
    torch.testing.assert_close((shown + 1) / 2, torch.nn.functional.avg_pool2d(seen, 8))


def test_the_plan_tells_how_much_the_brightness_of_a_block_varies():
    picture = torch.zeros(1, 3, 8, 8)
    picture[..., :4] = 1
    assert plan_latents(picture)[0, 3].item() == pytest.approx(12 * 0.5 - 0.7)


def test_sharpness_asks_how_steep_an_edge_is_and_not_where():
    truth = torch.zeros(1, 3, 16, 16)
    truth[..., 4:] = 1
    shifted, blurred = torch.zeros_like(truth), truth.clone()
    shifted[..., 5:] = 1
    blurred[..., 3], blurred[..., 4], blurred[..., 5] = 0.25, 0.5, 0.75
    sharp, plain = Autoencoder(sharpness=1.0), Autoencoder()
    cost = {
        name: (picture_losses(picture, truth, sharp) - picture_losses(picture, truth, plain)).item()
        for name, picture in {"same": truth, "shifted": shifted, "blurred": blurred}.items()
    }
    assert cost["same"] == pytest.approx(0, abs=1e-6)
    assert cost["shifted"] == pytest.approx(0, abs=1e-6)
    # One step of 1 in each row of 8 px against four of a quarter: root mean squares of 1/8 and of 1/8 * 1/4.
    assert cost["blurred"] == pytest.approx((8**-0.5 - 32**-0.5) / 2, rel=1e-3)  # in the left half of the blocks


def test_a_perfect_picture_costs_nothing_and_each_kind_of_error_does():
    truth = pictures()
    weights = Autoencoder()
    assert picture_losses(truth, truth, weights).eq(0).all()
    brighter = picture_losses(truth + 0.1, truth, weights)
    torch.testing.assert_close(brighter, torch.full((2,), 3 * 0.1 + weights.pooled * 0.1))  # values at three scales
    tint = torch.tensor([0.1, -0.1, 0.0]).view(3, 1, 1)
    redder = picture_losses(truth + tint, truth, weights)
    torch.testing.assert_close(redder, torch.full((2,), (3 + weights.pooled + weights.chroma) * 0.2 / 3))


@pytest.mark.parametrize("decode", ["encoded", "plan"])
def test_what_the_decoder_is_shown(decode):
    vae, truth = small_autoencoder(), pictures()
    noise = torch.randn(2, 4, 2, 3, generator=torch.Generator().manual_seed(3))
    objective = AutoencoderObjective(vae, Autoencoder(decode=decode, noise=0.5, latents=0.0))
    output = objective(truth, noise)
    with torch.no_grad():
        shown = plan_latents(truth) if decode == "plan" else vae.encode(truth * 2 - 1).latents
        decoded = vae.decode(shown + 0.5 * noise).sample / 2 + 0.5
    torch.testing.assert_close(output.per_sample, picture_losses(decoded, truth, objective.weights))


def test_a_decoder_of_the_plan_leaves_the_encoder_to_the_plan_alone():
    vae, truth = small_autoencoder(), pictures()
    AutoencoderObjective(vae, Autoencoder(decode="plan", latents=0.0))(truth, torch.zeros(2, 4, 2, 3)).loss.backward()
    assert all(p.grad is None or not p.grad.any() for p in vae.encoder.parameters())
    assert any(p.grad is not None and p.grad.any() for p in vae.decoder.parameters())
    vae.zero_grad()
    AutoencoderObjective(vae, Autoencoder(decode="plan", latents=2.0))(truth, torch.zeros(2, 4, 2, 3)).loss.backward()
    assert any(p.grad is not None and p.grad.any() for p in vae.encoder.parameters())
