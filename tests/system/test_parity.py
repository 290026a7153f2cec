"""Logits of the decoder against transformers, on small random checkpoints made here.

In float32 on both sides max|difference| / max|logit| stays below 1e-5. In BF16 the error against float64 is at most
twice that of transformers in BF16. `pytest -s` prints the table.
"""
import dataclasses
import json
import subprocess

import numpy as np
import pytest
import torch
import transformers

FLOAT32_BOUND = 1e-5
BF16_RATIO = 2.0
VOCABULARY = 96
FACTORS = {
    "short_factor": [1.0, 1.02, 1.05, 1.1, 1.2, 1.4, 1.7, 2.1],
    "long_factor": [1.1, 1.5, 2.5, 4.0, 8.0, 16.0, 30.0, 60.0],
}


@dataclasses.dataclass
class Case:
    name: str
    config: dict = dataclasses.field(default_factory=dict)
    length: int = 24
    stored: torch.dtype = torch.float32
    shard: str = "5GB"
    respelled: bool = False  # config.json, as transformers 5 writes it


def longrope(original=32, maximum=128, **extra):
    return {
        "max_position_embeddings": maximum,
        "original_max_position_embeddings": original,
        "rope_scaling": {"type": "longrope", **FACTORS},
        **extra,
    }


def phi4_mini():
    config = longrope(num_key_value_heads=2, tie_word_embeddings=True, partial_rotary_factor=0.75)
    config["rope_scaling"] = {"type": "longrope", **{name: factors[:6] for name, factors in FACTORS.items()}}
    return config


CASES = [
    Case("plain"),
    Case("grouped queries 4:1", {"num_key_value_heads": 1}),
    Case("grouped queries 4:2", {"num_key_value_heads": 2}),
    Case("partial rotary 0.75 of 16", {"partial_rotary_factor": 0.75}),
    Case("longrope below its boundary", longrope(), length=20),
    Case("longrope at its boundary", longrope(), length=32),
    Case("longrope above its boundary", longrope(), length=33),
    Case("longrope far above", longrope(), length=100),
    Case("longrope, original 4096, at 4096", longrope(4096, 131072), length=4096),
    Case("longrope, original 4096, at 4097", longrope(4096, 131072), length=4097),
    Case("sliding window 7", {"sliding_window": 7}, length=40),
    Case("sliding window, grouped queries", {"sliding_window": 9, "num_key_value_heads": 2}, length=40),
    Case("tied embeddings", {"tie_word_embeddings": True}),
    Case("shards", shard="20KB"),
    Case("stored as F16", stored=torch.float16),
    Case("stored as BF16", stored=torch.bfloat16),
    Case("rope_theta 250000", {"rope_theta": 250000.0}),
    Case("transformers 5 spelling", longrope(), length=40, respelled=True),
    Case("explicit head_dim 24 of 64 / 4", {"head_dim": 24, "num_key_value_heads": 2}),
    Case("Phi-4-mini-like", phi4_mini(), length=40),
]


def respell(folder):
    """config.json as transformers 5 writes it: rope_parameters, rope_type, dtype."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    rope = config.pop("rope_scaling")
    rope["rope_type"] = rope.pop("type")
    rope["rope_theta"] = config.pop("rope_theta")
    rope["original_max_position_embeddings"] = config.pop("original_max_position_embeddings")
    config["rope_parameters"] = rope
    config["dtype"] = config.pop("torch_dtype", config.get("dtype"))
    path.write_text(json.dumps(config))


def make_model(case, folder, dtype=torch.float32):
    """Writes the case's checkpoint and returns what transformers loads from it in this type."""
    torch.manual_seed(sum(map(ord, case.name)))
    config = transformers.Phi3Config(
        **{
            "vocab_size": VOCABULARY,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "max_position_embeddings": 128,
            "original_max_position_embeddings": 128,
            "initializer_range": 0.2,  # logits of a few units, attention that is far from uniform
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 0,
            **case.config,
        }
    )
    model = transformers.Phi3ForCausalLM(config).to(case.stored)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder, max_shard_size=case.shard)
    loaded = transformers.Phi3ForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager")
    if case.respelled:
        respell(folder)
    return loaded.eval()


