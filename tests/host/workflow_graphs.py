"""The workflows that ship: what each of them does, and the note that tells it to who opens it.

Those with the tiny model take its sample picture, and their motion documents are drawn on that picture here, in shares
of its sides, so that another sample of the same scene needs no new numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from graph_files import Graph
from workflow_parts import (
    BACKGROUND,
    BALL,
    BALL_CENTER,
    BALLOON,
    CONTROLNET,
    HOST_PICTURE,
    HOST_PICTURE_SIZE,
    SAM,
    SD15,
    SVD,
    TINY,
    WAN,
    WAN_CLIP,
    WAN_TEXT,
    WAN_VAE,
    Sample,
    downloads,
    on_picture,
    save_video,
    tiny_editor,
    tiny_parts,
    tiny_video,
)

from draganything_core.document import (
    Click,
    ControlPoint,
    DocumentEntity,
    Easing,
    MotionDocument,
    MotionPath,
    Prompts,
    RadiusKey,
    dumps,
)
from draganything_core.types import Size


def first_drag(sample: Sample) -> Graph:
    graph = Graph("""## First drag

Press **Run**: no download, no graphics card, half a minute on a processor.

The beach ball bounces away and the balloon drifts along the lines in the **Trajectory Editor**.

1. Drag a line's point somewhere else and press **Run** again.
2. Click on the picture to add a line of your own.
3. Another **seed** gives another video of the same motion.

The Tiny Demo Model knows simple shapes at 128 x 128 px. The same graph with Stable Video Diffusion is the workflow \
**full_svd**.""")
    document = dumps(sample.document)
    editor = tiny_editor(graph, document)
    tiny_video(graph, editor, "first_drag")
    return graph


def foreground(sample: Sample) -> Graph:
    graph = Graph("""## Something in the foreground

One thing is dragged: the ball rolls to the right and grows a little as it comes nearer (radius keys 1 to 1.25).

Right of the editor stands what the model is told, the **condition maps**: a Gaussian and the ball's own vector, \
frame by frame. Nothing else has a line, so the model decides what the rest does. To hold it still see \
**background_pinned**.""")
    roll = sample.path(
        BALL, (BALL_CENTER, (0.5, 0.78), (0.74, 0.74)), radius_keys=(RadiusKey(0, 1), RadiusKey(1, 1.25))
    )
    editor = tiny_editor(graph, sample.drawn((sample.ball,), roll))
    tiny_video(graph, editor, "foreground", shows_conditions=True)
    return graph


def background(sample: Sample) -> Graph:
    graph = Graph("""## The background

Here the thing that is dragged is everything but the ball and the balloon: its mask is the rest of the picture.

It moves to the left and away: the disc on its line **shrinks** to half (radius keys 1 to 0.5), which the model \
reads as going farther.

In your own picture: paint or click the background, give it a line, then set the radius of the line's last point.""")
    away = sample.path(BACKGROUND, ((0.68, 0.72), (0.4, 0.62)), radius_keys=(RadiusKey(0, 1), RadiusKey(1, 0.5)))
    editor = tiny_editor(graph, sample.drawn((sample.background,), away))
    tiny_video(graph, editor, "background")
    return graph


def both_at_once(sample: Sample) -> Graph:
    graph = Graph("""## Foreground and background at once

The background moves to the left while the ball rolls to the right: each entity has its own line, all in one document.

This graph is taken apart into ComfyUI's own nodes, to build upon: **Entity Encoder** and **Gaussian Map Builder** \
make the conditions, **Apply DragAnything** steers, any sampler samples. Put a LoRA, another guidance or a second \
Apply DragAnything in between.""")
    document = sample.drawn(
        (sample.background, sample.ball),
        sample.path(BACKGROUND, ((0.68, 0.72), (0.44, 0.72))),
        sample.path(BALL, (BALL_CENTER, (0.5, 0.66), (0.72, 0.74))),
    )
    editor = tiny_editor(graph, document)
    tiny_parts(graph, editor, "both_at_once", sample)
    return graph


