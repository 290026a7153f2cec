#!/usr/bin/env -S sh -c 'exec "$(dirname "$0")/../../.venv/bin/python" "$0" "$@"'
"""Where the time of training steps on the CPU goes: the ten largest costs, by sampling with Linux perf, nkat beside transformers.

  cost     two minutes on 2 cores, 3 GiB of memory; with SmolLM2 ten; needs `perf` (Debian: linux-perf) and the right to
           sample (root, or kernel.perf_event_paranoid <= 1)
  command  scripts/measure/profile_step.py WORK-FOLDER [--model FILE.gguf] [--precision bf16] [--batch 1] [--steps 2] [--small]

The model, data and settings of scripts/measure/bench.py: its random model, or with --model its part `pretrained`. --batch: that
of transformers with the adapter as hooks. Sampled from the end of the first, warming step to the end of the process. Code that
oneDNN generates while it runs has no names: it counts as one. Seconds are the processors': a thread that sleeps while it waits
takes none, and the line below the table says how much of the threads' time that was. Prints the table and writes
WORK-FOLDER/profile.json. --small: a tiny global batch, to try the script.
"""
import argparse
import collections
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from bench_parts import measure, peers, pretrained, profile_kinds
from bench_parts.measure import THREADS
from bench_parts.random_model import SMALL, make_model, sized

TICK = os.sysconf("SC_CLK_TCK")


def shares(data):
    """Share of samples by kind."""
    words = ["perf", "report", "-i", data, "--no-children", "--sort", "dso,symbol", "-g", "none", "--stdio"]
    return profile_kinds.shares(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def processor_seconds(process):
    """User and system time so far."""
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def profile(command, is_warm, folder, steps):
    """Seconds a step by kind, and how busy the threads were, from when the command is warm to its end."""
    log, data = folder / "profile.log", folder / "perf.data"
    with log.open("w") as output, subprocess.Popen(list(map(str, command)), stdout=output, stderr=output) as child:
        while child.poll() is None and not is_warm():
            time.sleep(0.01)
        if child.poll() is not None:
            raise measure.Failed(command, child.returncode, log.read_text())
        with subprocess.Popen(["perf", "record", "-F", "499", "-o", data, "-p", str(child.pid)], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL):
            begin, used = time.perf_counter(), processor_seconds(child.pid)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            wall, used = time.perf_counter() - begin, usage.ru_utime + usage.ru_stime - used
    if child.returncode != 0:
        raise measure.Failed(command, child.returncode, log.read_text())
    seconds = collections.Counter({name: share / 100 * used / steps for name, share in shares(data).items()})
    return {"seconds": seconds, "wall_seconds": wall / steps, "busy": used / (wall * THREADS)}


def profile_nkat(training, base):
    run = peers.nkat_run(training, base, "auto")
    shutil.rmtree(run.folder, ignore_errors=True)
    metrics = run.folder / "metrics.jsonl"
    return profile([measure.NKAT, "train", *run.words()], lambda: metrics.exists() and metrics.stat().st_size, training.folder, training.steps)


def profile_transformers(training, base, batch):
    warm = training.folder / "warm"
    warm.unlink(missing_ok=True)
    return profile([*peers.baseline_words(training, base, "adapter", batch), "--warm", warm], warm.exists, training.folder, training.steps)


def shown(found):
    table = []
    for name, seconds in profile_kinds.beside([one["seconds"] for one in found.values()]):
        cells = [(f"{value:.2f}", f"{100 * value / one['seconds'].total():.1f} %") for value, one in zip(seconds, found.values())]
        table.append((name, *(cell for pair in cells for cell in pair)))
    header = ["cost", *(cell for name in found for cell in (f"{name}, s a step", "share"))]
    lines = [f"{name}: {THREADS} threads were at work in {100 * one['busy']:.0f} % of {one['wall_seconds']:.2f} s a step; else they slept or others "
             "had the processor." for name, one in found.items()]
    return measure.markdown(header, table) + "\n" + "\n".join(lines)


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--precision", choices=pretrained.QUANTIZATIONS, default="bf16")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--small", action="store_true")
    return parser.parse_args()


def main():
    options = read_options()
    if shutil.which("perf") is None:
        sys.exit("perf is missing; on Debian: apt-get install linux-perf")
    options.work.mkdir(parents=True, exist_ok=True)
    if options.model:
        base = pretrained.exported_base(options.work, options.model, options.precision)
    else:
        model = make_model(options.work / "model", SMALL if options.small else sized(768, 8))
        base = peers.Base(model, model, options.precision)
    training = peers.write_training(options.work, options, base.theirs)
    found = {"nkat": profile_nkat(training, base), "transformers": profile_transformers(training, base, options.batch)}
    record = {"date": datetime.date.today().isoformat(), "threads": THREADS, "model": base.ours.name, "precision": options.precision,
              "batch": options.batch, "steps": options.steps, "profiles": found}
    (options.work / "profile.json").write_text(json.dumps(record, indent=2) + "\n")
    print(measure.origin() + "\n" + shown(found))


try:
    main()
except measure.Failed as error:
    sys.exit(str(error))
