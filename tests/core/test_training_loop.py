"""Training is exact and safe: interrupted runs end as others do, and what is not finite does no harm."""

import json
import math
import shutil
import signal
from dataclasses import replace

import pytest
import torch
from diffusers.models.resnet import ResnetBlock2D, TemporalResnetBlock
from einops import rearrange
from safetensors import safe_open
from safetensors.torch import load_file
from small_networks import fill_randomly
from training_run import (
    CHOICES,
    NORM_EPS,
    SIZE,
    VARIATIONS,
    Pairs,
    different,
    fixed_pairs,
    last_state,
    overfit,
    save_small_svd,
    signalled,
    small_config,
    small_trainer,
)

from draganything_core import controlnet as controlnet_module
from draganything_core.pipeline import DragAnythingPipeline
from draganything_core.svd import load_svd_parts
from draganything_core.training.checkpoints import CheckpointError
from draganything_core.training.config import Synthetic
from draganything_core.training.loop import TrainingError
from draganything_core.training.objective import LossWeighting, denoising_loss
from draganything_core.types import Size
from draganything_core.video import read_video
from draganything_core.weights import load_controlnet

CPU = torch.device("cpu")
AUTOENCODER = {"networks": {"svd": None, "architecture": "tiny"}, "autoencoder": {"crop": 16}, "global_batch": 1}
MEASURED = {"every": 3, "clips": 2, "synthetic": Synthetic(9, 0, 2, VARIATIONS), "sigmas": 2, "videos": 1}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def svd(tmp_path_factory):
    return save_small_svd(tmp_path_factory.mktemp("svd"))


@pytest.fixture(scope="module")
def whole(svd, tmp_path_factory):
    """The folder of 20 steps of the ControlNet that nothing interrupted, with checkpoints of step 10 and 20."""
    output = tmp_path_factory.mktemp("whole")
    assert small_trainer(small_config(svd, output)).run() == "finished"
    return output


def lines(output):
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def parameters(trainer):
    return {name: value.detach().clone() for name, value in trainer.stage.objective.named_parameters()}


def poisoned(trainer, steps):
    """The trainer, which gets latents that are not numbers in these steps."""
    load = trainer.stage.load

    def bad(step, positions):
        loaded = load(step, positions)
        return replace(loaded, latents=loaded.latents * math.nan) if step in steps else loaded

    trainer.stage.load = bad
    return trainer


# --- interrupted and resumed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_the_run_after_its_step_with_a_checkpoint(svd, tmp_path, number):
    config = small_config(svd, tmp_path, checkpoint_every=100)
    handler = signal.getsignal(number)
    assert signalled(small_trainer(config), 1, number).run() == "interrupted"
    assert [path.name for path in (tmp_path / "checkpoints").glob("step-*")] == ["step-00000002"]
    assert signal.getsignal(number) == handler


def test_a_signal_in_the_last_step_changes_nothing(svd, tmp_path):
    assert signalled(small_trainer(small_config(svd, tmp_path, steps=2)), 1).run() == "finished"


def test_a_second_interrupt_from_the_keyboard_ends_the_run_at_once(svd, tmp_path):
    trainer = signalled(small_trainer(small_config(svd, tmp_path)), 1, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signalled(trainer, 1, signal.SIGINT).run()
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_ten_steps_and_ten_more_are_twenty_bit_by_bit(svd, whole, tmp_path):
    config = small_config(svd, tmp_path, checkpoint_every=100)
    assert signalled(small_trainer(config), 9).run() == "interrupted"
    assert small_trainer(config).run() == "finished"
    assert different(last_state(tmp_path), last_state(whole)) == []
    weights = "weights/diffusion_pytorch_model.safetensors"
    assert (tmp_path / weights).read_bytes() == (whole / weights).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "changes"),
    [
        ("base", {}),
        ("base", {"activation_checkpointing": True, "micro_batch": 1}),
        ("controlnet", {"activation_checkpointing": True, "micro_batch": 1}),
        ("controlnet", {"precision": "bf16", "noise": {"image_noise_draws": 0}}),
        ("autoencoder", {**AUTOENCODER, "precision": "bf16"}),
    ],
    ids=["base", "base recomputed", "controlnet recomputed", "controlnet bf16", "autoencoder"],
)
def test_so_are_those_of_other_stages_and_settings(svd, tmp_path, stage, changes):
    runs = [small_config(svd, tmp_path / part, stage, checkpoint_every=100, **changes) for part in ("whole", "parts")]
    assert small_trainer(runs[0]).run() == "finished"
    assert signalled(small_trainer(runs[1]), 9).run() == "interrupted"
    assert small_trainer(runs[1]).run() == "finished"
    assert different(last_state(tmp_path / "whole"), last_state(tmp_path / "parts")) == []


