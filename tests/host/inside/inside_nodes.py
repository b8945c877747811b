"""What the nodes take, give and refuse."""

from __future__ import annotations

import asyncio
import inspect
import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from small_model import FRAMES, SEED, SIZE, core, error, load_pack, pack, small_motion

NODE_IDS = [
    "DragAnythingLoadTiny",
    "DragAnythingSample",
    "DragAnythingLoadControlNet",
    "DragAnythingLoadSAM",
    "DragAnythingSegment",
    "DragAnythingEntities",
    "DragAnythingTrajectoryEditor",
    "DragAnythingCamera",
    "DragAnythingEntityEncoder",
    "DragAnythingGaussianMap",
    "DragAnythingApply",
    "DragAnythingSVDSampler",
    "DragAnythingImportTracks",
    "DragAnythingExportTracks",
    "DragAnythingPreviewMotion",
    "DragAnythingTrackPoints",
    "DragAnythingScore",
]


@pytest.fixture(scope="session")
def nodes() -> dict[str, Any]:
    async def listed() -> list[Any]:
        extension = await load_pack().comfy_entrypoint()
        await extension.on_load()
        return await extension.get_node_list()

    return {node.define_schema().node_id: node for node in asyncio.run(listed())}


def test_the_ids_that_graphs_are_saved_with(nodes):
    differing = set(nodes) ^ set(NODE_IDS)
    assert list(nodes) == NODE_IDS, f"not the same ids in the same order as in nodes/extension.py: {differing}"


@pytest.mark.parametrize("node_id", NODE_IDS)
def test_inputs_are_executes_parameters(nodes, node_id):
    node = nodes[node_id]
    schema = node.GET_SCHEMA()
    parameters = inspect.signature(node.execute).parameters
    assert {each.id for each in schema.inputs} == set(parameters)
    optional = {name for name, parameter in parameters.items() if parameter.default is not inspect.Parameter.empty}
    assert {each.id for each in schema.inputs if each.optional} == optional
    assert all(each.tooltip for each in [*schema.inputs, *schema.outputs])
    assert schema.category == "DragAnything"
    assert schema.search_aliases
    assert node.GET_NODE_INFO_V1()["input"] is not None


def test_features_equal_the_cores(headless, motion, features):
    entities, _ = motion.resolved("center")
    expected = headless.entity_features(motion.picture, entities, core("types").Size(*SIZE), SEED)
    assert features.features.embeddings.shape == (2, 64)
    assert error(features.features.embeddings, expected.embeddings) < 1e-5


@pytest.mark.parametrize("per_percent", [None, 50.0])
def test_the_map_builder_says_how_much_moves(motion, features, per_percent):
    choices = {**features.choices, "motion_bucket_id": 44, "motion_buckets_per_percent": per_percent}
    told = pack("nodes.conditions").GaussianMapBuilder.execute(motion, replace(features, choices=choices)).result[2]
    drawn = core("drawn_motion").drawn_motion(*motion.resolved("center"))
    assert 0 < drawn < 5
    assert told == (44 if per_percent is None else round(50 * drawn))


def sd15_model(unet: Any) -> Any:
    """The host's MODEL of a small UNet of Stable Diffusion 1.5's kind."""
    import comfy.model_management
    import comfy.model_patcher
    import comfy.supported_models
    import comfy.utils

    class SmallSd15(comfy.supported_models.SD15):
        unet_config: dict[str, Any] = {}  # noqa: RUF012
        unet_extra_config = {"num_heads": 2, "num_head_channels": -1}  # noqa: RUF012

    arguments = {
        "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 32, "channel_mult": [1, 2],
        "num_res_blocks": [1, 1], "transformer_depth": [1, 0], "transformer_depth_middle": 1,
        "transformer_depth_output": [1, 1, 0, 0], "context_dim": 768, "use_spatial_transformer": True,
        "legacy": False, "use_linear_in_transformer": False, "adm_in_channels": None, "use_checkpoint": False,
    }  # fmt: skip
    config = SmallSd15(arguments)
    config.set_inference_dtype(torch.float32, None)
    keys = comfy.utils.unet_to_diffusers(arguments)
    state = unet.state_dict()
    weights = {host: state[key] for key, host in keys.items() if key in state}
    assert len(weights) == len(state)
    model = config.get_model({}, device=torch.device("cpu"))
    model.diffusion_model.load_state_dict(weights)
    cpu = torch.device("cpu")
    return comfy.model_patcher.CoreModelPatcher(model, load_device=cpu, offload_device=cpu)