def camera_zoom_and_pan(sample: Sample) -> Graph:
    graph = Graph("""## The camera

**Camera Motion** moves the whole picture: here it zooms in on the balloon by 1.4 and pans down a little. Nothing \
needs a mask.

- `zoom` 2 is twice as near, 0.5 twice as far; 1 is no zoom.
- `pan_x` and `pan_y` are pixels of the picture: where its content goes until the last frame.
- Lines drawn in the editor move on top of the camera while `carries_entities` is on.""")
    editor = tiny_editor(graph, sample.drawn(()))
    moved = graph.add(
        "DragAnythingCamera",
        2,
        motion=editor["motion"],
        pan_y=round(0.08 * sample.size.height),
        zoom=1.4,
        center_x=0.7,
        center_y=0.35,
        easing="ease_in_out",
    )
    tiny_video(graph, moved, "camera_zoom_and_pan")
    return graph


def background_pinned(sample: Sample) -> Graph:
    graph = Graph("""## Pin what must not move

The ball is dragged as in **foreground**, and the balloon and the background are **pinned**: a line of a single \
point (`"static": true` in the document) tells the model that a thing stays where it is.

Compare the hills with those in **foreground**, at the same seed. **Did It Obey?** follows all three through the video \
and says how far each is from where it was asked to be.""")
    pins = ((BACKGROUND, (0.5, 0.5)), (BALLOON, (0.71, 0.29)))
    document = sample.drawn(
        (sample.background, sample.balloon, sample.ball),
        *(MotionPath(entity, sample.points((place,)), static=True, name="pin") for entity, place in pins),
        sample.path(BALL, (BALL_CENTER, (0.5, 0.78), (0.74, 0.74))),
    )
    editor = tiny_editor(graph, document)
    sampler = tiny_video(graph, editor, "background_pinned")
    score = graph.add("DragAnythingScore", 5, video=sampler["images"], motion=editor["motion"])
    graph.add("PreviewImage", 5, title="Asked and found", images=score["overlay"])
    return graph


def clicks_without_weights(sample: Sample) -> Graph:
    graph = Graph("""## Clicks without any weights

The document has no mask: the balloon is **clicked** once, and GrabCut, which needs no weights, finds its outline by \
colour. Of its three answers (part, object, whole) the document takes the *whole*. The preview shows what it found.

If it takes too much, add a click that says what the thing is not. For difficult pictures use Segment Anything, as in \
**sam_clicks**.""")
    on_it = (0.71, 0.28)
    (click,) = sample.points((on_it,))
    balloon = DocumentEntity(BALLOON, "balloon", prompts=Prompts((Click(click.x, click.y),), scale="whole"))
    drift = sample.path(BALLOON, (on_it, (0.5, 0.16), (0.28, 0.26)))
    editor = tiny_editor(graph, sample.drawn((balloon,), drift))
    graph.add("PreviewImage", 2, title="What was found", images=editor["preview"])
    tiny_video(graph, editor, "clicks_without_weights")
    return graph


def tracks_from_a_video_redriven(sample: Sample) -> Graph:
    graph = Graph("""## A motion taken from a video

1. The upper half makes a video, as **first_drag** does.
2. **Track Points** follows the ball and the balloon through that video, and gives their motion as a document.
3. The lower half drives a new video with it, at another seed, with a camera that pans on top.

Any video can stand in the upper half's place: Load Video → Get Video Components → Track Points, with masks of its \
first frame. To change the lines by hand, remove the link to the second editor's `document` and draw.""")
    picture = graph.add("DragAnythingSample", 0)
    models = graph.add("DragAnythingLoadTiny", 0)
    linked = {key: models[key] for key in ("model", "clip_vision", "vae", "control_net")}
    document = dumps(sample.document)
    drawn = graph.add("DragAnythingTrajectoryEditor", 1, title="Drawn", image=picture["image"], document=document)
    first = graph.add("DragAnythingSVDSampler", 2, title="First video", motion=drawn["motion"], **linked, **TINY)
    save_video(graph, first["images"], "tracks_from_a_video", column=3)
    followed = graph.add("DragAnythingTrackPoints", 3, video=first["images"], motion=drawn["motion"])
    taken = graph.add(
        "DragAnythingTrajectoryEditor", 1, title="Taken", image=picture["image"], document=followed["document"]
    )
    panned = graph.add("DragAnythingCamera", 2, motion=taken["motion"], pan_x=-round(0.1 * sample.size.width))
    second = graph.add(
        "DragAnythingSVDSampler", 4, title="Second video", motion=panned["motion"], seed=1, **linked, **TINY
    )
    save_video(graph, second["images"], "tracks_from_a_video_redriven", column=4)
    return graph


