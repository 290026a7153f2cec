#!/usr/bin/env -S sh -c 'exec "$(dirname "$0")/../../.venv/bin/python" "$0" "$@"'
"""Training speed and memory: beside transformers and PEFT, beside bare matrix products, and as the problem grows.

  cost     about 75 minutes on 2 cores, 9 GiB of memory, 10 GB of disk; `pretrained` 35 minutes, `peers` 15, the others less
  command  scripts/measure/bench.py WORK-FOLDER [--parts peers pretrained limit growth startup plan] [--rounds 3] [--steps 1]
           [--model FILE.gguf] [--precisions bf16 fp32] [--full-model FOLDER] [--small]

  peers       one random model, data, tokens and threads for nkat, transformers with the adapter as hooks, PEFT LoRA and OFT
  pretrained  the same on a GGUF file (--model, by default SmolLM2, which `scripts/setup --real` gets), without PEFT; where the
              processor has no BF16 units, BF16 takes transformers ten minutes a step: --precisions fp32
  limit       speed relative to bare products of the same shapes; what the adapter adds to the same pass without M
  growth      time and memory against tokens, layers and samples a step, with fitted exponents
  startup     program start to first step, full-size random model (7.7 GB, kept in WORK-FOLDER; or --full-model)
  plan        what `auto` chose under a budget, beside neighboring choices

The contenders of a part take turns, each in its own process. A ratio is the median of the turns' ratios; its range is shown
too. Memory of peers and pretrained: VmHWM of the process, with and without what it held before the model was loaded. Without PEFT
(`.venv/bin/pip install peft==0.17.1`) its rows say "not measured". Writes WORK-FOLDER/bench.json, bench.md and bench.png,
and prints the tables. --small: a tiny model, to try the script.
"""
import argparse
import dataclasses
import datetime
import json
import pathlib
import sys

import torch
import transformers
from bench_parts import auto_plan, growth, limit, measure, peers, plots, pretrained, startup
from bench_parts.pretrained import SMOLLM2
from bench_parts.random_model import SMALL, sized

PARTS = {"peers": peers.run, "pretrained": pretrained.run, "limit": limit.run, "growth": growth.run, "startup": startup.run, "plan": auto_plan.run}


@dataclasses.dataclass
class Settings:
    rounds: int
    steps: int
    small: bool
    full_model: pathlib.Path | None
    model: pathlib.Path
    precisions: list[str]

    @property
    def sizes(self):
        return SMALL if self.small else sized(768, 8)


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--full-model", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path, default=SMOLLM2)
    parser.add_argument("--precisions", nargs="+", choices=pretrained.QUANTIZATIONS, default=pretrained.precisions())
    parser.add_argument("--small", action="store_true")
    return parser.parse_args()


def main():
    options = read_options()
    for program in (measure.NKAT, measure.STEP_BENCHMARK):
        if not program.exists():
            sys.exit(f"{program} is missing; run scripts/build")
    if "pretrained" in options.parts and not options.model.is_file():
        sys.exit(f"{options.model} is missing; run scripts/setup --real, name a GGUF file with --model, or leave out the part `pretrained`")
    work = options.work
    work.mkdir(parents=True, exist_ok=True)
    settings = Settings(options.rounds, options.steps, options.small, options.full_model, options.model, options.precisions)
    record = {"date": datetime.date.today().isoformat(), "threads": measure.THREADS, "small": options.small, "torch": torch.__version__,
              "transformers": transformers.__version__, "parts": {}}
    tables, panels = [measure.origin()], []
    print(tables[0])
    for part in options.parts:
        record["parts"][part], table, drawn = PARTS[part](work, settings)
        tables.append(table)
        panels += drawn
        print(table, flush=True)
    (work / "bench.json").write_text(json.dumps(record, indent=2) + "\n")
    (work / "bench.md").write_text("\n".join(tables))
    if panels and (why := plots.draw(work / "bench.png", panels)):
        print(f"no plot: {why}", file=sys.stderr)


try:
    main()
except measure.Failed as error:
    sys.exit(str(error))
