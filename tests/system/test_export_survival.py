"""How much of the adapter is in the exported file, against gguf-py."""
import json
import re

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
    assert lost.returncode == 5 and "LOST in layers 0, 1, 2, 3, 4, 5" in lost.stdout
    assert "lost in layers 0, 1, 2, 3, 4, 5" in lost.stderr and "was published as asked" in lost.stderr
    assert json.loads((tmp_path / "export.json").read_text())["lost_layers"] == list(range(LAYERS))
    assert (tmp_path / "model.gguf").read_bytes().startswith(b"GGUF")
    # The options that the message names accept exactly this.
    accepting = re.search(r"accept it with (--min-retention .*)", lost.stderr)[1].split()
    accepted = nkat(*words, "q4_0", *accepting)
    assert accepted.returncode == 0 and "LOST" not in accepted.stdout, accepted.stderr
    kept = nkat(*words, "f32")
    assert kept.returncode == 0 and "LOST" not in kept.stdout
    folder = nkat(*words[:6], tmp_path / "hf", "--format", "hf", "--quantization", "bf16")
    assert folder.returncode == 5 and "folder was published as asked" in folder.stderr
    assert (tmp_path / "hf" / "model.safetensors").exists()
    off = nkat(*words, "q4_0", "--self-test", "off")
    assert off.returncode == 0 and json.loads((tmp_path / "export.json").read_text())["ffn_down"] == []


def test_only_the_types_that_are_named_get_another_limit(nkat, open_adapter, tmp_path):
    """q4_k_m stores the demo's ffn_down as q4_K and, of two layers, as q6_K."""
    words = ["export", "--model-path", MODEL, "--adapter", open_adapter, "--output", tmp_path / "model.gguf", "--quantization", "q4_k_m", "--json"]
    for limits, lost in ((["--min-retention", "q6_K=1.5"], [2, 5]), (["--min-retention", "all=1.5", "q6_K=0.5"], [0, 1, 3, 4]),
                         (["--max-noise", "q4_K=1e9"], []), (["--max-noise", "all=1e9", "q6_K=0"], [2, 5])):
        done = nkat(
            *words,
            *limits,
            "--max-noise" if limits[0] == "--min-retention" else "--min-retention",
            "q4_K=1e9" if limits[0] == "--min-retention" else "q4_K=-1e9",
        )
        report = json.loads(done.stdout)
        assert (done.returncode, report["lost_layers"]) == (5 if lost else 0, lost), done.stderr
        assert all(one["minimum_survived"] == 1.5 for one in report["ffn_down"] if one["layer"] in lost and limits[0] == "--min-retention")


def test_the_base_alone_loses_nothing(nkat, tmp_path):
    done = nkat("export", "--model-path", MODEL, "--output", tmp_path / "model.gguf", "--quantization", "q4_0")
    assert done.returncode == 0 and "base without adapter" not in done.stdout, done.stderr
    report = json.loads((tmp_path / "export.json").read_text())
    assert {one["fate"] for one in report["ffn_down"]} == {"unchanged"} and report["logits"]["base_mean_kl"] is None


def test_the_former_names_of_the_limits_still_work(nkat, tmp_path):
    words = ["export", "--model-path", MODEL, "--output", tmp_path / "model.gguf", "--quantization", "q8_0", "--self-test", "tensors"]
    done = nkat(*words, "--minimum-survived", "all=0", "--maximum-noise", "all=9")
    assert done.returncode == 0 and done.stderr.count("--minimum-survived is now --min-retention") == 1, done.stderr
    assert "--maximum-noise is now --max-noise" in done.stderr


def test_wrong_limits_are_refused(nkat, tmp_path):
    words = ["export", "--model-path", MODEL, "--output", tmp_path / "model.gguf"]
    for bad in (["--min-retention", "0.5"], ["--max-noise", "q9=3"], ["--self-test", "off", "--min-retention", "all=0"],
                ["--self-test", "tensors", "--maximum-kl", "1"], ["--maximum-kl", "-1"]):
        done = nkat(*words, *bad)
        assert done.returncode == 2 and bad[-2] in done.stderr, done.stderr
    assert not (tmp_path / "model.gguf").exists()
