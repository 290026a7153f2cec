"""Time and memory against tokens of one sample, layers, and samples a step; each with the exponent that fits best.

Expected: the plan's operations and bytes. Attention makes operations grow faster than tokens, the head makes them grow slower
than layers, so time is fitted against operations: 1.0 is linear where it should be.
"""
import math
import sys

from bench_parts import measure
from bench_parts.plots import Line, Panel
from bench_parts.random_model import make_model, sized
from bench_parts.samples import write_full_samples

TOKENS, LAYERS, SAMPLES = (64, 128, 256, 512, 1024, 2048, 4096), (2, 4, 8, 16, 32), (1, 2, 4, 8, 16, 32, 64)
SMALL_TOKENS, SMALL_LAYERS, SMALL_SAMPLES = (64, 128), (2, 4), (1, 2)
LENGTH = 128  # of the samples where their length is not what grows


def exponent(xs, ys):
    """Of the power of x that fits y best: least squares on logarithms."""
    xs, ys = [math.log(x) for x in xs], [math.log(y) for y in ys]
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys)) / sum((x - x_mean) ** 2 for x in xs)


def point(work, settings, sizes, length, samples, packing="none"):
    model = make_model(work / f"growth-{sizes['hidden_size']}x{sizes['num_hidden_layers']}", sizes)
    data = write_full_samples(work / "growth.jsonl", max(8, samples), length)
    options = {
        "device": "cpu",
        "precision": "bf16",
        "max_sequence_length": length,
        "gradient_accumulation": samples,
        "tokens_per_micro_batch": packing,
        "checkpointing": "none",
        "vram_budget_gib": 64,
    }
    planned = measure.plan(model, options)
    lines, _ = measure.train(measure.Run(model, data, work / "run", {**options, "max_steps": settings.rounds + 1}))
    found = {
        "length": length,
        "layers": sizes["num_hidden_layers"],
        "samples": samples,
        "packing": packing,
        "operations": samples * planned["sample_flops"],
        "planned_bytes": planned["total_bytes"],
        "seconds": measure.spread([line["step_seconds"] for line in lines]),
        "bytes": max(line["memory_bytes"] for line in lines),
    }
    print(f"{length} tokens, {found['layers']} layers, {samples} samples, packing {packing}: {found['seconds']['median']:.3f} s", file=sys.stderr)
    return found


def fits(xs, points):
    seconds = [one["seconds"]["median"] for one in points]
    return {
        "seconds": exponent(xs, seconds),
        "operations": exponent(xs, [one["operations"] for one in points]),
        "seconds_by_operations": exponent([one["operations"] for one in points], seconds),
        "bytes": exponent(xs, [one["bytes"] for one in points]),
    }


def panels(title, x, xs, points, others=()):
    """Seconds beside the operations' curve through the last point, and bytes beside the plan's."""
    scale = points[-1]["seconds"]["median"] / points[-1]["operations"]
    timed = lambda ones: [(x, one["seconds"]["median"], *one["seconds"]["range"]) for x, one in zip(xs, ones)]  # noqa: E731
    held = lambda ones, key: [(x, one[key] / measure.MIB) for x, one in zip(xs, ones)]  # noqa: E731
    each = "measured, one sample at a time" if others else "measured"
    times = [Line(each, timed(points)), Line("by the operations", [(x, scale * one["operations"]) for x, one in zip(xs, points)], dashed=True)]
    bytes_ = [
        Line(each, held(points, "bytes")),
        Line("planned for one at a time" if others else "planned", held(points, "planned_bytes"), dashed=True),
    ]
    if others:
        times.append(Line("measured, packed", timed(others)))
        bytes_.append(Line("measured, packed", held(others, "bytes")))
    return [Panel(f"time by {title}", x, "seconds a step", times), Panel(f"memory by {title}", x, "MiB in tensors", bytes_)]


def run(work, settings):
    tokens, layers, samples = (SMALL_TOKENS, SMALL_LAYERS, SMALL_SAMPLES) if settings.small else (TOKENS, LAYERS, SAMPLES)
    deep = lambda count: sized(64 if settings.small else 512, count, vocabulary=1600 if settings.small else 4096)  # noqa: E731
    series = {"tokens": (tokens, [point(work, settings, settings.sizes, length, 1) for length in tokens]),
              "layers": (layers, [point(work, settings, deep(count), 2 * LENGTH, 1) for count in layers]),
              "samples": (samples, [point(work, settings, deep(4), LENGTH, count) for count in samples]),
              "samples, packed": (samples, [point(work, settings, deep(4), LENGTH, count, "auto") for count in samples])}
    record = {name: {"x": xs, "points": points, "exponents": fits(xs, points)} for name, (xs, points) in series.items()}
    rows = [
        (
            name,
            f"{xs[0]} to {xs[-1]}",
            *(f"{record[name]['exponents'][key]:.2f}" for key in ("seconds", "operations", "seconds_by_operations", "bytes")),
        )
        for name, (xs, _) in series.items()
    ]
    table = measure.markdown(("grows", "from", "exponent of time", "of operations", "of time against operations", "of memory"), rows)
    drawn = panels("tokens of one sample", "tokens", *series["tokens"]) + panels("layers", "layers", *series["layers"])
    return record, table, drawn + panels("samples a step", "samples", *series["samples"], others=series["samples, packed"][1])
