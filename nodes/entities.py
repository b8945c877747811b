"""Nodes that make entities: things of the picture that move as one."""

from __future__ import annotations

from comfy_api.v0_0_2 import io
from torch import Tensor

from ..draganything_core.types import Entities
from .loaders import CATEGORY
from .types import EntitiesType, masks_from_host


class EntitiesFromMasks(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingEntities",
            display_name="Entities from Masks",
            category=CATEGORY,
            description="Each mask of a batch becomes an entity, numbered from 1 in this order; where entities overlap "
            "the last one wins.",
            search_aliases=["draganything", "mask", "object", "segment", "entity"],
            inputs=[
                io.Mask.Input("masks", tooltip="One mask for each thing, of the picture's size; above 0.5 is inside."),
                io.String.Input(
                    "names",
                    default="",
                    multiline=True,
                    tooltip="A name for each mask, one a line, or none for 'entity 1', 'entity 2' and so on.",
                ),
            ],
            outputs=[
                EntitiesType.Output(
                    "entities", display_name="entities", tooltip="Masks and names, for the Trajectory Editor."
                )
            ],
        )

    @classmethod
    def execute(cls, masks: Tensor, names: str) -> io.NodeOutput:
        binary = masks_from_host(masks)
        empty = [index + 1 for index, mask in enumerate(binary) if not bool(mask.any())]
        if empty:
            raise ValueError(
                f"Entities from Masks, masks: mask {empty[0]} of {len(binary)} is empty, no pixel is above 0.5. Paint "
                "the thing white, or leave that mask out."
            )
        named = [line.strip() for line in names.splitlines() if line.strip()]
        if named and len(named) != len(binary):
            raise ValueError(
                f"Entities from Masks, names: {len(named)} names for {len(binary)} masks. Give one a line for each "
                "mask, or none at all."
            )
        return io.NodeOutput(Entities.from_masks(binary, named or None))
