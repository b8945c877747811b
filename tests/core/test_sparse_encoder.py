"""The condition encoder computed once for what is different in its maps, against the same encoder computed densely."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from accelerate import cpu_offload
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from draganything_core import condition_encoder, sparse_encoder, surroundings
from draganything_core.condition_encoder import ConditionEncoder
from draganything_core.conditions import Geometry, exact_condition_maps
from draganything_core.sparse_encoder import convolve_sparsely, plan_convolutions
from draganything_core.surroundings import NumberedMap, numbered_values
from draganything_core.types import ConditionMaps, Size, Tracks

ALWAYS = 10.0  # sparse however little it is worth


def encoder_of(gaussian=(3, (4, 5, 6, 7)), entity=(5, (6, 7, 8, 9)), seed=0) -> ConditionEncoder:
    generator = torch.Generator().manual_seed(seed)
    encoder = ConditionEncoder(11, *gaussian, *entity).eval()
    for parameter in encoder.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * parameter[0].numel() ** -0.5
    return encoder


def disc_maps(paths, radii, size: Size, channels=5, visible=None) -> ConditionMaps:
    """Maps of discs on paths (T,P,2) x, y with radii (P,) in px."""
    paths = torch.as_tensor(paths, dtype=torch.float32)
    frames, count = paths.shape[:2]
    visible = torch.ones(frames, count, dtype=torch.bool) if visible is None else visible
    radii = torch.as_tensor(radii, dtype=torch.float32).expand(frames, count)
    tracks = Tracks(paths, torch.arange(count), visible, radii, size)
    embeddings = torch.randn(count, channels, generator=torch.Generator().manual_seed(count))
    return exact_condition_maps(tracks, embeddings, size, Geometry())


def two_discs(frames=4) -> ConditionMaps:
    """One that moves and one at rest, so small in the picture that only a small part of it is different."""
    progress = torch.arange(frames)[:, None]
    moving = torch.tensor([40.3, 30.1]) + progress * torch.tensor([7.7, 4.4])
    resting = torch.tensor([150.0, 110.0]).expand(frames, 2)
    return disc_maps(torch.stack([moving, resting], dim=1), [9.0, 14.0], Size(160, 216))


def dense(encoder: ConditionEncoder, maps: ConditionMaps, **arguments) -> Tensor:
    with torch.enable_grad():  # as training has it
        return encoder(maps, **arguments).detach()


@torch.no_grad()
def sparse(encoder: ConditionEncoder, maps: ConditionMaps, **arguments) -> Tensor:
    """The encoder's answer, with both branches kept from taking the dense way."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("encode_gaussian", "encode_entities"):
            patch.setattr(encoder, name, lambda *_: pytest.fail("computed densely"))
        return encoder(maps, **arguments)


def assert_same_features(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@st.composite
def any_maps(draw) -> ConditionMaps:
    """Discs of one pixel up to the whole picture, over each other, across borders, outside, come and gone."""
    size = Size(8 * draw(st.integers(1, 6)), 8 * draw(st.integers(1, 7)))
    frames, count = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    canvas = torch.tensor([size.width, size.height])
    paths = (torch.rand(frames, count, 2, generator=generator) * 1.6 - 0.3) * canvas
    if draw(st.booleans()):
        paths = paths[:1].expand(frames, -1, -1).round()
    radii = [draw(st.sampled_from([0.0, 1.0, 3.6, 8.0, 17.2, 100.0])) for _ in range(count)]
    visible = torch.rand(frames, count, generator=generator) < 0.9
    return disc_maps(paths, radii, size, visible=visible)


@settings(max_examples=40)
@given(maps=any_maps(), seed=st.integers(0, 99), scale=st.sampled_from([1.0, 255.0]))
def test_sparse_equals_dense(maps, seed, scale):
    encoder = encoder_of((3, (4, 9, 2, 7)), (5, (3, 8, 1, 6)), seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(condition_encoder, "convolve_sparsely", partial(convolve_sparsely, worth=ALWAYS))
        found = sparse(encoder, maps, gaussian_scale=scale)
    assert_same_features(found, dense(encoder, maps, gaussian_scale=scale))


@settings(max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 7)),
    values=st.integers(1, 3),
    stride=st.sampled_from([1, 2]),
    seed=st.integers(0, 999),
)
def test_surroundings_are_those_of_each_pixel_and_each_is_there_once(shape, values, stride, seed):
    numbers = torch.randint(values, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.int32)
    found = surroundings.surroundings(NumberedMap(numbers, values), stride)
    padded = nn.functional.pad(numbers, (1, 1, 1, 1), value=values)
    windows = padded.unfold(1, 3, stride).unfold(2, 3, stride).flatten(3)
    assert torch.equal(found.members[found.places.numbers.long()], windows)
    assert len(found.members) == found.places.count == len(windows.flatten(0, 2).unique(dim=0))


