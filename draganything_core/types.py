"""What flows through the library: frozen dataclasses with their shape checks.

    image + clicks -> Entities -> (Tracks, EntityFeatures) -> ConditionMaps -> ControlResiduals -> latents -> frames

Conventions everywhere in the core:
- Sizes are ``Size(height, width)`` in pixels; coordinates are float ``(x, y)`` pixels of a named size, pixel
  centres at integers, y down, never normalised.
- Images are channels-first float32 in 0..1; masks are bool.
- T frames, E entities, P paths (P >= E is usual: an entity may have several paths), H, W pixels, h, w latent cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from .masks import Circle, inscribed_circle, resize_mask

LATENT_SCALE = 8  # pixels per latent cell of the SVD and Stable Diffusion 1.5 autoencoders


@dataclass(frozen=True)
class Size:
    """Height and width in pixels, always in this order."""

    height: int
    width: int

    def __post_init__(self) -> None:
        for name, value in (("height", self.height), ("width", self.width)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of pixels >= 1, got {value!r}")

    @classmethod
    def of(cls, image: Tensor) -> Size:
        """Size of a tensor whose last two axes are height and width."""
        return cls(int(image.shape[-2]), int(image.shape[-1]))

    @property
    def latent(self) -> Size:
        """Size in latent cells (one cell covers 8 x 8 pixels)."""
        return Size(self.height // LATENT_SCALE, self.width // LATENT_SCALE)

    def scale_to(self, target: Size) -> tuple[float, float]:
        """(x factor, y factor) that takes this size to the target."""
        return target.width / self.width, target.height / self.height

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"


@dataclass(frozen=True, eq=False)
class PointPrompts:
    """Clicks that select one entity.

    coords (N,2) float (x, y) px of ``size``; labels (N,) 1 = on the entity, 0 = not on it.
    """

    coords: Tensor
    labels: Tensor
    size: Size

    def __post_init__(self) -> None:
        if self.coords.ndim != 2 or self.coords.shape[-1] != 2:
            raise ValueError(f"point prompts: coords must be (N, 2) x, y pixels, got shape {tuple(self.coords.shape)}")
        if self.labels.shape != self.coords.shape[:1]:
            raise ValueError(
                f"point prompts: {len(self.coords)} coords need as many labels, got shape {tuple(self.labels.shape)}"
            )
        if not bool(((self.labels == 0) | (self.labels == 1)).all()):
            raise ValueError("point prompts: labels must be 1 (on the entity) or 0 (not on it)")


@dataclass(frozen=True, eq=False)
class Entity:
    """A region of the first frame that is moved as one thing.

    mask (H,W) bool, not empty. ``radius_px`` overrides the inscribed circle's radius.
    """

    entity_id: int
    name: str
    mask: Tensor
    radius_px: float | None = None

    def __post_init__(self) -> None:
        if self.mask.ndim != 2 or self.mask.dtype != torch.bool:
            raise ValueError(
                f"entity {self.entity_id} ({self.name}): the mask must be (H, W) bool, "
                f"got {self.mask.dtype} of shape {tuple(self.mask.shape)}"
            )
        if not bool(self.mask.any()):
            raise ValueError(
                f"entity {self.entity_id} ({self.name}): the mask is empty. Select at least one pixel of the entity."
            )
        if self.radius_px is not None and not self.radius_px > 0:
            raise ValueError(f"entity {self.entity_id} ({self.name}): radius must be > 0 px, got {self.radius_px}")

    @property
    def size(self) -> Size:
        return Size.of(self.mask)

    @cached_property
    def inscribed_circle(self) -> Circle:
        """Largest circle inside the mask (paper section 3.3)."""
        return inscribed_circle(self.mask)

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) px of the inscribed circle's centre."""
        return self.inscribed_circle.center

    @property
    def radius(self) -> float:
        """Radius in px: ``radius_px`` where given, else the inscribed circle's."""
        return self.inscribed_circle.radius if self.radius_px is None else self.radius_px

    def resized(self, size: Size) -> Entity:
        """The entity on another canvas: mask by nearest neighbour, an overridden radius by the mean scale."""
        if size == self.size:
            return self
        mask = resize_mask(self.mask, size.height, size.width)
        scale = sum(self.size.scale_to(size)) / 2
        return replace(self, mask=mask, radius_px=None if self.radius_px is None else self.radius_px * scale)


