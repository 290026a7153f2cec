"""llama.cpp's own programs: where they are, and what is read from their output."""

import json
import os
import pathlib
import re
import shutil

from pipeline_steps.errors import INPUT, PipelineError
from pipeline_steps.nkat_options import did_you_mean

ESTIMATE = re.compile(r"Final estimate: PPL = ([0-9.]+) \+/- ([0-9.]+)")
SUBFOLDERS = ("", "bin", "build/bin")


def find_tool(name: str, folder: str) -> str | None:
    """In `folder`, its bin or build/bin; else in PATH."""
    for inside in SUBFOLDERS if folder else ():
        path = pathlib.Path(folder) / inside / name
        if os.access(path, os.X_OK):
            return str(path)
    return shutil.which(name)


def check_folder(folder: str) -> None:
    tools = ("llama-bench", "llama-perplexity")
    if folder and not any(os.access(pathlib.Path(folder) / inside / tool, os.X_OK) for inside in SUBFOLDERS for tool in tools):
        entries = [path.name for path in pathlib.Path(folder).iterdir()]
        raise PipelineError(INPUT, f"llama_cpp: {folder} holds neither llama-bench nor llama-perplexity, nor do its bin and "
                                   f"build/bin{did_you_mean('llama-bench', entries)}")


def bench_words(tool: str, file: str, performance) -> list[str]:
    return [tool, "-m", file, "-p", str(performance.prompt_tokens), "-n", str(performance.new_tokens), "-t",
            str(performance.threads), "-r", "1", "-o", "json"]


def read_bench(output: str) -> dict:
    """Of one run: tokens a second, and what llama-bench says of itself and the device."""
    tests = json.loads(output)
    prompt = next(test for test in tests if test["n_prompt"] and not test["n_gen"])
    answer = next(test for test in tests if test["n_gen"] and not test["n_prompt"])
    # n_gpu_layers is -1 where llama.cpp decides; without a GPU it means nothing.
    gpu = prompt.get("gpu_info") or ""
    return {"prompt_tokens_per_second": prompt["avg_ts"], "new_tokens_per_second": answer["avg_ts"],
            "prompt_tokens": prompt["n_prompt"], "new_tokens": answer["n_gen"], "threads": prompt["n_threads"],
            "device": f"{gpu} ({prompt.get('backends', '')})" if gpu else prompt.get("backends", "CPU"),
            "build": f"{prompt.get('build_commit', '')} ({prompt.get('build_number', '')})"}


def perplexity_words(tool: str, file: str, text: pathlib.Path, performance, context: int) -> list[str]:
    """Windows of `context` tokens in a batch of their own, F32 cache: one sequence keeps the short rope factors."""
    windows = max(1, 2 * performance.perplexity_tokens // context)
    return [tool, "-m", file, "-f", str(text), "-c", str(context), "-b", str(context), "--chunks", str(windows), "-t",
            str(performance.threads), "-ctk", "f32", "-ctv", "f32", "-fa", "off"]


def read_perplexity(output: str) -> dict | None:
    found = ESTIMATE.search(output)
    return {"perplexity": float(found[1]), "standard_error": float(found[2])} if found else None
