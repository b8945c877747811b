"""The nodes that find things by clicks, with and without Segment Anything."""

from __future__ import annotations

import gc
import inspect
import json
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import folder_paths
import pytest
import torch
from small_model import core, pack

HEIGHT, WIDTH = 40, 56
GRABCUT = "GrabCut (no weights)"


def small_sam() -> Any:
    """Segment Anything's own classes with random weights; the picture is seen at 64 px."""
    modeling = pytest.importorskip("segment_anything.modeling")
    torch.manual_seed(3)
    encoder = modeling.ImageEncoderViT(
        img_size=64, patch_size=16, embed_dim=32, depth=2, num_heads=4, mlp_ratio=1, out_chans=32,
        use_rel_pos=True, global_attn_indexes=(1,), window_size=2, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
    )  # fmt: skip
    prompts = modeling.PromptEncoder(
        embed_dim=32, image_embedding_size=(4, 4), input_image_size=(64, 64), mask_in_chans=4
    )
    transformer = modeling.TwoWayTransformer(depth=1, embedding_dim=32, num_heads=2, mlp_dim=64)
    decoder = modeling.MaskDecoder(
        transformer_dim=32, transformer=transformer, num_multimask_outputs=3, iou_head_depth=2, iou_head_hidden_dim=16
    )
    return modeling.Sam(encoder, prompts, decoder).eval()


@pytest.fixture
def segmentation() -> Any:
    module = pack("nodes.segmentation")
    module.register_sam_folder()
    return module


@pytest.fixture
def image() -> torch.Tensor:
    """(2,H,W,3): an orange square on a blue ground, and a second picture that is not looked at."""
    pictures = torch.full((2, HEIGHT, WIDTH, 3), 0.3)
    pictures[0, :, :, 2] = 0.9
    pictures[0, 10:30, 20:44] = torch.tensor([0.9, 0.5, 0.1])
    return pictures


@pytest.fixture
def weights_file(base: Any, segmentation: Any, monkeypatch: Any) -> Iterator[Any]:
    """A file of the right name in models/sams; the network behind it is small."""
    pytest.importorskip("segment_anything")
    folder = base / "models" / "sams"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "sam_vit_small.pth"
    file.write_bytes(b"stands for weights")
    folder_paths.filename_list_cache.clear()
    monkeypatch.setattr(core("shared_sam"), "load_sam", lambda _path: small_sam())
    yield file
    file.unlink()
    folder_paths.filename_list_cache.clear()


def clicks(*points: tuple[float, float]) -> str:
    return json.dumps([{"x": x, "y": y} for x, y in points])


def loaded_files(segmentation: Any) -> list[str]:
    return [path.name for path, _ in segmentation._loaded if path.name == "sam_vit_small.pth"]


def segmented(segmentation: Any, image: Any, positive: str, negative: str = "[]", **more: Any) -> torch.Tensor:
    given = {"scale": "best rated", **more}
    mask, preview = segmentation.SegmentByClicks.execute(image, positive, negative, **given).result
    assert mask.shape == (1, *image.shape[1:3])
    assert mask.dtype == torch.float32
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert preview.shape == (1, *image.shape[1:3], 3)
    return mask[0] > 0.5


@pytest.mark.parametrize("name", ["LoadSam", "SegmentByClicks"])
def test_inputs_are_executes_parameters(segmentation, name):
    node = getattr(segmentation, name)
    schema = node.GET_SCHEMA()
    parameters = inspect.signature(node.execute).parameters
    assert {each.id for each in schema.inputs} == set(parameters)
    optional = {name for name, parameter in parameters.items() if parameter.default is not inspect.Parameter.empty}
    assert {each.id for each in schema.inputs if each.optional} == optional
    assert all(each.tooltip for each in [*schema.inputs, *schema.outputs])
    assert schema.category == "DragAnything"
    assert schema.search_aliases
    assert node.GET_NODE_INFO_V1()["input"] is not None
    assert schema.node_id == {"LoadSam": "DragAnythingLoadSAM", "SegmentByClicks": "DragAnythingSegment"}[name]


