"""Training beside transformers and PEFT: one global batch of 32 samples of 120 to 260 tokens, random model, hidden 768, 8 layers."""
import dataclasses
import importlib.util
import json
import pathlib
import statistics
import sys

from bench_parts import measure, samples
from bench_parts.measure import MIB
from bench_parts.plots import Bars
from bench_parts.random_model import make_model

REFERENCE = "transformers + hooks, batch 1"
OURS = {"nkat": ["nkat", "auto"], "nkat, one sample at a time": ["nkat", "none"]}
WITH_HOOKS = {REFERENCE: ["adapter", 1], "transformers + hooks, batch 4": ["adapter", 4], "transformers + hooks, batch 8": ["adapter", 8]}
WITH_PEFT = {"PEFT LoRA, rank 8, batch 4": ["lora", 4], "PEFT OFT, block 8, batch 4": ["oft", 4]}
CONTENDERS = OURS | WITH_HOOKS | WITH_PEFT
HOW_TO_GET_PEFT = "not measured: needs `.venv/bin/pip install peft==0.17.1`"


@dataclasses.dataclass
class GlobalBatch:
    samples: int
    shortest: int
    longest: int


FULL_BATCH, SMALL_BATCH = GlobalBatch(32, 120, 260), GlobalBatch(4, 20, 40)


@dataclasses.dataclass
class Base:
    """What is trained: a path for nkat, and the folder with the same weights for the others."""

    ours: pathlib.Path
    theirs: pathlib.Path
    precision: str = "bf16"


@dataclasses.dataclass
class Training:
    """A folder with text.jsonl and tokens.json, how many tokens they hold, and how long to train on them."""

    folder: pathlib.Path
    batch: GlobalBatch
    tokens: int
    steps: int


def write_training(folder, settings, tokenizer_of):
    batch = SMALL_BATCH if settings.small else FULL_BATCH
    tokens = samples.write_samples(folder, batch.samples, batch.shortest, batch.longest, tokenizer_of)
    return Training(folder, batch, tokens, settings.steps)


def nkat_run(training, base, packing):
    return measure.Run(base.ours, training.folder / "text.jsonl", training.folder / "run", {
        "max_steps": training.steps + 1, "max_sequence_length": training.batch.longest, "gradient_accumulation": training.batch.samples,
        "precision": base.precision, "device": "cpu", "tokens_per_micro_batch": packing})


def run_nkat(training, base, packing):
    run = nkat_run(training, base, packing)
    lines, peak = measure.train(run)
    assert all(line["tokens"] == training.tokens for line in lines), "nkat trained on other tokens"
    # The same command again finds the run finished and ends before it reads a weight.
    _, before = measure.measured([measure.NKAT, "train", *run.words()])
    return {"tokens": sum(line["tokens"] for line in lines), "seconds": sum(line["step_seconds"] for line in lines),
            "peak_bytes": peak, "bytes_before_model": before}


def baseline_words(training, base, method, batch):
    script = measure.ROOT / "scripts" / "measure" / "bench_baseline.py"
    return [sys.executable, script, method, base.theirs, training.folder / "tokens.json", "--batch", batch, "--steps", training.steps,
            "--precision", base.precision]


def turn(training, base, contender):
    method, how = contender
    if method == "nkat":
        return run_nkat(training, base, how)
    return json.loads(measure.measured(baseline_words(training, base, method, how))[0])


def one_round(training, base, contenders):
    """What each contender did, in turn."""
    done = {}
    for name, contender in contenders.items():
        done[name] = turn(training, base, contender)
        print(f"{name}, {base.precision}: {done[name]['tokens'] / done[name]['seconds']:.0f} tokens/s", file=sys.stderr)
    return done


def summary(turns, reference):
    rates = [turn["tokens"] / turn["seconds"] for turn in turns]
    peaks = [turn["peak_bytes"] for turn in turns]
    nets = [turn["peak_bytes"] - turn["bytes_before_model"] for turn in turns]
    theirs = [turn["peak_bytes"] - turn["bytes_before_model"] for turn in reference]
    return {"tokens_per_second": statistics.median(rates), "speed": measure.ratios(rates, [turn["tokens"] / turn["seconds"] for turn in reference]),
            "peak": measure.ratios(peaks, [turn["peak_bytes"] for turn in reference]), "net": measure.ratios(nets, theirs),
            "peak_bytes": statistics.median(peaks), "model_bytes": statistics.median(nets)}


def summaries(rounds, names):
    """A row for each name, None where it was not measured."""
    turns = {name: [done[name] for done in rounds] for name in rounds[0]}
    return {name: summary(turns[name], turns[REFERENCE]) if name in turns else None for name in names}


def table(rows, heading="trained by"):
    cells = [(name, measure.shown(row["speed"]), f"{row['peak_bytes'] / MIB:.0f}", measure.shown(row["peak"]), f"{row['model_bytes'] / MIB:.0f}",
              measure.shown(row["net"])) if row else (name, HOW_TO_GET_PEFT, "", "", "", "") for name, row in rows.items()]
    return measure.markdown((heading, "tokens/s over transformers at batch 1", "peak, MiB", "of its", "beyond start-up, MiB", "of its"), cells)


def bars(rows, title):
    shown = [(name.replace("transformers + ", ""), row["speed"]["median"], *row["speed"]["range"]) for name, row in rows.items() if row]
    return Bars(title, "tokens/s over transformers at batch 1", shown, 1.0)


def run(work, settings):
    model = make_model(work / "model", settings.sizes)
    base = Base(model, model)
    training = write_training(work, settings, model)
    contenders = OURS | WITH_HOOKS | (WITH_PEFT if importlib.util.find_spec("peft") else {})
    rounds = [one_round(training, base, contenders) for _ in range(settings.rounds)]
    rows = summaries(rounds, CONTENDERS)
    return {"global_batch_tokens": training.tokens, "rows": rows, "rounds": rounds}, table(rows), [bars(rows, "training speed")]
