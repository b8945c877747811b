"""Runs workflows that need downloads on random weights of full size: ``python tests/host/prove_full_size.py FOLDER``.

Weights of the published networks' shapes (full_size_weights.py, 8 GB) are written to FOLDER, where they are kept, and
named to a ComfyUI by an extra_model_paths.yaml. full_svd and sam_clicks run once each over the API: their videos are
opened, and the log must not say that a control could not be applied. wan_move_through_tracks runs up to the TRACKS that
enter its node, which are checked by value. Times and the server's memory are printed; pictures of random weights mean
nothing. Networks stay in half precision and compute in single. 64 px is the smallest side that the video UNet takes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from prove_memory import with_inputs
from server import PACK, Host, Server
from told_tracks import require_told_tracks
from workflow_parts import HOST_PICTURE, MODELS

from draganything_core.video import read_video

GIB = 2**30
NOT_APPLIED = "control could not be applied"
WORKFLOWS = ("full_svd", "sam_clicks", "wan_move_through_tracks")
PATHS = """random_weights:
  base_path: {folder}
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("folder", type=Path, help="for the weights, 8 GB")
    parser.add_argument("--workflows", nargs="+", choices=WORKFLOWS, default=list(WORKFLOWS))
    parser.add_argument("--size", type=int, default=64, help="pixels, both sides of full_svd's video (default: 64)")
    parser.add_argument("--frames", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--most-memory", type=float, default=14, help="GiB; beyond, the server is ended (default: 14)")
    options = parser.parse_args()
    host, models = Host.find("segment_anything"), options.folder.absolute() / "models"
    if not all((models / model.folder / model.name).exists() for model in MODELS):
        script = Path(__file__).with_name("full_size_weights.py")
        subprocess.run([host.python, script, host.folder, PACK, models], cwd=host.folder, check=True)
    settings = write_model_paths(models)
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(temporary) / "comfyui"
        (base / "input").mkdir(parents=True)
        shutil.copy(host.folder / "input" / HOST_PICTURE, base / "input")
        flags = ["--extra-model-paths-config", str(settings), "--fp16-unet"]
        with Server(host, base, options=flags) as server:
            print(f"server up: {memory(server)}", flush=True)
            for name in options.workflows:
                prove(server, name, options)
    return 0


def write_model_paths(models: Path) -> Path:
    """The file that names a folder of weights to the host, with empty files for what is chosen and never loaded."""
    for model in MODELS:
        for file in model.files(models):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    folders = sorted({model.folder for model in MODELS})
    lines = [PATHS.format(folder=models), *(f"  {folder}: {folder}\n" for folder in folders)]
    path = models.parent / "extra_model_paths.yaml"
    path.write_text("".join(lines))
    return path


def prove(server: Server, name: str, options: argparse.Namespace) -> None:
    """Runs a workflow and says what it took. Raises RunFailedError or SystemExit where it does not do as it should."""
    prompt = json.loads((PACK / "workflows" / "api" / f"{name}.json").read_text(encoding="utf-8"))
    start = time.monotonic()
    with Watch(server, options.most_memory * GIB) as watch:
        if name == "wan_move_through_tracks":
            found = require_told_tracks(server, prompt)
        else:
            side = {"width": options.size, "height": options.size} if name == "full_svd" else {}
            outputs = server.run(with_inputs(prompt, frames=options.frames, steps=options.steps, **side))
            found = f"video {video_shape(server, outputs, options.frames)}"
    if NOT_APPLIED in server.log:
        raise SystemExit(f"{name}: {NOT_APPLIED}")
    print(
        f"{name}: {found}; {time.monotonic() - start:.0f} s, {watch.peak / GIB:.2f} GiB of its own at most", flush=True
    )
    print(f"    after it: {memory(server)}", flush=True)


def video_shape(server: Server, outputs: dict[str, Any], frames: int) -> tuple[int, ...]:
    (saved,) = (
        file for results in outputs.values() for file in results.get("images", []) if file["filename"].endswith(".mp4")
    )
    video = read_video(server.file(saved))[0]
    if len(video) != frames:
        raise SystemExit(f"the video has {len(video)} frames, asked for were {frames}")
    return tuple(video.shape)


class Watch:
    """Looks at a server's memory twice a second, and ends the server where it takes more than it may.

    Counted, as in ``peak``, is what the process itself asked for, not the pages of weight files that it reads from.
    """

    def __init__(self, server: Server, most: float) -> None:
        self.server, self.most = server, most
        self.peak = 0.0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    def _look(self) -> None:
        while not self.done.wait(0.5):
            used = resident(self.server)["RssAnon"]
            self.peak = max(self.peak, used)
            if used > self.most:
                print(f"ended: {memory(self.server)}, more than {self.most / GIB:.0f} GiB", flush=True)
                self.server.process.kill()
                return


def resident(server: Server) -> dict[str, float]:
    """Bytes in memory: the process's own (RssAnon), of files (RssFile), both (VmRSS), and their most so far (VmHWM)."""
    status = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in status)
    return {name: float(fields[name].split()[0]) * 1024 for name in ("RssAnon", "RssFile", "VmRSS", "VmHWM")}


def memory(server: Server) -> str:
    used = {name: size / GIB for name, size in resident(server).items()}
    return (
        f"{used['VmRSS']:.2f} GiB in memory ({used['RssAnon']:.2f} its own, {used['RssFile']:.2f} of files), "
        f"most so far {used['VmHWM']:.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
