"""Loading ControlNet weights from every layout, and saying what a wrong file is."""

import json
import logging
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLTemporalDecoder,
    AutoencoderTiny,
    ControlNetModel,
    UNet2DConditionModel,
    UNetSpatioTemporalConditionModel,
)
from safetensors.torch import save_file
from segment_anything import sam_model_registry
from small_networks import random_maps, small_controlnet, small_inputs, small_unet
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

from draganything_core.controlnet import CHOICES, SvdControlNet
from draganything_core.weight_kinds import KINDS, LICENCES, SIGNATURES, recognise
from draganything_core.weights import (
    LICENCE_OF_OWN,
    LICENCE_OF_SHIPPED,
    PRESETS,
    SHIPPED,
    WeightsError,
    describe_weights,
    empty_controlnet,
    load_controlnet,
    log_licence,
    preset_choices,
    save_controlnet,
)

AUTHORS_ARCHITECTURE = {
    "block_out_channels": (32, 32, 64, 64),
    "down_block_types": ("CrossAttnDownBlockSpatioTemporal",) * 3 + ("DownBlockSpatioTemporal",),
    "up_block_types": ("UpBlockSpatioTemporal",) + ("CrossAttnUpBlockSpatioTemporal",) * 3,
    "num_attention_heads": (2, 4, 4, 2),
    "layers_per_block": 2,
    "conditioning_embedding_out_channels": (4, 4, 4, 4),
    "entity_embedding_out_channels": (4, 4, 4, 4),
    "entity_channels": 160,
}


@pytest.fixture(scope="module")
def authors_folder(tmp_path_factory):
    """A folder as the authors' is: diffusers layout, a class name of theirs, none of our choices."""
    folder = tmp_path_factory.mktemp("authors")
    small_controlnet(**AUTHORS_ARCHITECTURE).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config = {key: value for key, value in config.items() if key not in CHOICES}
    (folder / "config.json").write_text(json.dumps(config | {"_class_name": "DragAnythingSDVModel", "extra": 1}))
    return folder


@pytest.fixture(scope="module")
def own_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    small_controlnet(gaussian_scale=7.0, residual_multiplicity=(1.0, 2.0, 3.0, 4.0)).save_pretrained(folder)
    return folder


def copied(folder, tmp_path):
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def choices_of(controlnet):
    return json.loads(json.dumps({name: controlnet.config[name] for name in CHOICES}))


def same_residuals(one, two, **maps):
    inputs = small_inputs()
    with torch.no_grad():
        first, second = (
            net(**inputs, condition_features=net.encode_conditions(random_maps(**maps))) for net in (one, two)
        )
    return all(torch.equal(a, b) for a, b in zip((*first.down, first.mid), (*second.down, second.mid), strict=True))


# Layouts


def test_own_folder_keeps_its_choices(own_folder):
    loaded = load_controlnet(own_folder)
    saved = small_controlnet(gaussian_scale=7.0, residual_multiplicity=(1.0, 2.0, 3.0, 4.0))
    assert choices_of(loaded) == choices_of(saved)
    assert same_residuals(loaded, saved)
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize("preset", [None, "trained", "published"])
def test_authors_layout_gets_a_preset(authors_folder, preset):
    loaded = load_controlnet(authors_folder, preset)
    assert choices_of(loaded) == preset_choices(preset or "trained")
    assert loaded.residual_multiplicity == ((4, 4, 4, 4, 3, 3, 3, 2, 2, 2, 1, 1), 1)
    source = loaded.feature_source
    assert (source.model_kind, source.timestep, source.block, source.ensemble) == ("sd15", 261, -1, 8)
    assert loaded.config.num_attention_heads == [2, 4, 4, 2]


def test_presets_make_every_choice_and_differ_as_documented():
    assert set(PRESETS) == {"trained", "published"}
    for name, preset in PRESETS.items():
        assert set(preset) == {"about", *CHOICES}
        with torch.device("meta"):
            assert SvdControlNet(**preset_choices(name)).config.gaussian_scale == 255
    trained, published = map(preset_choices, ("trained", "published"))
    assert {name: (trained[name], published[name]) for name in CHOICES if trained[name] != published[name]} == {
        "painting": ("vector", "channel_0"),
        "clip_preprocessing": ("svd", "reference"),
        "anchor": ("center", "grabbed_point"),
    }


