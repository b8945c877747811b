"""What an experiment is, stated in a file before it is run: question, arms, metric, seeds, clips and steps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from ..controlnet import MEASURED
from ..data.synthetic import SyntheticClip, SyntheticConfig, synthetic_clip
from ..training.clips import SYNTHETIC_VERSION
from ..training.config import TrainingConfig
from ..training.config_file import load_config
from ..training.plain_yaml import read_yaml
from ..types import Size
from .figures import FIGURES

SHIPPED = Path(__file__).parent / "configs"
BASE_CONFIG = "tiny.yaml"  # that every arm's training starts from
SHAPE = {"size", "frames"}  # of a drawn clip: the training's config says them
Better = Literal["lower", "higher"]
Overrides = Mapping[str, Any]
Made = TypeVar("Made")


@dataclass(frozen=True)
class Clips:
    """Clips that are judged: numbers first .. first + count - 1 of a seed that no training draws.

    variations: fields of ``SyntheticConfig`` other than size and frames; clips that are trained on have them, too.
    """

    seed: int
    count: int
    first: int = 0
    variations: Overrides = field(default_factory=dict)

    def __post_init__(self) -> None:
        if min(self.seed, self.first) < 0 or self.count < 1:
            raise ValueError(f"seed and first must be >= 0, count >= 1, got {self.seed}, {self.first}, {self.count}")
        known = {entry.name for entry in fields(SyntheticConfig)} - SHAPE
        if set(self.variations) - known:
            raise ValueError(f"variations: unknown {', '.join(sorted(set(self.variations) - known))}")
        SyntheticConfig(**self.tuples)  # checks the values

    @property
    def tuples(self) -> dict[str, Any]:
        """The variations as ``SyntheticConfig`` takes them: YAML has lists where it has tuples."""
        return {name: tuple(value) if isinstance(value, list) else value for name, value in self.variations.items()}

    @property
    def drawing(self) -> dict[str, Any]:
        """All that clips are drawn by, beside their number, size and frames: what no variation names among it."""
        values = asdict(SyntheticConfig(**self.tuples))
        return {"version": SYNTHETIC_VERSION, **{name: values[name] for name in sorted(values) if name not in SHAPE}}

    def clip(self, number: int, size: Size, frames: int) -> SyntheticClip:
        """The clip of that number, 0 .. count - 1."""
        return synthetic_clip(self.seed, self.first + number, SyntheticConfig(size=size, frames=frames, **self.tuples))


@dataclass(frozen=True)
class Inference:
    """How a video is asked for. control_start, control_end: part of the steps with control. radius: of the discs.

    anchor: where on an entity its disc sits: the inscribed circle's centre, or a point of its mask drawn by lot.
    """

    num_inference_steps: int = 12
    guidance: float = 1.0
    control_start: float = 0.0
    control_end: float = 1.0
    radius: Literal["first_frame", "per_frame"] = "first_frame"
    anchor: Literal["center", "grabbed_point"] = "center"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.radius not in ("first_frame", "per_frame") or self.anchor not in ("center", "grabbed_point"):
            raise ValueError(f"radius {self.radius!r} and anchor {self.anchor!r}: first_frame or per_frame, and so on")
        if not 0 <= self.control_start <= self.control_end <= 1 or self.num_inference_steps < 1:
            raise ValueError("expected 0 <= control_start <= control_end <= 1 and num_inference_steps >= 1")


@dataclass(frozen=True)
class Arm:
    """One way to do it. training: overrides of the training's config, by dotted names; inference: of ``Inference``.

    clips: further variations of the clips that this arm is judged on.
    """

    name: str
    title: str
    training: Overrides = field(default_factory=dict)
    inference: Overrides = field(default_factory=dict)
    clips: Overrides = field(default_factory=dict)


@dataclass(frozen=True)
class Limit:
    """What the weights are found to follow: how large ``over`` may be before ``figure`` passes ``bound``.

    Both are figures; entry: of the ControlNet's configuration that the limit belongs in.
    """

    entry: str
    over: str
    figure: str
    bound: float

    def __post_init__(self) -> None:
        _check_figures("limit", (self.over, self.figure))
        if self.entry not in MEASURED:
            raise ValueError(f"limit: entry must be one of {', '.join(MEASURED)}, got {self.entry!r}")


@dataclass(frozen=True)
class Experiment:
    """A question, and how it is going to be answered.

    metric: the figure that decides, better: which way. also: figures shown beside it; they decide nothing. reference:
    the arm that all others are held against. steps: of training; None: nothing is trained. training, inference: for
    all arms, as in ``Arm``. limit: one that is looked for in all arms together, of weights that are not trained.
    pixel_motion: whether a picture of where each pixel goes is made for one clip of every arm.
    """

    name: str
    question: str
    source: str
    metric: str
    better: Better
    also: tuple[str, ...]
    reference: str
    seeds: tuple[int, ...]
    steps: int | None
    clips: Clips
    arms: tuple[Arm, ...]
    training: Overrides = field(default_factory=dict)
    inference: Overrides = field(default_factory=dict)
    limit: Limit | None = None
    pixel_motion: bool = False

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if self.better not in ("lower", "higher"):
            raise ValueError(f"better must be lower or higher, got {self.better!r}")
        _check_figures("metric and also", (self.metric, *self.also))
        if len(names) < 2 or self.reference not in names:
            raise ValueError(f"reference {self.reference!r} must be one of two or more arms, which are {names}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must be one or more, each once, got {list(self.seeds)}")
        if self.steps is None and (self.training or any(arm.training for arm in self.arms)):
            raise ValueError("training: overrides are given, but steps is null: nothing is trained")
        if self.limit is not None and self.steps is not None:
            raise ValueError("limit: it is one of weights that are there, so steps must be null")
        if self.pixel_motion and any(arm.clips for arm in self.arms):
            raise ValueError("pixel_motion: its pictures are of one clip, so no arm may have clips of its own")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be >= 1, or null where nothing is trained, got {self.steps}")
        for arm in self.arms:
            self.inference_of(arm, self.seeds[0])
            self.clips_of(arm)

    def inference_of(self, arm: Arm, seed: int) -> Inference:
        """An arm's way of asking for videos. The seed of a model that is not trained is that of the sampling."""
        chosen = {**self.inference, **arm.inference}
        return _made(Inference, chosen if self.steps else {"seed": seed, **chosen}, f"arm {arm.name}, inference")

    def clips_of(self, arm: Arm) -> Clips:
        """The clips that an arm is judged on."""
        return replace(self.clips, variations={**self.clips.variations, **arm.clips})

    def training_config(self, arm: Arm, seed: int, svd: Path, output: Path, cache: Path, *more: str) -> TrainingConfig:
        """The config of an arm's training with one seed. more: overrides in the form of a command line.

        Of the drawn clips there are no more than the steps will see, as those are encoded before. Raises ValueError for
        an override that names no key of the config.
        """
        assert self.steps is not None
        wanted: dict[str, Any] = {
            "data.synthetic.variations": dict(self.clips.variations),
            **self.training,
            **arm.training,
            "networks.svd": str(svd),
            "output": str(output),
            "data.cache": str(cache),
            "steps": self.steps,
            "seed": seed,
        }
        options = [
            f"--{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in wanted.items()
        ]
        config = load_config(BASE_CONFIG, [*options, *more])
        assert config.data.synthetic is not None
        seen = min(config.data.synthetic.clips, config.steps * config.global_batch)
        return replace(config, data=replace(config.data, synthetic=replace(config.data.synthetic, clips=seen)))


