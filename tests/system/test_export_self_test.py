"""The self-test of an export: its figures against transformers, and what becomes of the file when anything fails."""
import json
import resource
import signal
import subprocess
import time

import gguf
import numpy as np
import pytest
import torch
from adapter_reference import AdaptedModel
from exports import FLOAT32_BOUND, MODEL, load, logits_of, random_model
from gguf_files import checkpoint_name
from tokenizers import Tokenizer

PROMPTS = [
    ("Why is the sky blue?", "Air scatters short waves of light more than long ones, so blue comes from everywhere."),
    ("日本の首都はどこですか。", "日本の首都は東京です。"),
    ("What is 48 + 57 - 19?", "48 + 57 = 105, and 105 - 19 = 86.\n#### 86"),
    ("Write a loop that sums a list.", "total = 0\nfor x in values:\n    total += x\nprint(total)"),
]


def prompt_tokens():
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    texts = [f"<|user|>\n{question}<|end|>\n<|assistant|>\n{answer}<|end|>\n<|endoftext|>" for question, answer in PROMPTS]
    return [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]


def model_of_file(path):
    """The GGUF file's weights, decoded by gguf-py, in transformers' model."""
    model = load(MODEL, torch.float64)
    tensors = {}
    for tensor in gguf.GGUFReader(path).tensors:
        if tensor.name.startswith("rope_factors"):
            continue
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(tensor.shape.tolist()[::-1])
        tensors[checkpoint_name(tensor.name)] = torch.from_numpy(np.array(values, np.float64))
    model.load_state_dict(tensors)
    return model


def divergences(exact, found):
    """KL(exact || found) of every token."""
    p, q = (torch.log_softmax(torch.from_numpy(np.concatenate(x)), -1) for x in (exact, found))
    return (p.exp() * (p - q)).sum(-1).numpy()


def bound(divergence, error):
    """How far a mean KL moves when all logits of both models move by `error`: by Pinsker |p - q| <= sqrt(2 KL), the slope in
    q's logits; the one in p's is at most sum p |log p/q| + KL <= sqrt(2 KL) + 2 KL; and half the curvature, twice."""
    return error * (2 * divergence + 2 * np.sqrt(2 * divergence)) + 4 * error**2


@pytest.mark.parametrize("quantization", ["f32", "q8_0", "q4_k_m", "q4_0"])
def test_divergences_and_agreement_are_those_of_transformers(quantization, export, open_adapter, tmp_path):
    found = export(tmp_path / "model.gguf", adapter=open_adapter, quantization=quantization)["logits"]
    tokens = prompt_tokens()
    assert (found["prompts"], found["tokens"]) == (4, sum(map(len, tokens)))
    adapted, of_file, base = (
        [logits_of(model, ids) for ids in tokens]
        for model in (AdaptedModel(MODEL).load(open_adapter).model, model_of_file(tmp_path / "model.gguf"), load(MODEL, torch.float64))
    )
    error = FLOAT32_BOUND * np.abs(np.concatenate(adapted)).max()
    kl, without = divergences(adapted, of_file), divergences(adapted, base).mean()
    print(f"{quantization}: mean KL {kl.mean():.3e}, off by {abs(found['mean_kl'] - kl.mean()):.1e}, at most {bound(kl.mean(), error):.1e}")
    assert abs(found["mean_kl"] - kl.mean()) <= bound(kl.mean(), error)
    assert abs(found["largest_kl"] - kl.max()) <= bound(kl.max(), error)
    assert abs(found["base_mean_kl"] - without) <= bound(without, error)
    best = [np.sort(np.concatenate(logits), -1) for logits in (adapted, of_file)]
    close = sum((logits[:, -1] - logits[:, -2] < 2 * error).sum() for logits in best)
    agree = (np.concatenate(adapted).argmax(-1) == np.concatenate(of_file).argmax(-1)).sum()
    assert abs(found["top1_agreement"] * found["tokens"] - agree) <= close + 1e-6


def test_a_folder_is_compared_too(export, open_adapter, tmp_path):
    found = {kind: export(tmp_path / kind, adapter=open_adapter, format="hf", quantization=kind)["logits"] for kind in ("f32", "bf16")}
    assert 0 <= found["f32"]["mean_kl"] < 1e-9 < found["bf16"]["mean_kl"] < 1e-3
    assert found["f32"]["top1_agreement"] == 1 and found["f32"]["base_mean_kl"] > 1e-2


def words_of(adapter, output, *more):
    return ["export", "--model-path", MODEL, "--adapter", adapter, "--output", output, "--quantization", "q8_0", *more]


