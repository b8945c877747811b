"""One network for many: each user's own picture, encoded once, within bounded memory."""

from __future__ import annotations

import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_segment import ellipse as ellipse_mask
from test_segment import one_click, picture_of, small_sam

from draganything_core.bounded_cache import BoundedCache
from draganything_core.segment import SamSegmenter
from draganything_core.shared_sam import SharedSam

FIRST = picture_of(ellipse_mask(40, 56, (20, 18), (12, 8)))
SECOND = picture_of(ellipse_mask(56, 40, (18, 20), (8, 12)), seed=5)


@pytest.fixture
def runs() -> list[int]:
    return []


@pytest.fixture
def shared(runs) -> SharedSam:
    model = small_sam()
    model.image_encoder.register_forward_hook(lambda *_: runs.append(1))
    return SharedSam(model)


def test_views_have_pictures_of_their_own(shared):
    views = [shared.segmenter(), shared.segmenter()]
    for view, image in zip(views, (FIRST, SECOND), strict=True):
        view.set_image(image)
    for view, image in zip(views, (FIRST, SECOND), strict=True):
        alone = SamSegmenter(small_sam())
        alone.set_image(image)
        expected, found = alone.segment(one_click(17, 19)), view.segment(one_click(17, 19))
        assert torch.equal(found.masks, expected.masks)
        assert torch.equal(found.scores, expected.scores)


def test_equal_pictures_are_encoded_once_whoever_sets_them(shared, runs):
    for image in (FIRST, SECOND, FIRST.clone(), SECOND, FIRST):
        view = shared.segmenter()
        view.set_image(image)
        assert view.segment(one_click(17, 19)).masks.shape == (3, *image.shape[1:])
    assert len(runs) == 2


def test_a_view_can_go_back_to_a_picture(shared, runs):
    view = shared.segmenter()
    found = []
    for image in (FIRST, SECOND, FIRST):
        view.set_image(image)
        found.append(view.segment(one_click(17, 19)).scores)
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[1])
    assert len(runs) == 2


def test_encodings_stay_within_their_memory(runs):
    model = small_sam()
    model.image_encoder.register_forward_hook(lambda *_: runs.append(1))
    one = 4 * 4 * 32 * 4 + 3 * 40 * 56
    shared = SharedSam(model, memory=2 * one)
    view = shared.segmenter()
    for shift in range(5):
        view.set_image(FIRST.roll(shift, -1))
    assert shared.encodings.used == 2 * one
    view.set_image(FIRST.roll(3, -1))
    assert len(runs) == 5
    view.set_image(FIRST)
    assert len(runs) == 6


def test_without_memory_every_view_still_works(runs):
    view = SharedSam(small_sam(), memory=0).segmenter()
    view.set_image(FIRST)
    view.set_image(SECOND)
    assert view.segment(one_click(17, 19)).masks.shape == (3, 56, 40)


def test_threads_wait_for_one_encoding(shared, runs):
    scores = []

    def use() -> None:
        view = shared.segmenter()
        view.set_image(FIRST)
        scores.append(view.segment(one_click(17, 19)).scores)

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 1
    assert all(torch.equal(each, scores[0]) for each in scores)
    assert len(scores) == 6


def test_encoding_can_be_stopped_between_blocks(shared, runs):
    class StopError(Exception):
        pass

    calls = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise StopError

    view = shared.segmenter(check=check)
    with pytest.raises(StopError):
        view.set_image(FIRST)
    assert (len(calls), runs, len(shared.encodings)) == (2, [], 0)
    view.set_image(FIRST)  # no hook and no half-made state is left
    assert len(runs) == 1
    shared.segmenter().set_image(SECOND)
    assert len(calls) == 4


def test_where_memory_does_not_suffice_the_cpu_encodes(shared, runs, monkeypatch, caplog):
    moved = []
    to = shared.model.to

    def refusing(device):
        moved.append(str(device))
        if str(device) == "meta":
            raise torch.cuda.OutOfMemoryError("no memory")
        return to(device)

    monkeypatch.setattr(shared.model, "to", refusing)
    view = shared.segmenter(device=lambda: "meta")
    view.set_image(FIRST)
    assert moved[1:] == ["meta", "cpu", "cpu", "cpu"]
    assert len(runs) == 1
    assert "does not suffice" in caplog.text


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), max_size=40))
def test_a_cache_never_outgrows_its_memory(puts):
    cache: BoundedCache[int, int] = BoundedCache(20)
    sizes: dict[int, int] = {}
    for key, size in puts:
        cache.put(key, size, size)
        sizes[key] = size
        assert cache.get(key) == size
        kept = [sizes[each] for each in range(6) if cache.get(each) is not None]
        assert sum(kept) == cache.used <= 20
        assert len(kept) == len(cache)


def test_the_value_asked_for_longest_ago_goes_first():
    cache: BoundedCache[str, int] = BoundedCache(2)
    cache.put("a", 1, 1)
    cache.put("b", 2, 1)
    assert cache.get("a") == 1
    cache.put("c", 3, 1)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)
    cache.put("d", 4, 3)
    assert cache.get("d") is None
    assert len(cache) == 2
