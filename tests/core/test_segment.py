"""Click-to-mask: Segment Anything's real classes at a small size, GrabCut on drawn pictures with known masks."""

import logging
import os
import pickle
import sys
from functools import partial

import cv2
import numpy as np
import pytest
import segment_anything
import torch
from safetensors.torch import save_file
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_samples import ellipse, iou, one_click, picture_of

from draganything_core.document import Box, Click, Prompts
from draganything_core.segment import Candidates, GrabCutSegmenter, SamSegmenter


def small_sam(width: int = 32, depth: int = 2) -> Sam:
    """Segment Anything's own classes with random weights; the picture is seen at 64 px."""
    torch.manual_seed(3)
    encoder = ImageEncoderViT(
        img_size=64, patch_size=16, embed_dim=width, depth=depth, num_heads=4, mlp_ratio=1, out_chans=32,
        use_rel_pos=True, global_attn_indexes=(1,), window_size=2, norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
    )  # fmt: skip
    prompts = PromptEncoder(embed_dim=32, image_embedding_size=(4, 4), input_image_size=(64, 64), mask_in_chans=4)
    decoder = MaskDecoder(
        transformer_dim=32,
        transformer=TwoWayTransformer(depth=1, embedding_dim=32, num_heads=2, mlp_dim=64),
        num_multimask_outputs=3,
        iou_head_depth=2,
        iou_head_hidden_dim=16,
    )
    return Sam(encoder, prompts, decoder).eval()


@pytest.fixture(params=["sam", "grabcut"])
def segmenter(request):
    """Either segmenter with a 40x56 picture set."""
    segmenter = SamSegmenter(model=small_sam()) if request.param == "sam" else GrabCutSegmenter()
    segmenter.set_image(picture_of(ellipse(40, 56, (20, 18), (12, 8))))
    return segmenter


class TestCandidates:
    small, middle, large = (torch.arange(35).reshape(5, 7) < count for count in (0, 9, 20))

    def test_from_small_to_large_each_with_its_score(self):
        candidates = Candidates.by_area(
            torch.stack([self.large, self.small, self.middle]), torch.tensor([0.3, 0.9, 0.5])
        )
        assert torch.equal(candidates.masks, torch.stack([self.small, self.middle, self.large]))
        assert candidates.scores.tolist() == pytest.approx([0.9, 0.5, 0.3])
        assert torch.equal(candidates.chosen("object"), self.middle)
        assert torch.equal(candidates.chosen("whole"), self.large)

    def test_without_a_scale_the_best_rated_that_is_not_empty(self):
        candidates = Candidates(torch.stack([self.small, self.middle, self.large]), torch.tensor([0.9, 0.3, 0.5]))
        assert torch.equal(candidates.chosen(), self.large)

    def test_shapes_are_checked(self):
        with pytest.raises(ValueError, match=r"\(3, H, W\) bool"):
            Candidates(torch.ones(2, 5, 7, dtype=torch.bool), torch.ones(2))
        with pytest.raises(ValueError, match="three scores"):
            Candidates(torch.ones(3, 5, 7, dtype=torch.bool), torch.ones(2))


