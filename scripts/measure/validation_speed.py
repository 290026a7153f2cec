#!/usr/bin/env -S sh -c 'exec "$(dirname "$0")/../../.venv/bin/python" "$0" "$@"'
"""Makes run folders as long as real ones (simulated forces, random rotations) and validates them: seconds and peak memory.

  cost     1.2 GB of disk for 5,000 steps x 32 layers x 100 checkpoints, a minute or two
  command  scripts/measure/validation_speed.py WORK-FOLDER
"""
import argparse
import hashlib
import json
import pathlib
import resource
import subprocess
import sys
import time

import numpy
from safetensors.numpy import save

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAYERS, HIDDEN = 32, 3072
FIRST_MOMENT_DECAY, SECOND_MOMENT_DECAY, RATE = 0.9, 0.999, 5e-3


def simulated_series(steps: int, seed: int):
    """alpha and force, (steps, LAYERS): the force rises from 0 to 0.5 at a fifth of the run, Adam drives the gate."""
    random = numpy.random.default_rng(seed)
    alpha = numpy.full(LAYERS, -5.0)
    first, second = numpy.zeros(LAYERS), numpy.zeros(LAYERS)
    alphas, forces = numpy.empty((steps, LAYERS)), numpy.empty((steps, LAYERS))
    for step in range(steps):
        force = random.normal(0.5 if step >= steps // 5 else 0.0, 1.0, LAYERS)
        alphas[step], forces[step] = alpha, force
        gate = 1 / (1 + numpy.exp(-alpha))
        gradient = -force * gate * (1 - gate)
        first = FIRST_MOMENT_DECAY * first + (1 - FIRST_MOMENT_DECAY) * gradient
        second = SECOND_MOMENT_DECAY * second + (1 - SECOND_MOMENT_DECAY) * gradient**2
        corrected = second / (1 - SECOND_MOMENT_DECAY ** (step + 1))
        alpha = alpha - RATE * first / (1 - FIRST_MOMENT_DECAY ** (step + 1)) / (numpy.sqrt(corrected) + 1e-12)
    return alphas, forces


def write_metrics(path: pathlib.Path, alphas, forces):
    with path.open("w") as file:
        for index, (alpha, force) in enumerate(zip(alphas.astype(numpy.float32), forces.astype(numpy.float32))):
            line = {"step": index + 1, "loss": 2 + 1 / (index + 1), "triality": 0.1, "lambda": 0.1, "tokens": 8192, "target_tokens": 4096,
                    "grad_norm": 1.0, "weight_grad_rms": 1e-6, "learning_rate": 1e-3, "alpha_learning_rate": RATE,
                    "alpha": [float(a) for a in alpha], "gate_force": [float(f) for f in force], "step_seconds": 8.0,
                    "tokens_per_second": 1024.0, "memory_bytes": 10 << 30}
            if (index + 1) % 100 == 0:
                line["validation_loss"] = 2.1
            file.write(json.dumps(line) + "\n")


def write_checkpoint(folder: pathlib.Path, step: int, alphas, forces, random):
    folder.mkdir(parents=True)
    weights = {f"layers.{i}.so8t.weight": random.normal(0, 0.3, (HIDDEN // 8, 8, 8)).astype(numpy.float32) for i in range(LAYERS)}
    gates = {f"layers.{i}.so8t.alpha": alphas[min(step, len(alphas) - 1), i].astype(numpy.float32) for i in range(LAYERS)}
    moments = {f"{moment}_moment.weight": numpy.zeros((LAYERS, HIDDEN // 8, 8, 8), numpy.float32) for moment in ("first", "second")}
    series = {"series.alpha": alphas[:step].astype(numpy.float32), "series.gate_force": forces[:step].astype(numpy.float32)}
    config = {"peft_type": "NKAT_SO8T", "version": 1, "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "first_adapter_layer": 0,
              "base_model_name_or_path": "simulated", "base_sha256": ""}
    files = {"adapter_model.safetensors": save({**weights, **gates}), "adapter_config.json": json.dumps(config).encode(),
             "trainer_state.safetensors": save({**moments, **series}), "trainer_state.json": json.dumps({"version": 1, "step": step}).encode()}
    manifest = {name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in files.items()}
    for name, content in {**files, "manifest.json": json.dumps({"version": 1, "files": manifest}).encode()}.items():
        (folder / name).write_bytes(content)


def make_run(folder: pathlib.Path, steps: int, checkpoints: int):
    if (folder / "config.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    alphas, forces = simulated_series(steps, seed=0)
    write_metrics(folder / "metrics.jsonl", alphas, forces)
    random = numpy.random.default_rng(1)
    for step in range(0, steps + 1, steps // checkpoints) if checkpoints else []:
        write_checkpoint(folder / "checkpoints" / f"step-{step:06}", step, alphas, forces, random)
    (folder / "config.json").write_text(json.dumps({"nkat_run": 1, "max_steps": steps, "alpha_init": -5.0, "control": "none"}))


def measure(run: pathlib.Path):
    command = [ROOT / "build" / "nkat", "validate", "--checkpoint-dir", run, "--output-report", run / "report.html",
               "--plot-phase-transition", run / "plot.png"]
    before = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - before
    if done.returncode != 0:
        sys.exit(done.stderr)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
    return seconds, peak, done.stdout.splitlines()[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    work = parser.parse_args().work
    print("| run | seconds | peak MiB of all so far | verdict |\n|---|---|---|---|")
    for name, steps, checkpoints in (("5,000 steps, 100 checkpoints", 5000, 100), ("50,000 steps, metrics alone", 50000, 0)):
        make_run(work / f"steps-{steps}", steps, checkpoints)
        seconds, peak, verdict = measure(work / f"steps-{steps}")
        print(f"| {name}, {LAYERS} layers | {seconds:.1f} | {peak:.0f} | {verdict} |")


if __name__ == "__main__":
    main()
