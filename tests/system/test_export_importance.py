"""`nkat export --importance`: the moments against PyTorch's, the bytes against libggml's, what it gains, and what it refuses."""
import json
import re
import subprocess
import sys

import gguf
import libggml
import numpy as np
import pytest
import safetensors.torch
import torch
import training
import transformers
from adapter_reference import AdaptedModel
from exports import MODEL, fields, needs_llama_cpp
from gguf_files import LAYER_MATRICES, checkpoint_name
from test_eval import LAYERS
from test_train import encoded

TOKENS = 1500  # ends within a sample of DATA
FLOOR = 1e-4  # of the matrix's mean moment, for columns below it
# An activation's error in float32 is PARITY of the layer's root mean square m (test_eval); a square x^2 then errs by
# 2 |x| PARITY m, and a mean of squares by at most 2 PARITY sqrt(E[x^2]) m.
PARITY = 1e-5
NAMES = {name: checkpoint_name(name).removesuffix(".weight")
         for name in ["output", *(f"blk.{i}.{matrix}" for i in range(LAYERS) for matrix in LAYER_MATRICES)]}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return training.first_lines(training.DEMO / "validation.jsonl", tmp_path_factory.mktemp("importance") / "data.jsonl", 40)


@pytest.fixture(scope="module")
def columns(nkat_path, open_adapter, data, tmp_path_factory):
    """What the program weighs columns by: {name in the GGUF file: vector}."""
    folder = tmp_path_factory.mktemp("columns")
    program = nkat_path.parent / "tests" / "support" / "nkat_dump_importance"
    subprocess.run([program, MODEL, open_adapter, data, str(TOKENS), folder], check=True, capture_output=True)
    return {path.name.removesuffix(".weight"): np.fromfile(path, np.float32) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def moments(open_adapter, data):
    """The same by PyTorch's hooks on transformers, adapter beside the base, in float64."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(MODEL)
    adapted = AdaptedModel(MODEL).load(open_adapter)
    sums = {}

    def watch(name):
        return lambda module, given: sums.__setitem__(name, sums.get(name, 0) + given[0].double().square().sum((0, 1)))

    for ours, theirs in NAMES.items():
        adapted.model.get_submodule(theirs).register_forward_pre_hook(watch(ours))
    left = TOKENS
    for record in map(json.loads, data.read_text().splitlines()):
        tokens, _ = encoded(tokenizer, [(turn["role"], turn["content"]) for turn in record["messages"]])
        with torch.no_grad():
            adapted.model(torch.tensor([tokens[:left]]))
        left -= len(tokens[:left])
        if left == 0:
            break
    assert left == 0 and len(sums) == len(NAMES)
    return {name: total.numpy() / TOKENS for name, total in sums.items()}


def test_columns_weigh_what_pytorch_measures(columns, moments):
    assert columns.keys() == moments.keys()
    worst = 0
    for name, exact in moments.items():
        bound = 2 * PARITY * np.sqrt(exact * exact.mean()) + 1e-7 * exact
        error = np.abs(columns[name] - np.maximum(exact, FLOOR * exact.mean()))
        worst = max(worst, (error / bound).max())
    print(f"largest error: {worst:.3f} of the bound")
    assert worst <= 1


@needs_llama_cpp
@pytest.mark.parametrize("quantization", ["q4_0", "q4_k_m", "q5_k_m"])
def test_weighed_tensors_are_what_libggml_makes_of_them(quantization, export, open_adapter, merged_folder, columns, data, tmp_path):
    path = tmp_path / "model.gguf"
    report = export(path, adapter=open_adapter, quantization=quantization, importance=data, importance_tokens=TOKENS)
    library = libggml.find()
    weights = safetensors.torch.load_file(merged_folder / "model.safetensors")
    kinds = {kind.lower(): kind for kind in libggml.TYPES}
    tensors = {tensor.name.removesuffix(".weight"): tensor for tensor in gguf.GGUFReader(path).tensors}
    changed = 0
    for name, source in (NAMES | {"token_embd": "model.embed_tokens"}).items():
        kind, matrix = kinds[tensors[name].tensor_type.name.lower()], weights[source + ".weight"].numpy()
        found = np.frombuffer(tensors[name].data.tobytes(), np.uint8)
        assert np.array_equal(found, library.encode(kind, matrix, columns.get(name)).ravel()), name
        changed += not np.array_equal(found, library.encode(kind, matrix).ravel())
    weighed = sum(kinds[tensors[name].tensor_type.name.lower()] in libggml.WEIGHTED for name in NAMES)
    assert changed == weighed > 0
    assert report["importance"]["tokens"] == TOKENS and report["importance"]["files"] == [str(data)]
    assert fields(path)["nkat.importance.tokens"] == (["UINT32"], TOKENS)
    assert fields(path)["nkat.importance.sha256"][1] == report["importance"]["sha256"]


def test_the_same_words_give_the_same_file(export, open_adapter, data, tmp_path):
    words = dict(adapter=open_adapter, quantization="q4_k_m", importance=data, importance_tokens=600)
    for name in ("a", "b"):
        export(tmp_path / name / "model.gguf", **words)
    assert (tmp_path / "a" / "model.gguf").read_bytes() == (tmp_path / "b" / "model.gguf").read_bytes()


def test_a_text_shorter_than_asked_for_is_used_whole(export, tmp_path):
    text = training.first_lines(training.DEMO / "general.jsonl", tmp_path / "text.jsonl", 3)
    report = export(tmp_path / "model.gguf", quantization="q4_0", importance=text)
    assert 20 < report["importance"]["tokens"] < 1000


def test_importance_lowers_the_divergence_on_held_out_text(root, trained):
    """Measured on training data; four bits, where rounding is largest. The table of all mixes is in export/MEASURED.md."""
    words = ["--adapter", trained, "--mixes", "q4_0", "q4_k_m", "--samples", "40", "--importance-tokens", "8192"]
    done = subprocess.run([sys.executable, root / "scripts" / "measure" / "importance_gain.py", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    rows = re.findall(r"^\| (q4\w+) \| \S+ \| \S+ \| (\S+) \| .* to (\S+)\) \|$", done.stdout, re.M)
    assert [row[0] for row in rows] == ["q4_0", "q4_k_m"]
    for _, ratio, upper in rows:
        assert float(ratio) < 1 and float(upper) < 0


@pytest.mark.parametrize("words, complaint", [
    (["--quantization", "q8_0"], "q8_0 rounds each weight alone"),
    ([], "q8_0 rounds each weight alone"),
    (["--quantization", "bf16"], "bf16 rounds each weight alone"),
    (["--format", "hf"], "in a GGUF file"),
    (["--quantization", "q4_0", "--importance-tokens", "0"], "--importance-tokens"),
])
def test_what_cannot_be_weighed_is_refused(words, complaint, nkat, data, tmp_path):
    done = nkat("export", "--model-path", MODEL, "--output", tmp_path / "out", "--importance", data, *words)
    assert done.returncode == 2 and complaint in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [None, "", '{"label":"DENY"}\n'])
def test_bad_data_is_refused_and_leaves_no_file(content, nkat, tmp_path):
    path = tmp_path / "data.jsonl"
    if content is not None:
        path.write_text(content)
    done = nkat("export", "--model-path", MODEL, "--output", tmp_path / "model.gguf", "--quantization", "q4_0", "--importance", path)
    assert done.returncode == 3 and "data.jsonl" in done.stderr, done.stderr
    assert not (tmp_path / "model.gguf").exists()


def test_its_options_need_it(nkat, tmp_path):
    done = nkat("export", "--model-path", MODEL, "--output", tmp_path / "x", "--importance-tokens", "5", "--max-sequence-length", "9")
    assert done.returncode == 2
    assert "--importance-tokens belongs to --importance" in done.stderr and "--max-sequence-length belongs to" in done.stderr