def test_a_named_preset_replaces_own_choices(tmp_path):
    small_controlnet(**AUTHORS_ARCHITECTURE, gaussian_scale=7.0).save_pretrained(tmp_path)
    assert load_controlnet(tmp_path).config.gaussian_scale == 7.0
    assert choices_of(load_controlnet(tmp_path, "published")) == preset_choices("published")


def test_a_preset_that_does_not_fit_is_refused(own_folder):
    with pytest.raises(WeightsError, match=r"the preset trained does not fit it: residual_multiplicity has 12 factors"):
        load_controlnet(own_folder, "trained")
    with pytest.raises(ValueError, match=r"preset: there is no 'other'; there are published, trained"):
        load_controlnet(own_folder, "other")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_dtype_is_the_callers(own_folder, dtype):
    loaded = load_controlnet(own_folder, torch_dtype=dtype)
    assert {parameter.dtype for parameter in loaded.parameters()} == {dtype}


def test_half_precision_files_load_as_float32(tmp_path):
    small_controlnet().half().save_pretrained(tmp_path)
    assert describe_weights(tmp_path).dtypes == ("float16",)
    assert load_controlnet(tmp_path).dtype == torch.float32


def test_single_file_carries_its_configuration(own_folder, tmp_path):
    original = load_controlnet(own_folder)
    file = tmp_path / "one.safetensors"
    save_controlnet(original, file)
    loaded = load_controlnet(file)
    assert choices_of(loaded) == choices_of(original)
    assert same_residuals(loaded, original)
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        save_controlnet(original, tmp_path / "one.bin")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before 1.6"])
def test_pickled_weights_load_with_a_configuration_beside_them(own_folder, tmp_path, legacy):
    original = load_controlnet(own_folder)
    state = original.state_dict()
    torch.save(state, tmp_path / "diffusion_pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
    torch.save({"state_dict": state}, tmp_path / "mine.pth", _use_new_zipfile_serialization=not legacy)
    shutil.copy(own_folder / "config.json", tmp_path / "config.json")
    shutil.copy(own_folder / "config.json", tmp_path / "mine.json")
    for path in (tmp_path, tmp_path / "diffusion_pytorch_model.bin", tmp_path / "mine.pth"):
        assert same_residuals(load_controlnet(path), original)


# What cannot be loaded


def test_weights_without_configuration_say_what_to_put_there(authors_folder, tmp_path):
    folder = copied(authors_folder, tmp_path)
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"has no configuration.*heads.*no tensor's shape.*copy/config\.json"):
        load_controlnet(folder)
    (folder / "config.json").write_text('{"in_channels": 8}')
    with pytest.raises(WeightsError, match=r"has no num_attention_heads in its configuration.*config\.json"):
        load_controlnet(folder)
    (folder / "config.json").write_text('{"in_channels": 8')
    with pytest.raises(WeightsError, match=r"config\.json is not JSON"):
        load_controlnet(folder)
    (folder / "config.json").write_text("[8]")
    with pytest.raises(WeightsError, match=r"config\.json holds no JSON object"):
        load_controlnet(folder)


def test_configuration_of_other_weights_is_refused(authors_folder, own_folder, tmp_path):
    folder = copied(authors_folder, tmp_path)
    shutil.copy(own_folder / "config.json", folder)
    with pytest.raises(WeightsError, match=r"does not fit its configuration.*is not in the network.*and \d+ more"):
        load_controlnet(folder)
    config = json.loads((authors_folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"cross_attention_dim": 20}))
    with pytest.raises(WeightsError, match=r"attn2\.to_k\.weight has shape \(32, 24\), the network \(32, 20\)"):
        load_controlnet(folder)
    (folder / "config.json").write_text(json.dumps(config | {"down_block_types": ["NoSuchBlock"] * 4}))
    with pytest.raises(WeightsError, match="its configuration is not valid"):
        load_controlnet(folder)


