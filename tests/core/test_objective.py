"""What training minimises: the exact velocity form of SVD's loss, its mask, and whom the gradients reach."""

import math
from dataclasses import replace

import pytest
import torch
from diffusers import EulerDiscreteScheduler
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import ENCODER, random_maps, small_controlnet, small_unet
from torch.testing import assert_close

from draganything_core.controlnet import SvdControlNet
from draganything_core.training.objective import (
    BaseObjective,
    ControlNetObjective,
    LossWeighting,
    TrainingBatch,
    added_time_ids,
    bucket_means,
    bucket_totals,
    condition_dropout,
    denoised,
    latent_mask,
    noised_pictures,
    noisy_input,
    preconditioning,
    sample_image_noise_levels,
    sample_sigmas,
    sigma_quantiles,
    velocity_losses,
    velocity_target,
)
from draganything_core.training.order import noise_generators

SIGMAS = torch.tensor([0.5, 4.0])
# Group norms have 32 groups: a width of 32 is one channel each, and the norm would take the time embedding out again.
WIDE = {"block_out_channels": (64, 96)}


def some_noise(batch: int = 2, seed: int = 5) -> torch.Tensor:
    return torch.randn(batch, 3, 4, 5, 7, generator=torch.Generator().manual_seed(seed))


def some_batch(batch: int = 2, seed: int = 6) -> TrainingBatch:
    generator = torch.Generator().manual_seed(seed)
    return TrainingBatch(
        latents=torch.randn(batch, 3, 4, 5, 7, generator=generator),
        image_latents=torch.randn(batch, 4, 5, 7, generator=generator),
        image_embeds=torch.randn(batch, 1, 24, generator=generator),
        added_time_ids=torch.tensor([6.0, 127.0, 0.02]) - torch.arange(batch)[:, None],
        maps=[random_maps(entities=2 - index % 2, seed=seed + index) for index in range(batch)],
        loss_mask=torch.rand(batch, 3, 5, 7, generator=generator) > 0.4,
    )


def sample_of(batch: TrainingBatch, index: int) -> TrainingBatch:
    """One clip as a batch of its own."""
    one = slice(index, index + 1)
    return TrainingBatch(
        batch.latents[one],
        batch.image_latents[one],
        batch.image_embeds[one],
        batch.added_time_ids[one],
        batch.maps[one],
        batch.loss_mask[one],
    )


class TestNoiseLevels:
    def test_quantiles_are_those_of_svd(self):
        assert_close(
            sigma_quantiles(torch.tensor([0.05, 0.5, 0.95])), torch.tensor([0.145, 2.014, 28.0]), rtol=2e-3, atol=0
        )

    @pytest.mark.parametrize(
        ("sample", "mean", "std"), [(sample_sigmas, 0.7, 1.6), (sample_image_noise_levels, -3.0, 0.5)]
    )
    def test_draws_have_the_mean_and_spread_of_their_logarithm(self, sample, mean, std):
        logs = sample(noise_generators(0, 0, range(2000), "sigma")).double().log()
        assert abs(logs.mean() - mean) < 4 * std / 2000**0.5
        assert abs(logs.std() - std) < 4 * std / 4000**0.5

    def test_each_generator_gives_its_own_sample_whatever_stands_beside_it(self):
        together = sample_sigmas(noise_generators(3, 1, [0, 1, 2], "sigma"))
        assert torch.equal(sample_sigmas(noise_generators(3, 1, [2], "sigma")), together[2:])
        assert len(set(together.tolist())) == 3

    def test_a_quantile_outside_of_the_open_interval_is_refused(self):
        with pytest.raises(ValueError, match="quantiles must lie between 0 and 1"):
            sigma_quantiles(torch.tensor([0.5, 1.0]))


