"""Model folders of any Phi-3 size with random BF16 weights, written with nothing but Python's own library, so that a machine
that has only the built program can try and time it. Tokenizer: the shipped one, or that of a given folder.
"""
import array
import json
import pathlib
import random
import shutil

ROOT = pathlib.Path(__file__).resolve().parents[3]
DEMO = ROOT / "data" / "demo"
STANDARD_DEVIATION = 0.02
SHARD_BYTES = 4 << 30
TABLE_VALUES = 4_194_301  # a prime, so that rows of no width come to lie on one another
TOKENIZER_FILES = ("tokenizer.model", "tokenizer.json", "tokenizer_config.json")
# Of the Phi-3.5-mini; without its long-rope factors, which change neither time nor memory.
FULL_SIZE = {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32, "num_attention_heads": 32, "vocab_size": 32064}
# What the shipped tokenizer needs: the smallest vocabulary here.
SMALL = {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4, "vocab_size": 1600}


def sized(hidden, layers, heads=8, vocabulary=32064):
    return {"hidden_size": hidden, "intermediate_size": hidden * 8 // 3 // 64 * 64, "num_hidden_layers": layers, "num_attention_heads": heads,
            "vocab_size": vocabulary}


def config_of(sizes):
    """config.json of a Phi-3 of these sizes that can address 131,072 tokens."""
    demo = json.loads((DEMO / "model" / "config.json").read_text())
    return {
        **{key: value for key, value in demo.items() if key not in ("rope_scaling", "sliding_window")},
        "rope_scaling": None,
        "sliding_window": None,
        "max_position_embeddings": 131072,
        "original_max_position_embeddings": 131072,
        **sizes,
        "num_key_value_heads": sizes["num_attention_heads"],
    }


def tensor_shapes(config):
    hidden, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    heads, kv_heads = config["num_attention_heads"], config.get("num_key_value_heads") or config["num_attention_heads"]
    head = hidden // heads
    shapes = {"model.embed_tokens.weight": [vocabulary, hidden]}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        shapes[prefix + "input_layernorm.weight"] = [hidden]
        shapes[prefix + "self_attn.qkv_proj.weight"] = [(heads + 2 * kv_heads) * head, hidden]
        shapes[prefix + "self_attn.o_proj.weight"] = [hidden, heads * head]
        shapes[prefix + "post_attention_layernorm.weight"] = [hidden]
        shapes[prefix + "mlp.gate_up_proj.weight"] = [2 * inner, hidden]
        shapes[prefix + "mlp.down_proj.weight"] = [hidden, inner]
    shapes["model.norm.weight"] = [hidden]
    shapes["lm_head.weight"] = [vocabulary, hidden]
    return shapes


def bytes_of(shape):
    size = 2
    for length in shape:
        size *= length
    return size


def split_into_shards(shapes):
    shards, size = [{}], 0
    for name, shape in shapes.items():
        if size and size + bytes_of(shape) > SHARD_BYTES:
            shards.append({})
            size = 0
        shards[-1][name] = shape
        size += bytes_of(shape)
    return shards


def bf16_bytes(values):
    """The upper halves of little-endian float32."""
    wide = array.array("f", values).tobytes()
    narrow = bytearray(len(wide) // 2)
    narrow[0::2], narrow[1::2] = wide[2::4], wide[3::4]
    return bytes(narrow)


class RandomBytes:
    """Normal BF16 values: one table, read from another place on for each tensor."""

    def __init__(self, seed=0):
        self.random = random.Random(seed)
        self.table = memoryview(bf16_bytes(self.random.gauss(0.0, STANDARD_DEVIATION) for _ in range(TABLE_VALUES)))

    def write(self, file, size):
        begin = 2 * self.random.randrange(TABLE_VALUES)
        while size:
            part = self.table[begin : begin + size]
            file.write(part)
            size -= len(part)
            begin = 0


def write_shard(path, shapes, values):
    header, begin = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, begin + bytes_of(shape)]}
        begin += bytes_of(shape)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            if len(shape) == 1:
                file.write(bf16_bytes([1.0] * shape[0]))
            else:
                values.write(file, bytes_of(shape))


def write_weights(folder, config, tell=lambda line: None):
    """All shards and, last, their index."""
    shards = split_into_shards(tensor_shapes(config))
    values, weight_map, total = RandomBytes(), {}, 0
    for number, shapes in enumerate(shards, start=1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        write_shard(folder / name, shapes, values)
        weight_map |= {tensor: name for tensor in shapes}
        total += sum(map(bytes_of, shapes.values()))
        tell(f"{name}: {len(shapes)} tensors")
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))


def make_model(folder, sizes, with_weights=True):
    """A folder with a model of these sizes; one that is there already is taken as it is if it has them."""
    config = config_of(sizes)
    index = folder / "model.safetensors.index.json"
    wanted = json.dumps(config, indent=2)
    if (folder / "config.json").exists() and (folder / "config.json").read_text() == wanted and (index.exists() or not with_weights):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    index.unlink(missing_ok=True)
    for name in TOKENIZER_FILES:
        shutil.copyfile(DEMO / "model" / name, folder / name)
    (folder / "config.json").write_text(wanted)
    if with_weights:
        write_weights(folder, config)
    return folder
