"""GGUF files of every decoder family: tensors and keys against llama.cpp's own converter, logits in llama.cpp."""
import pathlib

import families
import gguf
import llama_cpp
import numpy as np
import pytest
import torch
from exports import LLAMA_BOUND, MODEL, fields, largest_difference, load, logits_of, needs_llama_cpp, tokens_of, with_ggml_angles
from families import heads, linear, llama3

CONVERTER = pathlib.Path(__file__).resolve().parents[2] / ".deps" / "llama_cpp"
needs_converter = pytest.mark.skipif(not (CONVERTER / "conversion").is_dir(), reason="llama.cpp's converter is not there")
LENGTH = {"max_position_embeddings": 256}
VARIANTS = {
    "llama": ("llama", {}),
    "llama, heads of their own size": ("llama", heads(4, 2, head_dim=80, tie_word_embeddings=False)),
    "llama, all biases": ("llama", heads(4, 2, hidden_size=64, attention_bias=True, mlp_bias=True)),
    "llama, linear": ("llama", {**linear(), **LENGTH}),
    "llama, llama3": ("llama", {**llama3(64), **LENGTH}),
    "llama, 8 query heads a group": ("llama", heads(8, 1, hidden_size=64)),
    "mistral, a window that no text fills": ("mistral", {"sliding_window": 128, **LENGTH}),
    "qwen2": ("qwen2", {}),
    "qwen2, linear": ("qwen2", {**linear(), **LENGTH, "tie_word_embeddings": False}),
    "qwen3": ("qwen3", {}),
    "qwen3, head_dim 128, tied": ("qwen3", heads(4, 1, head_dim=128, tie_word_embeddings=True)),
    "phi-4-mini": ("phi3", {"max_position_embeddings": 512, "original_max_position_embeddings": 256}),
}


@pytest.fixture(scope="module", params=VARIANTS)
def exported(request, export, tmp_path_factory):
    """(variant, model folder, F32 file)"""
    family, config = VARIANTS[request.param]
    parent = tmp_path_factory.mktemp("family")
    families.make(families.typical(family, **config), parent / "model", tokenizer=MODEL)
    export(parent / "model.gguf", model=parent / "model", quantization="f32")
    return request.param, parent / "model", parent / "model.gguf"


@needs_llama_cpp
def test_logits_in_llama_cpp_are_those_of_transformers(exported):
    """In float64: on some random weights transformers' float32 is further from it than llama.cpp."""
    name, folder, path = exported
    tokens = tokens_of(20)
    theirs = logits_of(load(folder, torch.float64), tokens)
    error = largest_difference(llama_cpp.ask(path, logits=tokens, context=256)["logits"], theirs)
    print(f"{name}, 20 tokens: {error:.1e} on logits of up to {np.abs(theirs).max():.1f}")
    assert error <= LLAMA_BOUND


@needs_llama_cpp
def test_logits_of_100_tokens_are_those_of_transformers_with_the_same_angles(exported):
    """llama.cpp's angles are float32 products along the channels, so that its error grows with the position."""
    name, folder, path = exported
    tokens, model = tokens_of(100), load(folder, torch.float64)
    found = llama_cpp.ask(path, logits=tokens, context=256)["logits"]
    error = largest_difference(found, logits_of(model, tokens))
    stored = {tensor.name: tensor.data for tensor in gguf.GGUFReader(path).tensors}
    factors = stored.get("rope_freqs.weight", stored.get("rope_factors_short.weight", 1.0))
    scale = 1 / (fields(path).get(f"{fields(path)['general.architecture'][1]}.rope.scaling.factor") or (None, 1.0))[1]
    same = largest_difference(found, logits_of(with_ggml_angles(model, 100, factors, scale), tokens))
    print(f"{name}, 100 tokens: {error:.1e}, with the same angles {same:.1e}")
    assert same <= LLAMA_BOUND


class Newer:
    """An enumeration, without an error where a newer one has more names: other architectures' classes mention them."""

    def __init__(self, known):
        self.known = known

    def __getattr__(self, name):
        return getattr(self.known, name, None)