def test_a_finished_run_is_left_alone(svd, whole, tmp_path):
    copy = shutil.copytree(whole, tmp_path / "copy")
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert small_trainer(small_config(svd, copy)).run() == "finished"
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_a_torn_checkpoint_falls_back_to_the_one_before_and_no_line_stands_twice(svd, whole, tmp_path, caplog):
    copy = shutil.copytree(whole, tmp_path / "copy")
    torn = copy / "checkpoints" / "step-00000020" / "network.safetensors"
    torn.write_bytes(torn.read_bytes()[:-1])
    with (copy / "metrics.jsonl").open("a") as file:
        file.write('{"step": 20, "lo')  # what a kill leaves of a line
    trainer = small_trainer(small_config(svd, copy))
    assert trainer.first_step == 10
    assert any(
        str(torn.parent) in record.getMessage() and torn.name in record.getMessage() for record in caplog.records
    )
    assert trainer.run() == "finished"
    assert different(last_state(copy), last_state(whole)) == []
    losses = [[(line["step"], line["loss"]) for line in lines(output)] for output in (copy, whole)]
    assert losses[0] == losses[1]
    assert [step for step, _ in losses[0]] == [4, 9, 14, 19]


def test_a_checkpoint_of_another_run_is_refused_with_what_differs(svd, whole):
    with pytest.raises(CheckpointError, match=r"another run: .*seed is 7 in the checkpoint and 8 now"):
        small_trainer(small_config(svd, whole, seed=8))
    with pytest.raises(CheckpointError, match=r"global_batch is 2 in the checkpoint and 4 now"):
        small_trainer(small_config(svd, whole, global_batch=4))
    with pytest.raises(CheckpointError, match=r"control.choices.entity_channels is \d+ in the checkpoint and 16 now"):
        small_trainer(small_config(svd, whole, control={"choices": {**CHOICES, "entity_channels": 16}}))


@pytest.mark.parametrize(
    ("section", "change", "named"),
    [("noise", {"sigma_mean": 0.5}, "noise.sigma_mean"), ("control", {"radius": "per_frame"}, "control.radius"),
     ("loss", {"mask_bg_weight": 0.5}, "loss.mask_bg_weight")],
)  # fmt: skip
def test_a_run_does_not_go_on_with_another_objective(svd, whole, section, change, named):
    config = small_config(svd, whole)
    other = replace(config, **{section: replace(getattr(config, section), **change)})
    with pytest.raises(CheckpointError, match=named):
        small_trainer(other)


def test_averages_that_are_not_there_are_asked_for_by_name(svd, tmp_path):
    without = small_config(svd, tmp_path, steps=1, optimizer={"ema_decay": None})
    small_trainer(without).run()
    with pytest.raises(CheckpointError, match=r"no average of the weights.*--optimizer.ema_decay null"):
        small_trainer(small_config(svd, tmp_path, steps=2))
    assert small_trainer(replace(without, steps=2)).run() == "finished"


def test_what_killed_exports_left_is_taken_away(svd, tmp_path):
    for name in (".weights-1a2b", ".weights-1a2b-former"):
        (tmp_path / name / "unet").mkdir(parents=True)
    small_trainer(small_config(svd, tmp_path, steps=1)).run()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"checkpoints", "metrics.jsonl", "weights"}


def test_no_checkpoint_is_there_before_the_weights_of_its_step(svd, tmp_path):
    # So a run that is killed in between makes both again.
    trainer = small_trainer(small_config(svd, tmp_path, steps=2))

    def killed(folder):
        raise KeyboardInterrupt

    trainer.stage.export = killed
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert not (tmp_path / "checkpoints").exists()


# --- the same run by other means --------------------------------------------------------------------------------------


