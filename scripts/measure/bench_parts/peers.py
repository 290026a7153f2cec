"""Training beside transformers and PEFT: one global batch of 32 samples of 120 to 260 tokens, random model, hidden 768, 8 layers."""
import importlib.util
import json
import statistics
import sys

from bench_parts import measure, samples
from bench_parts.measure import MIB, ROOT
from bench_parts.plots import Bars
from bench_parts.random_model import make_model

SAMPLES, SHORTEST, LONGEST = 32, 120, 260
REFERENCE = "transformers + hooks, batch 1"
CONTENDERS = {
    "nkat": ["nkat", "auto"], "nkat, one sample at a time": ["nkat", "none"],
    REFERENCE: ["adapter", 1], "transformers + hooks, batch 4": ["adapter", 4], "transformers + hooks, batch 8": ["adapter", 8],
    "PEFT LoRA, rank 8, batch 4": ["lora", 4], "PEFT OFT, block 8, batch 4": ["oft", 4],
}
HOW_TO_GET_PEFT = "not measured: needs `.venv/bin/pip install peft==0.17.1`"


def run_nkat(work, model, packing, steps, tokens):
    run = measure.Run(model, work / "text.jsonl", work / "run", {
        "max_steps": steps + 1, "max_sequence_length": LONGEST, "gradient_accumulation": SAMPLES, "precision": "bf16", "device": "cpu",
        "tokens_per_micro_batch": packing})
    lines, peak = measure.train(run)
    assert all(line["tokens"] == tokens for line in lines), "nkat trained on other tokens"
    # The same command again finds the run finished and ends before it reads a weight.
    _, before = measure.measured([measure.NKAT, "train", *run.words()])
    return {"tokens": sum(line["tokens"] for line in lines), "seconds": sum(line["step_seconds"] for line in lines),
            "peak_bytes": peak, "bytes_before_model": before}


def turn(work, model, contender, steps, tokens):
    method, how = contender
    if method == "nkat":
        return run_nkat(work, model, how, steps, tokens)
    out, _ = measure.measured(
        [sys.executable, ROOT / "scripts" / "measure" / "bench_baseline.py", method, model, work / "tokens.json", "--batch", how, "--steps", steps]
    )
    return json.loads(out)


def summary(turns, reference):
    rates = [turn["tokens"] / turn["seconds"] for turn in turns]
    peaks = [turn["peak_bytes"] for turn in turns]
    nets = [turn["peak_bytes"] - turn["bytes_before_model"] for turn in turns]
    theirs = [turn["peak_bytes"] - turn["bytes_before_model"] for turn in reference]
    return {"tokens_per_second": statistics.median(rates), "speed": measure.ratios(rates, [turn["tokens"] / turn["seconds"] for turn in reference]),
            "peak": measure.ratios(peaks, [turn["peak_bytes"] for turn in reference]), "net": measure.ratios(nets, theirs),
            "peak_bytes": statistics.median(peaks), "model_bytes": statistics.median(nets)}


def table(rows):
    cells = [(name, measure.shown(row["speed"]), f"{row['peak_bytes'] / MIB:.0f}", measure.shown(row["peak"]), f"{row['model_bytes'] / MIB:.0f}",
              measure.shown(row["net"])) if row else (name, HOW_TO_GET_PEFT, "", "", "", "") for name, row in rows.items()]
    return measure.markdown(("trained by", "tokens/s over transformers at batch 1", "peak, MiB", "of its", "beyond start-up, MiB", "of its"), cells)


def run(work, settings):
    model = make_model(work / "model", settings.sizes)
    tokens = samples.write_samples(work, SAMPLES, SHORTEST, LONGEST)
    has_peft = importlib.util.find_spec("peft") is not None
    contenders = {name: how for name, how in CONTENDERS.items() if has_peft or how[0] not in ("lora", "oft")}
    turns = {name: [] for name in contenders}
    for number in range(settings.rounds):
        for name, contender in contenders.items():
            turns[name].append(turn(work, model, contender, settings.steps, tokens))
            one = turns[name][-1]
            print(f"round {number + 1}: {name}: {one['tokens'] / one['seconds']:.0f} tokens/s", file=sys.stderr)
    rows = {name: summary(turns[name], turns[REFERENCE]) if name in turns else None for name in CONTENDERS}
    bars = [(name.replace("transformers + ", ""), row["speed"]["median"], *row["speed"]["range"]) for name, row in rows.items() if row]
    return (
        {"global_batch_tokens": tokens, "rows": rows, "turns": turns},
        table(rows),
        [Bars("training speed", "tokens/s over transformers at batch 1", bars, 1.0)],
    )
