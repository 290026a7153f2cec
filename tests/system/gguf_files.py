"""GGUF files as others make them, written by gguf-py from an exported one."""
import gguf
import libggml
import numpy as np

# A key of every kind that the program itself doesn't write.
OTHERS_KEYS = {
    "general.quantized_by": ("STRING", "somebody"), "quantize.imatrix.file": ("STRING", "imatrix.dat"),
    "quantize.imatrix.entries_count": ("INT32", 24), "test.u8": ("UINT8", 200), "test.i64": ("INT64", -(2**62)),
    "test.f64": ("FLOAT64", 1e-300), "test.flag": ("BOOL", True), "general.tags": ("ARRAY", ["ja", "り"]),
    "test.numbers": ("ARRAY", [1, -2, 3]),
}
# The layer's tensors, and those outside layers: names in a GGUF file by llama.cpp, and in a checkpoint.
LAYER_MATRICES = {"attn_qkv": "self_attn.qkv_proj", "attn_output": "self_attn.o_proj", "ffn_up": "mlp.gate_up_proj", "ffn_down": "mlp.down_proj"}
LAYER_NAMES = LAYER_MATRICES | {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
OTHER_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def checkpoint_name(name):
    """"blk.3.ffn_up.weight" -> "model.layers.3.mlp.gate_up_proj.weight"; None for what a checkpoint doesn't have."""
    parts = name.removesuffix(".weight").split(".")
    source = LAYER_NAMES.get(parts[2]) if parts[0] == "blk" else OTHER_NAMES.get(parts[0])
    return source and (f"model.layers.{parts[1]}." if parts[0] == "blk" else "") + source + ".weight"


def tensors_of(path):
    """name: (type, sizes in ggml's order, bytes), in the file's order."""
    return {tensor.name: (tensor.tensor_type.name, tuple(map(int, tensor.shape)), tensor.data.tobytes())
            for tensor in gguf.GGUFReader(path).tensors}


def fields_in_order(path, without="nkat."):
    reader = gguf.GGUFReader(path)
    return [(name, [kind.name for kind in field.types], field.contents()) for name, field in reader.fields.items()
            if not name.startswith((without, "GGUF."))]


def weights(path, name):
    (tensor,) = [one for one in gguf.GGUFReader(path).tensors if one.name == name]
    return np.array(gguf.quants.dequantize(tensor.data, tensor.tensor_type), np.float32)


def requantized(path, kind, layers):
    """ffn_down of these layers of an F32 file, in a type of libggml's."""
    encoded = {f"blk.{i}.ffn_down.weight": libggml.find().encode(kind, np.ascontiguousarray(weights(path, f"blk.{i}.ffn_down.weight")))
               for i in layers}
    return {name: (blocks, gguf.GGMLQuantizationType[kind.upper()]) for name, blocks in encoded.items()}


def _add(writer, name, types, value):
    if types[0] == "ARRAY":
        return writer.add_array(name, value)
    writer.add_key_value(name, value, gguf.GGUFValueType[types[0]])


def rewrite(source, target, replaced=None, keys=None, without=(), order=None, version=3, tensors_a_part=0):
    """Writes `source` anew: replaced {name: (array, type)}, keys {name: (type, value)}, order: a sort key of names; where
    tensors_a_part is given, in parts beside each other, of which the first is returned."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.get_field("general.architecture").contents(), split_max_tensors=tensors_a_part)
    keys = dict(keys or {})
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture" or name in without:
            continue
        kinds, value = [kind.name for kind in field.types], field.contents()
        if name in keys:
            kind, value = keys.pop(name)
            kinds = [kind]
        if name.startswith("nkat."):
            continue
        _add(writer, name, kinds, value)
    for name, (kind, value) in keys.items():
        if name == "general.architecture":
            writer.kv_data[0][name].value = value
        else:
            _add(writer, name, [kind], value)
    tensors = sorted(reader.tensors, key=(lambda one: order(one.name)) if order else lambda one: one.data_offset)
    for tensor in tensors:
        if tensor.name in without:
            continue
        data, kind = (replaced or {}).get(tensor.name, (tensor.data, tensor.tensor_type))
        writer.add_tensor(tensor.name, np.ascontiguousarray(data), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    if version != 3:
        with open(target, "r+b") as file:
            file.seek(4)
            file.write(version.to_bytes(4, "little"))
    return min(target.parent.glob(f"{target.stem}-00001-of-*.gguf")) if tensors_a_part else target


def decoded(source, target):
    """The same model with every tensor in F32, decoded by gguf-py."""
    tensors = {one.name: (gguf.quants.dequantize(one.data, one.tensor_type).astype(np.float32), gguf.GGMLQuantizationType.F32)
               for one in gguf.GGUFReader(source).tensors}
    return rewrite(source, target, replaced=tensors)