class TestDenoiser:
    def test_scalings_at_sigma_two(self):
        c_skip, c_out, c_in, c_noise = preconditioning(torch.tensor(2.0, dtype=torch.float64))
        assert (float(c_skip), float(c_noise)) == pytest.approx((0.2, math.log(2) / 4))
        assert (float(c_out), float(c_in)) == pytest.approx((-2 / 5**0.5, 1 / 5**0.5))

    def test_training_and_the_sampler_of_generation_mean_the_same(self):
        scheduler = EulerDiscreteScheduler(
            prediction_type="v_prediction",
            timestep_type="continuous",
            use_karras_sigmas=True,
            sigma_min=0.002,
            sigma_max=700.0,
        )
        scheduler.set_timesteps(6)
        noisy, output = some_noise(batch=1, seed=1), some_noise(batch=1, seed=2)
        for sigma, timestep in zip(scheduler.sigmas[:-1], scheduler.timesteps, strict=True):
            c = preconditioning(sigma)
            assert_close(c.c_noise, timestep, rtol=1e-4, atol=1e-6)
            assert_close(c.c_in * noisy, scheduler.scale_model_input(noisy, timestep))
            step = scheduler.step(output, timestep, noisy)
            assert_close(denoised(output, noisy, sigma[None]), step.pred_original_sample)

    @settings(max_examples=50, deadline=None)
    @given(log_sigma=st.floats(-5, 6.5), seed=st.integers(0, 999))
    def test_the_velocity_error_is_the_weighted_error_of_the_denoiser(self, log_sigma, seed):
        latents, noise, output = torch.randn(
            3, 1, 2, 4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
        )
        sigmas = torch.tensor([log_sigma], dtype=torch.float64).exp()
        sigma = float(sigmas)
        weight = (sigma**2 + 1) / sigma**2
        error = denoised(output, latents + sigma * noise, sigmas) - latents
        assert_close((output - velocity_target(latents, noise, sigmas)) ** 2, weight * error**2, rtol=1e-9, atol=1e-9)

    def test_a_perfect_output_gives_back_the_latents(self):
        latents, noise = some_noise(seed=1).double(), some_noise(seed=2).double()
        sigmas = SIGMAS.double()
        noisy = latents + sigmas.view(2, 1, 1, 1, 1) * noise
        assert_close(denoised(velocity_target(latents, noise, sigmas), noisy, sigmas), latents)

    def test_the_network_reads_unit_variance_beside_the_unscaled_picture(self):
        batch = some_batch()
        network_input = noisy_input(batch, some_noise(), SIGMAS)
        noisy = batch.latents[1] + 4.0 * some_noise()[1]
        assert_close(network_input[1, :, :4], noisy / 17**0.5)
        assert torch.equal(network_input[:, 2, 4:], batch.image_latents)


class TestConditioning:
    def test_time_ids_hold_one_frame_a_second_less(self):
        ids = added_time_ids(torch.tensor([7, 25]), torch.tensor([127, 90]), torch.tensor([0.02, 0.125]))
        assert_close(ids, torch.tensor([[6.0, 127.0, 0.02], [24.0, 90.0, 0.125]]))

    def test_each_picture_gets_its_own_level_of_noise(self):
        pictures, noise = torch.zeros(2, 3, 40, 56), torch.ones(2, 3, 40, 56)
        noised = noised_pictures(pictures, torch.tensor([0.25, 0.5]), noise)
        assert noised.amin((1, 2, 3)).tolist() == noised.amax((1, 2, 3)).tolist() == [0.25, 0.5]

    def test_joint_dropout_takes_both_from_a_tenth(self):
        dropout = condition_dropout(torch.arange(100) / 100)
        assert torch.equal(dropout.keep_embeds, dropout.keep_latents)
        assert int((~dropout.keep_embeds).sum()) == 10

    def test_instruct_pix2pix_dropout_takes_each_alone_and_both(self):
        dropout = condition_dropout(torch.arange(100) / 100, 0.1, "instruct_pix2pix")
        pairs = list(zip(dropout.keep_embeds.tolist(), dropout.keep_latents.tolist(), strict=True))
        counts = {pair: pairs.count(pair) for pair in set(pairs)}
        assert counts == {(False, True): 10, (False, False): 10, (True, False): 10, (True, True): 70}

    def test_what_is_dropped_is_zero_and_the_rest_untouched(self):
        batch = some_batch(3)
        dropped = batch.without(condition_dropout(torch.tensor([0.05, 0.15, 0.25]), 0.1, "instruct_pix2pix"))
        assert [bool(embeds.any()) for embeds in dropped.image_embeds] == [False, False, True]
        assert [bool(latents.any()) for latents in dropped.image_latents] == [True, False, False]
        assert torch.equal(dropped.image_embeds[2], batch.image_embeds[2])
        assert dropped.maps is batch.maps

    @pytest.mark.parametrize(("rate", "scheme"), [(1.0, "joint"), (0.34, "instruct_pix2pix"), (-0.1, "joint")])
    def test_a_rate_that_leaves_nothing_whole_is_refused(self, rate, scheme):
        with pytest.raises(ValueError, match="rate must be >= 0"):
            condition_dropout(torch.rand(4), rate, scheme)

    def test_an_unknown_scheme_is_refused(self):
        with pytest.raises(ValueError, match="scheme must be"):
            condition_dropout(torch.rand(4), 0.1, "both")