@dataclass(frozen=True, eq=False)
class Entities:
    """Entities of one picture in paint order: the last one wins where discs overlap."""

    items: tuple[Entity, ...]
    size: Size

    def __post_init__(self) -> None:
        for entity in self.items:
            if entity.size != self.size:
                raise ValueError(
                    f"entity {entity.entity_id} ({entity.name}): its mask is {entity.size}, the picture {self.size}. "
                    "Resize the mask to the picture's size."
                )
        ids = [entity.entity_id for entity in self.items]
        if len(set(ids)) != len(ids):
            raise ValueError(f"entity ids must differ from each other, got {ids}")

    @classmethod
    def from_masks(cls, masks: Tensor, names: list[str] | None = None) -> Entities:
        """Entities from an (E,H,W) batch of masks, numbered from 1; values above 0.5 belong to the entity."""
        if masks.ndim != 3:
            raise ValueError(f"masks must be (E, H, W), got shape {tuple(masks.shape)}")
        names = names or [f"entity {index + 1}" for index in range(len(masks))]
        if len(names) != len(masks):
            raise ValueError(f"{len(masks)} masks need as many names, got {len(names)}")
        binary = masks if masks.dtype == torch.bool else masks > 0.5
        items = tuple(Entity(i + 1, name, mask) for i, (name, mask) in enumerate(zip(names, binary, strict=True)))
        return cls(items, Size.of(masks))

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Entity]:
        return iter(self.items)

    def __getitem__(self, index: int) -> Entity:
        return self.items[index]

    @property
    def masks(self) -> Tensor:
        """(E,H,W) bool."""
        if not self.items:
            return torch.zeros(0, self.size.height, self.size.width, dtype=torch.bool)
        return torch.stack([entity.mask for entity in self.items])

    def index_of(self, entity_id: int) -> int:
        """Position of an entity id in paint order; KeyError names the ids there are."""
        for index, entity in enumerate(self.items):
            if entity.entity_id == entity_id:
                return index
        raise KeyError(f"no entity {entity_id}; there are {[e.entity_id for e in self.items]}")

    def resized(self, size: Size) -> Entities:
        return Entities(tuple(entity.resized(size) for entity in self.items), size)


@dataclass(frozen=True, eq=False)
class Tracks:
    """Where every path's disc is in every frame.

    paths (T,P,2) float (x, y) px of ``size``; path_entity (P,) index into the entities' paint order;
    visibility (T,P) bool; radii (T,P) float px. Paths are in paint order: the last one wins.
    """

    paths: Tensor
    path_entity: Tensor
    visibility: Tensor
    radii: Tensor
    size: Size

    def __post_init__(self) -> None:
        if self.paths.ndim != 3 or self.paths.shape[-1] != 2:
            raise ValueError(f"tracks: paths must be (T, P, 2), got shape {tuple(self.paths.shape)}")
        frames, count = self.paths.shape[:2]
        for name, tensor, shape in (
            ("path_entity", self.path_entity, (count,)),
            ("visibility", self.visibility, (frames, count)),
            ("radii", self.radii, (frames, count)),
        ):
            if tuple(tensor.shape) != shape:
                raise ValueError(f"tracks: {name} must be {shape} to match paths, got {tuple(tensor.shape)}")
        if self.visibility.dtype != torch.bool:
            raise ValueError(f"tracks: visibility must be bool, got {self.visibility.dtype}")
        if not bool(torch.isfinite(self.paths).all()):
            raise ValueError("tracks: paths hold a value that is not a finite number")

    @property
    def frames(self) -> int:
        return self.paths.shape[0]

    def resized(self, size: Size) -> Tracks:
        """The same motion on another canvas: (x + 0.5) * s - 0.5; radii by the mean of the two scales."""
        if size == self.size:
            return self
        scale_x, scale_y = self.size.scale_to(size)
        scale = self.paths.new_tensor([scale_x, scale_y])
        return replace(
            self, paths=(self.paths + 0.5) * scale - 0.5, radii=self.radii * ((scale_x + scale_y) / 2), size=size
        )

    def to(self, device: torch.device | str) -> Tracks:
        return replace(
            self,
            paths=self.paths.to(device),
            path_entity=self.path_entity.to(device),
            visibility=self.visibility.to(device),
            radii=self.radii.to(device),
        )


