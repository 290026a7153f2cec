"""llama.cpp's own programs: where they are, and what is read from their output."""

import json
import math
import os
import pathlib
import re
import shutil

from pipeline_steps.errors import INPUT, PipelineError
from pipeline_steps.nkat_options import did_you_mean

ESTIMATE = re.compile(r"Final estimate: PPL = (\S+) \+/- (\S+)")
NO_NUMBER = re.compile(r"(:\s*)-?(?:nan|inf)\b", re.IGNORECASE)  # as C++ prints them, not JSON
SUBFOLDERS = ("", "bin", "build/bin")


class Unreadable(ValueError):
    """What a program printed holds no result; the text says why."""


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


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


def bench_tests(output: str) -> list[dict]:
    """The tests as JSON objects, wherever they stand: some backends print lines of their own before, between and behind them."""
    output = NO_NUMBER.sub(r"\1NaN", output)
    tests, end = [], 0
    for start in (found.start() for found in re.finditer(r"\{", output)):
        if start < end:
            continue
        try:
            test, end = json.JSONDecoder().raw_decode(output, start)
        except (ValueError, RecursionError):
            continue
        if "n_prompt" in test and "n_gen" in test:
            tests.append(test)
    if tests:
        return tests
    raise Unreadable("llama-bench printed no JSON list of tests" + (f"; its last line: {last_line(output)}" if last_line(output) else ""))


def read_bench(output: str, performance) -> dict:
    """Of one run: tokens a second, and what llama-bench says of itself and the device. A speed that it doesn't give is None, and
    its reason in "missing". Raises Unreadable where there is nothing to read."""
    tests = bench_tests(output)
    missing = {}

    def speed(what: str, key: str, other: str):
        test = next((test for test in tests if test[key] and not test[other]), None)
        value = test.get("avg_ts") if test else None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
            return value
        missing[what] = f"llama-bench gave avg_ts {json.dumps(value)} for it" if test else "llama-bench ran no such test"
        return None

    any_test = tests[0]
    # n_gpu_layers is -1 where llama.cpp decides; without a GPU it means nothing.
    gpu = any_test.get("gpu_info") or ""
    return {"prompt_tokens_per_second": speed("prompt", "n_prompt", "n_gen"), "new_tokens_per_second": speed("generation", "n_gen", "n_prompt"),
            "prompt_tokens": performance.prompt_tokens, "new_tokens": performance.new_tokens, "threads": any_test.get("n_threads", "not given"),
            "device": f"{gpu} ({any_test.get('backends', '')})" if gpu else any_test.get("backends", "CPU"),
            "build": f"{any_test.get('build_commit', '')} ({any_test.get('build_number', '')})", "missing": missing}


def perplexity_words(tool: str, file: str, text: pathlib.Path, performance, context: int) -> list[str]:
    """Windows of `context` tokens in a batch of their own, F32 cache: one sequence keeps the short rope factors."""
    windows = max(1, 2 * performance.perplexity_tokens // context)
    return [tool, "-m", file, "-f", str(text), "-c", str(context), "-b", str(context), "--chunks", str(windows), "-t",
            str(performance.threads), "-ctk", "f32", "-ctv", "f32", "-fa", "off"]


def read_perplexity(output: str) -> dict:
    """Raises Unreadable without a finite estimate."""
    found = ESTIMATE.search(output)
    if not found:
        raise Unreadable(last_line(output) or "llama-perplexity printed no estimate")
    values = [float(text) for text in found.groups()]
    if not all(map(math.isfinite, values)):
        raise Unreadable(f"llama-perplexity says: {found[0]}")
    return {"perplexity": values[0], "standard_error": values[1]}
