#!/usr/bin/env -S sh -c 'exec "$(dirname "$0")/../../.venv/bin/python" "$0" "$@"'
"""How long our encoders take beside libggml's, both on one thread: best of five turns each.

Prints a table of ratios (below 1: ours is faster) by type and instructions.
  cost     two minutes, 200 MiB of memory
  command  scripts/measure/bench_quantize.py [avx2|plain ...]      (needs build/nkat: scripts/build)
Without xllamacpp, whose libggml is measured, it says so and exits with 0.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ["NUMPY_MADVISE_HUGEPAGE"] = "0"  # libggml's rows in pages of the size that ours lie in
import numpy as np  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))
import libggml  # noqa: E402

LENGTH = 8192
ROUNDS = 5
RUNS_A_TURN = 2  # the second finds the processor awake and its pages near


def ratio(ggml, program, kind, instructions, importance, folder):
    slow = importance is not None or kind.endswith("K")
    rows = libggml.make_rows(np.random.default_rng(0), "normal", 128 if slow else 2048, LENGTH)
    rows.tofile(folder / "rows")
    words = [program, "time", kind, str(LENGTH), instructions, folder / "rows"]
    if importance is not None:
        importance.tofile(folder / "importance")
        words.append(folder / "importance")
    out = ggml.encode(kind, rows[:1], importance).repeat(len(rows), axis=0)
    ours, theirs = [], []
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(ROUNDS):
            for _ in range(RUNS_A_TURN):
                process.stdin.write("\n")
                process.stdin.flush()
                ours.append(float(process.stdout.readline()))
            for _ in range(RUNS_A_TURN):
                begin = time.perf_counter()
                ggml.encode(kind, rows, importance, out)
                theirs.append(time.perf_counter() - begin)
    return min(ours) / min(theirs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("instructions", nargs="*", default=["avx2", "plain"])
    options = parser.parse_args()
    ggml = libggml.find()
    if ggml is None:
        print("skipped: xllamacpp is not installed")
        return
    program = ROOT / "build" / "tests" / "support" / "nkat_quantize_rows"
    weights = libggml.make_importance(np.random.default_rng(1), "gamma", LENGTH)
    print(f"{'type':<6}{'importance':<12}{'instructions':<14}{'our time / libggml':>20}")
    with tempfile.TemporaryDirectory() as folder:
        for instructions in options.instructions:
            for kind in libggml.TYPES:
                for importance in [None, weights] if kind in libggml.WEIGHTED else [None]:
                    value = ratio(ggml, program, kind, instructions, importance, pathlib.Path(folder))
                    print(f"{kind:<6}{'no' if importance is None else 'yes':<12}{instructions:<14}{value:>20.2f}", flush=True)


main()
