"""What an exported GGUF file says of itself, read by gguf-py and llama.cpp, and that it is whole or absent."""
import json
import random
import re
import signal
import subprocess
import time

import llama_cpp
import numpy as np
import pytest
import safetensors.torch
import torch
from exports import MODEL, fields, needs_llama_cpp
from test_eval import LAYERS


def test_keys_have_llama_cpps_types_and_the_configs_values(merged_file):
    found = fields(merged_file)
    config = json.loads((MODEL / "config.json").read_text())
    scale = (1 + np.log(512 / 256) / np.log(256)) ** 0.5
    expected = {
        "general.architecture": ("STRING", "phi3"), "general.type": ("STRING", "model"),
        "general.file_type": ("UINT32", 0), "general.quantization_version": ("UINT32", 2),
        "phi3.context_length": ("UINT32", 256), "phi3.rope.scaling.original_context_length": ("UINT32", 256),
        "phi3.embedding_length": ("UINT32", 192), "phi3.feed_forward_length": ("UINT32", 256),
        "phi3.block_count": ("UINT32", 6), "phi3.attention.head_count": ("UINT32", 6),
        "phi3.attention.head_count_kv": ("UINT32", 6),
        "phi3.attention.layer_norm_rms_epsilon": ("FLOAT32", pytest.approx(1e-5, rel=1e-6)),
        "phi3.rope.dimension_count": ("UINT32", 32), "phi3.rope.freq_base": ("FLOAT32", 10000.0),
        "phi3.rope.scaling.attn_factor": ("FLOAT32", pytest.approx(scale, rel=1e-6)),
        "phi3.attention.sliding_window": ("UINT32", config["sliding_window"]),
        "tokenizer.ggml.model": ("STRING", "llama"), "tokenizer.ggml.pre": ("STRING", "default"),
        "tokenizer.ggml.bos_token_id": ("UINT32", 1), "tokenizer.ggml.eos_token_id": ("UINT32", 1536),
        "tokenizer.ggml.unknown_token_id": ("UINT32", 0), "tokenizer.ggml.padding_token_id": ("UINT32", 1536),
        "tokenizer.ggml.add_bos_token": ("BOOL", False), "tokenizer.ggml.add_eos_token": ("BOOL", False),
        "tokenizer.ggml.add_space_prefix": ("BOOL", True),
    }
    for name, (kind, value) in expected.items():
        assert found[name] == ([kind], value), name
    assert found["tokenizer.ggml.tokens"][0] == ["ARRAY", "STRING"]
    assert found["tokenizer.ggml.scores"][0] == ["ARRAY", "FLOAT32"]
    assert found["tokenizer.ggml.token_type"][0] == ["ARRAY", "INT32"]
    assert "phi3.rope.scaling.factor" not in found
    assert re.search("phi-?3", found["general.name"][1].lower())
    assert found["tokenizer.chat_template"][1] == json.loads((MODEL / "tokenizer_config.json").read_text())["chat_template"]


@needs_llama_cpp
def test_provenance_is_readable(export, trained, tmp_path):
    export(tmp_path / "model.gguf", adapter=trained, quantization="q8_0")
    found = fields(tmp_path / "model.gguf")
    alphas = safetensors.torch.load_file(trained / "adapter_model.safetensors")
    gates = [torch.sigmoid(alphas[f"layers.{i}.so8t.alpha"]).item() for i in range(LAYERS)]
    assert found["nkat.adapter.gates"] == (["ARRAY", "FLOAT32"], pytest.approx(gates, rel=1e-6))
    assert found["nkat.training_step"] == (["UINT32"], 12)
    base = json.loads((trained / "adapter_config.json").read_text())["base_sha256"]
    keys = llama_cpp.ask(tmp_path / "model.gguf", keys=["nkat.base_sha256", "nkat.training_step", "general.architecture"])["keys"]
    assert keys == {"nkat.base_sha256": base, "nkat.training_step": "12", "general.architecture": "phi3"}


def test_the_modelfile_names_template_stops_and_context(merged_file):
    text = (merged_file.parent / "Modelfile").read_text()
    assert text.startswith("FROM ./model.gguf\n")
    assert re.findall(r'PARAMETER stop "(.*)"', text) == ["<|end|>", "<|endoftext|>", "<|assistant|>"]
    assert "PARAMETER num_ctx 256" in text and "<|{{ .Role }}|>\n{{ .Content }}<|end|>\n" in text


def test_the_same_command_gives_the_same_bytes(export, open_adapter, tmp_path):
    for name in ("a", "b"):
        export(tmp_path / name / "model.gguf", adapter=open_adapter, quantization="q4_k_m")
    assert (tmp_path / "a" / "model.gguf").read_bytes() == (tmp_path / "b" / "model.gguf").read_bytes()


def test_a_kill_leaves_the_old_file_or_the_new_one(nkat_path, export, open_adapter, tmp_path):
    path = tmp_path / "out" / "model.gguf"
    export(path, adapter=open_adapter, quantization="q8_0", self_test="off")
    older = path.read_bytes()
    export(path, adapter=open_adapter, quantization="f32")
    new = path.read_bytes()
    words = [nkat_path, "export", "--model-path", MODEL, "--adapter", open_adapter, "--output", path, "--quantization", "f32"]
    rng = random.Random(0)
    for _ in range(8):
        path.write_bytes(older)
        child = subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0, 1))
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert path.read_bytes() in (older, new)
    export(path, adapter=open_adapter, quantization="f32")
    assert sorted(file.name for file in path.parent.iterdir()) == ["Modelfile", "export.json", "model.gguf"]