def test_the_folder_of_another_pack_is_kept(segmentation, monkeypatch, tmp_path):
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "sams", ([str(tmp_path)], set()))
    (tmp_path / "sam_vit_b.pth").write_bytes(b"")
    (tmp_path / "notes.txt").write_bytes(b"")
    segmentation.register_sam_folder()
    folder_paths.filename_list_cache.clear()
    assert segmentation.sam_names() == ["sam_vit_b.pth"]
    folder_paths.filename_list_cache.clear()


def test_a_click_finds_the_thing_without_weights(segmentation, image):
    mask = segmented(segmentation, image, clicks((30, 20)))
    assert mask[10:30, 20:44].all()
    assert mask.sum() == 20 * 24


def test_python_spelling_and_a_mask_of_other_clicks(segmentation, image):
    mask = segmented(segmentation, image, "[{'x': 2, 'y': 3}]", clicks((30, 20)))
    assert mask[3, 2]
    assert not mask[20, 30]


@pytest.mark.parametrize("wrap", [lambda box: box, lambda box: [box], lambda box: [[box]]])
def test_a_box_needs_no_click(segmentation, image, wrap):
    mask = segmented(segmentation, image, "", box=wrap({"x": 17, "y": 7, "width": 30, "height": 26}))
    assert mask[12:28, 22:42].all()
    assert not mask[:6].any()


def test_the_three_scales_grow(segmentation, image):
    image = image.clone()
    image[0, 16:24, 28:36] = torch.tensor([0.95, 0.3, 0.1])
    areas = [
        int(segmented(segmentation, image, clicks((32, 20)), scale=scale).sum()) for scale in core("segment").SCALES
    ]
    assert areas == sorted(areas)


@pytest.mark.parametrize(
    ("positive", "negative", "more", "message"),
    [
        ("[]", "[]", {}, "positive_coords: there is neither a click nor a box"),
        ("[]", clicks((3, 3)), {}, "say what is not the entity"),
        (clicks((99, 3)), "[]", {}, "off the 40x56 picture"),
        ("{", "[]", {}, "positive_coords: neither JSON"),
        ("[1]", "[]", {}, "point 1 must be like"),
        (clicks((3, 3)), '{"x": 1}', {}, "negative_coords: expected a list"),
        ('[{"x": NaN, "y": 2}]', "[]", {}, "point 1 must be like"),
        ("[]", "[]", {"box": {"x": 1, "y": 2, "width": 0, "height": 4}}, "wider and higher than 0"),
        ("[]", "[]", {"box": [{}, {}]}, "box: there are 2"),
        ("[]", "[]", {"box": {"x": 1}}, "box: expected x, y"),
    ],
)
def test_refusals_name_node_and_input(segmentation, image, positive, negative, more, message):
    with pytest.raises(ValueError, match=f"^Segment by Clicks, .*{message}|Segment by Clicks, {message}"):
        segmented(segmentation, image, positive, negative, **more)


def test_wrong_clicks_are_refused_before_anything_runs(segmentation):
    validate = segmentation.SegmentByClicks.validate_inputs
    assert validate("[]", "[]") is True
    assert validate(None, None) is True  # linked
    assert "negative_coords" in validate("[]", "[1]")


def test_grabcut_is_a_choice_of_the_loader(segmentation, image):
    load = segmentation.LoadSam
    assert load.GET_SCHEMA().inputs[0].options[0] == GRABCUT
    assert load.validate_inputs(GRABCUT) is True
    [segmenter] = load.execute(GRABCUT).result
    alone = segmented(segmentation, image, clicks((30, 20)))
    assert torch.equal(segmented(segmentation, image, clicks((30, 20)), segmenter=segmenter), alone)


def test_weights_are_listed_loaded_once_and_let_go(segmentation, weights_file):
    assert segmentation.sam_names() == ["sam_vit_small.pth"]
    assert segmentation.LoadSam.validate_inputs("sam_vit_small.pth") is True
    first, second = (segmentation.LoadSam.execute("sam_vit_small.pth").result[0] for _ in range(2))
    assert first.shared is second.shared is segmentation.shared_sam("sam_vit_small.pth")
    assert loaded_files(segmentation) == [weights_file.name]
    del first, second
    gc.collect()
    assert loaded_files(segmentation) == []


