"""GGUF files of ours read by gguf-py, and files of gguf-py's read by ours."""
import json
import subprocess

import numpy as np
import pytest

gguf = pytest.importorskip("gguf", reason="gguf, the independent reader and writer, is not installed")


@pytest.fixture
def written(nkat_path, tmp_path):
    program = nkat_path.parent / "tests" / "support" / "nkat_write_gguf"
    assert program.exists(), f"{program} is missing; run scripts/build"

    def write(alignment):
        subprocess.run([program, tmp_path / "x.gguf", str(alignment)], check=True)
        return tmp_path / "x.gguf"

    return write


@pytest.mark.parametrize("alignment", [8, 32, 4096])
def test_gguf_py_reads_what_we_write(written, alignment):
    reader = gguf.GGUFReader(written(alignment))

    def value(key):
        return reader.get_field(key).contents()

    assert value("GGUF.version") == 3 and reader.alignment == alignment
    assert [value(f"test.{name}") for name in ["u8", "i8", "u16", "i16", "u32", "i32"]] == [200, -100, 60000, -30000, 4000000000, -2000000000]
    assert value("test.f32") == np.float32(1.190238) and value("test.f64") == 1e-300
    assert value("test.u64") == 2**64 - 1 and value("test.i64") == -(2**63)
    assert value("test.true") is True and value("test.false") is False
    assert value("test.text") == "こ🦙 \n" and value("test.texts") == ["", "a", "▁b"]
    assert value("test.floats") == [0, -1.5] and value("test.ints") == [1, -2, 3]
    shapes = {"vector": [7], "matrix": [3, 5], "cube": [2, 3, 4], "four": [2, 3, 4, 5], "blocks": [64, 2]}
    assert {tensor.name: list(map(int, tensor.shape)) for tensor in reader.tensors} == shapes
    for tensor in reader.tensors:
        assert tensor.data_offset % alignment == 0
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(-1)
        # Q8_0 rounds to a 127th of a block's largest value, below 128 here; the others hold small integers exactly.
        tolerance = 127 / 127 if tensor.name == "blocks" else 0
        assert np.abs(values - np.arange(values.size)).max() <= tolerance, tensor.name


def write_by_gguf_py(path, alignment):
    writer = gguf.GGUFWriter(path, "phi3")
    writer.add_custom_alignment(alignment)
    writer.add_uint32("phi3.block_count", 2)
    writer.add_float32("phi3.rope.freq_base", 10000.0)
    writer.add_bool("tokenizer.ggml.add_bos_token", False)
    writer.add_array("tokenizer.ggml.tokens", ["<unk>", "a", "▁b"])
    writer.add_array("tokenizer.ggml.scores", [0.0, -1.0, -2.5])
    writer.add_array("tokenizer.ggml.token_type", [2, 1, 1])
    writer.add_tensor("token_embd.weight", np.arange(12, dtype=np.float32).reshape(3, 4))
    writer.add_tensor("half", np.ones((2, 3, 5), dtype=np.float16))
    writer.add_tensor(
        "blocks", gguf.quants.quantize(np.ones((2, 64), np.float32), gguf.GGMLQuantizationType.Q8_0), raw_dtype=gguf.GGMLQuantizationType.Q8_0
    )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("alignment", [32, 256])
def test_we_read_what_gguf_py_writes(nkat, tmp_path, alignment):
    done = nkat("inspect", write_by_gguf_py(tmp_path / "x.gguf", alignment), "--json", "--check-values")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kind"] == "GGUF file" and found["architecture"] == "phi3" and found["alignment"] == alignment
    tensors = {tensor["name"]: (tensor["type"], tensor["shape"]) for tensor in found["tensor_list"]}
    assert tensors == {"token_embd.weight": ("f32", [4, 3]), "half": ("f16", [5, 3, 2]), "blocks": ("q8_0", [64, 2])}
    assert found["metadata"]["phi3.block_count"] == "u32: 2"
    assert found["metadata"]["tokenizer.ggml.scores"] == "array of 3 f32: [0, -1, -2.5]"
    assert "all numbers of 3 tensors are finite" in found["checks"]