class EmptyPrompt:
    """A text encoder, of which only the empty prompt is asked; a real one has 123 million parameters."""

    embedding = torch.randn(1, 77, 768, generator=torch.Generator().manual_seed(3))

    def tokenize(self, text: str) -> str:
        assert text == ""
        return text

    def encode_from_tokens(self, _tokens: str) -> torch.Tensor:
        return self.embedding


@pytest.fixture(scope="module")
def sd15_unet() -> Any:
    from diffusers import UNet2DConditionModel

    torch.manual_seed(4)
    return UNet2DConditionModel(
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        block_out_channels=(32, 64),
        layers_per_block=1,
        cross_attention_dim=768,
        attention_head_dim=2,
        norm_num_groups=32,
    ).eval()


def test_stable_diffusion_features_equal_the_cores(tiny, weights, motion, sd15_unet):
    from diffusers import AutoencoderTiny

    vae = AutoencoderTiny.from_pretrained(weights / "vae", torch_dtype=torch.float32)
    vae.register_to_config(scaling_factor=0.18215)
    types, size = core("types"), core("types").Size(*SIZE)
    source = types.FeatureSource("sd15", 261, -1, 3)
    features = core("features").StableDiffusionFeatures(sd15_unet, vae, EmptyPrompt.embedding)
    expected = features.feature_map(motion.picture, size, source, SEED)
    model = sd15_model(sd15_unet)
    found = pack("nodes.features").sd15_feature_map(motion.picture, size, source, SEED, model, tiny.vae, EmptyPrompt())
    assert found.shape == expected.shape == (32, 8, 12)
    assert error(found, expected) < 1e-5
    assert not model.model.diffusion_model.out._forward_pre_hooks
    assert not model.wrappers


def test_models_of_another_family_are_refused(tiny, motion, sd15_unet):
    encode = pack("nodes.features").encode_entities
    image_model = sd15_model(sd15_unet)
    size = core("types").Size(*SIZE)
    choices = tiny.control.choices
    by_sd15 = {**choices, "entity_source": {"model_kind": "sd15", "timestep": 261}}

    def refused(match: str, choices: Any, **models: Any) -> None:
        with pytest.raises(ValueError, match=match):
            encode(motion.picture, motion.entities, size, choices, 0, vae=tiny.vae, **models)

    refused("Entity Encoder, model.*video model", choices, model=image_model)
    refused("Entity Encoder, model.*1.5 family", by_sd15, model=tiny.model, clip=EmptyPrompt())
    refused("Entity Encoder, clip:", by_sd15, model=image_model)
    first_block = {**choices, "entity_source": {"model_kind": "svd", "block": 0}}
    refused("up block 0", first_block, model=tiny.model, clip_vision=tiny.clip_vision)
    with pytest.raises(ValueError, match="steers Stable Video Diffusion"):
        pack("nodes.control").require_fitting_model(image_model.model, tiny.control.network.config)


def test_conditions_equal_the_cores(headless, motion, conditions):
    entities, tracks = motion.resolved("center")
    size = core("types").Size(*SIZE)
    expected = headless.condition_maps(
        headless.entity_features(motion.picture, entities, size, SEED), entities, tracks, size
    )
    assert torch.equal(conditions.maps.gaussian, expected.gaussian)
    assert torch.equal(conditions.maps.entity_index, expected.entity_index)


def test_the_tiny_model_loads_from_the_pack(nodes, weights, monkeypatch):
    monkeypatch.setattr(pack("nodes.tiny_model"), "WEIGHTS", weights)
    model, _clip_vision, vae, control = nodes["DragAnythingLoadTiny"].execute().result
    assert model.model.diffusion_model.dtype == torch.float32
    assert control.native_size == core("types").Size(128, 128)
    assert vae.encode(torch.rand(1, 64, 96, 3)).shape == (1, 4, 8, 12)


