#!/usr/bin/env -S sh -c 'exec "$(dirname "$0")/../../.venv/bin/python" "$0" "$@"'
"""Where the time of training steps on the CPU goes: the ten largest costs, by sampling with Linux perf.

  cost     a minute on 2 cores, 2 GiB of memory; needs `perf` (Debian: linux-perf) and the right to sample (root, or
           kernel.perf_event_paranoid <= 1)
  command  scripts/measure/profile_step.py WORK-FOLDER [--nkat build/nkat] [--steps 2]

The model, data and settings of scripts/measure/bench.py. Code that oneDNN generates while it runs has no names: it counts as one.
Shares are of the processors' time: a thread that sleeps while it waits takes none, and the line below the table says how much
of the threads' time that was. Prints the table and writes WORK-FOLDER/profile.json.
"""
import argparse
import datetime
import json
import pathlib
import resource
import shutil
import subprocess
import sys
import time

from bench_parts import profile_kinds
from bench_parts.measure import NKAT, THREADS
from bench_parts.peers import LONGEST, SAMPLES, SHORTEST
from bench_parts.random_model import make_model, sized
from bench_parts.samples import write_samples


def costs(data):
    """Share of samples by kind."""
    words = ["perf", "report", "-i", data, "--no-children", "--sort", "dso,symbol", "-g", "none", "--stdio"]
    return profile_kinds.shares(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--nkat", type=pathlib.Path, default=NKAT)
    parser.add_argument("--steps", type=int, default=2)
    options = parser.parse_args()
    if shutil.which("perf") is None:
        sys.exit("perf is missing; on Debian: apt-get install linux-perf")
    options.work.mkdir(parents=True, exist_ok=True)
    make_model(options.work / "model", sized(768, 8))
    write_samples(options.work, SAMPLES, SHORTEST, LONGEST)
    data, run = options.work / "perf.data", options.work / "profile-run"
    subprocess.run(["rm", "-rf", run], check=True)
    begin = time.perf_counter()
    recorded = subprocess.run(
        ["perf", "record", "-F", "499", "-o", data, options.nkat, "train", "--model-path", options.work / "model", "--train-data",
         options.work / "text.jsonl", "--output-dir", run, "--max-steps", str(options.steps), "--max-sequence-length", str(LONGEST),
         "--gradient-accumulation", str(SAMPLES), "--precision", "bf16", "--device", "cpu"], capture_output=True, text=True)
    wall, used = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if recorded.returncode != 0:
        sys.exit(recorded.stderr[-2000:])
    busy = (used.ru_utime + used.ru_stime) / (wall * THREADS)
    shares = costs(data)
    record = {"date": datetime.date.today().isoformat(), "threads": THREADS, "steps": options.steps, "busy": busy,
              "percent": {name: round(share, 1) for name, share in shares.most_common()}}
    (options.work / "profile.json").write_text(json.dumps(record, indent=2) + "\n")
    print("| cost | share of the time |\n|---|---|")
    for name, share in profile_kinds.rows(shares):
        print(f"| {name} | {share:.1f} % |")
    print(f"\n{THREADS} threads were at work in {100 * busy:.0f} % of their time, start-up included; else they slept or others had the processor.")


main()