def test_micro_batches_and_recomputed_activations_change_gradients_by_rounding_alone(svd, tmp_path):
    # One step down the gradient itself, so that weights are apart by what gradients are.
    descent = {"lr": 1.0, "warmup_steps": 0, "schedule": "constant", "max_grad_norm": None}
    ways = [{}, {"micro_batch": 1}, {"activation_checkpointing": True}]
    states = []
    for number, changes in enumerate(ways):
        trainer = small_trainer(small_config(svd, tmp_path / str(number), steps=1, optimizer=descent, **changes))
        trainer.optimizer = torch.optim.SGD(trainer.parameters)
        trainer._save = lambda done: None
        trainer.run()
        states.append(parameters(trainer))
    losses = [lines(tmp_path / str(number))[0]["loss"] for number in range(len(ways))]
    assert losses == pytest.approx([losses[0]] * len(ways), rel=1e-6)
    for state in states[1:]:
        apart = torch.cat([(state[name] - value).flatten() for name, value in states[0].items()]).norm()
        assert apart < 1e-5


# --- what is not finite -----------------------------------------------------------------------------------------------


def test_a_step_that_is_not_finite_is_skipped_counted_and_kept_for_looking_at(svd, tmp_path, caplog):
    config = small_config(svd, tmp_path, steps=4, log_every=2, checkpoint_every=2)
    trainer = poisoned(small_trainer(config), {2})
    states = []
    step = trainer._step

    def watched(number, *others):
        states.append(parameters(trainer))
        return step(number, *others)

    trainer._step = watched
    assert trainer.run() == "finished"
    assert different(states[2], states[3]) == []
    assert len(different(states[1], states[2])) > 100
    assert trainer.ema.optimization_step == 3
    assert [line["skipped_steps"] for line in lines(tmp_path)] == [0, 1]
    assert all(math.isfinite(line[key]) for line in lines(tmp_path) for key in ("loss", "grad_norm"))

    (file,) = (tmp_path / "nonfinite").iterdir()
    with safe_open(file, framework="pt") as dump:
        facts = dump.metadata()
    tensors = load_file(file)
    assert facts["step"] == "2"
    assert all(name.startswith("synthetic_3_") for name in facts["clips"].split())
    assert tensors["0.0.latents"].isnan().all()
    assert tensors["0.per_sample"].isnan().all()
    assert torch.equal(tensors["0.sigmas"], trainer.stage.load(2, range(2)).sigmas)
    assert {"0.0.image_latents", "0.0.maps.1.gaussian", "0.0.loss_mask", "0.1", "0.2"} <= tensors.keys()
    assert any(str(file) in record.getMessage() for record in caplog.records)


def test_too_many_of_them_in_a_row_end_the_run(svd, tmp_path):
    config = small_config(svd, tmp_path, steps=6, max_nonfinite=2, checkpoint_every=2)
    trainer = poisoned(small_trainer(config), {1, 3, 4})
    with pytest.raises(TrainingError, match=r"2 steps in a row .* up to step 4"):
        trainer.run()
    assert all(value.isfinite().all() for value in parameters(trainer).values())
    assert len(list((tmp_path / "nonfinite").iterdir())) == 3
    healthy = small_trainer(config)
    assert healthy.first_step == 4
    assert healthy.run() == "finished"


# --- what is written --------------------------------------------------------------------------------------------------


def test_a_line_tells_the_loss_of_each_range_of_sigmas(whole):
    for line in lines(whole):
        assert {"loss", "grad_norm", "lr", "seconds_per_step", "samples_per_second", "data_wait", "memory_gib"} <= {
            *line
        }
        assert any(key.startswith("loss sigma") for key in line)
    names = {key for line in lines(whole) for key in line if key.startswith("loss ")}
    assert names == {"loss sigma<0.3", "loss sigma 0.3-3", "loss sigma>=3"}
    rates = [line["lr"] for line in lines(whole)]
    assert rates[0] == max(rates) == pytest.approx(1e-3)
    assert rates[-1] < 2e-5


def test_figures_that_are_not_finite_are_null_in_the_file(svd, tmp_path):
    trainer = small_trainer(small_config(svd, tmp_path, steps=1, validation={**MEASURED, "every": 1}))
    trainer.stage.validate = lambda folder, interrupted: {"track_ratio": math.nan, "track_px": 2.0}
    trainer.run()
    assert lines(tmp_path)[-1] == {"step": 0, "track_ratio": None, "track_px": 2.0}


