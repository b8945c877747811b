"""From a document to masks: files, inline masks and prompts, each where it is given."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image
from segment_samples import ellipse, iou, one_click, picture_of

from draganything_core.document import Click, DocumentEntity, DocumentError, MaskSource, MotionDocument, Prompts
from draganything_core.masks import encode_rle
from draganything_core.segment import Candidates, GrabCutSegmenter, resolve_entities
from draganything_core.types import Size


class TestResolveEntities:
    size = Size(40, 56)
    truth = ellipse(40, 56, (20, 18), (12, 8))
    image = picture_of(truth)

    def document(self, *entities: DocumentEntity) -> MotionDocument:
        return MotionDocument(size=self.size, frames=14, entities=entities)

    def resolve(self, *entities: DocumentEntity, segmenter=None, folder="."):
        return resolve_entities(self.document(*entities), self.image, segmenter, folder)

    def test_every_source_in_paint_order(self, tmp_path):
        box = torch.zeros(40, 56, dtype=torch.bool)
        box[3:9, 30:50] = True
        Image.fromarray(box.numpy()).save(tmp_path / "box.png")
        entities = self.resolve(
            DocumentEntity(7, "inline", mask=MaskSource(rle=encode_rle(~box)), radius=11.5),
            DocumentEntity(2, "file", mask=MaskSource(file="box.png")),
            DocumentEntity(5, "clicked", prompts=Prompts((Click(20, 18),), scale="whole")),
            segmenter=GrabCutSegmenter(),
            folder=tmp_path,
        )
        assert [(entity.entity_id, entity.name) for entity in entities] == [(7, "inline"), (2, "file"), (5, "clicked")]
        assert torch.equal(entities[0].mask, ~box)
        assert torch.equal(entities[1].mask, box)
        assert iou(entities[2].mask, self.truth) > 0.85
        assert entities[0].radius == 11.5
        assert entities[1].radius_px is None

    def test_the_scale_chooses_the_candidate(self):
        segmenter = GrabCutSegmenter()
        entities = self.resolve(
            DocumentEntity(1, "part", prompts=Prompts((Click(20, 18),), scale="part")),
            DocumentEntity(2, "whole", prompts=Prompts((Click(20, 18),), scale="whole")),
            segmenter=segmenter,
        )
        candidates = segmenter.segment(one_click(20, 18))
        assert torch.equal(entities[0].mask, candidates.masks[0])
        assert torch.equal(entities[1].mask, candidates.masks[2])
        assert not torch.equal(entities[0].mask, entities[1].mask)

    def test_a_mask_wins_over_prompts(self):
        mask = torch.from_numpy(self.truth)
        entity = DocumentEntity(1, "both", mask=MaskSource(rle=encode_rle(~mask)), prompts=one_click(20, 18))
        for segmenter in (None, GrabCutSegmenter()):
            assert torch.equal(self.resolve(entity, segmenter=segmenter)[0].mask, ~mask)

    def test_a_mask_file_of_another_size_is_brought_to_the_canvas(self, tmp_path, caplog):
        (tmp_path / "masks").mkdir()
        large = np.kron(self.truth, np.ones((2, 2), bool))
        Image.fromarray(large).save(tmp_path / "masks" / "large.png")
        with caplog.at_level(logging.WARNING):
            entities = self.resolve(DocumentEntity(1, "a", mask=MaskSource(file="masks/large.png")), folder=tmp_path)
        assert torch.equal(entities[0].mask, torch.from_numpy(self.truth))
        assert "large.png is 80x112, the canvas 40x56" in caplog.text

    def test_a_picture_of_another_size_is_seen_at_the_canvas(self):
        document = self.document(DocumentEntity(1, "clicked", prompts=one_click(20, 18)))
        large = picture_of(ellipse(120, 112, (41, 55), (24, 24)))
        entities = resolve_entities(document, large, GrabCutSegmenter(), ".")
        assert entities.size == self.size
        assert iou(entities[0].mask, ellipse(40, 56, (20, 18), (12, 8), angle=0)) > 0.8

    def test_the_picture_is_set_once_and_only_where_prompts_need_it(self):
        class Counting(GrabCutSegmenter):
            pictures = 0

            def set_image(self, image):
                self.pictures += 1
                super().set_image(image)

        segmenter = Counting()
        inline = DocumentEntity(9, "inline", mask=MaskSource(rle=encode_rle(torch.from_numpy(self.truth))))
        self.resolve(inline, segmenter=segmenter)
        assert segmenter.pictures == 0
        clicked = [DocumentEntity(i, f"thing {i}", prompts=one_click(20, 18)) for i in (1, 2)]
        self.resolve(*clicked, segmenter=segmenter)
        assert segmenter.pictures == 1

    @pytest.mark.parametrize(
        ("entity", "problem"),
        [
            (
                DocumentEntity(4, "bird"),
                r'^\$\.entities\[1\]: entity 4 "bird" has neither a mask nor prompts.*click on it',
            ),
            (DocumentEntity(4, "bird", mask=MaskSource()), "neither a mask nor prompts"),
            (
                DocumentEntity(4, "bird", mask=MaskSource(rle=encode_rle(torch.ones(40, 57, dtype=torch.bool)))),
                r'^\$\.entities\[1\]\.mask\.rle: .*2280.*\(entity 4 "bird"\)',
            ),
            (
                DocumentEntity(4, "bird", mask=MaskSource(rle=encode_rle(torch.zeros(40, 56, dtype=torch.bool)))),
                r'^\$\.entities\[1\]: the mask of entity 4 "bird" is empty\. Select at least one pixel',
            ),
            (
                DocumentEntity(4, "bird", prompts=Prompts((Click(3, 4, 0),))),
                r'^\$\.entities\[1\]\.prompts: .*label 0.*\(entity 4 "bird"\)',
            ),
        ],
    )
    def test_refused_with_path_and_name(self, entity, problem):
        fine = DocumentEntity(1, "fine", mask=MaskSource(rle=encode_rle(torch.from_numpy(self.truth))))
        with pytest.raises(DocumentError, match=problem):
            self.resolve(fine, entity, segmenter=GrabCutSegmenter())

    def test_clicks_without_a_segmenter(self):
        with pytest.raises(DocumentError, match='"bird" has clicks but no mask, and no segmenter was given'):
            self.resolve(DocumentEntity(4, "bird", prompts=one_click(20, 18)))

    def test_an_empty_mask_file_says_what_counts(self, tmp_path):
        Image.fromarray(self.truth.astype(np.uint8)).save(tmp_path / "dark.png")
        with pytest.raises(
            DocumentError, match=r'entity 4 "bird" is empty\. No pixel of dark\.png is brighter than 127'
        ):
            self.resolve(DocumentEntity(4, "bird", mask=MaskSource(file="dark.png")), folder=tmp_path)

    def test_a_mask_file_that_is_no_picture_is_refused_with_its_path(self, tmp_path):
        (tmp_path / "bird.png").write_text("not a picture")
        with pytest.raises(
            DocumentError, match=r"^\$\.entities\[0\]\.mask\.file: .*bird\.png cannot be read as a picture"
        ):
            self.resolve(DocumentEntity(4, "bird", mask=MaskSource(file="bird.png")), folder=tmp_path)

    def test_a_missing_mask_file_names_what_is_there(self, tmp_path):
        Image.fromarray(self.truth).save(tmp_path / "0_bird.png")
        with pytest.raises(FileNotFoundError, match=r"2_bird\.png; .* holds 0_bird\.png"):
            self.resolve(DocumentEntity(4, "bird", mask=MaskSource(file="2_bird.png")), folder=tmp_path)


class Everything:
    """A segmenter whose answers are all the whole picture: what a click on the sky can come to."""

    def set_image(self, image):
        self.size = image.shape[-2:]

    def segment(self, prompts):
        return Candidates(torch.ones(3, *self.size, dtype=torch.bool), torch.ones(3))


def test_a_mask_from_clicks_over_half_of_the_picture_is_remarked_on(caplog):
    entity = DocumentEntity(4, "boat", prompts=Prompts(points=(Click(3, 3),)))
    document = MotionDocument(Size(40, 56), 3, (entity,))
    resolve_entities(document, torch.zeros(3, 40, 56), Everything(), ".")
    assert 'entity 4 "boat" found 100 % of the picture' in caplog.text