class TestLossByHand:
    """One frame of 2x2 latents at sigma 1: v = (noise - latents) / sqrt(2) = 1, 3, 0, -1 in each channel, F = 0."""

    latents = torch.zeros(1, 1, 4, 2, 2)
    noise = (torch.tensor([[1.0, 3.0], [0.0, -1.0]]) * 2**0.5).expand(1, 1, 4, 2, 2)
    mask = torch.tensor([[[[True, False], [False, True]]]])

    def loss(self, mask, **weighting) -> float:
        losses = velocity_losses(
            torch.zeros_like(self.latents), self.latents, self.noise, torch.ones(1), mask, LossWeighting(**weighting)
        )
        return pytest.approx(losses.item())

    def test_mean_inside_the_mask(self):
        assert self.loss(self.mask) == (1 + 1) / 2

    def test_mean_without_a_mask(self):
        assert self.loss(None) == self.loss(self.mask, mask_bg_weight=1.0) == (1 + 9 + 0 + 1) / 4

    def test_mean_with_a_light_background(self):
        assert self.loss(self.mask, mask_bg_weight=0.25) == (1 + 1 + 0.25 * 9) / (1 + 1 + 2 * 0.25)

    def test_soft_mask(self):
        soft = torch.tensor([[[[1.0, 0.5], [0.0, 0.0]]]])
        assert self.loss(soft) == (1 + 0.5 * 9) / 1.5

    def test_sum_is_equation_3(self):
        assert self.loss(self.mask, loss_reduction="sum") == 4 * (1 + 1)
        assert self.loss(self.mask, loss_reduction="sum", mask_bg_weight=0.5) == 4 * (1 + 1 + 0.5 * 9)

    def test_an_empty_mask_gives_the_plain_mean_as_ever_smaller_backgrounds_do(self):
        empty = torch.zeros_like(self.mask)
        assert self.loss(empty) == self.loss(empty, mask_bg_weight=1e-6) == 11 / 4

    def test_an_empty_mask_adds_nothing_to_the_sum(self):
        assert self.loss(torch.zeros_like(self.mask), loss_reduction="sum") == 0

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"mask_bg_weight": 1.5}, "mask_bg_weight must be in 0..1"),
            ({"loss_reduction": "max"}, "loss_reduction must"),
        ],
    )
    def test_other_weightings_are_refused(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            LossWeighting(**arguments)


class TestLatentMask:
    masks = torch.zeros(3, 40, 56, dtype=torch.bool)
    masks[1, 8:16, 16:20] = True  # half of a cell
    masks[2, 8:17, 16:21] = True  # more than half of it, an eighth or less of its neighbours

    def test_soft_is_the_covered_part(self):
        soft = latent_mask(self.masks, threshold=None)
        assert soft.shape == (3, 5, 7)
        assert (float(soft[1, 1, 2]), float(soft[1].sum())) == (0.5, 0.5)
        assert_close(float(soft.sum()) * 64, float(self.masks.sum()))

    def test_hard_takes_cells_that_are_covered_by_more_than_half(self):
        assert latent_mask(self.masks).nonzero().tolist() == [[2, 1, 2]]

    def test_sizes_that_are_no_multiple_of_8_are_refused(self):
        with pytest.raises(ValueError, match="multiples of 8, got 40x55"):
            latent_mask(self.masks[..., :-1])


class TestControlNetTraining:
    def test_an_untrained_controlnet_has_the_frozen_networks_loss_exactly(self):
        unet = small_unet()
        arguments = some_batch(), some_noise(), SIGMAS
        alone = BaseObjective(unet, LossWeighting())(*arguments)
        controlled = ControlNetObjective(unet, SvdControlNet.from_unet(unet, **ENCODER))(*arguments)
        assert torch.equal(alone.per_sample, controlled.per_sample)
        assert torch.equal(alone.loss, controlled.loss)

    def test_gradients_reach_every_parameter_that_can_have_one(self):
        objective = ControlNetObjective(small_unet(**WIDE), small_controlnet(**WIDE))
        objective(some_batch(), some_noise(), SIGMAS).loss.backward()
        # Cross-attention over the one image token is a softmax over one key: its query side decides nothing.
        deciding_nothing = (".attn2.to_q.", ".attn2.to_k.", ".norm2.weight", ".norm2.bias")
        for name, parameter in objective.controlnet.named_parameters():
            # A gradient, if only of zeros, everywhere: a wrapper for many processes waits for each.
            assert parameter.grad is not None, name
            decides = "transformer_blocks" not in name or not any(part in name for part in deciding_nothing)
            assert (parameter.grad.abs().max() > 1e-6) == decides, name

    def test_every_parameter_has_a_gradient_at_the_start_and_without_entities(self):
        unet = small_unet()
        objective = ControlNetObjective(unet, SvdControlNet.from_unet(unet, **ENCODER))
        batch = replace(some_batch(), maps=[random_maps(entities=0), random_maps(entities=0)])
        objective(batch, some_noise(), SIGMAS).loss.backward()
        assert all(parameter.grad is not None for parameter in objective.parameters())
        assert objective.controlnet.controlnet_mid_block.weight.grad.abs().max() > 1e-6

    def test_the_unet_gets_no_gradient_and_is_none_of_the_modules_parameters(self):
        unet = small_unet()
        objective = ControlNetObjective(unet, small_controlnet())
        objective(some_batch(), some_noise(), SIGMAS).loss.backward()
        assert all(parameter.grad is None and not parameter.requires_grad for parameter in unet.parameters())
        assert {id(p) for p in objective.parameters()} == {id(p) for p in objective.controlnet.parameters()}
        assert all(name.startswith("controlnet.") for name in objective.state_dict())

    def test_a_small_step_along_the_gradient_lowers_the_loss(self):
        unet = small_unet()
        objective = ControlNetObjective(unet, SvdControlNet.from_unet(unet, **ENCODER))
        arguments = some_batch(), some_noise(), SIGMAS
        before = objective(*arguments).loss
        before.backward()
        torch.optim.SGD(objective.parameters(), lr=1e-2).step()
        assert objective(*arguments).loss < before

    def test_residuals_are_multiplied_as_in_generation(self):
        unet, batch = small_unet(), some_batch()
        doubled = small_controlnet(residual_multiplicity=(2.0,) * 4, mid_multiplicity=2.0)
        twice = small_controlnet()
        for layer in (*twice.controlnet_down_blocks, twice.controlnet_mid_block):
            for parameter in layer.parameters():
                parameter.data *= 2
        losses = [
            ControlNetObjective(unet, network)(batch, some_noise(), SIGMAS).per_sample for network in (doubled, twice)
        ]
        assert_close(*losses)
        plain = ControlNetObjective(unet, small_controlnet())(batch, some_noise(), SIGMAS).per_sample
        assert not torch.allclose(plain, losses[0], rtol=1e-3)

    def test_losses_and_gradients_of_a_batch_are_the_means_of_its_halves(self):
        objective = ControlNetObjective(small_unet(), small_controlnet())
        batch, noise = some_batch(), some_noise()
        whole = objective(batch, noise, SIGMAS)
        whole.loss.backward()
        gradients = [parameter.grad.clone() for parameter in objective.parameters()]
        objective.zero_grad()
        for index in range(2):
            one = slice(index, index + 1)
            half = objective(sample_of(batch, index), noise[one], SIGMAS[one])
            assert_close(half.per_sample[0], whole.per_sample[index])
            (half.loss / 2).backward()
        for gradient, parameter in zip(gradients, objective.parameters(), strict=True):
            assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)

    def test_only_the_masked_cells_of_the_output_matter(self):
        objective = ControlNetObjective(small_unet(), small_controlnet())
        batch, noise = some_batch(), some_noise()
        changed = batch.latents.clone()
        changed += 10 * (~batch.loss_mask)[:, :, None]
        # Same network input: what the latents gain outside of the mask, the noise loses there.
        shift = 10 / SIGMAS.view(2, 1, 1, 1, 1) * (~batch.loss_mask)[:, :, None]
        outside = objective(replace(batch, latents=changed), noise - shift, SIGMAS)
        assert_close(outside.per_sample, objective(batch, noise, SIGMAS).per_sample, rtol=1e-4, atol=0)

    @pytest.mark.parametrize("frozen_dtype", [torch.float32, torch.bfloat16])
    def test_bf16_autocast_keeps_loss_and_gradients_in_float32(self, frozen_dtype):
        batch, noise = some_batch(), some_noise()
        exact = ControlNetObjective(small_unet(), small_controlnet())(batch, noise, SIGMAS)
        objective = ControlNetObjective(small_unet().to(frozen_dtype), small_controlnet(), autocast=torch.bfloat16)
        rough = objective(batch, noise, SIGMAS)
        rough.loss.backward()
        assert rough.loss.dtype == objective.controlnet.conv_in.weight.grad.dtype == torch.float32
        assert not torch.equal(rough.per_sample, exact.per_sample)
        assert_close(rough.per_sample, exact.per_sample, rtol=0.03, atol=0)

    def test_an_autocast_around_the_call_holds(self):
        objective = ControlNetObjective(small_unet(), small_controlnet())
        arguments = some_batch(), some_noise(), SIGMAS
        with torch.autocast("cpu", torch.bfloat16):
            around = objective(*arguments)
        objective.autocast = torch.bfloat16
        assert torch.equal(around.per_sample, objective(*arguments).per_sample)

    def test_a_batch_without_maps_is_refused(self):
        objective = ControlNetObjective(small_unet(), small_controlnet())
        with pytest.raises(ValueError, match="has none"):
            objective(replace(some_batch(), maps=None), some_noise(), SIGMAS)


