#!/usr/bin/env -S sh -c 'exec "$(dirname "$0")/../../.venv/bin/python" "$0" "$@"'
"""The plan's peak of memory beside the one that a training run reaches, over models, lengths, packings, recomputation,
number types and base kinds. Every sample is as long as the limit, and the packing is full: what the plan takes for granted.

  cost     about 6 minutes on 2 cores, 3 GiB of memory, 1 GB of disk; --few: half a minute
  command  scripts/measure/plan_accuracy.py WORK-FOLDER [--few] [--device cpu|cuda:0]

Measured: the largest `memory_bytes` of two steps, what LibTorch's tensors hold (on a GPU: what its allocator reserves).
Base kinds are those that `nkat plan --help` lists. Writes WORK-FOLDER/plan_accuracy.json and .md, prints the table; exits 1
if a plan is off by more than 5 %.
"""
import argparse
import itertools
import json
import pathlib
import sys

from bench_parts import measure
from bench_parts.random_model import make_model, sized
from bench_parts.samples import write_full_samples

LIMIT = 0.05
# The last one's head outweighs its layers, as Phi-3.5's does not.
MODELS = {"256 x 6": sized(256, 6, vocabulary=1600), "768 x 4": sized(768, 4, vocabulary=4096), "384 x 3": sized(384, 3)}
FEW = {"256 x 4": sized(256, 4, vocabulary=1600)}


def combinations(few, bases):
    """(model, precision, length, samples packed, recomputed layers, base kind)."""
    if few:
        chosen = [("256 x 4", "bf16", 192, 2, 2), ("256 x 4", "fp32", 96, 4, 4), ("256 x 4", "fp32", 384, 1, 0)]
        return [(*one, bases[0]) for one in chosen] + [("256 x 4", "bf16", 192, 1, 0, base) for base in bases]
    chosen = []
    for model, (length, packed) in itertools.product(MODELS, ((128, 1), (128, 4), (512, 1), (1024, 1), (512, 4))):
        layers = MODELS[model]["num_hidden_layers"]
        chosen += [(model, "bf16", length, packed, recomputed, bases[0]) for recomputed in (0, layers // 2, layers)]
        chosen += [(model, "bf16", length, packed, 0, base) for base in bases[1:]]
    return chosen + [(model, "fp32", 256, packed, 0, bases[0]) for model in MODELS for packed in (1, 4)]


def one(work, device, combination):
    model, precision, length, packed, recomputed, base = combination
    options = {
        "device": device,
        "precision": precision,
        "max_sequence_length": length,
        "gradient_accumulation": 2 * packed,
        "checkpointing": recomputed,
        "tokens_per_micro_batch": length * packed if packed > 1 else "none",
        "vram_budget_gib": 64,
        **({"base": base} if base else {}),
    }
    folder = make_model(work / model.replace(" ", ""), {**MODELS, **FEW}[model])
    data = write_full_samples(work / "text.jsonl", 8, length)
    planned = measure.plan(folder, options)
    expected = measure.planned_bytes(planned)
    lines, _ = measure.train(measure.Run(folder, data, work / "run", {**options, "max_steps": 2}))
    held = max(line["memory_bytes"] for line in lines)
    return {
        "model": model,
        "precision": precision,
        "tokens": length,
        "packed_samples": packed,
        "recomputed_layers": recomputed,
        "base": base or "safe",
        "planned_bytes": expected,
        "measured_bytes": held,
        "error": expected / held - 1,
        "plan": planned,
    }


def table(rows):
    mib = measure.MIB
    return measure.markdown(
        ("model", "type", "base", "tokens", "packed", "recomputed", "planned, MiB", "measured, MiB", "error"),
        [
            (
                row["model"],
                row["precision"],
                row["base"],
                row["tokens"],
                row["packed_samples"],
                row["recomputed_layers"],
                f"{row['planned_bytes'] / mib:.1f}",
                f"{row['measured_bytes'] / mib:.1f}",
                f"{100 * row['error']:+.1f} %",
            )
            for row in rows
        ],
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--few", action="store_true")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for combination in combinations(options.few, measure.choices_of("plan", "base") or [""]):
        rows.append(one(options.work, options.device, combination))
        print(table(rows[-1:]).splitlines()[-1], file=sys.stderr)
    worst = max(rows, key=lambda row: abs(row["error"]))
    text = table(rows) + f"\n{len(rows)} combinations on {options.device}; the worst is off by {100 * worst['error']:+.1f} %.\n"
    (options.work / "plan_accuracy.md").write_text(text)
    (options.work / "plan_accuracy.json").write_text(
        json.dumps({"device": options.device, "worst_error": worst["error"], "rows": rows}, indent=2) + "\n"
    )
    print(text, end="")
    return 0 if abs(worst["error"]) <= LIMIT else 1


sys.exit(main())
