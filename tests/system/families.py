"""Small random checkpoints of every decoder family, written by transformers' own classes."""
import dataclasses
import json
import math
import shutil

import torch
import transformers
from test_parity import FACTORS

VOCABULARY = 96
CLASSES = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3", "phi3": "Phi3"}


@dataclasses.dataclass
class Variant:
    name: str
    family: str
    config: dict = dataclasses.field(default_factory=dict)
    length: int = 24
    stored: torch.dtype = torch.float32
    shard: str = "5GB"
    respelled: bool = False  # config.json, as transformers 5 writes it


def linear(factor=4.0):
    return {"rope_scaling": {"rope_type": "linear", "factor": factor}, "max_position_embeddings": 32}


def llama3(original=32):
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    return {"rope_scaling": {**scaling, "original_max_position_embeddings": original}, "head_dim": 64, "rope_theta": 10000.0}


def heads(queries, keys, **config):
    return {"num_attention_heads": queries, "num_key_value_heads": keys, **config}


def window(size):
    """Of Qwen: in all layers."""
    return {"use_sliding_window": True, "sliding_window": size, "max_window_layers": 0}


def longrope(**config):
    scaling = {"type": "longrope", **{name: factors[:6] for name, factors in FACTORS.items()}}
    return {"rope_scaling": scaling, "max_position_embeddings": 128, "original_max_position_embeddings": 32, **config}


SMOLLM2 = heads(9, 3, hidden_size=144, tie_word_embeddings=True, rope_theta=100000.0)
PHI4_MINI = longrope(**heads(6, 2, hidden_size=96, tie_word_embeddings=True, partial_rotary_factor=0.75))
VARIANTS = [
    Variant("Llama, 1 query head a group", "llama", heads(4, 4)),
    Variant("Llama, 3 query heads a group", "llama", heads(6, 2, hidden_size=96)),
    Variant("Llama, 4 query heads a group", "llama", heads(4, 1)),
    Variant("Llama, 8 query heads a group", "llama", heads(8, 1)),
    Variant("SmolLM2's shape", "llama", SMOLLM2, length=40),
    Variant("Llama, head_dim 64", "llama", heads(4, 2, hidden_size=256)),
    Variant("Llama, head_dim 80 of its own", "llama", heads(4, 2, head_dim=80)),
    Variant("Llama, head_dim 96 of its own", "llama", heads(2, 1, head_dim=96)),
    Variant("Llama, head_dim 128 of its own", "llama", heads(4, 2, head_dim=128)),
    Variant("Llama, biases of attention", "llama", heads(4, 2, attention_bias=True)),
    Variant("Llama, biases of the MLP", "llama", heads(4, 2, mlp_bias=True)),
    Variant("Llama, all biases, tied", "llama", heads(4, 2, attention_bias=True, mlp_bias=True, tie_word_embeddings=True)),
    Variant("Llama, linear, within 32", "llama", linear()),
    Variant("Llama, linear, beyond 32", "llama", linear(), length=80),
    Variant("Llama, llama3, within 32", "llama", llama3(), length=32),
    Variant("Llama, llama3, beyond 32", "llama", llama3(), length=33),
    Variant("Llama, llama3 of 8192", "llama", llama3(8192), length=100),
    Variant("Llama, stored as BF16", "llama", heads(4, 2), stored=torch.bfloat16),
    Variant("Llama, stored as F16", "llama", heads(4, 2), stored=torch.float16),
    Variant("Llama, shards", "llama", heads(4, 2), shard="20KB"),
    Variant("Llama, transformers 5 spelling", "llama", llama3(), length=40, respelled=True),
    Variant("Mistral, window of 4096", "mistral", heads(4, 2)),
    Variant("Mistral, window of 7", "mistral", heads(4, 2, sliding_window=7), length=40),
    Variant("Mistral, no window, head_dim 80", "mistral", heads(4, 1, head_dim=80, sliding_window=None)),
    Variant("Mistral, linear, window of 9", "mistral", heads(4, 2, sliding_window=9, **linear()), length=40),
    Variant("Qwen2", "qwen2", heads(4, 2)),
    Variant("Qwen2, tied, 8 query heads a group", "qwen2", heads(8, 1, tie_word_embeddings=True)),
    Variant("Qwen2, window of 7", "qwen2", heads(4, 2, **window(7)), length=40),
    Variant("Qwen3, head_dim 128", "qwen3", heads(4, 2)),
    Variant("Qwen3, head_dim 32, tied", "qwen3", heads(4, 4, head_dim=32, tie_word_embeddings=True)),
    Variant("Qwen3, biases, window of 7", "qwen3", heads(4, 2, head_dim=16, attention_bias=True, **window(7)), length=40),
    Variant("Phi-4-mini's shape, below 32", "phi3", PHI4_MINI, length=32),
    Variant("Phi-4-mini's shape, beyond 32", "phi3", PHI4_MINI, length=40),
]
# One of each, for the commands.
TYPICAL = {
    "llama": SMOLLM2,
    "mistral": heads(4, 2, sliding_window=24, head_dim=32),
    "qwen2": heads(4, 2, tie_word_embeddings=True),
    "qwen3": heads(4, 2, head_dim=32),
    "phi3": PHI4_MINI,
}


def respell(folder):
    """config.json as transformers 5 writes it: rope_parameters that hold rope_theta, dtype."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["rope_parameters"] = {**config.pop("rope_scaling"), "rope_theta": config.pop("rope_theta")}
    config["dtype"] = config.pop("torch_dtype", config.get("dtype"))
    path.write_text(json.dumps(config))


def random_model(variant):
    """Of transformers, with norms and biases that are not what they begin as."""
    torch.manual_seed(sum(map(ord, variant.name)))
    kind = CLASSES[variant.family]
    config = getattr(transformers, kind + "Config")(
        **{
            "vocab_size": VOCABULARY,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "max_position_embeddings": 128,
            # At every width logits of a few units and attention that is far from uniform.
            "initializer_range": 1.6 / math.sqrt(variant.config.get("hidden_size", 64)),
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 0,
            **variant.config,
        }
    )
    model = getattr(transformers, kind + "ForCausalLM")(config).to(variant.stored)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith(".bias"):
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def make(variant, folder, dtype=torch.float32, tokenizer=None):
    """Writes the variant's checkpoint, beside the tokenizer of another folder, and returns what transformers loads."""
    random_model(variant).save_pretrained(folder, max_shard_size=variant.shard)
    for name in ["tokenizer.model", "tokenizer.json", "tokenizer_config.json"] if tokenizer else []:
        shutil.copy(tokenizer / name, folder)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager")
    if variant.respelled:
        respell(folder)
    return loaded.eval()


def typical(family, **config):
    """Of the demo tokenizer's vocabulary."""
    tokens = {"vocab_size": 1600, "bos_token_id": 1, "eos_token_id": 1536, "pad_token_id": 1536}
    return Variant(family, family, {**TYPICAL[family], **tokens, **config})