def test_equal_values_get_one_number():
    values = torch.tensor([[[0.0, 0.5, 0.25], [0.5, 0.0, 0.75]]])
    pixels, distinct = numbered_values(values)
    assert torch.equal(distinct[pixels.numbers.long()], values)
    assert pixels.count == len(distinct) == 4
    assert distinct[0] == 0


def test_discs_at_rest_are_computed_once():
    encoder = encoder_of()
    long, short = (two_discs(frames) for frames in (6, 1))
    counts = []
    for maps in (long, short):
        resting = ConditionMaps(
            maps.gaussian[:1].expand(maps.frames, -1, -1, -1),
            maps.entity_index[:1].expand(maps.frames, -1, -1),
            maps.embeddings,
            maps.size,
        )
        with FlopCounterMode(display=False) as counter:
            sparse(encoder, resting)
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1]


def test_it_multiplies_a_fraction_of_what_the_dense_way_does():
    encoder, maps = encoder_of(), two_discs()
    with FlopCounterMode(display=False) as counter:
        found = sparse(encoder, maps)
    sparse_flops = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        expected = dense(encoder, maps)
    assert sparse_flops < 0.15 * counter.get_total_flops()
    assert_same_features(found, expected)


def test_what_is_different_everywhere_is_computed_densely(monkeypatch):
    encoder, maps = encoder_of(), two_discs()
    noise = torch.rand(maps.gaussian.shape, generator=torch.Generator().manual_seed(1))
    noisy = ConditionMaps(noise, maps.entity_index, maps.embeddings, maps.size)
    monkeypatch.setattr(encoder, "encode_entities", lambda *_: pytest.fail("the entity map is as sparse as before"))
    with torch.no_grad():
        found = encoder(noisy, chunk_frames=3)
    monkeypatch.undo()
    assert_same_features(found, dense(encoder, noisy))


def test_the_counted_cost_decides():
    layers = [nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 3, 3, padding=1, stride=2)]
    numbers = torch.zeros(2, 16, 24, dtype=torch.int32)
    numbers[:, 6:9, 10:12] = 1
    plan = plan_convolutions(NumberedMap(numbers, 2), layers, number_bytes=4)
    answers = [found.places.count for found in plan]
    share = (answers[0] * 1 * 2 + answers[1] * 2 * 3) / (2 * 16 * 24 * 1 * 2 + 2 * 8 * 12 * 2 * 3)
    assert plan_convolutions(NumberedMap(numbers, 2), layers, 4, worth=share * 1.01) is not None
    assert plan_convolutions(NumberedMap(numbers, 2), layers, 4, worth=share * 0.99) is None


def test_what_is_different_everywhere_is_not_even_compared(monkeypatch):
    monkeypatch.setattr(sparse_encoder, "surroundings", lambda *_: pytest.fail("compared"))
    numbers = torch.arange(2 * 16 * 24, dtype=torch.int32).view(2, 16, 24)
    layers = [nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 3, 3, padding=1, stride=2)]
    assert plan_convolutions(NumberedMap(numbers, numbers.numel()), layers, number_bytes=4) is None


