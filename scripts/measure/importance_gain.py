#!/usr/bin/env -S sh -c 'exec "$(dirname "$0")/../../.venv/bin/python" "$0" "$@"'
"""What `nkat export --importance` gains: KL(merged model in float32 || exported file) on held-out text, with and without.

Prints the table of export/MEASURED.md as Markdown: for each mix the mean KL in nats a token without and with importance,
their ratio, and the paired difference with a 95 % interval (bootstrap over the held-out samples). Both models run in
transformers; the file is decoded by gguf-py.
  cost     about 3 minutes on 2 cores for the shipped model
  command  scripts/measure/importance_gain.py [--model DIR] [--adapter DIR] [--importance FILE ...] [--held-out FILE]
           (needs build/nkat, and runs/demo of scripts/demo for the default adapter)
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))
from gguf_files import checkpoint_name  # noqa: E402

DEMO = ROOT / "data" / "demo"
MIXES = ["q4_0", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k"]


def export(nkat, model, output, *words):
    given = [nkat, "export", "--model-path", model, "--output", output, "--self-test", "off", *words]
    subprocess.run(list(map(str, given)), check=True, capture_output=True)
    return output


def held_out_tokens(model, path, count, longest):
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    samples = []
    for line in path.read_text().splitlines()[:count]:
        record = json.loads(line)
        turns = record.get("messages", [])
        text = record.get("text") or "".join(f"<|{turn['role']}|>\n{turn['content']}<|end|>\n" for turn in turns)
        samples.append(tokenizer.encode(text, add_special_tokens=False).ids[:longest])
    return [sample for sample in samples if len(sample) > 1]


def log_probabilities(model, samples):
    with torch.no_grad():
        return [torch.log_softmax(model(torch.tensor([sample])).logits[0].double(), -1).float() for sample in samples]


def divergences(exact, found):
    """KL of each token, by sample."""
    return [(p.exp() * (p - q)).sum(-1).double().numpy() for p, q in zip(exact, found)]


def load_file(model, path):
    """The model's matrices as the file has them."""
    state = model.state_dict()
    for tensor in gguf.GGUFReader(path).tensors:
        name = checkpoint_name(tensor.name)
        if name is None:
            continue
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        state[name].copy_(torch.from_numpy(np.array(values, np.float32)).reshape(state[name].shape))
    return model


def interval(plain, weighted):
    """Of the mean difference a token, samples drawn anew 2,000 times."""
    differences = np.array([(after - before).sum() for before, after in zip(plain, weighted)])
    lengths = np.array([len(one) for one in plain])
    drawn = np.random.default_rng(0).integers(0, len(lengths), (2000, len(lengths)))
    means = differences[drawn].sum(1) / lengths[drawn].sum(1)
    return differences.sum() / lengths.sum(), *np.quantile(means, [0.025, 0.975])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=DEMO / "model")
    parser.add_argument("--adapter", type=Path, default=ROOT / "runs/demo/adapter")
    parser.add_argument("--importance", nargs="+", default=[DEMO / "train.jsonl"])
    parser.add_argument("--importance-tokens", type=int, default=32768)
    parser.add_argument("--held-out", type=Path, default=DEMO / "validation.jsonl")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--mixes", nargs="+", default=MIXES, choices=MIXES)
    parser.add_argument("--nkat", default=ROOT / "build/nkat")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # small products, which threads only slow down
    transformers.utils.logging.set_verbosity_error()
    samples = held_out_tokens(arguments.model, arguments.held_out, arguments.samples, 512)
    print("| mix | KL without | KL with | ratio | difference (95 %) |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        adapter = ["--adapter", arguments.adapter]
        merged = export(arguments.nkat, arguments.model, Path(folder, "merged"), *adapter, "--format", "hf")
        model = transformers.AutoModelForCausalLM.from_pretrained(merged, dtype=torch.float32, attn_implementation="eager").eval()
        exact = log_probabilities(model, samples)
        importance = ["--importance", *arguments.importance, "--importance-tokens", arguments.importance_tokens]
        for mix in arguments.mixes:
            kl = []
            for words in ([], importance):
                path = export(arguments.nkat, arguments.model, Path(folder, "x.gguf"), *adapter, "--quantization", mix, *words)
                kl.append(divergences(exact, log_probabilities(load_file(model, path), samples)))
            plain, weighted = (np.concatenate(one).mean() for one in kl)
            mean, low, high = interval(*kl)
            print(f"| {mix} | {plain:.3e} | {weighted:.3e} | {weighted / plain:.3f} | {mean:+.1e} ({low:+.1e} to {high:+.1e}) |", flush=True)


if __name__ == "__main__":
    main()
