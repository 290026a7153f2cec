"""What `nkat export` refuses, by name and with the right exit code."""
import json
import shutil
import subprocess

import pytest
import safetensors.torch
from exports import MODEL, TOKENIZER_FILES, fields, random_model
from test_eval import LAYERS, write_adapter
from test_parity import Case, make_model
from tokenizers import ByteLevelBPETokenizer, Tokenizer, models


def refusal(nkat, code, *words):
    done = nkat("export", "--model-path", MODEL, *words)
    assert done.returncode == code, done.stderr
    return done.stderr


def test_an_adapter_of_another_base_is_refused_unless_allowed(nkat, tmp_path):
    adapter = write_adapter(tmp_path / "adapter", [0.0] * LAYERS, base_sha256="0" * 64)
    words = ["--adapter", adapter, "--output", tmp_path / "model.gguf"]
    assert "--allow-base-mismatch" in refusal(nkat, 3, *words)
    assert not (tmp_path / "model.gguf").exists()
    assert "nobody has measured" in refusal(nkat, 0, *words, "--allow-base-mismatch")
    assert fields(tmp_path / "model.gguf")["nkat.adapter.base_sha256"][1] == "0" * 64


@pytest.mark.parametrize("changes", [{"hidden_size": 200}, {"num_hidden_layers": 7}])
def test_an_adapter_of_another_size_is_refused(changes, nkat, tmp_path):
    adapter = write_adapter(tmp_path / "adapter", [0.0] * LAYERS, **changes)
    words = ["--adapter", adapter, "--output", tmp_path / "model.gguf", "--allow-base-mismatch"]
    assert next(iter(changes)) in refusal(nkat, 3, *words)


def test_wrong_words_are_refused(nkat, tmp_path, open_adapter):
    output = ["--adapter", open_adapter, "--output", tmp_path / "out"]
    assert "f32, f16 or bf16" in refusal(nkat, 2, *output, "--format", "hf", "--quantization", "q4_0")
    assert "phi-3" in refusal(nkat, 2, *output, "--name", "My Model")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    assert "other files" in refusal(nkat, 2, "--output", tmp_path / "full", "--format", "hf")
    assert "is a folder" in refusal(nkat, 2, "--output", tmp_path / "full")
    assert "is no GGUF file" in refusal(nkat, 2, "--output", tmp_path / "full" / "mine.txt")
    assert "is a file" in refusal(nkat, 2, "--output", tmp_path / "full" / "mine.txt", "--format", "hf")
    assert (tmp_path / "full" / "mine.txt").exists()
    (tmp_path / "other.gguf").write_bytes(b"GGUF, of another maker")
    assert "and is not replaced" in refusal(nkat, 2, "--output", tmp_path / "other.gguf")
    assert "expected UTF-8, found other bytes" in refusal(
        nkat, 2, "--output", tmp_path / "x.gguf", "--name", b"phi-3 \xff".decode(errors="surrogateescape")
    )


def test_a_folder_with_files_of_others_is_not_replaced(nkat, export, open_adapter, tmp_path):
    export(tmp_path / "hf", adapter=open_adapter, format="hf")
    export(tmp_path / "hf", adapter=open_adapter, format="hf", quantization="bf16")
    (tmp_path / "hf" / "notes.txt").write_text("mine")
    assert "other files (notes.txt)" in refusal(nkat, 2, "--output", tmp_path / "hf", "--format", "hf")
    assert (tmp_path / "hf" / "notes.txt").read_text() == "mine"