def test_a_missing_tiny_model_says_where_it_belongs(nodes, tmp_path, monkeypatch):
    monkeypatch.setattr(pack("nodes.tiny_model"), "WEIGHTS", tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        nodes["DragAnythingLoadTiny"].execute()


class TestLoadControlNet:
    @pytest.fixture(autouse=True)
    def _model_folders(self, nodes, base, weights):
        self.folder = base / "models" / "draganything"
        (self.folder / "mine").mkdir(parents=True, exist_ok=True)
        for file in (weights / "controlnet").iterdir():
            (self.folder / "mine" / file.name).write_bytes(file.read_bytes())
        self.node = nodes["DragAnythingLoadControlNet"]
        import folder_paths

        folder_paths.filename_list_cache.clear()

    def test_a_folder_is_chosen_by_its_name(self):
        assert "draganything/mine" in pack("nodes.loaders").weight_names()
        control = self.node.execute("draganything/mine", "from the weights").result[0]
        assert control.choices["geometry"] == "exact"

    def test_a_single_file(self, weights):
        network = core("weights").load_controlnet(weights / "controlnet")
        core("weights").save_controlnet(network, self.folder / "one.safetensors")
        control = self.node.execute("draganything/one.safetensors", "from the weights").result[0]
        assert torch.equal(control.network.conv_in.weight, network.conv_in.weight)

    def test_a_file_of_another_kind_is_named(self):
        save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(4, 4, 3, 3)},
                  self.folder / "other.safetensors")  # fmt: skip
        with pytest.raises(core("weights").WeightsError, match=r"other\.safetensors.*Expected a DragAnything"):
            self.node.execute("draganything/other.safetensors", "from the weights")

    def test_a_pickle_with_code_is_not_run(self, tmp_path):
        ran = tmp_path / "ran"

        class Code:
            def __reduce__(self) -> Any:
                return (open, (str(ran), "w"))

        torch.save({"weight": Code()}, self.folder / "evil.pth")
        with pytest.raises(core("weights").WeightsError, match="refused"):
            self.node.execute("draganything/evil.pth", "from the weights")
        assert not ran.exists()

    @pytest.mark.parametrize("name", ["draganything/none", "loras/x", "draganything", "draganything/../mine"])
    def test_what_is_not_there_says_where_it_goes(self, name):
        message = self.node.validate_inputs(name)
        assert "models/draganything" in message
        with pytest.raises(FileNotFoundError, match="models/draganything"):
            self.node.execute(name, "from the weights")


class TestEntities:
    def test_each_mask_is_an_entity(self, nodes):
        masks = torch.zeros(2, 10, 20)
        masks[0, 2:6, 3:9] = 1
        masks[1, 5:9, 11:17] = 0.6
        entities = nodes["DragAnythingEntities"].execute(masks, "cat\n dog \n").result[0]
        assert [(entity.entity_id, entity.name) for entity in entities] == [(1, "cat"), (2, "dog")]
        assert entities[1].mask.sum() == 24

    def test_a_single_mask_without_a_batch(self, nodes):
        assert len(nodes["DragAnythingEntities"].execute(torch.ones(10, 20), "").result[0]) == 1

    @pytest.mark.parametrize(
        ("masks", "names", "message"),
        [(torch.stack([torch.ones(4, 4), torch.zeros(4, 4)]), "", "mask 2 of 2 is empty"),
         (torch.ones(2, 4, 4), "one", "1 names for 2 masks")],
    )  # fmt: skip
    def test_refusals_name_the_input(self, nodes, masks, names, message):
        with pytest.raises(ValueError, match=message):
            nodes["DragAnythingEntities"].execute(masks, names)


class TestTrajectoryEditor:
    DOCUMENT = json.dumps(
        {
            "format": "draganything-motion",
            "version": 2,
            "size": {"height": 40, "width": 60},
            "frames": 6,
            "entities": [{"id": 3, "name": "box", "color": "#ff0000"}],
            "paths": [{"entity": 3, "points": [{"x": 12, "y": 20}, {"x": 40, "y": 20}]}],
        }
    )

    @pytest.fixture
    def entities(self) -> Any:
        types = core("types")
        mask = torch.zeros(40, 60, dtype=torch.bool)
        mask[12:28, 4:20] = True
        return types.Entities((types.Entity(3, "from elsewhere", mask),), types.Size(40, 60))

    def test_linked_masks_are_the_documents_entities(self, nodes, entities):
        image = torch.rand(1, 80, 120, 3)
        motion, found, preview = (
            nodes["DragAnythingTrajectoryEditor"].execute(image, self.DOCUMENT, 0, entities=entities).result
        )
        assert [(entity.entity_id, entity.name) for entity in found] == [(3, "box")]
        assert torch.equal(found[0].mask, entities[0].mask)
        assert motion.picture.shape == (3, 40, 60)  # the document's canvas
        assert preview.shape == (6, 40, 60, 3)
        _, tracks = motion.resolved("center")
        assert tracks.paths[-1, 0].tolist() == pytest.approx([entities[0].center[0] + 28, entities[0].center[1]])

    def test_clicks_are_found_by_grabcut(self, nodes):
        image = torch.zeros(1, 40, 60, 3)
        image[0, 10:30, 20:40] = 1
        clicked = json.loads(self.DOCUMENT)
        clicked["entities"][0]["prompts"] = {"points": [{"x": 30, "y": 20}]}
        motion = nodes["DragAnythingTrajectoryEditor"].execute(image, json.dumps(clicked), 0).result[0]
        assert motion.entities[0].mask[20, 30]
        assert not motion.entities[0].mask[2, 2]

    def test_the_number_of_frames_can_be_set(self, nodes, entities):
        node = nodes["DragAnythingTrajectoryEditor"]
        image = torch.rand(1, 40, 60, 3)
        assert node.execute(image, self.DOCUMENT, 9, entities=entities).result[0].document.frames == 9
        assert node.execute(image, "", 0).result[0].document.frames == 14

    def test_an_empty_document_is_the_pictures_canvas(self, nodes, entities):
        motion, found, preview = (
            nodes["DragAnythingTrajectoryEditor"].execute(torch.rand(2, 80, 120, 4), " ", 0, entities=entities).result
        )
        assert motion.document.size == core("types").Size(80, 120)
        assert found[0].mask.shape == (80, 120)
        assert preview.shape == (1, 80, 120, 3)

    def test_a_wrong_document_is_refused_before_anything_runs(self, nodes):
        validate = nodes["DragAnythingTrajectoryEditor"].validate_inputs
        assert validate(self.DOCUMENT) is True
        assert validate("") is True
        assert validate(None) is True  # linked
        assert "$.frames" in validate(self.DOCUMENT.replace('"frames": 6', '"frames": 0'))
        assert "$" in validate("{")

    def test_an_entity_without_a_mask_says_what_it_needs(self, nodes):
        with pytest.raises(ValueError, match="neither a mask nor prompts"):
            nodes["DragAnythingTrajectoryEditor"].execute(torch.rand(1, 40, 60, 3), self.DOCUMENT, 0)


