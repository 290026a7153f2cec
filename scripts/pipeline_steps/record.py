"""What a pipeline has done: OUTPUT_DIR/pipeline.json, one entry a step, replaced atomically after every change.

  {"version": 1, "steps": {NAME: {"state": "started" | "finished" | "failed", "inputs": {...}, "digest": SHA-256 of the inputs,
   "commands": [...], "code": 0 or 5, "message": ..., "result": {...}, "outputs": {PATH: {"size", "mtime_ns", "sha256"}},
   "seconds": ..., "finished_at": ...}}}

An entry counts as done if it is finished, its inputs are those of now, and its outputs are the files that it left.
"""

import hashlib
import json
import os
import pathlib
import time
from datetime import UTC, datetime

from pipeline_steps.errors import INPUT, PipelineError

VERSION = 1
HASHED_INPUT_BYTES = 1 << 30  # larger inputs are told by size and time of change


def digest_of(value) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def file_sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identity(path: pathlib.Path):
    """Of an input: the hash of a file's content, or names, sizes and times of a folder's files."""
    if path.is_dir():
        files = sorted(one for one in path.iterdir() if one.is_file())
        return [[one.name, one.stat().st_size, one.stat().st_mtime_ns] for one in files]
    status = path.stat()
    return file_sha256(path) if status.st_size <= HASHED_INPUT_BYTES else [status.st_size, status.st_mtime_ns]


class Record:
    def __init__(self, folder: pathlib.Path):
        self.path = folder / "pipeline.json"
        self.steps: dict[str, dict] = {}
        if self.path.exists():
            self.steps = self._read()

    def _read(self) -> dict:
        try:
            content = json.loads(self.path.read_text())
            steps = content["steps"]
            if content["version"] != VERSION or not all(entry["state"] and entry["digest"] for entry in steps.values()):
                raise ValueError("another version or form")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PipelineError(INPUT, f"{self.path}: not a pipeline's record ({error}); delete it and all steps are done again "
                                       "(training goes on from its checkpoints; delete those too if the data or the model has changed)") from None
        return steps

    def finished(self, name: str, digest: str) -> dict | None:
        entry = self.steps.get(name)
        if entry is None or entry["state"] != "finished" or entry["digest"] != digest:
            return None
        return entry if all(map(is_unchanged, entry["outputs"].items())) else None

    def start(self, name: str, digest: str, inputs: dict) -> None:
        self.steps[name] = {"state": "started", "digest": digest, "inputs": inputs}
        self._write()

    def finish(self, name: str, entry: dict, outputs: list[pathlib.Path]) -> dict:
        found = {}
        for path in outputs:
            status = path.stat()
            found[str(path)] = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": file_sha256(path)}
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.steps[name] |= {**entry, "outputs": found, "finished_at": now}
        self._write()
        return self.steps[name]

    def keep_only(self, names: list[str]) -> None:
        """Forgets steps that the config no longer has."""
        if set(self.steps) - set(names):
            self.steps = {name: entry for name, entry in self.steps.items() if name in names}
            self._write()

    def _write(self) -> None:
        replace(self.path, json.dumps({"version": VERSION, "steps": self.steps}, indent=1).encode())


def is_unchanged(output: tuple[str, dict]) -> bool:
    path, saved = pathlib.Path(output[0]), output[1]
    if not path.exists():
        return False
    status = path.stat()
    return (status.st_size, status.st_mtime_ns) == (saved["size"], saved["mtime_ns"])


def replace(path: pathlib.Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


class Clock:
    def __init__(self):
        self.begin = time.monotonic()

    def seconds(self) -> float:
        return round(time.monotonic() - self.begin, 3)