@pytest.mark.parametrize("stage", ["controlnet", "base"])
def test_validation_writes_figures_a_video_and_a_sheet(svd, tmp_path, stage):
    settings = {**MEASURED, "num_inference_steps": 2}
    trainer = small_trainer(small_config(svd, tmp_path, stage, steps=3, validation=settings))
    trainer.run()
    *_, figures = lines(tmp_path)
    assert figures["step"] == 2
    assert {"validation_loss", "track_ratio", "track_px", "track_static_px"} == figures.keys() - {"step"}
    folder = tmp_path / "samples" / "step-00000003"
    assert {path.name for path in folder.iterdir()} == {
        "figures.json",
        "synthetic_9_000000.mp4",
        "synthetic_9_000000.png",
    }
    frames, fps, _ = read_video(folder / "synthetic_9_000000.mp4")
    assert (Size.of(frames), fps) == (Size(*SIZE), 7)
    # Always the same noise: the loss is one of the weights alone.
    with trainer._averaged():
        again = trainer.stage.validate(tmp_path / "again", lambda: False)
    assert again["validation_loss"] == figures["validation_loss"]
    assert (tmp_path / "again" / "synthetic_9_000000.mp4").read_bytes() == (
        folder / "synthetic_9_000000.mp4"
    ).read_bytes()


def test_the_autoencoders_validation_shows_a_clip_and_its_decoding(svd, tmp_path):
    small_trainer(small_config(svd, tmp_path, "autoencoder", steps=3, validation=MEASURED, **AUTOENCODER)).run()
    assert lines(tmp_path)[-1]["validation_psnr"] > 3
    assert (tmp_path / "samples" / "step-00000003" / "decoded.png").is_file()
    assert {path.name for path in (tmp_path / "weights").iterdir()} == {"vae", "image_encoder"}


def test_squares_that_do_not_fit_into_the_clips_are_refused(svd, tmp_path):
    with pytest.raises(ValueError, match=r"autoencoder.crop: squares of 64 px do not fit"):
        small_trainer(small_config(svd, tmp_path, "autoencoder", **{**AUTOENCODER, "autoencoder": {"crop": 64}}))


def test_validation_that_was_interrupted_is_made_up_for(svd, tmp_path):
    settings = {**MEASURED, "videos": 0}
    whole, parts = (small_config(svd, tmp_path / name, steps=4, validation=settings) for name in ("whole", "parts"))
    small_trainer(whole).run()
    trainer = small_trainer(parts)
    validate = trainer.stage.validate

    def interrupted_at_once(folder, interrupted):
        signal.raise_signal(signal.SIGTERM)
        return validate(folder, interrupted)

    trainer.stage.validate = interrupted_at_once
    assert trainer.run() == "interrupted"
    assert not (tmp_path / "parts" / "samples").exists()
    assert small_trainer(parts).run() == "finished"
    one, other = ([line for line in lines(tmp_path / name) if "validation_loss" in line] for name in ("whole", "parts"))
    assert one == other
    assert len(one) == 1


def test_figures_stand_once_whenever_the_run_was_killed_after_their_checkpoint(svd, tmp_path):
    config = small_config(svd, tmp_path, steps=1, validation={**MEASURED, "every": 1, "videos": 0})
    small_trainer(config).run()
    before = lines(tmp_path)
    assert [*before[-1]] == ["step", "validation_loss"]
    figures = tmp_path / "samples" / "step-00000001" / "figures.json"
    for lost in (False, True):
        for metrics in (before, before[:-1]):
            (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in metrics))
            if lost and metrics != before:
                figures.unlink()
            small_trainer(config).run()
            assert lines(tmp_path) == before
            assert json.loads(figures.read_text()) == before[-1]