class TestCamera:
    def moved(self, nodes: Any, motion: Any, **changes: Any) -> Any:
        given = {"pan_x": 0.0, "pan_y": 0.0, "zoom": 1.0, "center_x": 0.5, "center_y": 0.5, "easing": "linear",
                 "start": 0.0, "end": 1.0, "carries_entities": True}  # fmt: skip
        return nodes["DragAnythingCamera"].execute(motion, **{**given, **changes}).result[0]

    def test_pan_and_zoom(self, nodes, motion):
        panned = self.moved(nodes, motion, pan_x=12.0, pan_y=-3.0)
        entities, tracks = panned.resolved("center")
        assert [entity.entity_id for entity in entities] == [0, 1, 2]
        assert (tracks.paths[-1, 0] - tracks.paths[0, 0]).tolist() == pytest.approx([12, -3])
        zoomed = self.moved(nodes, motion, zoom=2.0, center_x=0.0, center_y=1.0)
        _, tracks = zoomed.resolved("center")
        assert int((tracks.path_entity == 0).sum()) == 4
        corner = torch.tensor([0.0, 63.0])
        assert torch.allclose(tracks.paths[-1, :4] - corner, 2 * (tracks.paths[0, :4] - corner), atol=1e-3)

    def test_no_move_takes_the_camera_away(self, nodes, motion):
        panned = self.moved(nodes, motion, pan_x=5.0)
        assert self.moved(nodes, panned).document.camera is None

    def test_it_must_start_before_it_ends(self, nodes, motion):
        with pytest.raises(ValueError, match="start and end"):
            self.moved(nodes, motion, start=0.5, end=0.5)

    def test_features_made_without_it_are_refused(self, nodes, motion, features):
        panned = self.moved(nodes, motion, pan_x=5.0)
        with pytest.raises(ValueError, match=r"\[1, 2\], the motion has \[0, 1, 2\]"):
            nodes["DragAnythingGaussianMap"].execute(panned, features)


def test_a_motion_in_which_nothing_moves_is_refused(nodes, features):
    from dataclasses import replace

    motion = small_motion()
    still = replace(motion, document=replace(motion.document, paths=()))
    with pytest.raises(ValueError, match="nothing moves"):
        nodes["DragAnythingGaussianMap"].execute(still, features)


def test_a_size_that_cannot_be_halved_names_the_nearest(nodes, tiny, motion):
    with pytest.raises(ValueError, match=r"multiples of 32 px, got 100 x 64. The nearest is 96 x 64"):
        nodes["DragAnythingEntityEncoder"].execute(
            tiny.control, motion, tiny.model, tiny.vae, 100, 64, 0, clip_vision=tiny.clip_vision
        )


def test_the_encoder_names_the_link_that_is_missing(nodes, tiny, motion):
    with pytest.raises(ValueError, match="Entity Encoder, clip_vision"):
        nodes["DragAnythingEntityEncoder"].execute(tiny.control, motion, tiny.model, tiny.vae, 96, 64, 0)


def test_the_preview_shows_the_clip(nodes, motion, features):
    preview = nodes["DragAnythingGaussianMap"].execute(motion, features).result[1]
    assert preview.ndim == 4
    assert preview.shape[-1] == 3
    assert 0 <= preview.min() < preview.max() <= 1


def test_frames_are_counted(conditions):
    assert conditions.maps.frames == FRAMES
