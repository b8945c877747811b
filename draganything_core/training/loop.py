"""The training loop, the same for all stages.

A step is a pure function of its number and the state before it: which clips, which noise and which learning rate do
not depend on processes or on when the run was started. So all there is to resume is a number, and a run that was
interrupted ends with the very weights of one that was not.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from ..atomic import replacing, write_text
from .checkpoints import (
    Checkpoint,
    CheckpointError,
    load_latest,
    load_optimizer_tensors,
    optimizer_tensors,
    save_checkpoint,
)
from .config import TrainingConfig
from .interruption import Interruption
from .metrics import MetricsFile, TensorBoard, Window, as_json
from .objective import ObjectiveOutput
from .order import rank_positions
from .stage import Stage, StepInputs

logger = logging.getLogger(__name__)

Outcome = Literal["finished", "interrupted"]

CHECKPOINTS, METRICS, WEIGHTS, SAMPLES, NONFINITE = "checkpoints", "metrics.jsonl", "weights", "samples", "nonfinite"
FIGURES = "figures.json"


class TrainingError(RuntimeError):
    """A run that cannot go on: its loss or gradients are not finite any more."""


class Trainer:
    """One run of one stage in one process of ``accelerator``'s."""

    def __init__(self, config: TrainingConfig, stage: Stage, accelerator: Accelerator) -> None:
        self.config = config
        self.stage = stage
        self.accelerator = accelerator
        self.folder = Path(config.output)
        self.micro_batches = rank_positions(
            config.global_batch, accelerator.process_index, accelerator.num_processes, config.micro_batch
        )
        self.interruption = Interruption()
        self.nonfinite_in_a_row = 0

        # Before anything is made of the parameters: what is made stays on their device.
        stage.objective.to(accelerator.device)
        self.parameters = [p for p in stage.objective.parameters() if p.requires_grad]
        settings = config.optimizer
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=settings.lr,
            betas=settings.betas,
            eps=settings.eps,
            weight_decay=settings.weight_decay,
        )
        self.ema = None if settings.ema_decay is None else _average(self.parameters, settings.ema_decay)
        self.first_step = self._resume()
        self.objective: nn.Module = accelerator.prepare_model(stage.objective)

    def run(self) -> Outcome:
        """Trains until the last step, or until a signal asks to stop; a checkpoint and the weights are written in
        either case. Raises TrainingError past the limit of steps that are not finite."""
        config = self.config
        writers: list[MetricsFile | TensorBoard] = []
        if self.accelerator.is_main_process:
            _clear_leftovers(self.folder)
            writers.append(MetricsFile(self.folder / METRICS, self.first_step))
            if config.tensorboard:
                writers.append(TensorBoard(self.folder / "tensorboard", self.first_step))
        window = Window(self.accelerator.device)
        steps = range(self.first_step, config.steps)
        progress = tqdm(
            initial=self.first_step, total=config.steps, unit="step", disable=not self.accelerator.is_main_process
        )
        outcome: Outcome = "finished"
        with self.interruption.watched(), progress, self._loaded(steps) as loaded:
            with window.paused():
                self._complete_figures(writers)
            for step in steps:
                rate = self._step(step, loaded, window)
                done = step + 1
                stop = self._any_process(self.interruption.requested)
                if done % config.log_every == 0 or done == config.steps:
                    record = {"step": step, **self._record(window), "lr": rate}
                    window.clear()
                    progress.set_postfix(loss=record["loss"], refresh=False)
                    for writer in writers:
                        writer.write(record)
                with window.paused():
                    is_saved = stop or done % config.checkpoint_every == 0 or done == config.steps
                    if is_saved:
                        self._save(done)
                    if not stop and self._is_validated(done):
                        self._validate(done, writers)
                        stop = self._any_process(self.interruption.requested)
                        if stop and not is_saved:
                            self._save(done)
                progress.update()
                if stop and done < config.steps:
                    outcome = "interrupted"
                    break
        return outcome

    # --- one step -----------------------------------------------------------------------------------------------------

    def _step(self, step: int, loaded: Iterator[Any], window: Window) -> float:
        """Trains on one global batch; the learning rate it had."""
        rate = self.config.optimizer.rate(step, self.config.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        batches = []
        for number in range(len(self.micro_batches)):
            began = time.perf_counter()
            inputs = self.stage.inputs(next(loaded), self.accelerator.device)
            window.waited += time.perf_counter() - began
            output = self._backward(inputs, is_last=number == len(self.micro_batches) - 1)
            batches.append((inputs, output))
        losses_are_finite = all(bool(torch.isfinite(output.per_sample).all()) for _, output in batches)
        norm = self._clipped_norm()
        window.steps += 1
        if self._any_process(not (losses_are_finite and math.isfinite(norm))):
            window.skipped += 1
            self._note_nonfinite(step, batches, norm)
            return rate
        self.nonfinite_in_a_row = 0
        window.grad_norm += norm
        for inputs, output in batches:
            window.add_losses(output.per_sample, inputs.sigmas)
        self.optimizer.step()
        if self.ema is not None:
            self.ema.step(self.parameters)
        return rate

    def _backward(self, inputs: StepInputs, is_last: bool) -> ObjectiveOutput:
        # Gradients are exchanged once, with the last micro-batch.
        with nullcontext() if is_last else self.accelerator.no_sync(self.objective):
            output: ObjectiveOutput = self.objective(*inputs.arguments)
            (output.loss / len(self.micro_batches)).backward()
        return output

    def _clipped_norm(self) -> float:
        limit = self.config.optimizer.max_grad_norm
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, math.inf if limit is None else limit)
        return float(norm)

    def _note_nonfinite(self, step: int, batches: list[tuple[StepInputs, ObjectiveOutput]], norm: float) -> None:
        """Keeps what led there, leaves the weights as they are, and ends the run if it happens too often in a row."""
        self.nonfinite_in_a_row += 1
        names = [name for inputs, _ in batches for name in inputs.names]
        file = self.folder / NONFINITE / f"step-{step:08d}-process-{self.accelerator.process_index}.safetensors"
        tensors = {}
        for number, (inputs, output) in enumerate(batches):
            tensors[f"{number}.per_sample"] = output.per_sample.cpu()
            if inputs.sigmas is not None:
                tensors[f"{number}.sigmas"] = inputs.sigmas.cpu()
            for place, argument in enumerate(inputs.arguments):
                for name, tensor in _tensors_in(argument):
                    tensors[f"{number}.{place}{name}"] = tensor.detach().cpu().contiguous().clone()
        with replacing(file) as temporary:
            save_file(tensors, temporary, metadata={"step": str(step), "clips": " ".join(names)})
        logger.warning(
            f"step {step}: loss or gradient is not finite (gradient norm {norm:g}, clips {', '.join(names)}); the step "
            f"is skipped, its inputs are in {file}"
        )
        if self.nonfinite_in_a_row >= self.config.max_nonfinite:
            raise TrainingError(
                f"{self.nonfinite_in_a_row} steps in a row without a finite loss and gradient, up to step {step}; "
                f"they changed no weights. Look at {file.parent}; a lower optimizer.lr or precision: fp32 may help."
            )

    # --- what lasts ---------------------------------------------------------------------------------------------------

    def _resume(self) -> int:
        """Takes over the newest checkpoint; the number of the next step."""
        checkpoint = load_latest(self.folder / CHECKPOINTS, self.stage.facts)
        if checkpoint is None:
            return 0
        try:
            self.stage.objective.load_state_dict(checkpoint.tensors["network"])
        except RuntimeError as error:
            raise CheckpointError(
                f"{self.folder / CHECKPOINTS}: the run's network is another than the config's. Choose another output "
                f"folder, or the same networks and control.choices to go on with that run. {error}"
            ) from error
        load_optimizer_tensors(self.optimizer, checkpoint.tensors["optimizer"])
        if self.ema is not None:
            if "ema" not in checkpoint.tensors:
                raise CheckpointError(
                    f"{self.folder / CHECKPOINTS}: the run's checkpoints hold no average of the weights. Go on without "
                    "one, with --optimizer.ema_decay null, or choose another output folder."
                )
            averages = checkpoint.tensors["ema"]
            for number, average in enumerate(self.ema.shadow_params):
                average.copy_(averages[str(number)])  # in the parameter's layout, on its device
            self.ema.optimization_step = int(averages["step"])
        logger.info(f"{self.folder}: going on at step {checkpoint.step}")
        return checkpoint.step

    def _save(self, step: int) -> None:
        """The averaged weights for inference, and a checkpoint: of a run whose last checkpoint is there, all is."""
        if self.accelerator.is_main_process:
            with self._averaged():
                self.stage.export(self.folder / WEIGHTS)
            tensors = {
                "network": dict(self.stage.objective.state_dict()),
                "optimizer": optimizer_tensors(self.optimizer),
            }
            if self.ema is not None:
                shadows = {str(number): shadow for number, shadow in enumerate(self.ema.shadow_params)}
                tensors["ema"] = {**shadows, "step": torch.tensor(self.ema.optimization_step)}
            save_checkpoint(
                self.folder / CHECKPOINTS, Checkpoint(step, tensors, self.stage.facts), keep=self.config.keep
            )
        self.accelerator.wait_for_everyone()

    def _validate(self, done: int, writers: list[MetricsFile | TensorBoard]) -> None:
        """Figures of the averaged weights after so many steps; none if it is interrupted."""
        if self.accelerator.is_main_process:
            file = self._figures_file(done)
            file.unlink(missing_ok=True)
            with self._averaged():
                figures = self.stage.validate(file.parent, lambda: self.interruption.requested)
            if figures and not self.interruption.requested:
                record = {"step": done - 1, **figures}
                write_text(file, as_json(record) + "\n")
                for writer in writers:
                    writer.write(record)
        self.accelerator.wait_for_everyone()

    def _complete_figures(self, writers: list[MetricsFile | TensorBoard]) -> None:
        """Does what the run that is resumed did not get to: it has the checkpoint of a step, but not its figures."""
        if not self._is_validated(self.first_step):
            return
        file = self._figures_file(self.first_step)
        if self._any_process(self.accelerator.is_main_process and not file.is_file()):
            self._validate(self.first_step, writers)
        elif self.accelerator.is_main_process:
            for writer in writers:
                writer.write(json.loads(file.read_text("utf-8")))

    def _is_validated(self, done: int) -> bool:
        every = self.config.validation.every
        return every is not None and done > 0 and done % every == 0

    def _figures_file(self, done: int) -> Path:
        return self.folder / SAMPLES / f"step-{done:08d}" / FIGURES

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The averaged weights in the networks while the block runs."""
        if self.ema is None:
            yield
            return
        own = [parameter.detach().clone() for parameter in self.parameters]
        self.ema.copy_to(self.parameters)
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(self.parameters, own, strict=True):
                    parameter.copy_(value)

    # --- many processes, many threads ---------------------------------------------------------------------------------

    @contextmanager
    def _loaded(self, steps: range) -> Iterator[Iterator[Any]]:
        """What ``Stage.load`` gives for every micro-batch of these steps, made one ahead in a thread of its own."""
        wanted = [(step, positions) for step in steps for positions in self.micro_batches]
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="data") as pool:

            def ahead() -> Iterator[Any]:
                following = None
                for place, (step, positions) in enumerate(wanted):
                    current = following or pool.submit(self.stage.load, step, positions)
                    following = pool.submit(self.stage.load, *wanted[place + 1]) if place + 1 < len(wanted) else None
                    yield current.result()

            yield ahead()

    def _any_process(self, value: bool) -> bool:
        if self.accelerator.num_processes == 1:
            return value
        flag = torch.tensor(float(value), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, reduction="sum") > 0)

    def _record(self, window: Window) -> dict[str, Any]:
        return window.record(self._summed(window.loss), self._summed(window.buckets))

    def _summed(self, values: Tensor) -> Tensor:
        """Over all processes."""
        if self.accelerator.num_processes == 1:
            return values
        total: Tensor = self.accelerator.reduce(values.to(self.accelerator.device), reduction="sum")
        return total


def _clear_leftovers(folder: Path) -> None:
    """Takes away what a killed export left."""
    for left in folder.glob(f".{WEIGHTS}-*"):
        shutil.rmtree(left)


def _average(parameters: list[nn.Parameter], decay: float) -> EMAModel:
    return EMAModel(parameters, decay=decay, use_ema_warmup=True, foreach=True)


def _tensors_in(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors of an argument by their names: itself, or the fields of a dataclass."""
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _tensors_in(item, f"{name}.{number}")
    elif hasattr(value, "__dataclass_fields__"):
        for field in value.__dataclass_fields__:
            yield from _tensors_in(getattr(value, field), f"{name}.{field}")