class TestBothSegmenters:
    @pytest.mark.parametrize(
        "prompts",
        [
            one_click(20, 18),
            Prompts(points=(Click(20, 18), Click(25, 18), Click(50, 35, label=0))),
            Prompts(box=Box(6, 6, 30, 24)),
            Prompts(points=(Click(20, 18), Click(2, 2, label=0)), box=Box(6, 6, 30, 24)),
            Prompts(points=(Click(2, 2, label=0),), box=Box(-5, -5, 45, 35)),
            one_click(-0.5, 39.5),
            one_click(55.5, -0.5),
        ],
        ids=["click", "clicks", "box", "box and clicks", "box over the border", "corner", "other corner"],
    )
    def test_three_masks_of_the_pictures_size(self, segmenter, prompts):
        candidates = segmenter.segment(prompts)
        assert candidates.masks.shape == (3, 40, 56)
        areas = candidates.masks.sum(dim=(1, 2))
        assert torch.equal(areas, areas.sort().values)
        assert torch.isfinite(candidates.scores).all()

    def test_the_same_again(self, segmenter):
        first, second = segmenter.segment(one_click(20, 18)), segmenter.segment(one_click(20, 18))
        assert torch.equal(first.masks, second.masks)
        assert torch.equal(first.scores, second.scores)

    @pytest.mark.parametrize(
        ("prompts", "problem"),
        [
            (Prompts(), "neither a click nor a box"),
            (Prompts(points=(Click(3, 4, 0), Click(5, 6, 0))), r"all 2 clicks .* \(label 0\).*Click at least once on"),
            (one_click(56, 4), "click at x 56, y 4 is off the 40x56 picture"),
            (one_click(3, -0.6), "click at x 3, y -0.6 is off"),
            (Prompts(box=Box(60, 4, 8, 8)), "box .* is off the 40x56 picture"),
            (Prompts(box=Box(4, -9, 8, 8)), "box .* is off the 40x56 picture"),
        ],
    )
    def test_prompts_that_select_nothing_are_refused(self, segmenter, prompts, problem):
        with pytest.raises(ValueError, match=problem):
            segmenter.segment(prompts)

    @pytest.mark.parametrize("image", [torch.zeros(40, 56, 3), torch.zeros(3, 40, 56, dtype=torch.uint8)])
    def test_only_float_pictures_with_channels_first(self, segmenter, image):
        with pytest.raises(ValueError, match=r"\(3, H, W\) float in 0..1"):
            segmenter.set_image(image)

    @pytest.mark.parametrize("fresh", [lambda: SamSegmenter(model=small_sam()), GrabCutSegmenter])
    def test_without_a_picture_it_says_so(self, fresh):
        with pytest.raises(RuntimeError, match="call set_image first"):
            fresh().segment(one_click(3, 4))


class TestSamSegmenter:
    image = picture_of(ellipse(40, 56, (20, 18), (12, 8)))

    def test_equals_segment_anythings_own_predictor(self):
        predictor = segment_anything.SamPredictor(small_sam())
        predictor.set_image((self.image * 255).round().byte().movedim(0, -1).numpy())
        masks, scores, _ = predictor.predict(
            point_coords=np.array([[20.0, 18.0], [50.0, 35.0]]),
            point_labels=np.array([1, 0]),
            box=np.array([6.0, 6.0, 36.0, 30.0]),
        )
        order = np.argsort(masks.sum((1, 2)), kind="stable")
        segmenter = SamSegmenter(model=small_sam())
        segmenter.set_image(self.image)
        candidates = segmenter.segment(Prompts((Click(20, 18), Click(50, 35, 0)), Box(6, 6, 30, 24)))
        assert np.array_equal(candidates.masks.numpy(), masks[order])
        assert np.allclose(candidates.scores.numpy(), scores[order])
        assert candidates.masks.any()

    def test_one_picture_is_encoded_once(self):
        model, runs = small_sam(), []
        model.image_encoder.register_forward_hook(lambda *_: runs.append(1))
        segmenter = SamSegmenter(model=model)
        segmenter.set_image(self.image)
        for x in (10, 20, 30):
            segmenter.segment(one_click(x, 18))
        segmenter.set_image(self.image.clone())
        segmenter.segment(Prompts(box=Box(6, 6, 30, 24)))
        assert len(runs) == 1
        segmenter.set_image(self.image.flip(-1))
        assert len(runs) == 2

    def test_the_prompt_matters(self):
        segmenter = SamSegmenter(model=small_sam())
        segmenter.set_image(self.image)
        scores = [segmenter.segment(one_click(x, 18)).scores for x in (3, 40)]
        assert not torch.equal(*scores)

    def test_missing_package_says_how_to_install_it(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "segment_anything", None)
        with pytest.raises(ImportError, match=r"pip install draganything\[sam\]"):
            SamSegmenter(model=torch.nn.Identity())


