#!/usr/bin/env -S sh -c 'exec "$(dirname "$0")/../../.venv/bin/python" "$0" "$@"'
"""One contender of scripts/measure/bench.py: trains on transformers what it is told to, and prints tokens a second and memory.

  cost     a minute on 2 cores
  command  scripts/measure/bench_baseline.py METHOD MODEL TOKENS.json --batch N [N ...] --steps N     (METHOD: adapter, lora, oft)
           ... --device cuda:0 --budget-gib 11.5      on a GPU, with no more of its memory than that

Prints a line of JSON for each size of batch. TOKENS.json holds global batches of samples, [[[ids], ...], ...]; a step is one global
batch in padded micro-batches, sorted by length, and one AdamW update; a step on the first samples warms up. adapter: the rotations
and gates of `nkat train` as forward hooks; lora: PEFT LoRA of rank 8 on down_proj; oft: PEFT OFT in blocks of 8 on down_proj. The
base is frozen and in BF16, with --precision fp32 in float32; the loss is on every token but the first. --warm FILE: made once it is warm.
"""
import argparse
import json
import pathlib
import time

import torch
import transformers

PRECISIONS = {"bf16": torch.bfloat16, "fp32": torch.float32}


class RotationHook(torch.nn.Module):
    """h + sigmoid(alpha) R h with R = exp((W - W^T) / 2) in blocks of eight channels."""

    def __init__(self, hidden):
        super().__init__()
        self.weight = torch.nn.Parameter(0.01 * torch.randn(hidden // 8, 8, 8))
        self.alpha = torch.nn.Parameter(torch.tensor(-5.0))

    def blocks(self):
        rotation = torch.linalg.matrix_exp((self.weight - self.weight.mT) / 2)
        return torch.eye(8, device=rotation.device) + torch.sigmoid(self.alpha) * rotation

    def forward(self, module, given, h):
        blocks = self.blocks().to(h.dtype)
        return torch.einsum("nij,...nj->...ni", blocks, h.unflatten(-1, (-1, 8))).flatten(-2)


def adapted(model, method):
    if method == "adapter":
        model.requires_grad_(False)
        hooks = torch.nn.ModuleList(RotationHook(model.config.hidden_size) for _ in model.model.layers)
        for layer, hook in zip(model.model.layers, hooks):
            layer.mlp.register_forward_hook(hook)
        return model, list(hooks.parameters())
    import peft

    configs = {"lora": lambda: peft.LoraConfig(r=8, lora_alpha=16, target_modules=["down_proj"], task_type="CAUSAL_LM"),
               "oft": lambda: peft.OFTConfig(r=0, oft_block_size=8, target_modules=["down_proj"], task_type="CAUSAL_LM")}
    model = peft.get_peft_model(model, configs[method]())
    return model, [parameter for parameter in model.parameters() if parameter.requires_grad]


def batches_of(samples, size):
    """Padded (ids, labels, mask), samples of like length together."""
    samples = sorted(samples, key=len)
    for begin in range(0, len(samples), size):
        part = samples[begin : begin + size]
        longest = max(map(len, part))
        ids = torch.tensor([s + [0] * (longest - len(s)) for s in part])
        mask = torch.tensor([[1] * len(s) + [0] * (longest - len(s)) for s in part])
        yield ids, ids.masked_fill(mask == 0, -100), mask


def train_step(model, parameters, optimizer, global_batch, batch):
    targets = sum(len(sample) - 1 for sample in global_batch)
    for batch_of_samples in batches_of(global_batch, batch):
        ids, labels, mask = (tensor.to(model.device) for tensor in batch_of_samples)
        many = (labels[:, 1:] != -100).sum()
        loss = model(input_ids=ids, attention_mask=mask if batch > 1 else None, labels=labels, use_cache=False).loss
        (loss * many / targets).backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def forget_peak(device):
    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    else:
        pathlib.Path("/proc/self/clear_refs").write_text("5")


def peak_bytes(device="cpu"):
    if device != "cpu":
        return torch.cuda.max_memory_reserved(device)
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def limit_memory(device, budget):
    """As nkat's memory monitor does: what the device holds beside the allocator counts in the budget, up to 1 GiB, for more is others'."""
    torch.zeros(1, device=device)
    free, total = torch.cuda.mem_get_info(device)
    context = min(2**30, total - free - torch.cuda.memory_reserved(device))
    torch.cuda.set_per_process_memory_fraction(min(1.0, max(0.0, budget - context) / total), device)


def synchronize(device):
    if device != "cpu":
        torch.cuda.synchronize(device)


def timed(train, global_batches, options):
    """Tokens, seconds and peak bytes of the steps, after one on the first samples that warms up."""
    train(global_batches[0][:8])
    synchronize(options.device)
    if options.warm:
        options.warm.touch()
    begin = time.perf_counter()
    for step in range(options.steps):
        train(global_batches[step % len(global_batches)])
    synchronize(options.device)
    seconds = time.perf_counter() - begin
    tokens = sum(len(sample) for step in range(options.steps) for sample in global_batches[step % len(global_batches)])
    return {"tokens": tokens, "seconds": seconds, "peak_bytes": peak_bytes(options.device)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=["adapter", "lora", "oft"])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("tokens", type=pathlib.Path)
    parser.add_argument("--batch", type=int, nargs="+", default=[1])
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--budget-gib", type=float)
    parser.add_argument("--precision", choices=PRECISIONS, default="bf16")
    parser.add_argument("--warm", type=pathlib.Path)
    options = parser.parse_args()
    global_batches = json.loads(options.tokens.read_text())
    if options.method != "adapter":
        import peft  # noqa: F401  (before the figure that stands for everything but the model)
    if options.budget_gib and options.device != "cpu":
        limit_memory(torch.device(options.device), options.budget_gib * 2**30)
    before = peak_bytes(options.device)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=PRECISIONS[options.precision], attn_implementation="sdpa")
    model, parameters = adapted(model, options.method)
    model.to(options.device)
    model.train()
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    for number, batch in enumerate(options.batch):
        if number > 0:
            forget_peak(options.device)
        try:
            found = timed(lambda global_batch, batch=batch: train_step(model, parameters, optimizer, global_batch, batch), global_batches, options)
        except torch.OutOfMemoryError as error:
            optimizer.zero_grad(set_to_none=True)
            found = {"failed": str(error).splitlines()[0]}
        print(json.dumps({"batch": batch, "bytes_before_model": before, **found}), flush=True)


main()