def test_the_exported_controlnet_is_the_averaged_one_and_generates_the_same(svd, whole):
    trainer = small_trainer(small_config(svd, whole))
    exported = load_controlnet(whole / "weights")
    config = json.loads((whole / "weights" / "config.json").read_text())
    assert set(controlnet_module.CHOICES) <= config.keys()
    for name, value in CHOICES.items():
        stored = exported.config[name]
        assert (tuple(stored) if isinstance(stored, list) else stored) == value or stored == {
            **controlnet_module.VIDEO_UNET_FEATURES,
            **(value if isinstance(value, dict) else {}),
        }
    own = trainer.stage.networks.controlnet
    plain = parameters(trainer)
    with trainer._averaged():
        assert different(dict(exported.state_dict()), dict(own.state_dict())) == []
        videos = [generated(trainer.stage, network) for network in (own, exported)]
    assert torch.equal(*videos)
    assert different(parameters(trainer), plain) == []
    assert not torch.equal(generated(trainer.stage, own), videos[0])


def generated(stage, controlnet):
    svd, clip = stage.networks.svd, stage.cache.clip(0, 0)
    pipeline = DragAnythingPipeline(svd.vae, svd.image_encoder, svd.unet, controlnet, svd.scheduler)
    pipeline.set_progress_bar_config(disable=True)
    maps = stage.maker.maps(stage.maker.all_controlled(clip), Size(*SIZE), CPU)
    return pipeline(
        clip.picture / 255, maps, num_inference_steps=2, max_guidance_scale=1.0, generator=torch.manual_seed(0)
    ).frames[0]


@pytest.mark.parametrize(("trained_with", "asked_with"), [(30, (30, None)), (None, (128, 110))])
def test_weights_ask_for_the_motion_bucket_that_they_were_trained_with(svd, tmp_path, trained_with, asked_with):
    config = small_config(svd, tmp_path / "run", noise={"motion_bucket_id": trained_with})
    choices = small_trainer(config).stage.networks.controlnet.config
    assert (choices.motion_bucket_id, choices.motion_buckets_per_percent) == asked_with


def test_the_exported_base_is_a_folder_of_stable_video_diffusion(svd, tmp_path):
    trainer = small_trainer(small_config(svd, tmp_path, "base", steps=2))
    trainer.run()
    parts = load_svd_parts(tmp_path / "weights")
    own = trainer.stage.networks.svd
    with trainer._averaged():
        assert different(dict(parts.unet.state_dict()), dict(own.unet.state_dict())) == []
    assert different(dict(parts.vae.state_dict()), dict(own.vae.state_dict())) == []
    assert different(dict(parts.image_encoder.state_dict()), dict(own.image_encoder.state_dict())) == []
    assert parts.scheduler.config.sigma_max == own.scheduler.config.sigma_max == 20.0
    blocks = [m for m in parts.unet.modules() if isinstance(m, (ResnetBlock2D, TemporalResnetBlock))]
    assert {norm.eps for block in blocks for norm in (block.norm1, block.norm2)} == {NORM_EPS}


@pytest.mark.parametrize("stage", ["controlnet", "base"])
def test_bf16_on_the_cpu_is_refused_where_its_gradients_are_wrong(svd, tmp_path, stage):
    with pytest.raises(ValueError, match=r"bf16 gives wrong gradients for clips of 2 frames. Use --precision fp32"):
        small_trainer(small_config(svd, tmp_path, stage, data={"frames": (2,)}, precision="bf16"))


@pytest.mark.parametrize("frames", [1, 3, 8])
def test_gradients_in_bf16_are_those_in_fp32_but_for_rounding(frames):
    # Convolutions over time, as in every residual block: what the CPU's library has got wrong for 2 frames.
    values = [
        torch.randn(shape, generator=torch.manual_seed(1)) for shape in [(2, 32, frames, 4, 6), (32, 32, 3, 1, 1)]
    ]
    gradients = []
    for precise in (True, False):
        kernel = values[1].clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            output = torch.nn.functional.conv3d(values[0], kernel, padding=(1, 0, 0))
        (output.float() * values[0]).sum().backward()
        gradients.append(kernel.grad)
    assert (gradients[0] - gradients[1]).abs().max() < 0.02 * gradients[0].abs().max()


# --- what is trained --------------------------------------------------------------------------------------------------