@dataclass(frozen=True)
class FeatureSource:
    """Which network's features stand for an entity, and how they were taken: data in the weights' config.

    model_kind: "sd15" (Stable Diffusion 1.5 family UNet) or "svd" (the video UNet itself).
    timestep: for "sd15" the integer DDPM step (0..999), for "svd" the network's own 0.25 * ln(sigma).
    block: index of the up block whose output is taken; -1 is the last. ensemble: noise draws averaged.
    """

    model_kind: str = "svd"
    timestep: float = 0.25
    block: int = -1
    ensemble: int = 1
    model: str = ""
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.model_kind not in ("sd15", "svd"):
            raise ValueError(f'entity_source: model_kind must be "sd15" or "svd", got {self.model_kind!r}')
        if self.ensemble < 1:
            raise ValueError(f"entity_source: ensemble must be >= 1, got {self.ensemble}")


@dataclass(frozen=True, eq=False)
class EntityFeatures:
    """One vector per entity, in paint order, and where it comes from. embeddings (E,C) float32."""

    embeddings: Tensor
    source: FeatureSource

    def __post_init__(self) -> None:
        if self.embeddings.ndim != 2:
            raise ValueError(f"entity features must be (E, C), got shape {tuple(self.embeddings.shape)}")
        if not bool(torch.isfinite(self.embeddings).all()):
            raise ValueError("entity features hold a value that is not a finite number; run the UNet in fp32 or bf16")


@dataclass(frozen=True, eq=False)
class ConditionMaps:
    """What the condition encoder reads, without the 160-channel map: an index map and a table equal it exactly.

    gaussian (T,1,H,W) float32 0..1; entity_index (T,H,W) int16 row of ``embeddings`` or -1 for none;
    embeddings (E,C) float32. motion: how far the mean pixel is drawn to go in a frame, in percent of the short side;
    None where nobody knows.
    """

    gaussian: Tensor
    entity_index: Tensor
    embeddings: Tensor
    size: Size
    motion: float | None = None

    def __post_init__(self) -> None:
        frames = self.gaussian.shape[0]
        expected = (frames, 1, self.size.height, self.size.width)
        if tuple(self.gaussian.shape) != expected:
            raise ValueError(f"condition maps: gaussian must be {expected}, got {tuple(self.gaussian.shape)}")
        if tuple(self.entity_index.shape) != (frames, *expected[2:]) or self.entity_index.dtype != torch.int16:
            raise ValueError(
                f"condition maps: entity_index must be int16 {(frames, *expected[2:])}, "
                f"got {self.entity_index.dtype} {tuple(self.entity_index.shape)}"
            )
        if self.embeddings.ndim != 2:
            raise ValueError(f"condition maps: embeddings must be (E, C), got {tuple(self.embeddings.shape)}")

    @property
    def frames(self) -> int:
        return self.gaussian.shape[0]

    def entity_map(self, frames: slice = slice(None)) -> Tensor:
        """(t,C,H,W) dense entity map of some frames: for tests and pictures, 0.1 GB a frame at full size."""
        table = torch.cat([self.embeddings.new_zeros(1, self.embeddings.shape[1]), self.embeddings])
        return table[self.entity_index[frames].long() + 1].movedim(-1, 1).contiguous()

    def sliced(self, frames: slice | list[int]) -> ConditionMaps:
        """Some of the frames, with the same table."""
        return replace(self, gaussian=self.gaussian[frames], entity_index=self.entity_index[frames])

    def to(self, device: torch.device | str) -> ConditionMaps:
        return replace(
            self,
            gaussian=self.gaussian.to(device),
            entity_index=self.entity_index.to(device),
            embeddings=self.embeddings.to(device),
        )


@dataclass(frozen=True, eq=False)
class ControlResiduals:
    """What the ControlNet adds to the frozen UNet.

    down: one (B*T,C,h,w) tensor per skip connection, in the order the UNet makes them (12 at full size);
    mid: (B*T,C,h,w) for the middle block's output.
    """

    down: tuple[Tensor, ...]
    mid: Tensor

    def scaled(self, strength: float) -> ControlResiduals:
        """Each residual times the strength; the very same residuals where that is 1."""
        return self.multiplied((strength,) * len(self.down), strength)

    def multiplied(self, down: tuple[float, ...], mid: float) -> ControlResiduals:
        """Each residual times its own factor (the released weights' multiplicities); those times 1 are not copied."""
        if len(down) != len(self.down):
            raise ValueError(f"{len(self.down)} skip residuals need as many factors, got {len(down)}")
        products = [d if f == 1 else d * f for d, f in zip((*self.down, self.mid), (*down, mid), strict=True)]
        return ControlResiduals(tuple(products[:-1]), products[-1])
