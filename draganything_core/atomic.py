"""Files that are whole or absent: written beside their place, flushed to disk, then renamed over it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path | str) -> Iterator[Path]:
    """A temporary path in the target's folder that replaces the target when the block ends without an error.

    It keeps the target's suffix, for writers that choose a format by it. On an error the target is left as it was.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(_usual_mode(target))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(target: Path | str) -> Iterator[Path]:
    """A temporary folder beside the target that takes its place when the block ends without an error.

    Of a folder that is there already, nothing is kept. Two renames are needed then: a run killed between them leaves
    the former folder under a hidden name beside the target.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with file.open("rb") as written:
                    os.fsync(written.fileno())
        temporary.chmod(0o777 & ~UMASK)
        former = temporary.with_name(f"{temporary.name}-former")
        if target.exists():
            target.replace(former)
        temporary.replace(target)
        shutil.rmtree(former, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_bytes(target: Path | str, data: bytes) -> None:
    """Writes data to the target, whole or not at all."""
    with replacing(target) as temporary:
        temporary.write_bytes(data)


def write_text(target: Path | str, text: str) -> None:
    """Writes text as UTF-8 to the target, whole or not at all."""
    write_bytes(target, text.encode("utf-8"))


def _usual_mode(target: Path) -> int:
    """The permissions of the file that is replaced, or those a new file gets: mkstemp's own are the owner's alone."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    return 0o666 & ~UMASK


def _read_umask() -> int:
    # The only way to read the umask is to set it, which is not safe once there are threads: so it is read at import.
    mask = os.umask(0)
    os.umask(mask)
    return mask


UMASK = _read_umask()
