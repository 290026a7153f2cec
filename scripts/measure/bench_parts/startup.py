"""From the start of the program to the end of its first step (one sample of 64 tokens), beside transformers.

nkat twice: the first start hashes the base, the later ones take the hash from its cache.
"""
import json
import shutil
import subprocess
import sys
import time

from bench_parts import measure
from bench_parts.plots import Bars
from bench_parts.random_model import FULL_SIZE, SMALL, make_model
from bench_parts.samples import write_full_samples

LENGTH = 64


def first_step_of_nkat(work, model, data):
    """Seconds until the first line of metrics is written."""
    shutil.rmtree(work / "run", ignore_errors=True)
    run = measure.Run(
        model, data, work / "run", {"max_steps": 1, "gradient_accumulation": 1, "max_sequence_length": LENGTH, "precision": "bf16", "device": "cpu"}
    )
    metrics = work / "run" / "metrics.jsonl"
    begin = time.perf_counter()
    with (work / "startup.log").open("w") as log, subprocess.Popen([str(measure.NKAT), "train", *map(str, run.words())], stderr=log) as child:
        while child.poll() is None and not (metrics.exists() and metrics.stat().st_size):
            time.sleep(0.02)
        seconds = time.perf_counter() - begin
    if child.returncode != 0:
        raise measure.Failed(["nkat", "train"], child.returncode, (work / "startup.log").read_text())
    return seconds


def first_step_of_transformers(work, model):
    """Seconds until bench_baseline, told to do one step, has printed its result."""
    command = [sys.executable, measure.ROOT / "scripts" / "measure" / "bench_baseline.py", "adapter", model, work / "startup.json", "--steps", 0]
    begin = time.perf_counter()
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        line = child.stdout.readline()
        seconds = time.perf_counter() - begin
    if child.returncode != 0 or not line:
        raise measure.Failed(command, child.returncode, "see its own messages")
    return seconds


def run(work, settings):
    model = settings.full_model or make_model(work / ("small" if settings.small else "full"), SMALL if settings.small else FULL_SIZE)
    data = write_full_samples(work / "startup.jsonl", 1, LENGTH)
    (work / "startup.json").write_text(json.dumps([[list(range(3, 3 + LENGTH))]]))
    unhashed = first_step_of_nkat(work, model, data)
    ours, theirs = [], []
    for _ in range(settings.rounds):
        ours.append(first_step_of_nkat(work, model, data))
        theirs.append(first_step_of_transformers(work, model))
    ratio = measure.ratios(ours, theirs)
    record = {"model": model.name, "seconds_unhashed": unhashed, "seconds": ours, "transformers_seconds": theirs, "ratio": ratio}
    rows = [
        ("program start to first step over transformers'", measure.shown(ratio)),
        (
            "the first start, which hashes the base (unless its cache holds it), over the later ones",
            f"{unhashed / measure.spread(ours)['median']:.2f}",
        ),
    ]
    first = unhashed / measure.spread(theirs)["median"]
    bars = Bars(
        "program start to first step",
        "time over transformers'",
        [("first start", first, first, first), ("later starts", ratio["median"], *ratio["range"])],
        1.0,
    )
    return record, measure.markdown(("start-up", "ratio"), rows), [bars]