def test_a_link_is_followed(export, open_adapter, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link.gguf").symlink_to(tmp_path / "disk" / "real.gguf")
    export(tmp_path / "link.gguf", adapter=open_adapter)
    assert (tmp_path / "link.gguf").is_symlink() and (tmp_path / "disk" / "real.gguf").read_bytes()[:4] == b"GGUF"


def test_exports_side_by_side_leave_each_other_alone(nkat_path, open_adapter, tmp_path):
    words = [nkat_path, "export", "--model-path", MODEL, "--adapter", open_adapter, "--self-test", "off"]
    (tmp_path / "mine.nkat-tmp-backup").write_text("mine")
    for _ in range(2):
        children = [subprocess.Popen([*map(str, words), "--output", str(tmp_path / name), *more], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                    for name, more in (("a", ["--format", "hf"]), ("b", ["--format", "hf"]), ("c.gguf", []))]
        for child in children:
            assert child.wait() == 0, child.stderr.read()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Modelfile", "a", "b", "c.gguf", "export.json", "mine.nkat-tmp-backup"]


def test_a_file_beyond_its_bound_is_reported_and_not_put_in_place(nkat, open_adapter, tmp_path):
    done = nkat("export", "--model-path", MODEL, "--adapter", open_adapter, "--output", tmp_path / "model.gguf", "--maximum-kl", "1e-9", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 5 and not report["in_place"] and report["logits"]["mean_kl"] > 1e-9
    assert report["logits"]["nearer_than_base"] and list(tmp_path.iterdir()) == []

@pytest.mark.parametrize("value, quantization", [(float("nan"), "f32"), (float("inf"), "q4_k_m"), (1e6, "f16")])
def test_weights_that_cannot_be_stored_are_refused_by_name(value, quantization, nkat, merged_file, tmp_path):
    shutil.copytree(MODEL, tmp_path / "model")
    tensors = safetensors.torch.load_file(MODEL / "model.safetensors")
    tensors["model.layers.3.self_attn.o_proj.weight"][5, 7] = value
    safetensors.torch.save_file(tensors, tmp_path / "model" / "model.safetensors")
    shutil.copy(merged_file, tmp_path / "model.gguf")
    done = nkat("export", "--model-path", tmp_path / "model", "--output", tmp_path / "model.gguf", "--quantization", quantization)
    assert done.returncode == 3 and "layers.3.self_attn.o_proj" in done.stderr, done.stderr
    assert (tmp_path / "model.gguf").read_bytes() == merged_file.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.gguf"]


@pytest.mark.parametrize("head_dim", [24])
def test_heads_that_do_not_fill_the_hidden_size_are_refused_by_name(head_dim, nkat, tmp_path):
    folder = random_model(tmp_path / "model", MODEL, 1600)
    config = json.loads((folder / "config.json").read_text()) | {"head_dim": head_dim}
    make_model(Case("wide", {"vocab_size": 1600, "head_dim": head_dim}), folder)
    (folder / "config.json").write_text(json.dumps(config))
    done = nkat("export", "--model-path", folder, "--output", tmp_path / "model.gguf")
    assert done.returncode == 3 and "head_dim" in done.stderr, done.stderr


def test_another_kind_of_tokenizer_is_refused_by_name(nkat, tmp_path):
    folder = random_model(tmp_path / "model", MODEL, 1600)
    Tokenizer(models.Unigram([("a", -1.0)])).save(str(folder / "tokenizer.json"))
    done = nkat("export", "--model-path", folder, "--output", tmp_path / "model.gguf")
    assert done.returncode == 3 and "found Unigram" in done.stderr
    assert not (tmp_path / "model.gguf").exists()


def test_phi_4_minis_kind_of_tokenizer_is_exported(nkat, tmp_path):
    """Byte-level BPE, as GPT-2 has it: tokenizer.json, vocab.json and merges.txt, and no tokenizer.model."""
    folder = random_model(tmp_path / "model", MODEL, 1600)
    for name in TOKENIZER_FILES:
        (folder / name).unlink()
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(["The rotation turns eight channels at a time."] * 2, vocab_size=300, special_tokens=["<|endoftext|>", "<|end|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer.save_model(str(folder))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|endoftext|>"}))
    done = nkat("export", "--model-path", folder, "--output", tmp_path / "model.gguf")
    assert done.returncode == 0, done.stderr
    assert fields(tmp_path / "model.gguf")["tokenizer.ggml.model"][1] == "gpt2"


def test_a_token_that_stands_twice_is_refused_by_name(nkat, tmp_path):
    folder = random_model(tmp_path / "model", MODEL, 1600)
    for name, change in (("tokenizer.json", lambda text: text.replace("<|placeholder6|>", "[PAD1590]")),
                         ("tokenizer_config.json", lambda text: text.replace("<|placeholder6|>", "[PAD1590]"))):
        (folder / name).write_text(change((folder / name).read_text()))
    done = nkat("export", "--model-path", folder, "--output", tmp_path / "model.gguf")
    assert done.returncode == 3 and "[PAD1590]" in done.stderr, done.stderr
