"""The merge of `nkat export` and its folders for transformers, against PyTorch."""
import re
import subprocess

import numpy as np
import pytest
import safetensors.torch
import torch
from adapter_reference import AdaptedModel
from exports import FLOAT32_BOUND, MODEL, largest_difference, load, logits_of, tokens_of


def test_merged_logits_equal_backbone_plus_adapter(merged_folder, open_adapter, dump_logits, tmp_path):
    tokens = tokens_of(120)
    adapted = logits_of(AdaptedModel(MODEL).load(open_adapter).model, tokens)
    theirs = logits_of(load(merged_folder), tokens)
    (tmp_path / "tokens.txt").write_text(" ".join(map(str, tokens)) + "\n")
    subprocess.run([dump_logits, merged_folder, "fp32", "packed", tmp_path / "tokens.txt", tmp_path / "out"], check=True)
    ours = np.fromfile(tmp_path / "out").reshape(len(tokens), -1)
    base = logits_of(load(MODEL), tokens)
    assert largest_difference(adapted, base) > 1  # the adapter does something
    for merged in (theirs, ours):
        assert largest_difference(merged, adapted) <= FLOAT32_BOUND * np.abs(adapted).max()


def test_only_down_projections_change_and_by_one_rounding(merged_folder, open_adapter):
    base = safetensors.torch.load_file(MODEL / "model.safetensors")
    merged = safetensors.torch.load_file(merged_folder / "model.safetensors")
    adapter = AdaptedModel(MODEL).load(open_adapter)
    assert merged.keys() == base.keys()
    for name, tensor in base.items():
        found = re.fullmatch(r"model\.layers\.(\d+)\.mlp\.down_proj\.weight", name)
        if not found:
            assert torch.equal(merged[name], tensor.float()), name
            continue
        layer = int(found[1])
        rotation, gate = adapter.rotations[layer].detach(), adapter.gates[layer].detach()
        blocks = tensor.double().unflatten(0, (-1, 8))
        exact = (blocks + gate * rotation @ blocks).flatten(0, 1)
        # One rounding of W', and the runtime's own rounding of the eight numbers of M that make it (2^-24 each).
        bound = 2**-24 * exact.abs() + 2**-23 * (torch.eye(8) + gate * rotation.abs()).matmul(blocks.abs()).flatten(0, 1)
        assert ((merged[name].double() - exact).abs() <= bound).all(), name


def test_shards_hold_what_one_file_holds(export, open_adapter, merged_folder, tmp_path):
    export(f"{tmp_path}/shards/", adapter=open_adapter, format="hf", max_shard_mib=2)
    shards = sorted((tmp_path / "shards").glob("model-*-of-*.safetensors"))
    assert len(shards) > 2
    assert not list(tmp_path.glob("*nkat-tmp*"))
    together = {}
    for shard in shards:
        together |= safetensors.torch.load_file(shard)
    single = safetensors.torch.load_file(merged_folder / "model.safetensors")
    assert together.keys() == single.keys()
    assert all(torch.equal(together[name], single[name]) for name in single)
    tokens = tokens_of(40)
    assert largest_difference(logits_of(load(tmp_path / "shards"), tokens), logits_of(load(merged_folder), tokens)) == 0


@pytest.mark.parametrize("kind", ["bf16", "f16"])
def test_folders_of_two_byte_types_are_the_merged_weights_rounded(kind, export, open_adapter, merged_folder, tmp_path):
    report = export(tmp_path / "hf", adapter=open_adapter, format="hf", quantization=kind)
    rounded = safetensors.torch.load_file(tmp_path / "hf" / "model.safetensors")
    dtype = {"bf16": torch.bfloat16, "f16": torch.float16}[kind]
    for name, tensor in safetensors.torch.load_file(merged_folder / "model.safetensors").items():
        assert torch.equal(rounded[name], tensor.to(dtype)), name
    assert load(tmp_path / "hf", "auto").dtype == dtype
    assert report["tensors"] == {kind: len(rounded)}
