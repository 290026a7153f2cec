"""`nkat patch`: ffn_down of an existing GGUF file replaced, all else bit for bit, the pairing proved or refused."""
import hashlib
import json
import os
import shutil

import gguf
import llama_cpp
import numpy as np
import pytest
import safetensors.torch
import torch
import training
from adapter_reference import AdaptedModel
from exports import ACCEPTING, ALPHAS, MODEL, fields, needs_llama_cpp, random_model, tokens_of
from gguf_files import OTHERS_KEYS, fields_in_order, requantized, rewrite, tensors_of, weights
from test_eval import LAYERS, write_adapter

DOWN = [f"blk.{layer}.ffn_down.weight" for layer in range(LAYERS)]


def norms_sha256(folder=MODEL, layers=LAYERS):
    """By its definition: name, length and float32 values of the norms, in forward order."""
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    names = [f"model.layers.{i}.{norm}.weight" for i in range(layers) for norm in ("input_layernorm", "post_attention_layernorm")]
    digest = hashlib.sha256()
    for name in [*names, "model.norm.weight"]:
        values = tensors[name].float().numpy()
        digest.update(f"{name}\0{len(values)}\0".encode() + values.tobytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    """The open adapter, as trainers write it: with the norms of its base."""
    return write_adapter(tmp_path_factory.mktemp("adapters") / "named", ALPHAS, base_norms_sha256=norms_sha256())


@pytest.fixture(scope="module")
def base(export, tmp_path_factory):
    """base("q8_0"): the base alone in that quantization."""
    folder = tmp_path_factory.mktemp("bases")

    def path(kind):
        if not (folder / f"{kind}.gguf").exists():
            export(folder / f"{kind}.gguf", quantization=kind)
        return folder / f"{kind}.gguf"

    return path


@pytest.fixture(scope="module")
def foreign(base, tmp_path_factory):
    """A version 2 file of another maker: other keys, tensors from last to first, larger alignment, no trace of ours."""
    target = tmp_path_factory.mktemp("foreign") / "foreign.gguf"
    source = base("q8_0")
    order = list(reversed(tensors_of(source)))
    return rewrite(source, target, keys={**OTHERS_KEYS, "general.alignment": ("UINT32", 64)}, order=order.index, version=2)


@pytest.fixture(scope="module")
def patch(nkat):
    def run(base, output, adapter, code=0, strict=False, **options):
        words = [] if strict or options.get("self_test") == "off" else list(ACCEPTING)
        words += [word for name, value in options.items() for word in ["--" + name.replace("_", "-"), *([] if value is True else [str(value)])]]
        done = nkat("patch", base, "--adapter", adapter, "--output", output, "--json", *words)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if code == 0 else done.stderr

    return run


def same_but_for(before, after, changed):
    """Asserts equal tensors in the same order, but for the bytes of those `changed`, which must differ."""
    old, new = tensors_of(before), tensors_of(after)
    assert list(old) == list(new)
    for name in old:
        assert (old[name] != new[name]) == (name in changed), name
        assert old[name][1] == new[name][1], name


@pytest.mark.parametrize("kind", ["q8_0", "q4_0", "q4_k_m"])
def test_patched_from_the_checkpoint_is_the_normal_export(kind, base, patch, export, adapter, tmp_path):
    normal = export(tmp_path / "normal.gguf", adapter=adapter, quantization=kind)
    report = patch(base(kind), tmp_path / "patched.gguf", adapter, model_path=MODEL)
    assert tensors_of(tmp_path / "patched.gguf") == tensors_of(tmp_path / "normal.gguf")
    assert list(tensors_of(tmp_path / "patched.gguf")) == list(tensors_of(base(kind)))
    assert fields_in_order(tmp_path / "patched.gguf") == fields_in_order(base(kind))
    assert report["ffn_down"] == normal["ffn_down"] and report["tensors"] == normal["tensors"]
    assert (report["merged_from"], report["paired_by"], report["quantization"]) == ("checkpoint", "norms of the checkpoint", kind)
    found = fields(tmp_path / "patched.gguf")
    ours = {name: value for name, value in fields(tmp_path / "normal.gguf").items() if name.startswith("nkat.")}
    assert {name: found[name] for name in ours} == ours and found["nkat.merged_from"][1] == "checkpoint"
    assert json.loads((tmp_path / "patched.export.json").read_text()) == report
    files = ["Modelfile", "export.json", "normal.gguf", "patched.export.json", "patched.gguf"]
    assert sorted(path.name for path in tmp_path.iterdir()) == files


def test_lost_layers_end_in_5_with_the_file_in_place(base, patch, adapter, tmp_path):
    error = patch(base("q4_0"), tmp_path / "patched.gguf", adapter, code=5, strict=True, model_path=MODEL)
    assert "lost in layers" in error and "--max-noise q4_0=" in error
    assert json.loads((tmp_path / "export.json").read_text())["lost_layers"]
    same_but_for(base("q4_0"), tmp_path / "patched.gguf", DOWN)


def test_a_patch_is_tested_on_logits_where_there_is_a_tokenizer(base, patch, adapter, tmp_path):
    full = patch(base("q8_0"), tmp_path / "full.gguf", adapter, model_path=MODEL)
    assert full["self_test"] == "full" and 0 < full["logits"]["mean_kl"] <= full["logits"]["maximum_kl"] == 0.02
    assert full["logits"]["mean_kl"] < full["logits"]["base_mean_kl"]
    refused = patch(base("q8_0"), tmp_path / "tight.gguf", adapter, code=5, model_path=MODEL, maximum_kl=1e-9)
    assert "nothing was published" in refused and not (tmp_path / "tight.gguf").exists()
    alone = patch(base("q8_0"), tmp_path / "alone.gguf", adapter)
    assert alone["self_test"] == "tensors" and alone["logits"] is None
    untestable = patch(base("q8_0"), tmp_path / "untestable.gguf", adapter, code=2, maximum_kl=0.1)
    assert "--maximum-kl" in untestable and "tokenizer" in untestable


def test_no_layer_is_called_kept_by_weights_that_were_rounded_before(base, nkat, adapter, tmp_path):
    """Gates that the normal export to q4_0 loses: relative to the file's own weights they look whole."""
    nearly_shut = write_adapter(tmp_path / "adapter", [-5.0] * LAYERS)
    words = ["patch", base("q4_0"), "--adapter", nearly_shut, "--output", tmp_path / "x.gguf"]
    done = nkat(*words, "--allow-base-mismatch", "--min-retention", "all=-1e9", "--max-noise", "all=1e9")
    assert done.returncode == 0 and "NOT JUDGED" in done.stdout, done.stderr
    report = json.loads((tmp_path / "export.json").read_text())
    assert {one["fate"] for one in report["ffn_down"]} == {"not judged"}
    judged = nkat(*words, "--model-path", MODEL)
    assert judged.returncode == 5 and "lost in layers" in judged.stderr


@needs_llama_cpp
def test_llama_cpp_computes_the_same_from_patched_and_normal_export(base, patch, export, adapter, tmp_path):
    export(tmp_path / "normal.gguf", adapter=adapter, quantization="q4_k_m")
    patch(base("q4_k_m"), tmp_path / "patched.gguf", adapter, model_path=MODEL)
    names = ["nkat.merged_from", "nkat.adapter.first_layer"]
    normal, patched = (llama_cpp.ask(tmp_path / f"{name}.gguf", logits=tokens_of(40), keys=names) for name in ("normal", "patched"))
    assert patched["logits"] == normal["logits"]
    assert patched["keys"] == {"nkat.merged_from": "checkpoint", "nkat.adapter.first_layer": "0"}


def test_a_foreign_file_keeps_its_keys_its_order_and_all_other_tensors(foreign, patch, adapter, tmp_path):
    report = patch(foreign, tmp_path / "patched.gguf", adapter, model_path=MODEL)
    same_but_for(foreign, tmp_path / "patched.gguf", DOWN)
    assert fields_in_order(tmp_path / "patched.gguf") == fields_in_order(foreign)
    assert gguf.GGUFReader(tmp_path / "patched.gguf").alignment == 64
    assert report["importance_matrix"] and report["base_sha256"]


def test_only_layers_with_an_adapter_are_replaced(base, patch, tmp_path):
    late = write_adapter(tmp_path / "adapter", [0.0, 1.0], first_layer=4)
    report = patch(base("q8_0"), tmp_path / "patched.gguf", late, model_path=MODEL)
    same_but_for(base("q8_0"), tmp_path / "patched.gguf", DOWN[4:])
    assert [one["layer"] for one in report["ffn_down"]] == [4, 5] and report["replaced"] == ["ffn_down.weight: q8_0 (2)"]


def test_without_a_checkpoint_the_files_own_weights_are_merged(foreign, patch, adapter, tmp_path):
    report = patch(foreign, tmp_path / "wide.gguf", adapter, patch_type="f32")
    assert (report["merged_from"], report["paired_by"], report["base_sha256"]) == ("file", "hash of the norms", None)
    reference = AdaptedModel(MODEL).load(adapter)
    for layer, name in enumerate(DOWN):
        rotation, gate = reference.rotations[layer].detach(), reference.gates[layer].detach()
        blocks = torch.from_numpy(weights(foreign, name)).double().unflatten(0, (-1, 8))
        exact = (blocks + gate * rotation @ blocks).flatten(0, 1)
        # One rounding of W', and the runtime's own rounding of the eight numbers of M that make it (2^-24 each).
        bound = 2**-24 * exact.abs() + 2**-23 * (torch.eye(8) + gate * rotation.abs()).matmul(blocks.abs()).flatten(0, 1)
        assert ((torch.from_numpy(weights(tmp_path / "wide.gguf", name)).double() - exact).abs() <= bound).all(), name
    report = patch(foreign, tmp_path / "same.gguf", adapter)
    same_but_for(foreign, tmp_path / "same.gguf", DOWN)
    found = tensors_of(tmp_path / "same.gguf")
    for name in DOWN:
        expected = gguf.quants.quantize(weights(tmp_path / "wide.gguf", name), gguf.GGMLQuantizationType.Q8_0)
        assert found[name][2] == expected.tobytes(), name
    assert report["merged_from"] == "file"
    assert "nkat.base_sha256" not in fields(tmp_path / "same.gguf")


def test_small_changes_are_rounded_back_to_the_grid_of_the_files_own_weights(base, patch, adapter, tmp_path):
    """Why the checkpoint is asked for. A gate of 0.7 % in q4_0: 0.2 of the change survives, 0.9 from the checkpoint."""
    survived = {}
    for kind, options in {"file": {}, "checkpoint": {"model_path": MODEL}, "finer type": {"patch_type": "q8_0"}}.items():
        survived[kind] = [one["survived"] for one in patch(base("q4_0"), tmp_path / "x.gguf", adapter, **options)["ffn_down"]]
        print(kind, survived[kind])
    assert survived["file"][0] < 0.5 < 0.8 < survived["checkpoint"][0] < survived["finer type"][0] < 1.1
    assert all(abs(value - 1) < 0.05 for kind in survived for value in survived[kind][2:])


def test_a_file_of_ours_names_its_base_and_that_must_be_the_adapters(base, patch, tmp_path):
    """The norms agree in both cases."""
    named = write_adapter(tmp_path / "named", ALPHAS, base_norms_sha256=norms_sha256())
    report = patch(base("q8_0"), tmp_path / "x.gguf", named)
    assert report["paired_by"] == "hash of the norms" and report["base_sha256"] == report["adapter"]["base_sha256"]
    other = write_adapter(tmp_path / "other", ALPHAS, base_norms_sha256=norms_sha256(), base_sha256="0" * 64)
    assert "nkat.base_sha256" in patch(base("q8_0"), tmp_path / "y.gguf", other, code=3)


def test_a_file_of_another_checkpoint_is_refused_by_the_first_norm_that_differs(base, patch, tmp_path):
    shutil.copytree(MODEL, tmp_path / "model")
    tensors = safetensors.torch.load_file(MODEL / "model.safetensors")
    for name in ("model.layers.4.post_attention_layernorm.weight", "model.norm.weight"):
        tensors[name].view(torch.int16)[17] ^= 1
    safetensors.torch.save_file(tensors, tmp_path / "model" / "model.safetensors")
    mismatched = write_adapter(tmp_path / "adapter", ALPHAS)
    options = {"model_path": tmp_path / "model", "code": 3}
    # Not even where the adapter's own mismatch is allowed.
    message = patch(base("q8_0"), tmp_path / "x.gguf", mismatched, allow_base_mismatch=True, **options)
    assert "blk.4.ffn_norm.weight" in message and "number 17" in message
    assert "--allow-base-mismatch" in patch(base("q8_0"), tmp_path / "x.gguf", mismatched, **options)
    assert not (tmp_path / "x.gguf").exists()


def test_a_file_of_another_base_is_refused_by_the_hash_of_its_norms(foreign, patch, tmp_path):
    other = write_adapter(tmp_path / "adapter", ALPHAS, base_norms_sha256="0" * 64)
    message = patch(foreign, tmp_path / "x.gguf", other, code=3)
    assert "0" * 64 in message and norms_sha256() in message and "--allow-base-mismatch" in message
    report = patch(foreign, tmp_path / "x.gguf", other, allow_base_mismatch=True)
    assert report["paired_by"] == "nothing"


def test_an_adapter_that_names_no_norms_needs_the_checkpoint_or_a_word(foreign, patch, nkat, open_adapter, tmp_path):
    message = patch(foreign, tmp_path / "x.gguf", open_adapter, code=3)
    assert "base_norms_sha256" in message and "--model-path" in message and not (tmp_path / "x.gguf").exists()
    done = nkat("patch", foreign, "--adapter", open_adapter, "--output", tmp_path / "x.gguf", "--allow-base-mismatch")
    assert done.returncode == 0 and "nobody has measured" in done.stderr
    assert "nothing proves" in done.stdout and "importance matrix" in done.stdout and "merged from the file's own weights" in done.stdout
    assert patch(foreign, tmp_path / "y.gguf", open_adapter, model_path=MODEL)["merged_from"] == "checkpoint"


def test_a_model_of_other_sizes_is_refused(patch, nkat, adapter, tmp_path):
    folder = random_model(tmp_path / "model", MODEL, 1600)
    done = nkat("export", "--model-path", folder, "--output", tmp_path / "base.gguf", "--quantization", "f32")
    assert done.returncode == 0, done.stderr
    assert "hidden_size" in patch(tmp_path / "base.gguf", tmp_path / "x.gguf", adapter, code=3)
    assert "hidden_size" in patch(tmp_path / "base.gguf", tmp_path / "x.gguf", adapter, code=3, model_path=MODEL)


@pytest.fixture(scope="module")
def mixed(base, tmp_path_factory):
    """ffn_down of layers 0, 2 and 3 in types that have no encoder here, the others F32."""
    kinds = {"q4_1": [0], "q3_K": [2], "iq4_xs": [3]}
    replaced = {name: value for kind, layers in kinds.items() for name, value in requantized(base("f32"), kind, layers).items()}
    return rewrite(base("f32"), tmp_path_factory.mktemp("mixed") / "mixed.gguf", replaced=replaced)


@needs_llama_cpp
@pytest.mark.parametrize("first, kind", [(0, "q4_1"), (1, "q3_K"), (3, "iq4_xs")])
def test_types_without_encoder_are_refused_by_name(first, kind, mixed, patch, tmp_path):
    late = write_adapter(tmp_path / "adapter", ALPHAS[first:], first_layer=first, base_norms_sha256=norms_sha256())
    message = patch(mixed, tmp_path / "x.gguf", late, code=3, model_path=MODEL)
    name = next(name for name, tensor in tensors_of(mixed).items() if tensor[0] == kind.upper())
    assert kind in message and name in message and "--patch-type" in message
    assert not (tmp_path / "x.gguf").exists()


@needs_llama_cpp
def test_another_type_takes_their_place_where_the_checkpoint_is_there(mixed, patch, export, adapter, tmp_path):
    report = patch(mixed, tmp_path / "x.gguf", adapter, model_path=MODEL, patch_type="q5_k")
    export(tmp_path / "normal.gguf", adapter=adapter, quantization="q5_k_s")
    found, normal = tensors_of(tmp_path / "x.gguf"), tensors_of(tmp_path / "normal.gguf")
    assert {name: found[name] for name in DOWN} == {name: normal[name] for name in DOWN}
    assert report["replaced"] == [
        f"ffn_down.weight: {kind} to q5_K ({count})" for kind, count in [("f32", 3), ("iq4_xs", 1), ("q3_K", 1), ("q4_1", 1)]
    ]
    report = patch(mixed, tmp_path / "y.gguf", adapter, patch_type="q5_k")
    assert report["merged_from"] == "file" and {tensors_of(tmp_path / "y.gguf")[name][0] for name in DOWN} == {"Q5_K"}


@needs_llama_cpp
def test_tensors_of_such_types_are_copied_where_the_adapter_leaves_them_alone(mixed, patch, tmp_path):
    late = write_adapter(tmp_path / "late", ALPHAS[4:], first_layer=4, base_norms_sha256=norms_sha256())
    patch(mixed, tmp_path / "x.gguf", late)
    same_but_for(mixed, tmp_path / "x.gguf", DOWN[4:])


def test_rows_that_do_not_fit_the_type_fall_back_and_are_named(patch, nkat, tmp_path):
    """A tied model whose file has no output.weight, with rows of 96."""
    folder = random_model(tmp_path / "model", MODEL, 1600)
    done = nkat("export", "--model-path", folder, "--output", tmp_path / "whole.gguf", "--quantization", "f16")
    assert done.returncode == 0, done.stderr
    tied = rewrite(tmp_path / "whole.gguf", tmp_path / "tied.gguf", without=["output.weight"])
    (tmp_path / "adapter").mkdir()
    random = torch.Generator().manual_seed(1)
    tensors = {f"layers.{i}.so8t.weight": torch.randn(8, 8, 8, generator=random) for i in range(3)}
    safetensors.torch.save_file(
        tensors | {f"layers.{i}.so8t.alpha": torch.tensor(1.0) for i in range(3)}, tmp_path / "adapter" / "adapter_model.safetensors"
    )
    config = {"peft_type": "NKAT_SO8T", "version": 1, "base_model_name_or_path": "tiny", "hidden_size": 64, "num_hidden_layers": 3,
              "first_adapter_layer": 0, "base_sha256": "0" * 64, "base_norms_sha256": norms_sha256(folder, 3)}
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(config))
    report = patch(tied, tmp_path / "x.gguf", tmp_path / "adapter", patch_type="q4_k")
    assert report["fallbacks"] == ["ffn_down.weight: q4_K as q5_0, rows of 96 (3)"]
    assert report["tensors"]["q5_0"] == 3 and "output.weight" not in tensors_of(tmp_path / "x.gguf")


