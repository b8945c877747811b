"""Fréchet distances: FID and FVD by networks from the user's own files, and rFID, which needs none.

rFID is the same distance between features of a fixed random network. It tells a blurred or broken picture from a good
one, but is no FID: its figures compare with each other only. Nothing is downloaded, and no network stands in for
another.

Source: Heusel et al., arXiv 1706.08500 (FID); Unterthiner et al., arXiv 1812.01717 (FVD).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist

import numpy as np
import torch
from einops import rearrange, reduce
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from .bootstrap import Array, Bootstrap, Counts, Interval, Statistic

HOW_TO_GET_INCEPTION = (
    "FID needs Inception weights: weights-inception-2015-12-05-6726825d.pth, 91 MB, from the releases of "
    "github.com/toshas/torch-fidelity; give --inception FILE, and pip install draganything[evaluate]"
)
HOW_TO_GET_I3D = (
    "FVD needs I3D: i3d_torchscript.pt, 51 MB, the TorchScript that StyleGAN-V's authors publish; give --i3d FILE"
)
LEAST_I3D_FRAMES = 10
HALVES = 100  # of the clips; each takes singular values, with FID's 2048 features some seconds

RANDOM_SEED = 0
RANDOM_CHANNELS = (3, 16, 32, 64)


@dataclass(frozen=True, eq=False)
class Features:
    """A network whose features are compared. figure: the distance's name; description: exactly what it is.

    extract: features (N,D) of a video (T,3,H,W) in 0..1, one row for each frame, or one for the whole.
    """

    figure: str
    description: str
    extract: Callable[[Tensor], Tensor]

    @property
    def key(self) -> str:
        """The name under which features are stored: another network has another."""
        return f"{self.figure}-{hashlib.sha256(self.description.encode('utf-8')).hexdigest()[:12]}"


@dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """Mean (D,) and covariance (D,D) float64 of ``count`` feature vectors."""

    mean: Tensor
    covariance: Tensor
    count: int


def feature_statistics(features: Tensor) -> FeatureStatistics:
    """Mean and unbiased covariance of features (N,D). Raises ValueError for fewer than two."""
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(
            f"a Fréchet distance needs features (N, D) of two pictures or more, got {tuple(features.shape)}"
        )
    features = features.double()
    return FeatureStatistics(
        features.mean(dim=0), torch.cov(features.T).reshape([features.shape[1]] * 2), len(features)
    )


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """|m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½), the trace of the root being the sum of the roots of the eigenvalues."""
    roots = torch.linalg.eigvals(first.covariance @ second.covariance).sqrt().real.sum()
    apart = (first.mean - second.mean).square().sum()
    return float(apart + first.covariance.trace() + second.covariance.trace() - 2 * roots)


class FrechetDistance(Statistic):
    """The distance of a row's features from the real clips', (n_i,D) of each; both sides are resampled together."""

    def __init__(self, real: Sequence[Tensor], made: Sequence[Tensor]) -> None:
        if len(real) != len(made):
            raise ValueError(
                f"Fréchet distance: {len(real)} real clips, {len(made)} made; give those of the same clips"
            )
        self.measured: NDArray[np.bool_] = np.ones(len(real), dtype=bool)
        self.real, self.made = list(real), list(made)

    def __call__(self, counts: Counts) -> Array:
        return np.array([self._resampled(row) for row in torch.from_numpy(counts)])

    def interval(self, bootstrap: Bootstrap | None = None) -> Interval:
        """The distance, and so many standard errors to both sides as a normal figure's interval has.

        The error is the deviation of the distances of random halves of the clips, HALVES at most (delete-half
        jackknife; Shao and Tu, The Jackknife and Bootstrap, 1995, section 2.3). Clips drawn with replacement would not
        do: how many different pictures there are changes from one draw to the next, the fewer there are the larger a
        Fréchet distance is, and with fewer pictures than features that is most of what one would see. nan of clips
        whose halves are too few to have a distance.
        """
        bootstrap = bootstrap or Bootstrap()
        clips = len(self.real)
        if clips == 0:
            return Interval(math.nan)
        chance = np.random.default_rng(bootstrap.seed)
        counts = np.zeros((min(bootstrap.resamples, HALVES), clips))
        for row in counts:
            row[chance.permutation(clips)[: clips // 2]] = 1
        distances = self(counts) if clips > 1 else np.zeros(0)
        if np.isfinite(distances).sum() < 2:
            return Interval(self.value, clips=clips)
        kept = clips // 2
        error = float(np.nanstd(distances, ddof=1)) * math.sqrt(kept / (clips - kept))
        reach = NormalDist().inv_cdf((1 + bootstrap.level) / 2) * error
        value = self.value
        return Interval(value, max(0.0, value - reach), value + reach, clips)

    def floor(self) -> float:
        """The distance of every other real clip from the rest: what two halves of the truth have; nan of a few."""
        halves = [torch.cat(self.real[start::2]) if self.real[start::2] else torch.zeros(0, 1) for start in (0, 1)]
        return _distance(*(_Spread.of(half, torch.ones(len(half), dtype=torch.float64)) for half in halves))

    def _resampled(self, counts: Tensor) -> float:
        """The distance if each clip were there so many times."""
        sides = []
        for clips in (self.real, self.made):
            own = torch.tensor([len(features) for features in clips])
            sides.append(_Spread.of(torch.cat(clips), counts.repeat_interleave(own)))
        return _distance(*sides)


def random_features() -> Features:
    """The network of rFID: three convolutions with fixed random weights, the mean over the picture, 64 features."""
    generator = torch.Generator().manual_seed(RANDOM_SEED)
    weights = []
    for fan_in, fan_out in pairwise(RANDOM_CHANNELS):
        drawn = torch.randn(fan_out, fan_in, 5, 5, generator=generator)
        # Without its mean a filter sees edges and texture, not how bright the picture is.
        weights.append((drawn - reduce(drawn, "o i h w -> o 1 1 1", "mean")) / math.sqrt(fan_in * 25 / 2))

    def extract(video: Tensor) -> Tensor:
        layer = video.float().cpu() * 2 - 1
        for weight in weights:
            layer = functional.conv2d(layer, weight, stride=2, padding=2).relu()
        return reduce(layer, "t c h w -> t c", "mean")

    return Features("rFID", f"random network, seed {RANDOM_SEED}, channels {RANDOM_CHANNELS}, 5x5; no FID", extract)


def inception_features(weights: Path | str, device: torch.device | str = "cpu") -> Features:
    """The 2048 features of FID, by torchmetrics' Inception with weights from a file.

    Pictures are brought to 299x299 bilinear without antialiasing, as TensorFlow's original does. Raises
    FileNotFoundError saying where the file is published, ImportError saying what to install.
    """
    path = _checked_file(weights, HOW_TO_GET_INCEPTION)
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance

        metric = FrechetInceptionDistance(2048, feature_extractor_weights_path=str(path), antialias=False)
    except ImportError as error:
        raise ImportError(
            f"FID needs torchmetrics and torch-fidelity: pip install draganything[evaluate] ({error})"
        ) from error
    except (RuntimeError, KeyError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{path} does not fit the Inception of torch-fidelity ({reason}). {HOW_TO_GET_INCEPTION}"
        ) from error
    network: nn.Module = metric.inception.to(device).eval()

    @torch.no_grad()
    def extract(video: Tensor) -> Tensor:
        pixels = (video.clamp(0, 1) * 255).round().to(torch.uint8).to(device)
        return torch.cat([network(batch) for batch in pixels.split(16)]).float().cpu()

    versions = f"torchmetrics {version('torchmetrics')}, torch-fidelity {version('torch-fidelity')}"
    return Features("FID", f"Inception of 2048 features, {versions}, weights {_sha256(path)[:12]}", extract)


def i3d_features(weights: Path | str, device: torch.device | str = "cpu") -> Features:
    """The 400 features of FVD, by an I3D as TorchScript: called as (video, rescale, resize, return_features).

    Videos are brought to 224x224 bilinear and -1..1. Ports of I3D differ by some 10 % in FVD, so the file's hash is in
    the description. Raises FileNotFoundError saying where it is published, ValueError for another file or short video.
    """
    path = _checked_file(weights, HOW_TO_GET_I3D)
    try:
        network = torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is no TorchScript ({reason}). {HOW_TO_GET_I3D}") from error

    @torch.no_grad()
    def extract(video: Tensor) -> Tensor:
        if len(video) < LEAST_I3D_FRAMES:
            raise ValueError(
                f"FVD needs videos of {LEAST_I3D_FRAMES} frames or more, got {len(video)}; leave out --i3d"
            )
        resized = functional.interpolate(video.float(), (224, 224), mode="bilinear", align_corners=False)
        batch = rearrange(resized * 2 - 1, "t c h w -> 1 c t h w").to(device)
        features: Tensor = network(batch, rescale=False, resize=False, return_features=True)
        return features.float().cpu().reshape(1, -1)

    return Features("FVD", f"I3D as TorchScript {_sha256(path)[:12]}, 224x224", extract)


@dataclass(frozen=True, eq=False)
class _Spread:
    """Features as a mean (D,) and rows (M,D) whose product with themselves is the covariance; count: how many."""

    mean: Tensor
    rows: Tensor
    count: float

    @classmethod
    def of(cls, features: Tensor, weights: Tensor) -> _Spread:
        """Of features (N,D), each there ``weights`` (N,) times. What is there no time costs nothing."""
        kept = weights > 0
        features, weights = features[kept].double(), weights[kept]
        count = float(weights.sum())
        mean = weights @ features / count
        return cls(mean, (features - mean) * (weights / max(count - 1, 1)).sqrt()[:, None], count)


def _distance(real: _Spread, made: _Spread) -> float:
    """``frechet_distance``, in a tenth of the time: the root's trace is the sum of the singular values of A Bᵀ, for
    covariances AᵀA and BᵀB, whose smaller side is that of the pictures or that of the features. nan of fewer than two.
    """
    if min(real.count, made.count) < 2:
        return math.nan
    first, second = (
        torch.linalg.qr(s.rows, mode="r").R if len(s.rows) > s.rows.shape[1] else s.rows for s in (real, made)
    )
    roots = torch.linalg.svdvals(first @ second.T).sum()
    apart = (real.mean - made.mean).square().sum()
    return float(apart + first.square().sum() + second.square().sum() - 2 * roots)


def _checked_file(path: Path | str, how_to_get: str) -> Path:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file. {how_to_get}")
    return Path(path)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while block := opened.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