@pytest.mark.parametrize(("module", "limit"), [(surroundings, "MAX_COUNT"), (sparse_encoder, "TABLE_BYTES")])
def test_too_much_to_number_or_to_keep_is_computed_densely(module, limit, monkeypatch):
    encoder, maps = encoder_of(), two_discs()
    monkeypatch.setattr(module, limit, 100)
    branches = []
    for name in ("encode_gaussian", "encode_entities"):
        branch = getattr(encoder, name)
        monkeypatch.setattr(encoder, name, lambda *a, name=name, branch=branch: branches.append(name) or branch(*a))
    with torch.no_grad():
        found = encoder(maps)
    assert branches == ["encode_gaussian", "encode_entities"]
    assert_same_features(found, dense(encoder, maps))


def test_groups_of_frames_change_nothing(monkeypatch):
    encoder, maps = encoder_of(), two_discs(5)
    whole = sparse(encoder, maps)
    pixels = maps.size.height * maps.size.width
    monkeypatch.setattr(condition_encoder, "CHUNK_BYTES", 2 * condition_encoder.INDEX_BYTES * pixels)
    assert_same_features(sparse(encoder, maps), whole)


def test_changed_weights_change_the_answer():
    encoder, maps = encoder_of(), two_discs()
    before = sparse(encoder, maps)
    with torch.no_grad():
        encoder.blocks_feature[1].bias += 0.1
        encoder.blocks[2].weight *= 1.1
    after = sparse(encoder, maps)
    assert (after - before).abs().max() > 1e-3
    assert_same_features(after, dense(encoder, maps))


def test_pixels_of_no_known_entity_are_empty():
    encoder, maps = encoder_of(), two_discs()
    unknown = torch.where(maps.entity_index == 1, 7, maps.entity_index).to(torch.int16)
    changed = ConditionMaps(maps.gaussian, unknown, maps.embeddings, maps.size)
    found = sparse(encoder, changed)
    assert_same_features(found, dense(encoder, changed))
    none = ConditionMaps(maps.gaussian, torch.full_like(unknown, -1), torch.zeros(0, 5), maps.size)
    assert_same_features(sparse(encoder, none), dense(encoder, none))


class Borrowing(nn.Conv2d):
    """A convolution whose weights are right in its call only, and in the type of its input."""

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = self.weight.to(input.dtype, copy=True), self.bias.to(input.dtype, copy=True)
        result = self._conv_forward(input, weight, bias)
        weight.fill_(torch.nan)  # the next layer's weights overwrite them
        bias.fill_(torch.nan)
        return result


def test_layers_may_bring_their_weights_to_the_call_only():
    encoder, maps = encoder_of(), two_discs()
    expected = dense(encoder, maps, dtype=torch.float32)
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data, module.bias.data = module.weight.double(), module.bias.double()
            module.__class__ = Borrowing
    assert_same_features(sparse(encoder, maps, dtype=torch.float32), expected)


def test_offloaded_weights_are_brought_in():
    encoder, maps = encoder_of(), two_discs()
    expected = dense(encoder, maps)
    cpu_offload(encoder, execution_device=torch.device("cpu"))
    assert encoder.conv_in.weight.is_meta
    assert_same_features(sparse(encoder, maps, dtype=torch.float32), expected)


def test_other_layers_are_left_to_themselves():
    encoder, maps = encoder_of(), two_discs()
    encoder.blocks[0] = nn.Sequential(encoder.blocks[0])
    wide = nn.Conv2d(7, 7, 5, padding=2)
    encoder.blocks_feature[2] = wide
    with torch.no_grad():
        found = encoder(maps)
    assert_same_features(found, dense(encoder, maps))


def test_a_layer_that_does_something_else_is_named():
    class Doubling(nn.Conv2d):
        def forward(self, input: Tensor) -> Tensor:
            return 2 * input

    layers = [Doubling(1, 1, 3, padding=1)]
    pixels = NumberedMap(torch.zeros(1, 8, 8, dtype=torch.int32), 1)
    with pytest.raises(TypeError, match=r"Doubling called no torch\.conv2d"):
        convolve_sparsely(pixels, torch.zeros(1, 1), layers, ALWAYS)


def test_half_precision_agrees_within_its_own():
    encoder, maps = encoder_of(), two_discs()
    exact = sparse(encoder, maps)
    halved = sparse(encoder.to(torch.bfloat16), maps)
    assert halved.dtype == torch.bfloat16
    assert_close(halved.float(), exact, rtol=0, atol=0.03 * float(exact.abs().max()))