def test_before_the_first_step_the_output_is_exactly_the_frozen_models(svd, tmp_path):
    stage = small_trainer(small_config(svd, tmp_path)).stage
    (batch, noise, sigmas), _, _ = stage.inputs(stage.load(0, range(2)), CPU)
    unet, weighting = stage.networks.svd.unet, LossWeighting()
    outputs = []
    unet.register_forward_hook(lambda module, inputs, output: outputs.append(output[0]))
    controlled = stage.objective(batch, noise, sigmas)
    alone = denoising_loss(unet, None, batch, noise, sigmas, weighting)
    assert torch.equal(*outputs)
    assert torch.equal(controlled.per_sample, alone.per_sample)


def test_all_of_the_controlnet_is_trained_and_nothing_of_the_frozen_model(svd, tmp_path):
    trainer = small_trainer(small_config(svd, tmp_path, steps=4, optimizer={"weight_decay": 0.0}))
    frozen = {name: value.clone() for name, value in trainer.stage.networks.svd.unet.state_dict().items()}
    before = parameters(trainer)
    trainer.run()
    assert different(dict(trainer.stage.networks.svd.unet.state_dict()), frozen) == []
    # Attention to a single image token is the same whatever asks for it, so what asks has no gradient but rounding.
    asking = ("_blocks.0.norm2", "attn2.to_q", "attn2.to_k")
    # In this small network a norm's group is one channel, which takes out whatever was added to it.
    taken_out = ("temporal_res_block.conv1.bias", "res_block.time_emb_proj.bias")
    moved = {
        name: (value - before[name]).abs().max().item()
        for name, value in parameters(trainer).items()
        if not name.endswith(taken_out)
    }
    assert [name for name, way in moved.items() if (way < 1e-5) != any(part in name for part in asking)] == []
    assert sum(way > 1e-4 for way in moved.values()) > 200


@pytest.fixture
def learner(svd, tmp_path):
    """Two clips of 2 frames, and the networks: a ControlNet that is untrained, but that sees its conditions clearly."""
    stage = small_trainer(small_config(svd, tmp_path, control={"min_entities": None}, data={"frames": (2,)})).stage
    numbers = (0, 2)  # both with a moving ground, so masks are large
    clips = [
        stage.maker.batch(stage.maker.load(0, range(1), [stage.cache.clip(0, number)]), CPU)[0] for number in numbers
    ]
    # torch's own start lets hardly anything through seven convolutions; those that start at zero stay as they are.
    encoder = stage.networks.controlnet.controlnet_cond_embedding
    for part in (encoder.conv_in, encoder.blocks, encoder.blocks_feature):
        fill_randomly(part)
    return clips, stage.networks.svd.unet, stage.networks.controlnet


@pytest.mark.slow
def test_one_clip_is_learnt_by_heart(learner):
    (clip, other), unet, controlnet = learner
    result = overfit(unet, controlnet, fixed_pairs(clip), [other.maps[0]] * 8, steps=80)
    print(result)
    assert result.after < 0.1 * result.before


@pytest.mark.slow
def test_clips_that_only_their_conditions_tell_apart_are_learnt_by_them(learner):
    """Same picture, same time ids, and noises such that the noisy latents are the same, too."""
    clips, unet, controlnet = learner
    latents = torch.cat([clip.latents for clip in clips])
    latents = (latents - latents.mean(dim=0)) / (
        latents - latents.mean(dim=0)
    ).std()  # a random autoencoder's differ little
    halves = [fixed_pairs(replace(clips[0], latents=own[None]), 4, (1.0, 10.0)) for own in latents]
    sigmas = halves[0].sigmas
    levels = rearrange(sigmas, "n -> n 1 1 1 1")
    noisy = (1 + levels**2).sqrt() * halves[0].noise
    noise = torch.cat([(noisy - own) / levels for own in latents])
    own, other = ([clip.maps[0] for clip in order for _ in range(4)] for order in (clips, clips[::-1]))
    batch = replace(
        halves[0].batch,
        latents=torch.cat([half.batch.latents for half in halves]),
        loss_mask=torch.cat([clip.loss_mask.expand(4, -1, -1, -1) for clip in clips]),
        maps=own,
        **{
            name: torch.cat([getattr(halves[0].batch, name)] * 2)
            for name in ("image_latents", "image_embeds", "added_time_ids")
        },
    )
    result = overfit(unet, controlnet, Pairs(batch, noise, sigmas.repeat(2)), other, steps=200)
    print(result)
    assert result.after < 0.1 * result.before
    assert result.with_other_conditions > 3 * result.after