class TestBaseTraining:
    def test_the_video_network_alone_is_trained_on_every_cell(self):
        objective = BaseObjective(small_unet(**WIDE))
        batch = replace(some_batch(), maps=None)
        result = objective(batch, some_noise(), SIGMAS)
        assert torch.equal(
            result.per_sample, objective(replace(batch, loss_mask=None), some_noise(), SIGMAS).per_sample
        )
        result.loss.backward()
        assert all(parameter.grad is not None for parameter in objective.unet.parameters())
        assert objective.unet.conv_out.weight.grad.abs().max() > 1e-6


class TestShapes:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"image_latents": torch.zeros(2, 4, 7, 5)}, "image_latents must be"),
            ({"image_embeds": torch.zeros(2, 24)}, "image_embeds must be"),
            ({"loss_mask": torch.zeros(2, 3, 7, 5)}, "loss_mask must be"),
            ({"maps": [random_maps()]}, "2 clips need as many condition maps, got 1"),
            ({"maps": [random_maps(frames=2), random_maps(frames=2)]}, "condition maps of 2 frames of 40x56 px"),
            ({"maps": [random_maps(height=48), random_maps(height=48)]}, "do not fit latents of 3 frames"),
        ],
    )
    def test_a_batch_whose_parts_disagree_is_refused(self, change, message):
        with pytest.raises(ValueError, match=message):
            replace(some_batch(), **change)

    def test_noise_and_sigmas_of_another_shape_are_refused(self):
        with pytest.raises(ValueError, match="noise must be"):
            noisy_input(some_batch(), some_noise(batch=1), SIGMAS)
        with pytest.raises(ValueError, match=r"sigmas must be \(2,\)"):
            noisy_input(some_batch(), some_noise(), SIGMAS[:1])

    def test_all_of_a_batch_moves(self):
        moved = some_batch().to("meta")
        assert {moved.latents.device.type, moved.loss_mask.device.type, moved.maps[1].gaussian.device.type} == {"meta"}


class TestBuckets:
    def test_each_loss_counts_in_the_bucket_of_its_sigma(self):
        totals = bucket_totals(torch.tensor([0.1, 0.3, 2.9, 50.0, 3.0]), torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0]))
        assert totals.tolist() == [[1, 1], [6, 2], [24, 2]]
        assert bucket_means(totals) == {"sigma<0.3": 1.0, "sigma 0.3-3": 3.0, "sigma>=3": 12.0}

    def test_totals_of_parts_add_up_and_an_empty_bucket_has_no_mean(self):
        sigmas, losses = torch.tensor([0.5, 5.0, 7.0]), torch.tensor([1.0, 2.0, 3.0])
        parts = bucket_totals(sigmas[:1], losses[:1]) + bucket_totals(sigmas[1:], losses[1:])
        assert torch.equal(parts, bucket_totals(sigmas, losses))
        assert list(bucket_means(parts)) == ["sigma 0.3-3", "sigma>=3"]