def converted(folder, path):
    """The official converter's file. It was written for a newer gguf-py than the registry's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(CONVERTER))
        patch.setattr(gguf, "LazyChunkedTensor", type("LazyChunkedTensor", (), {}), raising=False)
        for name in ("MODEL_ARCH", "MODEL_TENSOR"):
            patch.setattr(gguf, name, Newer(getattr(gguf, name)))
        from conversion import ModelBase, get_model_class

        (architecture,) = ModelBase.load_hparams(folder, False)["architectures"]
        with torch.inference_mode():
            get_model_class(architecture)(folder, gguf.LlamaFileType.ALL_F32, path).write()
    return path


# Phi-3's converter writes no key that ours lacks; its context length is the full one (data/FORMATS.md 5.1).
OWN_CHOICE = {"phi3.context_length"}


@needs_converter
def test_tensors_and_keys_are_those_of_the_official_converter(exported, tmp_path):
    name, folder, path = exported
    theirs_path = converted(folder, tmp_path / "theirs.gguf")
    ours, theirs = ({t.name: t for t in gguf.GGUFReader(file).tensors} for file in (path, theirs_path))
    assert ours.keys() == theirs.keys()
    for tensor in theirs.values():
        mine = ours[tensor.name]
        assert mine.tensor_type == tensor.tensor_type and list(mine.shape) == list(tensor.shape), tensor.name
        if tensor.name == "rope_freqs.weight":  # computed in float32 by another library
            np.testing.assert_allclose(mine.data, tensor.data, rtol=1e-6)
        else:
            assert np.array_equal(mine.data, tensor.data), tensor.name
    ours, theirs = fields(path), fields(theirs_path)
    architecture = theirs["general.architecture"][1]
    assert ours["general.architecture"] == theirs["general.architecture"]
    keys = {key for found in (ours, theirs) for key in found if key.startswith(architecture + ".")}
    differing = {key for key in keys if ours.get(key) != theirs.get(key)}
    assert differing <= OWN_CHOICE, {key: (ours.get(key), theirs.get(key)) for key in differing}


@needs_llama_cpp
def test_beyond_a_window_the_export_says_that_llama_cpp_has_none(nkat, tmp_path):
    folder = tmp_path / "model"
    families.make(families.typical("mistral", sliding_window=24), folder, tokenizer=MODEL)
    done = nkat("export", "--model-path", folder, "--output", tmp_path / "model.gguf", "--quantization", "f32")
    assert done.returncode == 0, done.stderr
    assert "llama has no sliding window: texts of more than 24 tokens" in done.stderr
    tokens = tokens_of(60)
    found = np.asarray(llama_cpp.ask(tmp_path / "model.gguf", logits=tokens, context=256)["logits"])
    difference = np.abs(found - logits_of(load(folder), tokens)).max(1)
    assert difference[:24].max() <= LLAMA_BOUND < difference[24:].max()


@needs_llama_cpp
def test_a_tied_head_is_written_on_request(export, tmp_path):
    folder = tmp_path / "model"
    families.make(families.typical("qwen2"), folder, tokenizer=MODEL)
    export(tmp_path / "model.gguf", model=folder, quantization="f32", write_tied_head=True)
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    assert np.array_equal(tensors["output.weight"].data, tensors["token_embd.weight"].data)
    tokens = tokens_of(20)
    logits = llama_cpp.ask(tmp_path / "model.gguf", logits=tokens, context=256)["logits"]
    assert largest_difference(logits, logits_of(load(folder, torch.float64), tokens)) <= LLAMA_BOUND


def test_what_llama_cpp_cannot_express_is_refused_by_name(nkat, tmp_path):
    folder = tmp_path / "model"
    families.make(families.typical("qwen2", head_dim=32), folder, tokenizer=MODEL)
    done = nkat("export", "--model-path", folder, "--output", tmp_path / "model.gguf")
    assert done.returncode == 3
    assert "a qwen2 GGUF file" in done.stderr and "--format hf" in done.stderr