@pytest.mark.parametrize("kind", ["gguf", "hf"])
def test_a_file_beyond_the_bound_is_not_put_in_place(kind, nkat, open_adapter, tmp_path):
    output = tmp_path / "out"
    words = [*words_of(open_adapter, output)[:-2], "--format", kind]
    assert nkat(*words).returncode == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    failed = nkat(*words, "--quantization", "bf16", "--maximum-kl", "1e-9")
    assert failed.returncode == 5 and "nats per token" in failed.stderr and "nothing was published" in failed.stderr
    assert "NOT PUBLISHED" in failed.stdout and "serve it" not in failed.stdout
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_self_tests_that_ask_for_less(export, open_adapter, tmp_path):
    tensors = export(tmp_path / "model.gguf", adapter=open_adapter, self_test="tensors")
    assert tensors["logits"] is None and len(tensors["ffn_down"]) == 6
    off = export(tmp_path / "model.gguf", adapter=open_adapter, self_test="off")
    assert off["logits"] is None and off["ffn_down"] == []


def test_a_file_no_nearer_than_the_base_is_called_so(nkat, export, trained, tmp_path):
    done = nkat(*words_of(trained, tmp_path / "model.gguf"))
    found = json.loads((tmp_path / "export.json").read_text())["logits"]
    assert ("NO NEARER" in done.stdout) == (found["mean_kl"] >= found["base_mean_kl"])
    exact = nkat("export", "--model-path", MODEL, "--adapter", trained, "--output", tmp_path / "model.gguf", "--quantization", "f32")
    assert exact.returncode == 0 and "NO NEARER" not in exact.stdout


def test_a_model_without_its_tokenizer_needs_the_smaller_test(nkat, tmp_path):
    model = random_model(tmp_path / "model", MODEL, 1600)
    for name in ("tokenizer.json", "tokenizer.model"):
        (model / name).unlink()
    words = ["export", "--model-path", model, "--output", tmp_path / "hf", "--format", "hf"]
    refused = nkat(*words)
    assert refused.returncode == 3 and "--self-test tensors" in refused.stderr
    assert not (tmp_path / "hf").exists()
    done = nkat(*words, "--self-test", "tensors")
    assert done.returncode == 0, done.stderr


def small_files_only():
    # Stands in for a full disk: writes beyond this size fail like ENOSPC does, in the middle of a file.
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))


@pytest.mark.parametrize("kind", ["gguf", "hf"])
def test_a_full_disk_leaves_the_old_file(kind, nkat, export, open_adapter, tmp_path):
    export(tmp_path / "out", adapter=open_adapter, format=kind, quantization="f16", self_test="off")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    full = nkat(*words_of(open_adapter, tmp_path / "out")[:-2], "--format", kind, preexec_fn=small_files_only)
    assert full.returncode == 4 and "writing failed" in full.stderr, full.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_file_system_that_is_too_small_is_named_before_anything_is_written(nkat, open_adapter, small_disk):
    for kind in ("gguf", "hf"):
        full = nkat(*words_of(open_adapter, small_disk / "out")[:-2], "--format", kind)
        assert full.returncode == 4 and "free" in full.stderr, full.stderr
        assert list(small_disk.iterdir()) == []


@pytest.mark.parametrize("kind", ["gguf", "hf"])
def test_an_interrupt_leaves_the_old_file_and_nothing_else(kind, nkat_path, export, open_adapter, tmp_path):
    export(tmp_path / "out", adapter=open_adapter, format=kind, quantization="f16", self_test="off")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    words = [*words_of(open_adapter, tmp_path / "out")[:-2], "--format", kind]
    child = subprocess.Popen([str(nkat_path), *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while child.poll() is None and not list(tmp_path.glob("*.nkat-tmp-*")):
        time.sleep(0.0005)
    child.send_signal(signal.SIGINT)
    message = child.communicate()[1]
    assert child.returncode == 75, message
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_two_exports_in_one_folder_keep_their_own_files(nkat, export, open_adapter, tmp_path):
    (tmp_path / "Modelfile").write_text("FROM llama3\nSYSTEM mine\n")
    first = export(tmp_path / "a.gguf", adapter=open_adapter)
    second = export(tmp_path / "b.gguf", adapter=open_adapter, quantization="f16")
    assert [first["report"], second["report"]] == [str(tmp_path / name) for name in ("export.json", "b.export.json")]
    assert [first["modelfile"], second["modelfile"]] == [str(tmp_path / name) for name in ("a.Modelfile", "b.Modelfile")]
    export(tmp_path / "a.gguf", adapter=open_adapter, quantization="bf16")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "Modelfile", "a.Modelfile", "a.gguf", "b.Modelfile", "b.export.json", "b.gguf", "export.json"]
    assert (tmp_path / "Modelfile").read_text() == "FROM llama3\nSYSTEM mine\n"
    assert (tmp_path / "b.Modelfile").read_text().startswith("FROM ./b.gguf\n")
    assert json.loads((tmp_path / "export.json").read_text())["quantization"] == "bf16"
    done = nkat(*words_of(open_adapter, tmp_path / "b.gguf"))
    assert f"report: {tmp_path / 'b.export.json'}" in done.stdout and f"-f {tmp_path / 'b.Modelfile'}" in done.stdout
    # A folder that holds files' reports is no folder of ours.
    folder = nkat("export", "--model-path", MODEL, "--output", tmp_path, "--format", "hf")
    assert folder.returncode == 2 and (tmp_path / "a.gguf").exists()