def preview_motion(sample: Sample) -> Graph:
    graph = Graph("""## See the motion before the video

**Preview Motion** needs no model: it cuts the things out of the picture and moves them along their lines, and shows \
what a model would be told. It takes less than a second, so draw here until the motion is right.

Then open **first_drag** or **full_svd** and paste the editor (Ctrl+C, Ctrl+V) with what you drew.""")
    editor = tiny_editor(graph, dumps(sample.document))
    graph.add("DragAnythingPreviewMotion", 2, motion=editor["motion"])
    return graph


def sam_clicks(sample: Sample) -> Graph:
    graph = Graph(f"""## Clicks with Segment Anything

{downloads(SAM)}

**Load SAM** takes the weights, **Segment by Clicks** finds the thing at the click, and the mask becomes entity 1, \
whose line the editor holds. The picture is encoded once; after that every click is fast.

No weights at hand? Choose *GrabCut (no weights)* in Load SAM.""")
    picture = graph.add("DragAnythingSample", 0)
    segmenter = graph.add("DragAnythingLoadSAM", 0, name=SAM.name)
    (click,) = sample.points((BALL_CENTER,))
    found = graph.add(
        "DragAnythingSegment",
        1,
        image=picture["image"],
        segmenter=segmenter["segmenter"],
        positive_coords=json.dumps([{"x": click.x, "y": click.y}]),
    )
    entities = graph.add("DragAnythingEntities", 1, masks=found["mask"], names="ball")
    graph.add("PreviewImage", 1, title="What was found", images=found["preview"])
    roll = sample.path(BALL, (BALL_CENTER, (0.5, 0.66), (0.74, 0.74)))
    editor = graph.add(
        "DragAnythingTrajectoryEditor",
        2,
        image=picture["image"],
        document=sample.drawn((DocumentEntity(BALL, "ball"),), roll),
        entities=entities["entities"],
    )
    tiny_video(graph, editor, "sam_clicks")
    return graph


def full_svd(_sample: Sample) -> Graph:
    graph = Graph(f"""## Stable Video Diffusion

{downloads(SVD, SD15)}
- the authors' DragAnything weights: their folder with `config.json` and `diffusion_pytorch_model.safetensors` into \
`models/{CONTROLNET.folder}` as `DragAnything`

Then press **R**, put your own picture in **Load Image** and draw on it. A graphics card with 16 GB or more is \
recommended.

The authors' weights describe each thing by features of Stable Diffusion 1.5, so the **Entity Encoder** has that \
model. Weights trained with this project use the video model itself: remove the Entity Encoder and the checkpoint \
beside it, and choose *from the weights*.

They were trained at 576 x 320; other multiples of 64 work too. This graph makes 512 x 512 of a square picture.""")
    picture = graph.add("LoadImage", 0, image=HOST_PICTURE)
    svd = graph.add("ImageOnlyCheckpointLoader", 0, ckpt_name=SVD.name)
    control = graph.add(
        "DragAnythingLoadControlNet", 0, name=f"{CONTROLNET.folder}/{CONTROLNET.name}", preset="trained"
    )
    image_model = graph.add("CheckpointLoaderSimple", 0, title="For the Entity Encoder", ckpt_name=SD15.name)
    editor = graph.add("DragAnythingTrajectoryEditor", 1, image=picture["IMAGE"], document=dumps(waving_arm(14)))
    size = {"width": 512, "height": 512}
    features = graph.add(
        "DragAnythingEntityEncoder",
        2,
        control_net=control["control_net"],
        motion=editor["motion"],
        model=image_model["MODEL"],
        vae=image_model["VAE"],
        clip=image_model["CLIP"],
        **size,
    )
    maps = graph.add("DragAnythingGaussianMap", 2, motion=editor["motion"], features=features["features"])
    graph.add("PreviewImage", 2, title="What the model is told", images=maps["preview"])
    sampler = graph.add(
        "DragAnythingSVDSampler",
        3,
        model=svd["MODEL"],
        clip_vision=svd["CLIP_VISION"],
        vae=svd["VAE"],
        control_net=control["control_net"],
        motion=editor["motion"],
        features=features["features"],
        steps=25,
        cfg=3.0,
        **size,
    )
    save_video(graph, sampler["images"], "full_svd")
    return graph


