"""The shared libraries of the built program where its own folders are absent: a build that was carried to another machine takes
LibTorch from that machine's Python."""
import importlib.util
import os
import pathlib
import subprocess

from bench_parts.measure import ROOT


def find():
    """Adds the folders of this Python's torch and nvidia packages to LD_LIBRARY_PATH, where the project's own .venv is absent."""
    spec = importlib.util.find_spec("torch")
    if (ROOT / ".venv").exists() or spec is None:
        return
    packages = pathlib.Path(spec.origin).parents[1]
    folders = [packages / "torch" / "lib", *sorted((packages / "nvidia").glob("*/lib"))]
    os.environ["LD_LIBRARY_PATH"] = ":".join([*map(str, folders), os.environ.get("LD_LIBRARY_PATH", "")]).rstrip(":")


def missing(program):
    """What the program can't be loaded without, and what to do, or "" """
    lines = subprocess.run(["ldd", str(program)], capture_output=True, text=True).stdout.splitlines()
    names = [line.split()[0] for line in lines if "not found" in line]
    return f"{program}: {', '.join(names)} not found; install them, or name their folders in LD_LIBRARY_PATH" if names else ""
