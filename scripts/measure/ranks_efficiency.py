#!/usr/bin/env -S sh -c 'exec "$(dirname "$0")/../../.venv/bin/python" "$0" "$@"'
"""How well ranks use two cores, what a step sends over the network, and what that means for 64 cards.

  cost     about 10 minutes on 2 cores that nothing else uses, 4 GiB of memory, 1 GB of disk
  command  scripts/measure/ranks_efficiency.py WORK-FOLDER [--rounds 3] [--steps 3] [--sample-seconds 0.16]

Model and samples are those of scripts/measure/bench.py: hidden 768, 8 layers, BF16, 32 samples of 120 to 260 tokens a global batch. One
process with one thread, one with two, and two ranks of a thread each take turns; a row's rate is the median of its
turns' steps after the first, its ratio the median of the turns' ratios with their range. The network part is
arithmetic: the bytes of the message, sent by a ring all-reduce (2 (K - 1) / K times the message a rank), against a
step's seconds at --sample-seconds a sample (256 tokens, an RTX 3060 at 94 % of its peak). Writes
WORK-FOLDER/ranks.json; prints tables.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import sys

from bench_parts import measure
from bench_parts.peers import FULL_BATCH
from bench_parts.random_model import make_model, sized
from bench_parts.samples import write_samples

CONTENDERS = {"1 process, 1 thread": (1, 1), "1 process, 2 threads": (1, 2), "2 ranks, 1 thread each": (2, 1)}
MODELS = {"this model": (768, 8), "Phi-3.5-mini": (3072, 32)}  # hidden size, layers
GIGABIT_BYTES, HOP_SECONDS = 125e6, 1e-4  # of 1 Gbit/s; what one message takes beside its bytes
WORDS, FLOATS_A_WORD = 5, 4  # train/step_result.cpp


def tokens_per_second(folder, ranks, threads, samples, steps):
    run = measure.Run(folder / "model", folder / "text.jsonl", folder / "run", {
        "max_steps": steps + 1, "batch_size": 1, "gradient_accumulation": samples, "precision": "bf16", "device": "cpu", "checkpoint_every": 1000})
    shutil.rmtree(run.folder, ignore_errors=True)
    launcher = [pathlib.Path(sys.executable).with_name("torchrun"), "--no-python", "--standalone", "--nproc-per-node", ranks] if ranks > 1 else []
    measure.measured([*launcher, measure.NKAT, "train", *run.words()], env={**os.environ, "OMP_NUM_THREADS": str(threads)})
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    return statistics.median(line["tokens_per_second"] for line in lines[1:])


def measure_contenders(folder, samples, rounds, steps):
    rates = {name: [] for name in CONTENDERS}
    for turn in range(rounds):
        for name, (ranks, threads) in CONTENDERS.items():
            rates[name].append(tokens_per_second(folder, ranks, threads, samples, steps))
            print(f"turn {turn + 1}: {name}: {rates[name][-1]:.0f} tokens/s", file=sys.stderr)
    rows = []
    for name, own in rates.items():
        over = measure.ratios(own, rates["1 process, 1 thread"])
        rows.append({"name": name, "tokens_per_second": statistics.median(own), "over_one_thread": over,
                     "efficiency": over["median"] / max(CONTENDERS[name])})
    return rows


def message_bytes(hidden, layers, samples, ranks):
    return 4 * (layers * hidden // 8 * 64 + samples + ranks * WORDS * FLOATS_A_WORD)


def network(name, ranks, samples_a_rank, sample_seconds):
    size = message_bytes(*MODELS[name], ranks * samples_a_rank, ranks)
    sent = 2 * (ranks - 1) / ranks * size
    sending = sent / GIGABIT_BYTES + 2 * (ranks - 1) * HOP_SECONDS
    computing = samples_a_rank * sample_seconds
    return {"model": name, "ranks": ranks, "samples_a_rank": samples_a_rank, "message_bytes": size, "sent_bytes_a_rank": round(sent),
            "seconds_at_1_gbit": sending, "step_seconds": computing + sending, "efficiency": computing / (computing + sending)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, metavar="WORK-FOLDER")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--sample-seconds", type=float, default=0.16, help="of forward and backward of one sample on one card")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    make_model(options.folder / "model", sized(768, 8))
    write_samples(options.folder, FULL_BATCH.samples, FULL_BATCH.shortest, FULL_BATCH.longest)
    measured = measure_contenders(options.folder, FULL_BATCH.samples, options.rounds, options.steps)
    sizes = [{"model": name, "message_bytes": message_bytes(*shape, 32, 2)} for name, shape in MODELS.items()]
    cards = [network("Phi-3.5-mini", 64, samples, options.sample_seconds) for samples in (1, 4, 32)]
    (options.folder / "ranks.json").write_text(json.dumps({"measured": measured, "messages": sizes, "cards": cards}, indent=2) + "\n")

    print(measure.markdown(("contender", "tokens/s", "over one thread (range)", "efficiency"), [
        (row["name"], f"{row['tokens_per_second']:.0f}", measure.shown(row["over_one_thread"]), f"{row['efficiency']:.0%}") for row in measured]))
    print(measure.markdown(("message of a step, 32 samples, 2 ranks", "bytes"), [(row["model"], f"{row['message_bytes']:,}") for row in sizes]))
    print(measure.markdown(("64 cards, 1 Gbit/s, Phi-3.5-mini: samples a card", "sent by each, a step", "network s", "step s", "efficiency"), [
        (row["samples_a_rank"], f"{row['sent_bytes_a_rank'] / 1e6:.1f} MB", f"{row['seconds_at_1_gbit']:.3f}", f"{row['step_seconds']:.2f}",
         f"{row['efficiency']:.0%}") for row in cards]), end="")


if __name__ == "__main__":
    main()
