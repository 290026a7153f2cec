"""Exported files in real llama.cpp against transformers, and against libggml byte for byte."""
import shutil

import gguf
import libggml
import llama_cpp
import numpy as np
import pytest
import safetensors.torch
import torch
from exports import (
    FLOAT32_BOUND,
    LLAMA_BOUND,
    MODEL,
    QUANTIZATIONS,
    TOKENIZER_FILES,
    demo_tokens,
    largest_difference,
    load,
    logits_of,
    mean_divergence,
    needs_llama_cpp,
    tokens_of,
    with_ggml_angles,
)
from gguf_files import checkpoint_name
from test_eval import LAYERS
from test_parity import Case, longrope, make_model, phi4_mini
from tokenizers import Tokenizer


@needs_llama_cpp
@pytest.mark.parametrize("count", [1, 40, 100])
def test_llama_cpp_computes_transformers_logits(count, trained_pair):
    path, folder = trained_pair
    tokens = demo_tokens(count)
    theirs = logits_of(load(folder), tokens)
    error = largest_difference(llama_cpp.ask(path, logits=tokens, context=256)["logits"], theirs)
    print(f"{count} tokens: {error:.2e} on logits of up to {np.abs(theirs).max():.1f}")
    assert error <= LLAMA_BOUND


@needs_llama_cpp
@pytest.mark.parametrize("count, context", [(256, 256), (300, 512)])
@pytest.mark.parametrize("kind", ["trained", "wide open"])
def test_long_texts_and_wide_open_gates_keep_the_relative_bound(kind, count, context, trained_pair, merged_file, merged_folder):
    """The second length takes the long factors. llama.cpp's angles are float32 products along the channels, so that its
    error grows with the position. Beside it transformers' own in float32; its float64 has float32 angles too."""
    path, folder, tokens = (*trained_pair, demo_tokens(count)) if kind == "trained" else (merged_file, merged_folder, tokens_of(count))
    exact = logits_of(load(folder, torch.float64), tokens)
    error = largest_difference(llama_cpp.ask(path, logits=tokens, context=context)["logits"], exact)
    theirs = largest_difference(logits_of(load(folder), tokens), exact)
    print(f"{kind}, {count} tokens: {error:.1e}, transformers' {theirs:.1e}, on logits of up to {np.abs(exact).max():.1f}")
    assert error <= FLOAT32_BOUND * np.abs(exact).max()


@needs_llama_cpp
@pytest.mark.parametrize("count, context", [(256, 256), (300, 512)])
@pytest.mark.parametrize("kind", ["trained", "wide open"])
def test_beyond_the_angles_of_rope_the_absolute_bound_holds_at_any_length(kind, count, context, trained_pair, merged_file, merged_folder):
    """Both sides round each position's angles to float32, in different ways; transformers with ggml's is as near at 300
    tokens as at 40. So what passes the bound above is the angles, and no batch size or number of threads changes it."""
    path, folder, tokens = (*trained_pair, demo_tokens(count)) if kind == "trained" else (merged_file, merged_folder, tokens_of(count))
    model = load(folder)
    which = "long_factor" if count > model.config.original_max_position_embeddings else "short_factor"
    model = with_ggml_angles(model, count, model.config.rope_scaling[which])
    error = largest_difference(llama_cpp.ask(path, logits=tokens, context=context)["logits"], logits_of(model, tokens))
    print(f"{kind}, {count} tokens: {error:.1e} with the same angles")
    assert error <= LLAMA_BOUND


@needs_llama_cpp
def test_a_plain_start_takes_short_factors_by_default(export, open_adapter, merged_file, merged_folder, tmp_path):
    """Context 0 means what the file says. With the full length llama.cpp turns to the long factors for any text."""
    tokens = tokens_of(60)
    theirs = logits_of(load(merged_folder), tokens)
    export(tmp_path / "full.gguf", adapter=open_adapter, quantization="f32", context_length=512)
    plain = largest_difference(llama_cpp.ask(merged_file, logits=tokens, context=0)["logits"], theirs)
    full = largest_difference(llama_cpp.ask(tmp_path / "full.gguf", logits=tokens, context=0)["logits"], theirs)
    print(f"context_length 256: {plain:.1e}, 512: {full:.1e}")
    assert plain <= LLAMA_BOUND < full


def variant(name, **config):
    return Case(name, {"vocab_size": 1600, "bos_token_id": 1, "eos_token_id": 1536, "pad_token_id": 1536, **config})


VARIANTS = [
    variant("plain 4k"),
    variant("grouped queries", num_key_value_heads=2),
    variant("grouped queries, one key head, longrope", num_key_value_heads=1, **longrope(256, 512)),
    variant("tied", tie_word_embeddings=True),
    variant("rope_theta 250000", rope_theta=250000.0),
    variant("partial rotary 0.5", partial_rotary_factor=0.5),
    variant("sliding window", sliding_window=1024),
    # hidden size / 32, heads of 24:8, 12 of 16 channels turned, more rows than the tokenizer has tokens
    variant("Phi-4-mini's shape", **{**phi4_mini(), "hidden_size": 96, "intermediate_size": 256, "num_attention_heads": 6, "vocab_size": 6252,
                                     "max_position_embeddings": 8192, "original_max_position_embeddings": 256}),
]