def test_missing_paths_and_empty_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.*Expected a DragAnything ControlNet"):
        load_controlnet(tmp_path / "nowhere")
    (tmp_path / "controlnet").mkdir()
    with pytest.raises(FileNotFoundError, match=r"it holds controlnet/\. Its controlnet/ may be meant"):
        load_controlnet(tmp_path)


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
@pytest.mark.parametrize("part", [0.0, 0.0001, 0.5, 0.999])
def test_truncated_files_are_named(own_folder, tmp_path, suffix, part):
    folder = copied(own_folder, tmp_path)
    file = folder / "diffusion_pytorch_model.safetensors"
    if suffix == "bin":
        state = load_controlnet(own_folder).state_dict()
        file.unlink()
        file = file.with_suffix(".bin")
        torch.save(state, file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(WeightsError, match=r"cannot be read as weights: it is damaged or incomplete"):
        load_controlnet(folder)


class RunsCode:
    def __reduce__(self):
        return (Path.touch, (Path("was_run"),))


@pytest.mark.parametrize(
    "save",
    [torch.save, lambda content, file: file.write_bytes(pickle.dumps(content, protocol=2))],
    ids=["torch", "pickle"],
)
def test_pickles_that_run_code_are_refused(tmp_path, monkeypatch, save):
    monkeypatch.chdir(tmp_path)
    save({"weight": torch.zeros(1), "more": RunsCode()}, tmp_path / "bad.pth")
    with pytest.raises(WeightsError, match="could run code and is refused"):
        load_controlnet(tmp_path / "bad.pth")
    assert not (tmp_path / "was_run").exists()


def test_other_files_under_the_name_of_weights(tmp_path):
    pointer = tmp_path / "pointer.safetensors"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")
    with pytest.raises(WeightsError, match="Git LFS pointer"):
        load_controlnet(pointer)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="holds no named tensors"):
        load_controlnet(tmp_path / "list.pth")
    save_file({"a": torch.zeros(1)}, tmp_path / "config.safetensors", metadata={"config": "{"})
    with pytest.raises(WeightsError, match=r'"config" in its metadata is not JSON'):
        load_controlnet(tmp_path / "config.safetensors")


def test_another_network_is_named_with_its_place(tmp_path):
    small_unet().save_pretrained(tmp_path)
    with pytest.raises(
        WeightsError,
        match=r"is Stable Video Diffusion's UNet \(diffusers layout\): \d+ tensors, [\d,]+ parameters, float32\. "
        r"It belongs in unet/ .*Expected a DragAnything ControlNet",
    ):
        load_controlnet(tmp_path)


# What weights are


def diffusers_network(kind, **arguments):
    return lambda: kind(**arguments)


