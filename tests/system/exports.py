"""What the tests of `nkat export` share: the program as a function, adapters, exported files, and logits to compare."""
import json
import shutil

import gguf
import libggml
import numpy as np
import pytest
import torch
import training
import transformers
from test_eval import write_adapter
from test_parity import Case, make_model
from tokenizers import Tokenizer

MODEL = training.DEMO / "model"
TOKENIZER_FILES = ["tokenizer.model", "tokenizer.json", "tokenizer_config.json"]
# float32 forward passes with differently ordered sums, on logits of up to 15.
LLAMA_BOUND = 5e-5
FLOAT32_BOUND = 1e-5
QUANTIZATIONS = ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k"]
ACCEPTING = ["--min-retention", "all=-1e9", "--max-noise", "all=1e9"]
ALPHAS = [-5.0, -2.0, -1.0, 0.0, 1.0, 2.0]

needs_llama_cpp = pytest.mark.skipif(libggml.path() is None, reason="xllamacpp is not installed")


@pytest.fixture(scope="session")
def export(nkat):
    """export(output, adapter=..., format="hf") runs the command, which must succeed, and returns its report.

    What a coarse type loses of the adapter is accepted, unless strict: most tests aren't about it.
    """

    def run(output, model=MODEL, strict=False, **options):
        words = [] if strict or options.get("self_test") == "off" else ACCEPTING
        for name, value in options.items():
            words = words + ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
        done = nkat("export", "--model-path", model, "--output", output, "--json", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def open_adapter(tmp_path_factory):
    """Gates from nearly shut to open, rotations far from the identity."""
    return write_adapter(tmp_path_factory.mktemp("adapters") / "open", ALPHAS)


@pytest.fixture(scope="session")
def trained(nkat, tmp_path_factory):
    """The last checkpoint of a short training run."""
    run = tmp_path_factory.mktemp("trained") / "run"
    done = nkat("train", *training.options(run))
    assert done.returncode == 0, done.stderr
    return run / "checkpoints" / "step-000012"


@pytest.fixture(scope="session")
def merged_folder(export, open_adapter, tmp_path_factory):
    folder = tmp_path_factory.mktemp("merged") / "hf"
    export(folder, adapter=open_adapter, format="hf")
    return folder


@pytest.fixture(scope="session")
def merged_file(export, open_adapter, tmp_path_factory):
    path = tmp_path_factory.mktemp("merged") / "model.gguf"
    export(path, adapter=open_adapter, quantization="f32")
    return path


@pytest.fixture(scope="session")
def trained_pair(export, trained, tmp_path_factory):
    """The trained demo as (GGUF file, Hugging Face folder), both in F32."""
    folder = tmp_path_factory.mktemp("trained_pair")
    export(folder / "model.gguf", adapter=trained, quantization="f32")
    export(folder / "hf", adapter=trained, format="hf")
    return folder / "model.gguf", folder / "hf"


def tokens_of(count, vocabulary=1500, seed=0):
    return np.random.default_rng(seed).integers(3, vocabulary, count).tolist()


def load(folder, dtype=torch.float32):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()


def logits_of(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].double().numpy()


def with_ggml_angles(model, count, factors=1.0, scale=1.0):
    """The model with the angles of ggml_rope_cache_init for `count` positions: float32 products along the channels, divided
    by the channels' factors, times linear scaling's 1 / factor."""
    rope, config = model.model.rotary_emb, model.config
    channels = 2 * len(rope.inv_freq)
    step = np.float32(np.float32(config.rope_theta) ** np.float32(-2 / channels))
    products = [np.arange(count, dtype=np.float32)]
    for _ in range(channels // 2 - 1):
        products.append(products[-1] * step)
    angles = torch.from_numpy(np.float32(scale) * np.stack(products, 1) / np.float32(factors)).double().repeat(1, 2)[None]
    rotated = [(turned * rope.attention_scaling).to(model.dtype) for turned in (angles.cos(), angles.sin())]
    rope.forward = lambda *_, **__: rotated
    return model


def largest_difference(left, right):
    return float(np.abs(np.asarray(left) - np.asarray(right)).max())


def demo_tokens(count):
    """Of a conversation in the demo's validation data."""
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    text = "".join(line for line in (training.DEMO / "validation.jsonl").read_text().splitlines()[:20])
    return tokenizer.encode(text, add_special_tokens=False).ids[:count]


def mean_divergence(exact, found):
    """KL(exact || found), nats a token."""
    p, q = (torch.log_softmax(torch.tensor(np.asarray(x)), -1) for x in (exact, found))
    return float((p.exp() * (p - q)).sum(-1).mean())


def fields(path):
    reader = gguf.GGUFReader(path)
    return {name: ([kind.name for kind in field.types], field.contents()) for name, field in reader.fields.items()}


def random_model(folder, tokenizer, vocabulary, **config):
    """A tiny model around another folder's tokenizer."""
    make_model(Case("tiny", {"vocab_size": vocabulary, **config}), folder)
    for name in [*TOKENIZER_FILES, "added_tokens.json"]:
        if (tokenizer / name).exists():
            shutil.copy(tokenizer / name, folder)
    return folder
