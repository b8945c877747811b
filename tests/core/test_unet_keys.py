"""Names of the UNet's tensors in the first release's layout, and the arguments ComfyUI builds that UNet with."""

import pytest
import torch
from diffusers import UNetSpatioTemporalConditionModel

from draganything_core.tiny.architecture import tiny_unet
from draganything_core.unet_keys import sgm_keys, sgm_unet_config

D, C = "DownBlockSpatioTemporal", "CrossAttnDownBlockSpatioTemporal"
U, X = "UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"


def unet_on_meta(**choices):
    with torch.device("meta"):
        return UNetSpatioTemporalConditionModel(**choices)


def config_of(**choices):
    return {**unet_on_meta().config, **choices}


UNEVEN = {
    "down_block_types": (C, D, C),
    "up_block_types": (U, X, U),
    "block_out_channels": (32, 64, 32),
    "num_attention_heads": (2, 4, 2),
    "layers_per_block": (1, 3, 2),
    "transformer_layers_per_block": (2, 1, 3),
    "cross_attention_dim": 24,
}


@pytest.mark.parametrize(
    "make", [tiny_unet, unet_on_meta, lambda: unet_on_meta(**UNEVEN)], ids=["tiny", "svd", "uneven"]
)
def test_each_tensor_has_one_name_and_no_two_share_one(make):
    unet = make()

    keys = sgm_keys(unet.config)

    assert set(keys) == set(unet.state_dict())
    assert len(set(keys.values())) == len(keys)


def test_modules_that_differ_in_kind_never_share_a_block_position():
    """Under one position of a block stands one module of diffusers: "input_blocks.4.1" is one transformer."""
    homes: dict[str, set[str]] = {}
    for key, name in sgm_keys(unet_on_meta(**UNEVEN).config).items():
        if name.split(".")[0] in ("input_blocks", "middle_block", "output_blocks"):
            depth = 2 if name.startswith("middle_block") else 3
            diffusers_depth = 3 if key.startswith("mid_block") else 4
            home = ".".join(key.split(".")[: 1 if key.startswith("conv_in") else diffusers_depth])
            homes.setdefault(".".join(name.split(".")[:depth]), set()).add(home)

    assert {position: modules for position, modules in homes.items() if len(modules) > 1} == {}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("conv_in.weight", "input_blocks.0.0.weight"),
        ("time_embedding.linear_2.bias", "time_embed.2.bias"),
        ("add_embedding.linear_1.weight", "label_emb.0.0.weight"),
        ("down_blocks.0.resnets.1.spatial_res_block.norm1.weight", "input_blocks.2.0.in_layers.0.weight"),
        ("down_blocks.0.resnets.0.temporal_res_block.conv2.bias", "input_blocks.1.0.time_stack.out_layers.3.bias"),
        ("down_blocks.0.downsamplers.0.conv.weight", "input_blocks.3.0.op.weight"),
        ("down_blocks.1.resnets.0.spatial_res_block.conv_shortcut.weight", "input_blocks.4.0.skip_connection.weight"),
        ("down_blocks.2.attentions.1.time_mixer.mix_factor", "input_blocks.8.1.time_mixer.mix_factor"),
        ("down_blocks.3.resnets.1.time_mixer.mix_factor", "input_blocks.11.0.time_mixer.mix_factor"),
        (
            "mid_block.attentions.0.temporal_transformer_blocks.0.ff_in.net.0.proj.weight",
            "middle_block.1.time_stack.0.ff_in.net.0.proj.weight",
        ),
        ("mid_block.resnets.1.spatial_res_block.time_emb_proj.weight", "middle_block.2.emb_layers.1.weight"),
        ("up_blocks.0.upsamplers.0.conv.weight", "output_blocks.2.1.conv.weight"),
        ("up_blocks.1.upsamplers.0.conv.weight", "output_blocks.5.2.conv.weight"),
        ("up_blocks.3.attentions.2.time_pos_embed.linear_1.bias", "output_blocks.11.1.time_pos_embed.0.bias"),
        (
            "up_blocks.3.attentions.2.transformer_blocks.0.attn2.to_out.0.weight",
            "output_blocks.11.1.transformer_blocks.0.attn2.to_out.0.weight",
        ),
        ("conv_norm_out.weight", "out.0.weight"),
        ("conv_out.bias", "out.2.bias"),
    ],
)
def test_svd_tensors_have_the_names_of_its_first_release(key, name, svd_keys):
    assert svd_keys[key] == name