NETWORKS = {
    "draganything_controlnet": SvdControlNet,
    "svd_unet": UNetSpatioTemporalConditionModel,
    "svd_vae": AutoencoderKLTemporalDecoder,
    "sd15_unet": diffusers_network(UNet2DConditionModel, cross_attention_dim=768),
    "other_unet": diffusers_network(UNet2DConditionModel, cross_attention_dim=1024),
    "image_controlnet": ControlNetModel,
    "vae": AutoencoderKL,
    "tiny_vae": AutoencoderTiny,
    "clip_vision": lambda: CLIPVisionModelWithProjection(CLIPVisionConfig()),
    "clip_vision_h": lambda: CLIPVisionModelWithProjection(CLIPVisionConfig(hidden_size=1280, num_attention_heads=16)),
    "clip_text": lambda: CLIPTextModel(CLIPTextConfig()),
    "sam_vit_b": sam_model_registry["vit_b"],
    "sam_vit_l": sam_model_registry["vit_l"],
    "sam_vit_h": sam_model_registry["vit_h"],
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_real_networks_are_recognised(kind):
    with torch.device("meta"):
        network = NETWORKS[kind]()
    assert recognise({name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}) == kind


TEMPORAL = "down_blocks.0.resnets.0.temporal_res_block.conv1.weight"
BY_NAME = {
    "lora": {"lora_unet_down_blocks_0.lora_down.weight": (4, 320)},
    "svd_controlnet": {"controlnet_down_blocks.0.weight": (320, 320, 1, 1), TEMPORAL: (320, 320, 3, 1, 1)},
    "svd_unet_host": {"input_blocks.1.0.time_stack.in_layers.0.weight": (320,)},
    "svd_checkpoint": {"model.diffusion_model.input_blocks.1.0.time_stack.in_layers.0.weight": (320,)},
    "sd15_checkpoint": {
        "first_stage_model.encoder.conv_in.weight": (128, 3, 3, 3),
        "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
    },
    "other_checkpoint": {"model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (640, 2048)},
    "image_controlnet": {"control_model.zero_convs.0.0.weight": (320, 320, 1, 1)},
    "svd_vae": {"encoder.conv_in.weight": (1,), "decoder.up.0.block.0.time_stack.in_layers.0.weight": (1,)},
    "clip_vision_h": {"visual.class_embedding": (1280,), "visual.conv1.weight": (1280, 3, 14, 14)},
    "sam_transformers": {"vision_encoder.pos_embed": (1, 64, 64, 768), "mask_decoder.iou_token.weight": (1, 256)},
    "unknown": {"weight": (3,)},
}


@pytest.mark.parametrize("kind", BY_NAME)
def test_layouts_of_other_tools_are_recognised(kind):
    assert recognise(BY_NAME[kind]) == kind


def test_every_kind_is_recognised_in_some_test():
    assert set(KINDS) == {*NETWORKS, *BY_NAME}
    assert {signature.kind for signature in SIGNATURES} | {"unknown"} == set(KINDS)
    assert set(LICENCES) <= set(KINDS)


def test_description_reads_the_header_only(own_folder, tmp_path):
    loaded = load_controlnet(own_folder)
    torch.save(loaded.half().state_dict(), tmp_path / "half.bin")
    for path, dtype in ((own_folder, "float32"), (tmp_path / "half.bin", "float16")):
        description = describe_weights(path)
        assert description.kind == "draganything_controlnet"
        assert description.parameters == loaded.num_parameters()
        assert description.shapes == {name: tuple(value.shape) for name, value in loaded.state_dict().items()}
        counts = f"{len(description.shapes)} tensors, {description.parameters:,} parameters"
        assert str(description) == f"a DragAnything ControlNet: {counts}, {dtype}"


def test_empty_network_is_checked_but_holds_no_data(authors_folder):
    description, network = empty_controlnet(authors_folder, "published")
    assert not description.has_choices
    assert choices_of(network) == preset_choices("published")
    assert {parameter.device.type for parameter in network.parameters()} == {"meta"}


# Licences


def test_each_load_logs_one_licence_line(authors_folder, own_folder, tmp_path, caplog):
    caplog.set_level(logging.INFO, "draganything_core.weights")
    load_controlnet(authors_folder)
    file = authors_folder / "diffusion_pytorch_model.safetensors"
    lines = [record.message for record in caplog.records if "licence" in record.message]
    assert lines == [f"{file}, a DragAnything ControlNet: licence not stated by its authors"]
    caplog.clear()
    load_controlnet(own_folder)
    assert [record.message.split(": ", 1)[1] for record in caplog.records] == [LICENCE_OF_OWN]
    caplog.clear()
    load_controlnet(SHIPPED / "controlnet")
    assert [record.message.split(": ", 1)[1] for record in caplog.records] == [LICENCE_OF_SHIPPED]
    caplog.clear()
    save_file({"model.diffusion_model.x.time_stack.y": torch.zeros(1)}, tmp_path / "svd.safetensors")
    log_licence(describe_weights(tmp_path / "svd.safetensors"))
    assert "Stable Video Diffusion licence of Stability AI" in caplog.text
    caplog.clear()
    save_file({"weight": torch.zeros(1)}, tmp_path / "unknown.safetensors")
    log_licence(describe_weights(tmp_path / "unknown.safetensors"))
    assert not caplog.records


def test_configuration_keys_that_nothing_reads_are_named(authors_folder, caplog):
    caplog.set_level(logging.INFO, "draganything_core.weights")
    load_controlnet(authors_folder)
    assert "nothing here reads extra in its configuration" in caplog.text