def test_a_second_adapter_is_refused(base, patch, export, adapter, tmp_path):
    patch(base("q8_0"), tmp_path / "once.gguf", adapter, model_path=MODEL)
    export(tmp_path / "exported.gguf", adapter=adapter)
    for once in ("once.gguf", "exported.gguf"):
        message = patch(tmp_path / once, tmp_path / "twice.gguf", adapter, code=3, model_path=MODEL)
        assert "already" in message and "nkat.adapter." in message
    assert not (tmp_path / "twice.gguf").exists()


@pytest.mark.parametrize("at", [100, 50_000, -1])
def test_a_cut_file_is_refused_and_nothing_written(at, base, patch, adapter, tmp_path):
    content = base("q8_0").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(content[:at] if at > 0 else content[:-40])
    assert "cut.gguf" in patch(tmp_path / "cut.gguf", tmp_path / "x.gguf", adapter, code=3)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.gguf"]


HOSTILE = {
    "another architecture": ({"keys": {"general.architecture": ("STRING", "gemma3")}}, "general.architecture"),
    "too many layers": ({"keys": {"phi3.block_count": ("UINT32", 4_000_000_000)}}, "block_count"),
    "a tensor that is missing": ({"without": ["blk.3.attn_norm.weight"]}, "blk.3.attn_norm.weight"),
    "a norm in F16": ({"replaced": {"output_norm.weight": (np.ones(192, np.float16), gguf.GGMLQuantizationType.F16)}}, "output_norm.weight"),
    "a norm of another length": (
        {"replaced": {"output_norm.weight": (np.ones(64, np.float32), gguf.GGMLQuantizationType.F32)}},
        "output_norm.weight",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_file_that_is_no_such_model_is_refused_by_name(kind, base, patch, adapter, tmp_path):
    changes, word = HOSTILE[kind]
    rewrite(base("q8_0"), tmp_path / "base.gguf", **changes)
    assert word in patch(tmp_path / "base.gguf", tmp_path / "x.gguf", adapter, code=3)
    assert not (tmp_path / "x.gguf").exists()


def test_files_that_are_missing_are_named(base, patch, adapter, tmp_path):
    assert "none.gguf" in patch(tmp_path / "none.gguf", tmp_path / "x.gguf", adapter, code=3)
    assert "no_adapter" in patch(base("q8_0"), tmp_path / "x.gguf", tmp_path / "no_adapter", code=3)
    assert "no_model" in patch(base("q8_0"), tmp_path / "x.gguf", adapter, code=3, model_path=tmp_path / "no_model")


def test_the_old_flag_names_the_command_and_runs_it(base, nkat, adapter, tmp_path):
    def both(words, code):
        """Of the command and of the flag: the report without its time, and the file's bytes."""
        found = []
        for start in (["patch", base("q4_0")], ["export", "--patch", base("q4_0")]):
            done = nkat(*start, "--adapter", adapter, "--output", tmp_path / "x.gguf", "--model-path", MODEL, "--json", *words)
            assert done.returncode == code, done.stderr
            assert ("nkat patch BASE.gguf" in done.stderr) == (start[0] == "export"), done.stderr
            report = json.loads(done.stdout)
            report.pop("seconds")
            found.append((report, (tmp_path / "x.gguf").read_bytes()))
        return found

    accepted, by_flag = both(ACCEPTING, 0)
    assert by_flag == accepted
    lost, by_flag = both(["--maximum-kl", "1000"], 5)
    assert by_flag == lost and lost[0]["lost_layers"] and lost[1] == accepted[1]


def test_options_of_a_whole_export_do_not_go_with_a_patch(base, patch, nkat, adapter, tmp_path):
    words = {"quantization": "q8_0", "context_length": 64, "name": "phi-3", "format": "gguf", "max_shard_mib": 5}
    for name, value in words.items():
        assert f"'--{name.replace('_', '-')}' is not known" in patch(base("q8_0"), tmp_path / "x.gguf", adapter, code=2, **{name: value})
    given = [word for name, value in words.items() for word in (f"--{name.replace('_', '-')}", value)]
    old = nkat("export", "--patch", base("q8_0"), "--adapter", adapter, "--output", tmp_path / "x.gguf", *given)
    assert old.returncode == 2
    assert all(f"--{name.replace('_', '-')} doesn't go with --patch" in old.stderr for name in words), old.stderr
    assert "one of f32, f16" in patch(base("q8_0"), tmp_path / "x.gguf", adapter, code=2, patch_type="q4_1")
    alone = nkat("patch", base("q8_0"), "--output", tmp_path / "x.gguf")
    assert alone.returncode == 2 and "--adapter" in alone.stderr, alone.stderr
    for given, missing in ((["--patch", base("q8_0")], "--adapter"), (["--model-path", MODEL, "--patch-type", "q8_0"], "--patch"),
                           (["--adapter", adapter], "--model-path is required"), (["--patch", "", "--model-path", MODEL], "--patch")):
        done = nkat("export", "--output", tmp_path / "x.gguf", *given)
        assert done.returncode == 2 and missing in done.stderr, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_file_itself_is_never_the_output(base, patch, adapter, tmp_path):
    mine = shutil.copy(base("q8_0"), tmp_path / "mine.gguf")
    os.link(mine, tmp_path / "hard.gguf")
    os.symlink(mine, tmp_path / "soft.gguf")
    os.symlink(tmp_path, tmp_path / "folder")
    for output in ("mine.gguf", "hard.gguf", "soft.gguf", "folder/mine.gguf"):
        assert "name another" in patch(mine, tmp_path / output, adapter, code=2)
    assert mine.read_bytes() == base("q8_0").read_bytes()


def test_the_trainer_names_the_norms_of_its_base(trained, foreign, patch, tmp_path):
    config = json.loads((trained / "adapter_config.json").read_text())
    assert config["base_norms_sha256"] == norms_sha256()
    report = patch(foreign, tmp_path / "x.gguf", trained)
    assert report["paired_by"] == "hash of the norms" and report["adapter"]["training_step"] == 12


def test_a_run_whose_checkpoint_names_no_norms_goes_on(nkat, trained, tmp_path):
    run = shutil.copytree(trained.parents[1], tmp_path / "run")
    checkpoint = run / "checkpoints" / "step-000008"
    shutil.rmtree(run / "checkpoints" / "step-000012")
    shutil.rmtree(run / "adapter")
    config = json.loads((checkpoint / "adapter_config.json").read_text())
    del config["base_norms_sha256"]
    text = json.dumps(config).encode()
    (checkpoint / "adapter_config.json").write_bytes(text)
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    manifest["files"]["adapter_config.json"] = {"size": len(text), "sha256": hashlib.sha256(text).hexdigest()}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    done = nkat("train", *training.options(run))
    assert done.returncode == 0, done.stderr
    assert (run / "checkpoints" / "step-000012" / "adapter_model.safetensors").read_bytes() == (trained / "adapter_model.safetensors").read_bytes()
    assert json.loads((run / "adapter" / "adapter_config.json").read_text())["base_norms_sha256"] == norms_sha256()
