"""libggml's own quantizers, out of the xllamacpp package, through ctypes; and rows that try an encoder's corners."""
import ctypes
import importlib.util
import pathlib

import numpy as np

# type: (id, elements of a block, bytes of a block, offsets of the block's halves)
TYPES = {
    "f32": (0, 1, 4, []), "f16": (1, 1, 2, [0]), "bf16": (30, 1, 2, []), "q8_0": (8, 32, 34, [0]), "q4_0": (2, 32, 18, [0]),
    "q5_0": (6, 32, 22, [0]), "q5_1": (7, 32, 24, [0, 2]), "q4_K": (12, 256, 144, [0, 2]), "q5_K": (13, 256, 176, [0, 2]),
    "q6_K": (14, 256, 210, [208]),
}
# Types that the program copies without knowing their blocks.
COPIED = {"q4_1": (3, 32, 20, [0, 2]), "q3_K": (11, 256, 110, [108]), "iq4_xs": (23, 256, 136, [0])}
WEIGHTED = ["q4_0", "q5_0", "q5_1", "q4_K", "q5_K", "q6_K"]  # the others ignore an importance
IMPORTANCES = ["gamma", "sparse", "ones"]


class Library:
    def __init__(self, path):
        self._library = ctypes.CDLL(str(path))
        self._library.ggml_quantize_chunk.restype = ctypes.c_size_t
        self._library.ggml_quantize_chunk.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3, ctypes.c_void_p]

    def encode(self, kind, rows, importance=None, out=None):
        """rows: (n, length) float32 -> (n, bytes of a row) uint8."""
        number, elements, size, _ = (TYPES | COPIED)[kind]
        assert rows.dtype == np.float32 and rows.flags.c_contiguous
        if out is None:
            out = np.zeros((rows.shape[0], rows.shape[1] // elements * size), np.uint8)
        weights = None if importance is None else importance.ctypes.data
        written = self._library.ggml_quantize_chunk(number, rows.ctypes.data, out.ctypes.data, 0, *rows.shape, weights)
        assert written == out.size
        return out

    def decode(self, kind, blocks, elements):
        names = {"f16": "ggml_fp16_to_fp32_row", "bf16": "ggml_bf16_to_fp32_row"}
        function = getattr(self._library, names.get(kind, f"dequantize_row_{kind}"))
        out = np.zeros(elements, np.float32)
        function(ctypes.c_void_p(blocks.ctypes.data), ctypes.c_void_p(out.ctypes.data), ctypes.c_int64(elements))
        return out


    def has_decoder(self, kind):
        return hasattr(self._library, f"dequantize_row_{kind}")


def path():
    """Where the library is, or None where xllamacpp isn't installed. The package itself is not imported: it starts a back end."""
    found = importlib.util.find_spec("xllamacpp")
    libraries = sorted(pathlib.Path(found.submodule_search_locations[0]).glob("xllamacpp*.so")) if found else []
    return libraries[0] if libraries else None


def find():
    return Library(path()) if path() else None


def is_finite(kind, blocks):
    """Of each row of `blocks`: whether all that it stores is."""
    _, _, size, halves = TYPES[kind]
    if kind == "f32":
        return np.isfinite(np.ascontiguousarray(blocks).view(np.float32)).all(1)
    words = {"bf16": [0]}.get(kind, halves)
    exponent = 0x7F80 if kind == "bf16" else 0x7C00
    each = blocks.reshape(len(blocks), blocks.shape[1] // size, size).astype(np.uint16)
    return np.all([((each[:, :, i] | each[:, :, i + 1] << 8) & exponent != exponent).all(1) for i in words], axis=0)


def _by_block(random, n, length, low, high):
    """Powers of ten from 10^low to 10^high, one for each 32 columns."""
    return 10 ** random.uniform(low, high, (n, length // 32)).repeat(32, axis=1)


ROW_KINDS = {
    "normal": lambda r, n, m: r.normal(size=(n, m)) * 0.02,
    "heavy-tailed": lambda r, n, m: r.standard_t(1.5, (n, m)),
    "zero": lambda r, n, m: np.where(r.random((n, m)) < 0.5, 0.0, -0.0),
    "tiny": lambda r, n, m: r.normal(size=(n, m)) * 1e-30,
    "denormal": lambda r, n, m: r.normal(size=(n, m)) * _by_block(r, n, m, -45, -37),
    "small": lambda r, n, m: r.normal(size=(n, m)) * _by_block(r, n, m, -20, -3),
    "large": lambda r, n, m: r.uniform(-1e5, 1e5, (n, m)),
    "large for a half": lambda r, n, m: r.uniform(-6.5e4, 6.5e4, (n, m)),
    "constant": lambda r, n, m: np.tile(r.normal(size=(n, 1)) * _by_block(r, n, 32, -8, 4)[:, :1], (1, m)),
    "alternating": lambda r, n, m: r.normal(size=(n, 1)) * np.where(np.arange(m) % 2, 1, -1),
    "one outlier": lambda r, n, m: _with_outlier(r, r.normal(size=(n, m)) * 0.01),
    "nearly constant": lambda r, n, m: (r.normal(size=(n, m // 32)) * 1e3).repeat(32, axis=1) * (1 + 1e-6 * r.normal(size=(n, m))),
    "few values": lambda r, n, m: r.integers(-8, 8, (n, m)) * _by_block(r, n, 32, -3, 1)[:, :1],
    "positive": lambda r, n, m: np.abs(r.normal(size=(n, m))) + r.uniform(0, 3, (n, 1)),
    "negative": lambda r, n, m: -np.abs(r.normal(size=(n, m))) - r.uniform(0, 3, (n, 1)),
    "not negative": lambda r, n, m: _with_signed_zeros(r, np.abs(r.normal(size=(n, m)))),
    "not positive": lambda r, n, m: _with_signed_zeros(r, -np.abs(r.normal(size=(n, m)))),
    "sparse": lambda r, n, m: r.normal(size=(n, m)) * (r.random((n, m)) < 0.05),
    "bfloat16": lambda r, n, m: ((r.normal(size=(n, m)) * 0.02).astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32),
    "mixed": lambda r, n, m: np.concatenate([ROW_KINDS[kind](r, n, 32) for kind in r.choice(list(ROW_KINDS)[:-1], m // 32)], axis=1),
}


def _with_outlier(random, rows):
    rows[np.arange(len(rows)), random.integers(0, rows.shape[1], len(rows))] = 10 ** random.uniform(0, 4.5, len(rows))
    return rows


def _with_signed_zeros(random, rows):
    return np.where(random.random(rows.shape) < 0.5, rows, np.where(random.random(rows.shape) < 0.5, 0.0, -0.0))


def make_rows(random, kind, n, length):
    return np.ascontiguousarray(ROW_KINDS[kind](random, n, length), dtype=np.float32)


def make_importance(random, kind, length):
    weights = random.gamma(0.5, size=length) * 10 ** random.uniform(-3, 3)
    changed = {"gamma": weights, "sparse": weights * (random.random(length) < 0.3), "ones": np.ones(length)}
    return changed[kind].astype(np.float32)
