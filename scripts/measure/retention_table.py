#!/usr/bin/env -S sh -c 'exec "$(dirname "$0")/../../.venv/bin/python" "$0" "$@"'
"""How much of one trained adapter is left in each quantization: the table of export/MEASURED.md, as Markdown.

Trains 12 steps on the demo, scales the adapter's gates by 1, 0.1 and 0.01, exports each in ten quantizations, and
prints of the reports the mean over the layers, and how many layers are lost at the usual limits.
  cost     about a minute on 2 cores, 500 MiB of memory
  command  scripts/measure/retention_table.py      (needs build/nkat: scripts/build)
"""
import argparse
import json
import math
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import safetensors.torch
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))
import training  # noqa: E402

NKAT = ROOT / "build" / "nkat"
MODEL = ROOT / "data" / "demo" / "model"
QUANTIZATIONS = ["f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q5_k_s", "q4_k_m", "q4_k_s", "q4_0"]
FACTORS = [1.0, 0.1, 0.01]
LOST = 5  # the exit code of an export that lost a layer; the report is there all the same
ANY_KL = 1000  # the file's KL is a figure of the table, no reason to have none


def train(folder):
    subprocess.run([NKAT, *map(str, ["train", *training.options(folder / "run")])], check=True, capture_output=True)
    return folder / "run" / "adapter"


def with_scaled_gates(adapter, factor, folder):
    """sigmoid(alpha) times the factor; the rotations stay."""
    shutil.copytree(adapter, folder)
    path = folder / "adapter_model.safetensors"
    tensors = safetensors.torch.load_file(path)
    for name, value in tensors.items():
        if name.endswith(".alpha"):
            gate = factor / (1 + math.exp(-value.item()))
            tensors[name] = torch.tensor(math.log(gate / (1 - gate)), dtype=torch.float32)
    safetensors.torch.save_file(tensors, path)
    return folder


def export(adapter, quantization, folder):
    words = ["export", "--model-path", MODEL, "--adapter", adapter, "--output", folder / "model.gguf", "--quantization", quantization,
             "--maximum-kl", ANY_KL, "--json"]
    done = subprocess.run([NKAT, *map(str, words)], capture_output=True, text=True)
    if done.returncode not in (0, LOST) or not done.stdout:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def cell(report):
    layers = report["ffn_down"]
    survived, noise = (statistics.mean(one[key] for one in layers) for key in ("survived", "noise"))
    text = f"{survived:.3f}" if abs(survived) < 2 else f"{survived:.2g}"
    text += f" / {noise:.2g}" if noise < 100 else f" / {noise:.0f}"
    lost = len(report["lost_layers"])
    return text + ("" if lost == 0 else ", lost" if lost == len(layers) else f", lost in {lost} of {len(layers)}")


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        trained = train(folder)
        adapters = [with_scaled_gates(trained, factor, folder / f"gates-{factor}") for factor in FACTORS]
        table = {}
        for quantization in QUANTIZATIONS:
            reports = [export(adapter, quantization, folder) for adapter in adapters]
            table[quantization] = [cell(report) for report in reports] + [f"{reports[0]['logits']['mean_kl']:.1e}"]
        gates = reports[0]["adapter"]["gates"]
        print(f"gates of {statistics.mean(gates):.4f} on average; mean KL of the base without adapter {reports[0]['logits']['base_mean_kl']:.1e}\n")
    print("| type | " + " | ".join(f"{factor:g}" for factor in FACTORS) + " | KL of the first |")
    print("|---|" + "---|" * (len(FACTORS) + 1))
    for quantization, cells in table.items():
        print(f"| {quantization} | " + " | ".join(cells) + " |")


main()