class TestSamWeights:
    """Encoders of the three real widths, without their depth."""

    @pytest.fixture(autouse=True)
    def _small_networks(self, monkeypatch):
        for model_type, width in (("vit_b", 768), ("vit_l", 1024), ("vit_h", 1280)):
            build = partial(small_sam, width, depth=0)
            monkeypatch.setitem(segment_anything.sam_model_registry, model_type, build)

    def saved(self, folder, width=768, **changes):
        path = folder / "sam.pth"
        torch.save({**small_sam(width, depth=0).state_dict(), **changes}, path)
        return path

    @pytest.mark.parametrize(("model_type", "width"), [("vit_b", 768), ("vit_l", 1024), ("vit_h", 1280)])
    def test_the_width_tells_the_type(self, tmp_path, caplog, model_type, width):
        path = self.saved(tmp_path, width)
        with caplog.at_level(logging.INFO):
            segmenter = SamSegmenter.from_checkpoint(path)
        assert f"{model_type} from {path}" in caplog.text
        assert "Apache-2.0" in caplog.text
        segmenter.set_image(TestSamSegmenter.image)
        assert segmenter.segment(one_click(20, 18)).masks.shape == (3, 40, 56)
        assert SamSegmenter.from_checkpoint(path, model_type=model_type)

    @pytest.mark.parametrize("kind", ["zip", "pickle", "safetensors"])
    def test_the_files_weights_are_the_ones_used(self, tmp_path, kind):
        state = {key: torch.randn_like(value) for key, value in small_sam(768, depth=0).state_dict().items()}
        path = tmp_path / ("sam.safetensors" if kind == "safetensors" else "sam.pth")
        if kind == "safetensors":
            save_file(state, path)
        else:
            torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
        loaded = SamSegmenter.from_checkpoint(path)._predictor.model.state_dict()
        assert all(torch.equal(loaded[key], value) for key, value in state.items())

    def test_another_type_than_asked_for_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match=r"model_type is 'vit_h', but .* holds 'vit_b'"):
            SamSegmenter.from_checkpoint(self.saved(tmp_path), model_type="vit_h")

    def test_a_pickle_that_runs_code_is_refused_unread(self, tmp_path):
        class Attack:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "attacked"),)

        (tmp_path / "sam.pth").write_bytes(pickle.dumps({"weights": Attack()}, protocol=2))
        torch.save({"weights": Attack()}, tmp_path / "zipped.pth")
        for name in ("sam.pth", "zipped.pth"):
            with pytest.raises(ValueError, match="is not a file of weights alone"):
                SamSegmenter.from_checkpoint(tmp_path / name)
        assert not (tmp_path / "attacked").exists()

    @pytest.mark.parametrize(
        ("state", "problem"),
        [
            ({"a.weight": torch.ones(2)}, r"1 tensors: a.weight; expected Segment Anything weights \(sam_vit_b"),
            ({"model": {"a.weight": torch.ones(2)}}, "holds a dict with model; expected Segment Anything"),
            ([torch.ones(2)], "holds a list; expected"),
            ({}, "0 tensors: nothing"),
            ({"image_encoder.trunk.pos_embed": torch.ones(2)}, "weights of SAM 2; expected"),
            (
                {
                    "image_encoder.patch_embed.proj.weight": torch.ones(768),
                    "mask_decoder.hf_token.weight": torch.ones(2),
                },
                "weights of HQ-SAM; expected",
            ),
            ({"vision_encoder.pos_embed": torch.ones(2)}, "in the transformers layout; expected"),
            ({"image_encoder.patch_embed.proj.weight": torch.ones(96, 3, 16, 16)}, r"encoder of 96 .* 768 \(vit_b\)"),
            ({"image_encoder.patch_embed.proj.weight": torch.ones(1280, 3, 16, 16)}, r"Tensors \d+ missing: "),
        ],
    )
    def test_other_weights_are_refused_by_what_they_are(self, tmp_path, state, problem):
        torch.save(state, tmp_path / "other.pth")
        with pytest.raises(ValueError, match=problem):
            SamSegmenter.from_checkpoint(tmp_path / "other.pth")

    def test_unknown_and_misshapen_tensors_are_named(self, tmp_path):
        path = self.saved(
            tmp_path, **{"extra.weight": torch.ones(1), "image_encoder.pos_embed": torch.ones(1, 2, 2, 768)}
        )
        with pytest.raises(ValueError, match=r"1 unknown: extra\.weight; 1 of another shape: image_encoder\.pos_embed"):
            SamSegmenter.from_checkpoint(path)

    @pytest.mark.parametrize("name", ["sam.pth", "sam.safetensors"])
    def test_missing_and_broken_files_are_named(self, tmp_path, name):
        with pytest.raises(FileNotFoundError, match=rf"no Segment Anything weights at .*{name}"):
            SamSegmenter.from_checkpoint(tmp_path / name)
        for broken in (b"", b"not weights at all"):
            (tmp_path / name).write_bytes(broken)
            with pytest.raises(ValueError, match=name):
                SamSegmenter.from_checkpoint(tmp_path / name)

    def test_a_file_cut_short_is_named(self, tmp_path):
        path = self.saved(tmp_path)
        path.write_bytes(path.read_bytes()[:-2000])
        with pytest.raises(ValueError, match=r"sam\.pth"):
            SamSegmenter.from_checkpoint(path)