def load_experiment(file: Path | str, steps: int | None = None, seeds: tuple[int, ...] | None = None) -> Experiment:
    """The experiment in a YAML file, or the package's own of that name, with other steps or seeds if given.

    Raises FileNotFoundError if there is none, ValueError naming the file and what is wrong in it.
    """
    path = Path(file)
    if not path.is_file():
        path = SHIPPED / f"{path.name.removesuffix('.yaml')}.yaml"
    if not path.is_file():
        raise FileNotFoundError(f"{file}: no such experiment; the package has {', '.join(shipped_experiments())}")
    try:
        stored = read_yaml(path.read_text("utf-8"))
        experiment = _experiment(stored, path.stem)
        if steps is not None and experiment.steps is None:
            raise ValueError("--steps: this experiment trains nothing")
        return replace(experiment, steps=steps or experiment.steps, seeds=seeds or experiment.seeds)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def shipped_experiments() -> tuple[str, ...]:
    """Names of the experiments that come with the package."""
    return tuple(sorted(file.stem for file in SHIPPED.glob("*.yaml")))


def _experiment(stored: Any, name: str) -> Experiment:
    if not isinstance(stored, dict) or not isinstance(stored.get("arms"), dict):
        raise ValueError("expected an experiment: question, arms (by name), metric, seeds, clips, steps")
    arms = tuple(_made(Arm, {"name": arm, **(told or {})}, f"arm {arm}") for arm, told in stored["arms"].items())
    clips = _made(Clips, stored.get("clips"), "clips")
    lists = {key: tuple(stored[key]) for key in ("seeds", "also") if isinstance(stored.get(key), list)}
    limit = None if stored.get("limit") is None else _made(Limit, stored["limit"], "limit")
    made = {"name": name, **stored, **lists, "arms": arms, "clips": clips, "limit": limit}
    return _made(Experiment, made, "experiment")


def _check_figures(where: str, names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in FIGURES]
    if unknown:
        raise ValueError(f"{where}: unknown {', '.join(unknown)}; there are {', '.join(FIGURES)}")


def _made(kind: type[Made], values: Any, where: str) -> Made:
    """The dataclass of these values; ValueError naming keys that it does not have or lacks."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{where}: expected keys with values, got {values!r}")
    known = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type]
    unknown = [name for name in values if name not in known]
    required = [name for name, entry in known.items() if entry.default is entry.default_factory is MISSING]
    missing = [name for name in required if name not in values]
    if unknown or missing:
        wrong = [f"unknown {', '.join(unknown)}"] * bool(unknown) + [f"lacks {', '.join(missing)}"] * bool(missing)
        raise ValueError(f"{where}: {'; '.join(wrong)}; it has {', '.join(known)}")
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from error