def wan_move_through_tracks(_sample: Sample) -> Graph:
    graph = Graph(f"""## The same document drives Wan-Move

{downloads(WAN, WAN_TEXT, WAN_VAE, WAN_CLIP)}

What is drawn in the editor is not bound to one model: **Export Tracks** gives ComfyUI's own TRACKS, which \
**WanMoveTrackToVideo** takes. Preview Image shows the tracks at once, before any weights are loaded.

Wan-Move follows points, not areas: it is told the line of the disc's centre. Several lines on a thing hold its \
shape.""")
    size = Size(640, 640)
    square = {"width": size.width, "height": size.height}
    picture = graph.add("LoadImage", 0, image=HOST_PICTURE)
    scaled = graph.add("ImageScale", 0, image=picture["IMAGE"], upscale_method="lanczos", crop="center", **square)
    frames = 81
    editor = graph.add(
        "DragAnythingTrajectoryEditor", 1, image=scaled["IMAGE"], document=dumps(waving_arm(frames, size))
    )
    tracks = graph.add("DragAnythingExportTracks", 2, motion=editor["motion"])
    shown = graph.add("WanMoveVisualizeTracks", 2, images=scaled["IMAGE"], tracks=tracks["tracks"])
    graph.add("PreviewImage", 2, title="The tracks", images=shown["IMAGE"])
    text_encoder = graph.add("CLIPLoader", 3, clip_name=WAN_TEXT.name, type="wan")
    positive = graph.add("CLIPTextEncode", 3, text="a drawn figure waves its arm", clip=text_encoder["CLIP"])
    negative = graph.add("CLIPTextEncode", 3, text="blurry, distorted, static", clip=text_encoder["CLIP"])
    image_encoder = graph.add("CLIPVisionLoader", 3, clip_name=WAN_CLIP.name)
    seen = graph.add("CLIPVisionEncode", 3, clip_vision=image_encoder["CLIP_VISION"], image=scaled["IMAGE"])
    vae = graph.add("VAELoader", 3, vae_name=WAN_VAE.name)
    conditioning = graph.add(
        "WanMoveTrackToVideo",
        4,
        positive=positive["CONDITIONING"],
        negative=negative["CONDITIONING"],
        vae=vae["VAE"],
        start_image=scaled["IMAGE"],
        tracks=tracks["tracks"],
        clip_vision_output=seen["CLIP_VISION_OUTPUT"],
        length=frames,
        **square,
    )
    model = graph.add("UNETLoader", 4, unet_name=WAN.name)
    shifted = graph.add("ModelSamplingSD3", 4, model=model["MODEL"], shift=8.0)
    sampler = graph.add(
        "KSampler",
        4,
        model=shifted["MODEL"],
        positive=conditioning["positive"],
        negative=conditioning["negative"],
        latent_image=conditioning["latent"],
        steps=20,
        cfg=5.0,
        sampler_name="uni_pc",
        scheduler="simple",
    )
    decoded = graph.add("VAEDecode", 5, samples=sampler["LATENT"], vae=vae["VAE"])
    save_video(graph, decoded["IMAGE"], "wan_move_through_tracks", fps=16.0, column=5)
    return graph


def waving_arm(frames: int, size: Size = HOST_PICTURE_SIZE) -> MotionDocument:
    """The picture that every ComfyUI has is a drawn figure with its arms spread: one of them is raised."""
    arm = DocumentEntity(
        1,
        "arm",
        prompts=Prompts(
            (
                *(Click(*on_picture(place, size)) for place in ((0.63, 0.48), (0.74, 0.46))),
                *(Click(*on_picture(place, size), 0) for place in ((0.66, 0.4), (0.66, 0.6), (0.5, 0.55))),
            )
        ),
    )
    line = ((0.7, 0.47), (0.74, 0.36), (0.72, 0.26))
    path = MotionPath(1, tuple(ControlPoint(*on_picture(place, size)) for place in line), easing=Easing("ease_in_out"))
    return MotionDocument(size, frames, (arm,), (path,))


# In the order in which they are told apart: first what runs at once, then what needs downloads.
WITHOUT_DOWNLOADS: tuple[Callable[[Sample], Graph], ...] = (
    first_drag,
    foreground,
    background,
    both_at_once,
    camera_zoom_and_pan,
    background_pinned,
    clicks_without_weights,
    tracks_from_a_video_redriven,
    preview_motion,
)
WITH_DOWNLOADS: tuple[Callable[[Sample], Graph], ...] = (sam_clicks, full_svd, wan_move_through_tracks)


def all_graphs() -> dict[str, Graph]:
    """Every workflow by name."""
    sample = Sample()
    return {make.__name__: make(sample) for make in (*WITHOUT_DOWNLOADS, *WITH_DOWNLOADS)}