@pytest.fixture(scope="module")
def svd_keys():
    return sgm_keys(unet_on_meta().config)


def test_building_the_names_leaves_the_random_state_alone():
    config = unet_on_meta().config
    torch.manual_seed(5)
    before = torch.get_rng_state()

    sgm_keys(config)

    assert torch.equal(torch.get_rng_state(), before)


def test_svd_is_built_with_the_arguments_of_its_first_release():
    arguments = sgm_unet_config({**unet_on_meta().config, "num_attention_heads": (5, 10, 20, 20)})

    assert {name: arguments[name] for name in ("model_channels", "channel_mult", "num_res_blocks")} == {
        "model_channels": 320,
        "channel_mult": [1, 2, 4, 4],
        "num_res_blocks": [2, 2, 2, 2],
    }
    assert arguments["transformer_depth"] == [1, 1, 1, 1, 1, 1, 0, 0]
    assert arguments["transformer_depth_output"] == [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]
    assert arguments["transformer_depth_middle"] == 1
    assert (arguments["in_channels"], arguments["out_channels"]) == (8, 4)
    assert (arguments["context_dim"], arguments["adm_in_channels"], arguments["num_head_channels"]) == (1024, 768, 64)


def test_depths_follow_the_levels_own_counts():
    arguments = sgm_unet_config(unet_on_meta(**UNEVEN).config)

    assert arguments["num_res_blocks"] == [1, 3, 2]
    assert arguments["transformer_depth"] == [2, 0, 0, 0, 3, 3]
    assert arguments["transformer_depth_middle"] == 3
    # The way up attends at the second level only; its list is read from the end.
    assert arguments["transformer_depth_output"] == [0, 0, 1, 1, 1, 1, 0, 0, 0]
    assert arguments["num_head_channels"] == 16


def test_the_tiny_unet_can_be_built_there():
    config = tiny_unet().config

    arguments = sgm_unet_config(config)

    widths = [arguments["model_channels"] * multiple for multiple in arguments["channel_mult"]]
    assert widths == list(config["block_out_channels"])
    assert arguments["adm_in_channels"] == 768


@pytest.mark.parametrize("entry", ["down_block_types", "up_block_types"])
@pytest.mark.parametrize("name_weights", [sgm_keys, sgm_unet_config])
def test_a_block_of_another_kind_is_refused_by_name(entry, name_weights):
    kinds = list(config_of()[entry])
    kinds[1] = "DownBlock3D"

    with pytest.raises(ValueError, match=f"{entry} has 'DownBlock3D'.* Expected .*BlockSpatioTemporal"):
        name_weights(config_of(**{entry: kinds}))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (
            {"block_out_channels": (64, 64, 96, 128)},
            r"block_out_channels is \[64, 64, 96, 128\].*multiples of the first, 64",
        ),
        ({"num_attention_heads": 8}, r"num_attention_heads is \[8, 8, 8, 8\].*\[40, 80, 160\] channels wide"),
        ({"cross_attention_dim": (24, 24, 48, 24)}, r"cross_attention_dim is \[24, 24, 48, 24\]"),
        ({"addition_time_embed_dim": 32}, "addition_time_embed_dim is 32 .*768"),
        ({"projection_class_embeddings_input_dim": 512}, "projection_class_embeddings_input_dim 512"),
    ],
)
def test_a_unet_that_comfyui_cannot_build_is_refused(choices, message):
    with pytest.raises(ValueError, match=message):
        sgm_unet_config(config_of(num_attention_heads=(5, 10, 20, 20)) | choices)


def test_heads_of_levels_without_transformers_do_not_matter():
    narrow_below = {**UNEVEN, "down_block_types": (D, C, D), "num_attention_heads": (1, 4, 2)}

    assert sgm_unet_config(unet_on_meta(**narrow_below).config)["num_head_channels"] == 16
