"""Prints what a run did: held-out loss before and after, each layer's gate and when it opened, the plot's path.

  cost     under a second
  command  .venv/bin/python scripts/demo_report.py runs/demo      (needs runs/demo/eval.json of `nkat eval --json`)
"""
import json
import math
import sys
from pathlib import Path


def gate(alpha):
    return 1 / (1 + math.exp(-alpha))


def main():
    run = Path(sys.argv[1])
    summary = json.loads((run / "summary.json").read_text())
    evaluation = json.loads((run / "eval.json").read_text())
    steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    print(f"\ntrained  {summary['steps']} steps, {summary['tokens']:,} tokens in {summary['seconds']:.0f} s, "
          f"memory {summary['peak_memory_bytes'] / 2**20:.0f} MiB")
    print(f"held-out loss  {evaluation['base']['loss']:.3f} -> {evaluation['loss']:.3f} nats per target token "
          f"({evaluation['tokens']:,} tokens)")
    print(f"open gates     {summary['open_gates']} of {len(steps[-1]['alpha'])}")
    for layer, alpha in enumerate(steps[-1]["alpha"]):
        opened = next((line["step"] for line in steps if line["alpha"][layer] > 0), None)
        when = f"open since step {opened}" if opened and alpha > 0 else "shut"
        print(f"  layer {layer}  gate {gate(steps[0]['alpha'][layer]):.4f} -> {gate(alpha):.4f}  {when}")
    print(f"plot           {run / 'training.png'}")


if __name__ == "__main__":
    main()
