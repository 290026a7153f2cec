"""How much of the adapter is in the exported file, against gguf-py."""
import json

import gguf
import numpy as np
import pytest
import safetensors.torch
from exports import MODEL
from test_eval import LAYERS, write_adapter


@pytest.mark.parametrize("quantization", ["f32", "bf16", "q8_0", "q4_0", "q4_k_m"])
def test_survival_is_what_gguf_py_measures(quantization, export, open_adapter, merged_folder, tmp_path):
    report = export(tmp_path / "model.gguf", adapter=open_adapter, quantization=quantization)
    base = safetensors.torch.load_file(MODEL / "model.safetensors")
    merged = safetensors.torch.load_file(merged_folder / "model.safetensors")
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    for layer, found in enumerate(report["ffn_down"]):
        tensor = tensors[f"blk.{layer}.ffn_down.weight"]
        name = f"model.layers.{layer}.mlp.down_proj.weight"
        written = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(merged[name].shape).astype(np.float64)
        change = (merged[name].double() - base[name].double()).numpy()
        survived = ((written - base[name].double().numpy()) * change).sum() / (change**2).sum()
        noise = np.linalg.norm(written - merged[name].double().numpy()) / np.linalg.norm(change)
        assert found["survived"] == pytest.approx(survived, rel=1e-9)
        assert found["noise"] == pytest.approx(noise, rel=1e-9)
        assert found["type"] == tensor.tensor_type.name.lower().replace("_k", "_K")
    if quantization == "f32":
        assert all(one["survived"] == 1 and one["noise"] == 0 and one["fate"] == "kept" for one in report["ffn_down"])


def test_a_nearly_shut_gate_is_lost_in_q4_and_kept_in_f32(nkat, tmp_path):
    adapter = write_adapter(tmp_path / "adapter", [-9.0] * LAYERS)
    words = ["export", "--model-path", MODEL, "--adapter", adapter, "--output", tmp_path / "model.gguf", "--quantization"]
    lost = nkat(*words, "q4_0")
    assert lost.returncode == 0 and "LOST in layers 0, 1, 2, 3, 4, 5" in lost.stdout
    assert json.loads((tmp_path / "export.json").read_text())["lost_layers"] == list(range(LAYERS))
    kept = nkat(*words, "f32")
    assert kept.returncode == 0 and "LOST" not in kept.stdout
    off = nkat(*words, "q4_0", "--self-test", "off")
    assert off.returncode == 0 and json.loads((tmp_path / "export.json").read_text())["ffn_down"] == []