class TestGrabCut:
    def segmenter(self, mask: np.ndarray) -> GrabCutSegmenter:
        segmenter = GrabCutSegmenter()
        segmenter.set_image(picture_of(mask))
        return segmenter

    @pytest.mark.parametrize(
        ("height", "width", "center", "axes"),
        [(120, 168, (60, 50), (24, 15)), (168, 120, (60, 90), (12, 20)), (320, 576, (400, 200), (60, 90))],
    )
    def test_one_click_finds_the_thing(self, height, width, center, axes):
        truth = ellipse(height, width, center, axes)
        candidates = self.segmenter(truth).segment(one_click(*center))
        assert iou(candidates.chosen(), truth) > 0.95
        assert iou(candidates.chosen("object"), truth) > 0.9

    def test_pictures_above_the_working_size_are_cut_at_their_own(self):
        truth = ellipse(900, 1301, (700, 400), (180, 120))
        segmenter = self.segmenter(truth)
        candidates = segmenter.segment(one_click(700, 400))
        assert candidates.masks.shape == (3, 900, 1301)
        assert iou(candidates.chosen(), truth) > 0.98
        assert iou(segmenter.segment(Prompts(box=Box(500, 230, 400, 340))).chosen("whole"), truth) > 0.98
        part = segmenter.segment(Prompts(box=Box(600, 330, 200, 140))).chosen("whole")
        part[326:475, 596:805] = False  # a pixel of the small picture is 3.4 of these
        assert not part.any()

    def test_of_two_things_the_clicked_one(self):
        left, right = ellipse(120, 168, (40, 60), (18, 14)), ellipse(120, 168, (120, 60), (18, 14))
        segmenter = self.segmenter(left | right)
        assert iou(segmenter.segment(one_click(40, 60)).chosen("object"), left) > 0.9
        assert iou(segmenter.segment(one_click(120, 60)).chosen("object"), right) > 0.9

    def test_two_clicks_join_two_things(self):
        left, right = ellipse(120, 168, (40, 60), (18, 14)), ellipse(120, 168, (120, 60), (18, 14))
        clicks = Prompts(points=(Click(40, 60), Click(120, 60)))
        assert iou(self.segmenter(left | right).segment(clicks).chosen("object"), left | right) > 0.9

    def test_a_negative_click_takes_away(self):
        thing = ellipse(120, 168, (84, 60), (50, 20), angle=0)
        segmenter = self.segmenter(thing)
        assert segmenter.segment(one_click(60, 60)).chosen("whole")[60, 125]
        candidates = segmenter.segment(Prompts(points=(Click(60, 60), Click(125, 60, label=0))))
        assert not candidates.masks[:, 60, 125].any()
        assert candidates.masks[:, 60, 60].all()

    def test_a_negative_click_does_not_widen_the_reach(self):
        bar = ellipse(120, 168, (84, 60), (75, 12), angle=0)
        candidates = self.segmenter(bar).segment(Prompts(points=(Click(25, 60), Click(140, 20, label=0))))
        assert candidates.masks[:, 60, 25].all()
        assert not candidates.chosen("object")[:, 25 + 168 // 5 + 2 :].any()

    def test_holes_are_filled_unless_clicked_away(self):
        outer, hole = ellipse(120, 168, (84, 60), (40, 40)), ellipse(120, 168, (84, 60), (9, 9))
        segmenter = self.segmenter(outer & ~hole)
        assert iou(segmenter.segment(one_click(60, 60)).chosen("whole"), outer) > 0.95
        ring = segmenter.segment(Prompts(points=(Click(60, 60), Click(84, 60, label=0)))).chosen("whole")
        assert not ring[60, 84]
        assert iou(ring, outer & ~hole) > 0.9

    def test_a_box_finds_the_thing_in_it(self):
        truth = ellipse(120, 168, (60, 50), (24, 15))
        candidates = self.segmenter(truth).segment(Prompts(box=Box(34, 28, 52, 44)))
        assert iou(candidates.chosen("whole"), truth) > 0.95

    def test_nothing_outside_a_box(self):
        candidates = self.segmenter(ellipse(120, 168, (60, 50), (24, 15))).segment(Prompts(box=Box(50, 40, 20, 16)))
        outside = np.ones((120, 168), bool)
        outside[40:57, 50:71] = False
        assert not (candidates.masks.numpy() & outside).any()

    def test_a_click_away_from_the_middle_of_its_box(self):
        left, right = ellipse(120, 168, (40, 60), (18, 14)), ellipse(120, 168, (120, 60), (18, 14))
        prompts = Prompts(points=(Click(40, 60),), box=Box(15, 35, 140, 50))
        assert iou(self.segmenter(left | right).segment(prompts).chosen("object"), left) > 0.9

    def test_the_clicked_pixel_is_in_every_mask(self):
        segmenter = self.segmenter(ellipse(40, 56, (20, 18), (12, 8)))
        for x, y in ((0, 0), (55, 39), (20, 18), (30, 5)):
            assert segmenter.segment(one_click(x, y)).masks[:, y, x].all()

    def test_close_clicks_of_both_kinds_each_hold(self):
        segmenter = self.segmenter(ellipse(120, 168, (60, 50), (24, 15)))
        masks = segmenter.segment(Prompts(points=(Click(60, 50), Click(62, 50, label=0)))).masks
        assert masks[:, 50, 60].all()
        assert not masks[:, 50, 62].any()

    def test_of_two_clicks_on_one_pixel_the_positive_holds(self):
        segmenter = self.segmenter(ellipse(120, 168, (60, 50), (24, 15)))
        masks = segmenter.segment(Prompts(points=(Click(60, 50), Click(60, 50, label=0)))).masks
        assert masks[:, 50, 60].all()
        assert not masks[:, 0, 0].any()

    @pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 9), (40, 56)])
    def test_plain_and_tiny_pictures_give_a_mask_with_the_click(self, size):
        segmenter = GrabCutSegmenter()
        segmenter.set_image(torch.full((3, *size), 0.5))
        masks = segmenter.segment(one_click(0, 0)).masks
        assert masks.shape == (3, *size)
        assert masks[:, 0, 0].all()

    def test_boxes_at_the_very_border(self):
        segmenter = self.segmenter(ellipse(40, 56, (20, 18), (12, 8)))
        assert segmenter.segment(Prompts(box=Box(55.2, 39.2, 5, 5))).chosen("whole")[39, 55]
        assert segmenter.segment(Prompts(box=Box(-5, -5, 5.3, 5.3))).chosen("whole")[0, 0]

    def test_a_box_around_the_whole_picture_and_one_thinner_than_a_pixel(self):
        segmenter = self.segmenter(ellipse(40, 56, (20, 18), (12, 8)))
        everything = segmenter.segment(Prompts(box=Box(-10, -10, 100, 100)))
        assert everything.chosen("whole").all()
        assert everything.scores[-1] == 0
        assert segmenter.segment(Prompts(box=Box(20.2, 18.3, 0.1, 0.1))).chosen("whole")[18, 20]

    def test_the_callers_random_numbers_do_not_matter(self):
        segmenter = self.segmenter(ellipse(120, 168, (60, 50), (24, 15)))
        cv2.setRNGSeed(1)
        first = segmenter.segment(one_click(60, 50))
        cv2.setRNGSeed(2)
        second = segmenter.segment(one_click(60, 50))
        assert torch.equal(first.masks, second.masks)
