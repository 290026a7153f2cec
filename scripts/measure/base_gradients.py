#!/usr/bin/env -S sh -c 'exec "$(dirname "$0")/../../.venv/bin/python" "$0" "$@"'
"""What `--base balanced|aggressive` does to the adapter's gradients: their cosine to those of the safe base, layer by layer.

  cost     about 3 minutes on 2 cores
  command  scripts/measure/base_gradients.py WORK-FOLDER [--precision bf16|fp32] [--bases safe balanced aggressive ...] [--samples 32]
           (needs build/nkat and build/tests/support/nkat_base_gradients)

Three models: the shipped one; the same with outlier channels (bench_parts/outlier_channels.py), which is the same function;
and a random one of hidden 384 and 8 layers. The adapter of the first two is that of the demo's run after 40 steps, half way
through its opening; the random model's is one step old. Two sets of samples each: training and held-out. M is the gradient
by the blocks, W by the rotations' weights. A base may also be a form for each matrix, as tests/support/base_gradients.cpp
reads it. Writes WORK-FOLDER/base_gradients.json and .md; prints the tables.
"""
import argparse
import json
import pathlib
import sys

from bench_parts import measure
from bench_parts.outlier_channels import make_outlier_model
from bench_parts.random_model import make_model, sized

DEMO = measure.ROOT / "data" / "demo"
PROGRAM = measure.ROOT / "build" / "tests" / "support" / "nkat_base_gradients"
WANTED = {"balanced": 0.99, "aggressive": 0.95}
LENGTH = 160  # tokens of the longest sample


def first_lines(source, target, count):
    target.write_text("".join(line + "\n" for line in source.read_text().splitlines()[:count]))
    return target


def trained_adapter(work, model, name, **changes):
    options = {"precision": "fp32", "device": "cpu", "max_steps": 60, "batch_size": 8, "gradient_accumulation": 1, "max_sequence_length": LENGTH,
               "learning_rate": 5e-2, "warmup_steps": 10, "annealing_warmup": 20, "checkpoint_every": 40, **changes}
    measure.train(measure.Run(model, DEMO / "train.jsonl", work / name, options))
    return work / name


def measure_bases(model, adapter, data, precision, bases):
    out, _ = measure.measured([PROGRAM, model, adapter, data, LENGTH, precision, *bases])
    return [json.loads(line) for line in out.splitlines()]


def table(rows):
    layers = max(len(row["M"]) for row in rows)
    return measure.markdown(
        ("model", "samples", "base", "gradient", "lowest", "wanted", *(f"layer {index}" for index in range(layers))),
        [
            (
                row["model"],
                row["samples"],
                row["base"],
                what,
                f"{min(row[what]):.4f}",
                WANTED.get(row["base"], ""),
                *(f"{cosine:.4f}" for cosine in row[what]),
            )
            for row in rows
            for what in ("M", "W")
        ],
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--bases", nargs="+", default=list(WANTED))
    parser.add_argument("--samples", type=int, default=32)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    run = trained_adapter(options.work, DEMO / "model", "demo-run")
    random = make_model(options.work / "random", sized(384, 8, vocabulary=1600))
    models = {"demo": (DEMO / "model", run / "checkpoints" / "step-000040"),
              "demo with outlier channels": (make_outlier_model(DEMO / "model", options.work / "outliers"), run / "checkpoints" / "step-000040"),
              "random, 384 x 8": (random, trained_adapter(options.work, random, "random-run", max_steps=1) / "adapter")}
    samples = {name: first_lines(DEMO / f"{name}.jsonl", options.work / f"{name}.jsonl", options.samples) for name in ("train", "validation")}
    rows = []
    for name, (model, adapter) in models.items():
        for which, data in samples.items():
            rows += [{"model": name, "samples": which, **row} for row in measure_bases(model, adapter, data, options.precision, options.bases)]
            print(f"{name}, {which}: measured", file=sys.stderr)
    (options.work / "base_gradients.json").write_text(json.dumps({"precision": options.precision, "wanted": WANTED, "rows": rows}, indent=2) + "\n")
    text = table(rows)
    (options.work / "base_gradients.md").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