def our_logits(tool, folder, tokens, dtype="fp32", way="packed", vocabulary=VOCABULARY):
    """tokens: one list a sample. All rows, end to end."""
    tokens_file, output = folder / "tokens.txt", folder / "logits.bin"
    tokens_file.write_text("".join(" ".join(map(str, sample)) + "\n" for sample in tokens))
    subprocess.run([tool, folder, dtype, way, tokens_file, output], check=True, capture_output=True)
    return torch.from_numpy(np.fromfile(output).reshape(-1, vocabulary))


def their_logits(model, sample):
    with torch.no_grad():
        return model(torch.tensor([sample])).logits[0].double()


def random_sample(length, seed=1):
    return np.random.default_rng(seed).integers(0, VOCABULARY, length).tolist()


def relative_error(ours, theirs):
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_float32_logits_equal_transformers(case, tmp_path, dump_logits, parity_table):
    model = make_model(case, tmp_path)
    if case.shard != "5GB":
        assert len(list(tmp_path.glob("model-*.safetensors"))) > 2
    sample = random_sample(case.length)
    theirs = their_logits(model, sample)
    error = relative_error(our_logits(dump_logits, tmp_path, [sample]), theirs)
    parity_table.append((case.name, case.length, "float32", error, FLOAT32_BOUND))
    assert error <= FLOAT32_BOUND


@pytest.mark.parametrize("case", [CASES[0], CASES[2], CASES[6], CASES[10]], ids=lambda case: case.name)
def test_bf16_error_is_at_most_twice_that_of_transformers(case, tmp_path, dump_logits, parity_table):
    case = dataclasses.replace(case, stored=torch.bfloat16)
    model = make_model(case, tmp_path, torch.bfloat16)
    samples = [random_sample(case.length, seed) for seed in range(8)]
    theirs = torch.cat([their_logits(model, sample) for sample in samples])
    exact = torch.cat([their_logits(model.double(), sample) for sample in samples])
    ours = our_logits(dump_logits, tmp_path, samples, "bf16")
    error, bound = relative_error(ours, exact), BF16_RATIO * relative_error(theirs, exact)
    parity_table.append((case.name, case.length, "BF16", error, bound))
    assert error <= bound


@pytest.mark.parametrize("case", [CASES[0], CASES[6], CASES[11]], ids=lambda case: case.name)
def test_cached_steps_equal_transformers(case, tmp_path, dump_logits, parity_table):
    """Row t comes from t+1 tokens alone, so that longrope chooses by the length so far."""
    model = make_model(case, tmp_path)
    sample = random_sample(case.length)
    theirs = torch.stack([their_logits(model, sample[: t + 1])[-1] for t in range(case.length)])
    error = relative_error(our_logits(dump_logits, tmp_path, [sample], way="cached"), theirs)
    parity_table.append((case.name, case.length, "float32, cached", error, FLOAT32_BOUND))
    assert error <= FLOAT32_BOUND


@pytest.mark.parametrize("case", [CASES[0], CASES[6], CASES[11]], ids=lambda case: case.name)
def test_packing_samples_changes_nothing(case, tmp_path, dump_logits, parity_table):
    """Samples on both sides of the boundary in one pass, each equal to transformers' call for it alone."""
    model = make_model(case, tmp_path)
    samples = [random_sample(length, length) for length in (5, 32, 33, 1, 60)]
    theirs = torch.cat([their_logits(model, sample) for sample in samples])
    error = relative_error(our_logits(dump_logits, tmp_path, samples), theirs)
    parity_table.append((case.name, 131, "float32, packed", error, FLOAT32_BOUND))
    assert error <= FLOAT32_BOUND
