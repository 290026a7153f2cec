"""nkat inspect: what it prints of each kind of file and folder, and that what is damaged ends in exit code 3."""
import json
import shutil
import struct

import numpy as np
import pytest
import training

MODEL = training.DEMO / "model"


def inspect(nkat, path, *words):
    done = nkat("inspect", path, "--json", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refusal(nkat, path, *words):
    done = nkat("inspect", path, *words)
    assert done.returncode == 3, (done.returncode, done.stdout, done.stderr)
    assert "internal error" not in done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def run_folder(nkat, tmp_path_factory):
    run = tmp_path_factory.mktemp("inspect") / "run"
    done = nkat("train", *training.options(run, max_steps=2))
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture
def checkpoint(run_folder, tmp_path):
    return shutil.copytree(sorted((run_folder / "checkpoints").glob("step-*"))[-1], tmp_path / "checkpoint")


def test_a_model_folder_and_its_file(nkat):
    folder = inspect(nkat, MODEL, "--check-values")
    file = inspect(nkat, MODEL / "model.safetensors")
    assert folder["kind"] == "model folder" and file["kind"] == "safetensors file"
    assert folder["tensors"] == file["tensors"] == len(file["tensor_list"])
    names = [tensor["name"] for tensor in file["tensor_list"]]
    assert "model.embed_tokens.weight" in names and "all floating-point numbers are finite" in folder["checks"]
    assert file["data_bytes"] == sum(tensor["bytes"] for tensor in file["tensor_list"])


def test_a_tokenizer(nkat):
    found = inspect(nkat, MODEL / "tokenizer.model")
    assert found["kind"] == "tokenizer.model" and found["types"]["byte"] == 256 and found["types"]["unknown"] == 1


def test_text_is_for_people(nkat):
    done = nkat("inspect", MODEL)
    assert done.returncode == 0
    assert "model folder" in done.stdout and "model.norm.weight" in done.stdout and "holds: every name" in done.stdout


def test_a_checkpoint_and_the_adapter_in_it(nkat, checkpoint):
    found = inspect(nkat, checkpoint, "--check-values")
    assert found["kind"].startswith("checkpoint") and found["state"]["step"] == 2
    (checkpoint / "manifest.json").unlink()
    adapter = inspect(nkat, checkpoint)
    assert adapter["kind"] == "NKAT-SO8T adapter" and adapter["config"]["peft_type"] == "NKAT_SO8T"


def test_damage_is_named(nkat, checkpoint, tmp_path):
    weights = checkpoint / "adapter_model.safetensors"
    original = weights.read_bytes()
    weights.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    assert "adapter_model.safetensors" in refusal(nkat, checkpoint)
    (checkpoint / "manifest.json").unlink()
    weights.write_bytes(original[:-1])
    assert "cut" in refusal(nkat, checkpoint)
    length = struct.unpack("<Q", original[:8])[0]
    values = np.frombuffer(original[8 + length:], np.float32).copy()
    values[0] = np.nan
    weights.write_bytes(original[:8 + length] + values.tobytes())
    inspect(nkat, checkpoint)
    assert "element 0: expected a finite number" in refusal(nkat, checkpoint, "--check-values")
    config = json.loads((checkpoint / "adapter_config.json").read_text())
    (checkpoint / "adapter_config.json").write_text(json.dumps({**config, "num_hidden_layers": 99}))
    assert "weight and alpha of layers" in refusal(nkat, checkpoint)


@pytest.mark.parametrize("name,content,message", [
    ("x.gguf", b"", "letters GGUF"),
    ("x.gguf", b"GGUF\x03\0\0\0", "number of tensors"),
    ("x", b"GGUF\x04\0\0\0", "expected version 2 or 3"),
    ("x.safetensors", b"\xff" * 8, "expected at most 100000000 bytes"),
    ("x.model", b"\x0a\x7fxx", "expected 127 bytes"),
    ("x.bin", b"PK\x03\x04", "none of them"),
])
def test_damaged_and_unknown_files(nkat, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    assert message in refusal(nkat, tmp_path / name)


def test_folders_that_hold_nothing_known(nkat, tmp_path, run_folder):
    assert "none of them" in refusal(nkat, tmp_path)
    assert "one of its checkpoints" in refusal(nkat, run_folder)
    assert "nothing of that name" in refusal(nkat, tmp_path / "elsewhere")
