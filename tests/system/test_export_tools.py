"""Exported files beside those of llama.cpp's own converter and quantizer, which are run on the same weights."""
import hashlib

import gguf
import llama_cpp
import pytest
from exports import MODEL, QUANTIZATIONS, demo_tokens, fields, load, logits_of, mean_divergence, needs_llama_cpp, random_model
from llama_cpp_tools import convert, needs_converter, needs_quantize, quantize


def tensors(path):
    """name: (type, dimensions, hash of the bytes)"""
    return {tensor.name: (tensor.tensor_type.name, tensor.shape.tolist(), hashlib.sha256(tensor.data.tobytes()).hexdigest())
            for tensor in gguf.GGUFReader(path).tensors}


def without(found, *names):
    return {name: value for name, value in found.items() if name not in names and not name.startswith("nkat.")}


# Of the converter's keys, what we write otherwise, and what either side writes alone.
DIFFERENT = ["general.name", "phi3.context_length"]  # the name tokenization needs; where a plain start takes short factors
OURS_ALONE = ["tokenizer.ggml.add_space_prefix", "tokenizer.ggml.eot_token_id"]  # pinned, else guessed by llama.cpp
THEIRS_ALONE = ["general.size_label"]  # "2.4M", out of the number of weights
OF_THE_FILE = ["GGUF.kv_count"]


@needs_converter
@pytest.mark.parametrize("kind", ["merged demo", "real tokenizer"])
def test_an_f32_file_is_the_converters_but_for_documented_keys(kind, request, export, tmp_path):
    if kind == "merged demo":
        ours, folder = (request.getfixturevalue(name) for name in ("merged_file", "merged_folder"))
    else:
        folder = random_model(tmp_path / "model", request.getfixturevalue("shared_fixtures") / "phi35", 32064)
        ours = tmp_path / "ours.gguf"
        export(ours, model=folder, quantization="f32")
    theirs = convert(folder, tmp_path / "theirs.gguf")
    assert tensors(ours) == tensors(theirs)
    found, expected = without(fields(ours), *OF_THE_FILE), without(fields(theirs), *OF_THE_FILE)
    assert found.keys() - expected.keys() == set(OURS_ALONE) and expected.keys() - found.keys() == set(THEIRS_ALONE)
    assert without(found, *DIFFERENT, *OURS_ALONE) == without(expected, *DIFFERENT, *THEIRS_ALONE)
    assert all(found[name][0] == expected[name][0] for name in DIFFERENT)


@needs_converter
@pytest.mark.parametrize("stored", ["f16", "q8_0"])
def test_the_types_that_the_converter_writes_have_its_bytes(stored, export, open_adapter, merged_folder, tmp_path):
    export(tmp_path / "ours.gguf", adapter=open_adapter, quantization=stored)
    assert tensors(tmp_path / "ours.gguf") == tensors(convert(merged_folder, tmp_path / "theirs.gguf", stored))


@pytest.fixture(scope="module")
def exact(merged_folder):
    tokens = demo_tokens(60)
    return tokens, logits_of(load(merged_folder), tokens)


@needs_quantize
@needs_llama_cpp
@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_a_quantization_is_llama_quantizes_and_loses_as_much(quantization, export, open_adapter, merged_file, exact, tmp_path):
    """Bytes, keys and llama.cpp's logits; so both are as far from the merged model in float32."""
    ours = tmp_path / "ours.gguf"
    export(ours, adapter=open_adapter, quantization=quantization)
    theirs = quantize(merged_file, tmp_path / "theirs.gguf", quantization)
    assert tensors(ours) == tensors(theirs) and fields(ours) == fields(theirs)
    tokens, logits = exact
    lost = [mean_divergence(logits, llama_cpp.ask(path, logits=tokens, context=256)["logits"]) for path in (ours, theirs)]
    print(f"{quantization}: KL {lost[0]:.2e}, llama-quantize's {lost[1]:.2e}")
    assert lost[0] == lost[1]


@needs_quantize
@pytest.mark.parametrize("quantization", ["q4_0", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k"])
@pytest.mark.parametrize("heads", [{}, {"num_key_value_heads": 1}], ids=["full heads", "one key head"])
def test_rows_of_whole_blocks_are_placed_and_written_as_llama_quantize_does(heads, quantization, export, tmp_path):
    """The demo's rows of 192 take fall-back types; these 8 layers of 256 and 512 take none."""
    config = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 8, **heads}
    folder = random_model(tmp_path / "model", MODEL, 1600, **config)
    for name in ("f32", quantization):
        export(tmp_path / f"{name}.gguf", model=folder, quantization=name, self_test="off")
    theirs = quantize(tmp_path / "f32.gguf", tmp_path / "theirs.gguf", quantization)
    assert tensors(tmp_path / f"{quantization}.gguf") == tensors(theirs)
    assert fields(tmp_path / f"{quantization}.gguf") == fields(theirs)
    assert not {"Q5_0", "Q5_1"} & {kind for kind, _, _ in tensors(theirs).values()}
