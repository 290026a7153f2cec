"""llama.cpp through its C API, to be called in a process of its own: it aborts on some files."""

import ctypes
import json
import os
import pathlib
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "system"))
import libggml  # noqa: E402
import llama_cpp  # noqa: E402
import numpy as np  # noqa: E402

SERVED_BATCH = 2048  # llama.cpp's default n_batch
LOSS_BATCH = 512  # logits of so many positions are held at once
FIRST_PLAIN_TOKEN = 3


def available_cores() -> int:
    return len(os.sched_getaffinity(0))


def is_installed() -> bool:
    return libggml.path() is not None


class Context:
    """A llama_context of one sequence. `parameters`: llama_context_params as bytes."""

    def __init__(self, model: llama_cpp.Model, parameters: llama_cpp.Blob, threads: int):
        self.model, self.library = model, model.library
        self.library.llama_init_from_model.argtypes = [ctypes.c_void_p, llama_cpp.Blob]
        self.library.llama_get_memory.restype = ctypes.c_void_p
        self.pointer = ctypes.c_void_p(self.library.llama_init_from_model(model.model, parameters))
        if not self.pointer:
            raise SystemExit("llama.cpp makes no context: too little memory?")
        self.library.llama_set_n_threads(self.pointer, threads, threads)
        self.batch = self.library.llama_batch_init(SERVED_BATCH, 0, 1)

    def clear(self) -> None:
        memory = ctypes.c_void_p(self.library.llama_get_memory(self.pointer))
        self.library.llama_memory_clear(memory, ctypes.c_bool(True))

    def decode(self, tokens: list[int], start: int, wanted: set[int]) -> np.ndarray:
        """Logits, (len(wanted), V), of the positions `wanted`; tokens[0] stands at `start`."""
        batch = self.batch
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = token, start + i, 1, 0
            batch.logits[i] = start + i in wanted
        if self.library.llama_decode(self.pointer, batch) != 0:
            raise SystemExit(f"llama_decode failed on {len(tokens)} tokens at position {start}")
        self.library.llama_synchronize(self.pointer)
        rows = [self.library.llama_get_logits_ith(self.pointer, i) for i in range(len(tokens)) if batch.logits[i]]
        return np.array([np.ctypeslib.as_array(row, (self.model.size,)) for row in rows], np.float64)


def served_parameters(library, context: int) -> llama_cpp.Blob:
    """llama_context_params with n_ctx, its first field, set."""
    parameters = library.llama_context_default_params()
    struct.pack_into("<I", parameters.bytes, 0, context)
    return parameters


def exact_parameters(library, context: int, threads: int) -> llama_cpp.Blob:
    """F32 cache, no flash attention; n_batch and n_ubatch, second and third field, bound the memory."""
    parameters = llama_cpp.context_parameters(library, context, threads)
    struct.pack_into("<2I", parameters.bytes, 4, LOSS_BATCH, LOSS_BATCH)
    return parameters


def speed(options) -> dict:
    model = llama_cpp.Model(options.file)
    context = Context(model, served_parameters(model.library, options.context), options.threads)
    tokens = np.random.default_rng(0).integers(FIRST_PLAIN_TOKEN, model.size, max(options.prompt_tokens, options.new_tokens))
    tokens = [int(token) for token in tokens]

    def prompt() -> float:
        context.clear()
        begin = time.perf_counter()
        for start in range(0, options.prompt_tokens, SERVED_BATCH):
            part = tokens[start:min(start + SERVED_BATCH, options.prompt_tokens)]
            context.decode(part, start, {options.prompt_tokens - 1})
        return time.perf_counter() - begin

    def answer(count: int) -> float:
        context.clear()
        begin = time.perf_counter()
        for position in range(count):
            context.decode([tokens[position]], position, {position})
        return time.perf_counter() - begin

    prompt()
    prompt_seconds = prompt()
    answer(1)
    answer_seconds = answer(options.new_tokens)
    return {"prompt_tokens_per_second": options.prompt_tokens / prompt_seconds,
            "new_tokens_per_second": options.new_tokens / answer_seconds,
            "prompt_tokens": options.prompt_tokens, "new_tokens": options.new_tokens, "context": options.context,
            "threads": options.threads, "device": device(model.library)}


def device(library) -> str:
    library.llama_supports_gpu_offload.restype = ctypes.c_bool
    return "GPU, where there is one" if library.llama_supports_gpu_offload() else "CPU"


def sample_loss(context: Context, tokens: list[int], targets: list[int]) -> float:
    """Sum of -ln p over the targets, nats."""
    context.clear()
    # The logits at position t - 1 predict the token at t.
    predicts = {target - 1 for target in targets}
    total = 0.0
    for start in range(0, len(tokens), LOSS_BATCH):
        part = tokens[start:start + LOSS_BATCH]
        logits = context.decode(part, start, predicts)
        right = [tokens[at + 1] for at in range(start, start + len(part)) if at in predicts]
        for row, token in zip(logits, right):
            largest = row.max()
            total += largest + np.log(np.exp(row - largest).sum()) - row[token]
    return float(total)


def loss(options) -> dict:
    with open(options.samples) as file:
        samples = [json.loads(line) for line in file]
    model = llama_cpp.Model(options.file)
    context = Context(model, exact_parameters(model.library, options.context, options.threads), options.threads)
    sums = [sample_loss(context, sample["tokens"], sample["targets"]) for sample in samples]
    count = sum(len(sample["targets"]) for sample in samples)
    mean = sum(sums) / count
    return {"samples": len(samples), "tokens": count, "loss": mean, "perplexity": float(np.exp(mean)), "sample_losses": sums,
            "context": options.context, "threads": options.threads}