@needs_llama_cpp
@pytest.mark.parametrize("case", VARIANTS, ids=lambda case: case.name)
def test_variants_compute_transformers_logits(case, export, tmp_path):
    """In float64: on some of these random weights transformers' float32 is further from it than llama.cpp."""
    folder = tmp_path / "model"
    make_model(case, folder)
    for name in TOKENIZER_FILES:
        shutil.copy(MODEL / name, folder)
    export(tmp_path / "model.gguf", model=folder, quantization="f32")
    tokens = tokens_of(50)
    theirs = logits_of(load(folder, torch.float64), tokens)
    error = largest_difference(llama_cpp.ask(tmp_path / "model.gguf", logits=tokens, context=256)["logits"], theirs)
    print(f"{case.name}: {error:.1e} on logits of up to {np.abs(theirs).max():.1f}")
    assert error <= LLAMA_BOUND


@pytest.fixture(scope="module")
def exact_logits(merged_folder):
    """(tokens, logits of the merged model, KL to it from the base without the adapter)."""
    tokens = demo_tokens(60)
    exact = logits_of(load(merged_folder), tokens)
    return tokens, exact, mean_divergence(exact, logits_of(load(MODEL), tokens))


@needs_llama_cpp
@pytest.mark.parametrize("quantization", QUANTIZATIONS)
def test_every_quantization_loads_and_answers(quantization, export, open_adapter, exact_logits, tmp_path):
    path = tmp_path / "model.gguf"
    export(path, adapter=open_adapter, quantization=quantization)
    ids = Tokenizer.from_file(str(MODEL / "tokenizer.json")).encode("<|user|>\nhello<|end|>\n<|assistant|>\n").ids
    tokens, exact, without_adapter = exact_logits
    answer = llama_cpp.ask(path, logits=tokens, context=256, prompt=ids, new_tokens=8)
    divergence = mean_divergence(exact, answer["logits"])
    print(f"{quantization}: KL {divergence:.1e}; of the base without adapter {without_adapter:.1e}")
    assert len(answer["new"]) >= 1
    # The bytes are compared below; this is that the whole is served. Another model's logits are nats away.
    assert divergence < {"f32": 1e-9, "f16": 1e-5, "bf16": 1e-3, "q8_0": 5e-3}.get(quantization, 0.3)


# Of each mix: attn_qkv and ffn_down where llama-quantize spends more bits, elsewhere; the other matrices; output.weight.
PLACES = {
    "f16": ("f16", "f16", "f16", "f16"), "bf16": ("bf16", "bf16", "bf16", "bf16"), "q8_0": ("q8_0", "q8_0", "q8_0", "q8_0"),
    "q4_0": ("q4_0", "q4_0", "q4_0", "q6_K"), "q4_k_m": ("q6_K", "q4_K", "q4_K", "q6_K"), "q5_k_s": ("q5_K", "q5_K", "q5_K", "q6_K"),
    "q5_k_m": ("q6_K", "q5_K", "q5_K", "q6_K"), "q6_k": ("q6_K", "q6_K", "q6_K", "q6_K"),
}
FALL_BACKS = {"q4_K": "q5_0", "q5_K": "q5_1", "q6_K": "q8_0"}
MORE_BITS = {2, 5}  # of six layers: none before 6/8 = 0, from 42/8 = 5 on, and every i with i mod 3 = 2


@needs_llama_cpp
@pytest.mark.parametrize("quantization", PLACES)
def test_every_tensor_is_what_libggml_makes_of_the_merged_weights(quantization, export, open_adapter, merged_folder, tmp_path):
    export(tmp_path / "model.gguf", adapter=open_adapter, quantization=quantization)
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    weights = safetensors.torch.load_file(merged_folder / "model.safetensors")
    library = libggml.find()
    more, fewer, others, output = PLACES[quantization]
    kinds = {"token_embd": others, "output": output}
    for i in range(LAYERS):
        place = more if i in MORE_BITS else fewer
        kinds |= {f"blk.{i}.attn_qkv": place, f"blk.{i}.ffn_down": place, f"blk.{i}.attn_output": others, f"blk.{i}.ffn_up": others}
    assert len(tensors) == len(kinds) + 2 * LAYERS + 3  # norms and rope factors
    for name, kind in kinds.items():
        matrix = weights[checkpoint_name(name)].numpy()
        kind = kind if matrix.shape[1] % 256 == 0 else FALL_BACKS.get(kind, kind)
        found = tensors.pop(name + ".weight")
        assert found.tensor_type.name.lower() == kind.lower(), name
        assert np.array_equal(np.frombuffer(found.data.tobytes(), np.uint8), library.encode(kind, matrix).ravel()), name
    assert all(tensor.tensor_type.name == "F32" for tensor in tensors.values())
