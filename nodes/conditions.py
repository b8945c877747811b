"""Nodes that say what the ControlNet is told: entity features, and the condition maps made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.v0_0_2 import io

from ..draganything_core.conditions import painted_embeddings
from ..draganything_core.drawn_motion import wanted_motion_bucket
from ..draganything_core.pictures import condition_picture
from ..draganything_core.representations import represented_maps
from .loaders import CATEGORY
from .sizes import size_inputs, video_size
from .types import (
    ConditionsType,
    ControlNetType,
    DrawnMotion,
    EncodedEntities,
    FeaturesType,
    MotionConditions,
    MotionType,
    geometry_of,
    image_from_frames,
)

if TYPE_CHECKING:
    from .control import DragAnythingControl


class EntityEncoder(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingEntityEncoder",
            display_name="Entity Encoder",
            category=CATEGORY,
            description="One vector for each thing, averaged over its mask from a diffusion model's features of the "
            "picture. Weights trained with this project use the video model itself (link clip_vision); the authors' "
            "use a Stable Diffusion 1.5 model (link that model's MODEL, VAE and clip).",
            search_aliases=["draganything", "embedding", "features", "dift", "entity"],
            inputs=[
                ControlNetType.Input("control_net", tooltip="The weights that the vectors are for."),
                MotionType.Input("motion", tooltip="The picture and its entities."),
                io.Model.Input(
                    "model", tooltip="The video model, or a Stable Diffusion 1.5 model: as the weights ask."
                ),
                io.Vae.Input("vae", tooltip="The autoencoder of the same model."),
                io.ClipVision.Input(
                    "clip_vision", optional=True, tooltip="The video model's image encoder, if that model is used."
                ),
                io.Clip.Input(
                    "clip", optional=True, tooltip="The Stable Diffusion 1.5 model's text encoder, if that is used."
                ),
                *size_inputs(),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    tooltip="Of the noise that the features are taken at. It hardly matters.",
                ),
            ],
            outputs=[
                FeaturesType.Output(
                    "features",
                    display_name="features",
                    tooltip="A vector for each entity, for the Gaussian Map Builder.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        control_net: DragAnythingControl,
        motion: DrawnMotion,
        model: Any,
        vae: Any,
        width: int,
        height: int,
        seed: int,
        clip_vision: Any = None,
        clip: Any = None,
    ) -> io.NodeOutput:
        from .features import encode_entities

        size = video_size("Entity Encoder", control_net, width, height)
        choices = control_net.choices
        entities, _ = motion.resolved(choices["anchor"])
        features = encode_entities(
            motion.picture, entities, size, choices, seed, model=model, vae=vae, clip_vision=clip_vision, clip=clip
        )
        return io.NodeOutput(EncodedEntities(features, entities, size, choices))


class GaussianMapBuilder(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DragAnythingGaussianMap",
            display_name="Gaussian Map Builder",
            category=CATEGORY,
            description="Draws what the ControlNet is told: in every frame a Gaussian and the entity's vector inside "
            "each disc, as the weights were trained with and at the size that the features were taken at.",
            search_aliases=["draganything", "condition", "heatmap", "gaussian", "trajectory"],
            inputs=[
                MotionType.Input("motion", tooltip="What moves where."),
                FeaturesType.Input("features", tooltip="The vectors of the same motion's entities."),
            ],
            outputs=[
                ConditionsType.Output("conditions", display_name="conditions", tooltip="For Apply DragAnything."),
                io.Image.Output(
                    "preview", tooltip="Masks, Gaussians, entities and lines over the clip, as one picture."
                ),
                io.Int.Output(
                    "motion_bucket_id",
                    display_name="motion_bucket_id",
                    tooltip="How much moves, as the weights want it told: for SVD_img2vid_Conditioning.",
                ),
            ],
        )

    @classmethod
    def execute(cls, motion: DrawnMotion, features: EncodedEntities) -> io.NodeOutput:
        conditions = motion_conditions(motion, features)
        entities, tracks = motion.resolved(features.choices["anchor"])
        preview = condition_picture(
            motion.picture,
            conditions.maps,
            tracks,
            [entity.name for entity in entities],
            motion.colors(entities),
            entities=entities,
        )
        motion_bucket_id = round(wanted_motion_bucket(features.choices, conditions.maps.motion))
        return io.NodeOutput(conditions, image_from_frames(preview[None]), motion_bucket_id)


def motion_conditions(motion: DrawnMotion, encoded: EncodedEntities) -> MotionConditions:
    """Condition maps of a motion for the weights that its entities were encoded for, at the same size."""
    if not motion.document.paths and motion.document.camera is None:
        raise ValueError(
            "Gaussian Map Builder, motion: nothing moves. Draw a line in the Trajectory Editor, or add a Camera Motion."
        )
    choices = encoded.choices
    entities, tracks = motion.resolved(choices["anchor"])
    ids, encoded_ids = ([entity.entity_id for entity in each] for each in (entities, encoded.entities))
    if ids != encoded_ids:
        raise ValueError(
            f"Gaussian Map Builder, features: they are of the entities {encoded_ids}, the motion has {ids} (0 is the "
            "camera). Link the same motion to the Entity Encoder."
        )
    embeddings = painted_embeddings(encoded.features, choices["entity_channels"], choices["painting"])
    maps = represented_maps(entities, tracks, embeddings, encoded.size, geometry_of(choices))
    return MotionConditions(maps, choices)