def test_a_network_masks_as_the_core_does_and_encodes_once(segmentation, weights_file, image):
    [segmenter] = segmentation.LoadSam.execute("sam_vit_small.pth").result
    runs = []
    segmenter.shared.model.image_encoder.register_forward_hook(lambda *_: runs.append(1))
    expected = core("segment").SamSegmenter(small_sam())
    expected.set_image(pack("nodes.types").picture_from_image(image))
    document = core("document")
    for x in (30, 12):
        prompts = document.Prompts((document.Click(x, 20.0), document.Click(3.0, 3.0, 0)))
        mask = segmented(segmentation, image, clicks((x, 20)), clicks((3, 3)), segmenter=segmenter, scale="whole")
        assert torch.equal(mask, expected.segment(prompts).masks[2])
    assert len(runs) == 1


def test_interrupting_stops_the_encoding(segmentation, weights_file, image):
    import comfy.model_management

    [segmenter] = segmentation.LoadSam.execute("sam_vit_small.pth").result
    comfy.model_management.interrupt_current_processing()
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        segmentation.SegmentByClicks.execute(image, clicks((30, 20)), "[]", "object", segmenter=segmenter)
    assert segmentation.SegmentByClicks.execute(image, clicks((30, 20)), "[]", "whole", segmenter=segmenter).result


def test_memory_decides_where_to_encode(segmentation, weights_file, monkeypatch):
    import comfy.model_management as management

    sam = segmentation.shared_sam("sam_vit_small.pth")
    device, freed = torch.device("cuda:0"), []
    monkeypatch.setattr(management, "get_torch_device", lambda: device)
    monkeypatch.setattr(management, "free_memory", lambda amount, where: freed.append((amount, where)))
    needed = sam.bytes + segmentation.ENCODING_MEMORY
    monkeypatch.setattr(management, "get_free_memory", lambda where: needed + 1)
    assert segmentation.encoding_device(sam, may_evict=True) == device
    assert freed == [(needed, device)]
    monkeypatch.setattr(management, "get_free_memory", lambda where: needed)
    assert segmentation.encoding_device(sam, may_evict=False) == torch.device("cpu")
    assert len(freed) == 1


@pytest.mark.parametrize("name", ["sam_vit_none.pth", "../checkpoints/model.safetensors", "/etc/passwd", ""])
def test_what_is_not_there_says_where_it_goes(segmentation, name):
    assert "models/sams" in segmentation.LoadSam.validate_inputs(name)
    with pytest.raises(FileNotFoundError, match="Load SAM, name: there are no weights"):
        segmentation.LoadSam.execute(name)


def test_without_the_package_it_says_what_to_install(segmentation, weights_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "segment_anything", None)
    with pytest.raises(ImportError, match=r"Load SAM, name: .*pip install segment-anything.*GrabCut"):
        segmentation.LoadSam.execute("sam_vit_small.pth")
    assert segmentation.LoadSam.execute(GRABCUT).result


def test_a_file_of_another_kind_and_a_pickle_with_code_are_refused(segmentation, base, tmp_path):
    pytest.importorskip("segment_anything")
    ran = tmp_path / "ran"

    class Code:
        def __reduce__(self) -> Any:
            return (open, (str(ran), "w"))

    folder = base / "models" / "sams"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"weight": Code()}, folder / "evil.pth")
    torch.save({"image_encoder.trunk.x": torch.zeros(1)}, folder / "other.pth")
    (folder / "cut.safetensors").write_bytes(b"\x10\0\0\0")
    folder_paths.filename_list_cache.clear()
    for name, message in (("evil.pth", "not a file of weights alone"), ("other.pth", "weights of SAM 2"),
                          ("cut.safetensors", "not a safetensors file")):  # fmt: skip
        with pytest.raises(ValueError, match=f"Load SAM, name: .*{message}"):
            segmentation.LoadSam.execute(name)
        (folder / name).unlink()
    assert not ran.exists()
    folder_paths.filename_list_cache.clear()
