"""A model with outlier channels, as large models have them: the same function, in which three channels of every matrix's input
are 20, 40 and 60 times larger and the columns that read them as much smaller.
"""
import json
import shutil

import safetensors.torch

FACTORS = {7: 20.0, 70: 40.0, 133: 60.0}  # by channel


def widen_outliers(tensors, config):
    """The same function: what feeds a channel times a factor, the column that reads it over it."""
    value_rows = (config["num_attention_heads"] + config["num_key_value_heads"]) * config["hidden_size"] // config["num_attention_heads"]
    assert config["num_attention_heads"] == config["num_key_value_heads"]  # so that a value channel is one of o_proj's inputs
    for layer in range(config["num_hidden_layers"]):
        part = {name: tensors[f"model.layers.{layer}.{name}.weight"] for name in (
            "input_layernorm", "self_attn.qkv_proj", "self_attn.o_proj", "post_attention_layernorm", "mlp.gate_up_proj", "mlp.down_proj")}
        for channel, factor in FACTORS.items():
            for source, row, reader in (
                ("input_layernorm", channel, "self_attn.qkv_proj"),
                ("self_attn.qkv_proj", value_rows + channel, "self_attn.o_proj"),
                ("post_attention_layernorm", channel, "mlp.gate_up_proj"),
                ("mlp.gate_up_proj", config["intermediate_size"] + channel, "mlp.down_proj"),
            ):
                part[source][row] *= factor
                part[reader][:, channel] /= factor


def make_outlier_model(source, folder):
    shutil.copytree(source, folder, dirs_exist_ok=True)
    tensors = safetensors.torch.load_file(source / "model.safetensors")
    widen_outliers(tensors, json.loads((source / "config.json").read_text()))
    safetensors.torch.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder
