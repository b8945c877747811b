"""What the training loop asks of a stage: which clips, which tensors a step needs, what is trained, what is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn


class StepInputs(NamedTuple):
    """arguments: of the objective's forward. sigmas: (B,) noise levels, None where a stage has none.

    names: of the clips, for messages and for the dump of a step that is not finite.
    """

    arguments: tuple[Any, ...]
    sigmas: Tensor | None
    names: tuple[str, ...]


class Stage(Protocol):
    """One kind of training. Everything drawn for a step follows from (seed, step, position) alone.

    objective: a module whose forward gives an ObjectiveOutput; its parameters that need gradients are trained.
    bucket_sizes: number of clips in each bucket, for the order of the data. facts: what makes this run this run, as
    JSON; a checkpoint with other facts is another run's.
    """

    bucket_sizes: tuple[int, ...]
    facts: dict[str, Any]

    @property
    def objective(self) -> nn.Module: ...

    def load(self, step: int, positions: range) -> Any:
        """The part of a step's inputs that the CPU makes, in a thread beside the computation of the step before."""

    def inputs(self, loaded: Any, device: torch.device) -> StepInputs:
        """The inputs of a step on the device."""

    def validate(self, folder: Path, interrupted: Callable[[], bool]) -> dict[str, float]:
        """Figures on clips that are not trained on, with the weights as they are now; pictures go into the folder.

        Ends early, with the figures so far, once ``interrupted`` says so.
        """

    def export(self, folder: Path) -> None:
        """Writes the weights as they are now for inference, with all that it needs to know, whole or not at all."""
