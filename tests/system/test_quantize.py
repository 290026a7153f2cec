"""Our encoders write the bytes of libggml's, and our decoders its floats: row kinds that try every corner, with and without an
importance, by plain and by vector instructions. Rows that ggml would store as infinities must be refused.

NKAT_QUANTIZE_BLOCKS=200000 runs as many blocks a type (minutes, for a change in data/quantize); the table is printed with -s.
"""
import os
import pathlib
import subprocess

import libggml
import numpy as np
import pytest

BLOCKS = int(os.environ.get("NKAT_QUANTIZE_BLOCKS", "0"))
WAYS = [(kind, importance) for kind in libggml.TYPES for importance in ["none"] + (libggml.IMPORTANCES if kind in libggml.WEIGHTED else [])]


@pytest.fixture(scope="module")
def ggml():
    library = libggml.find()
    if library is None:
        pytest.skip("xllamacpp, whose libggml is the oracle, is not installed")
    return library


@pytest.fixture(scope="module")
def program(nkat_path):
    path = nkat_path.parent / "tests" / "support" / "nkat_quantize_rows"
    assert path.exists(), f"{path} is missing; run scripts/build"
    return path


@pytest.fixture(scope="module")
def vector_instructions():
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    return ["plain", "avx2"] if " avx2 " in flags else ["plain"]


@pytest.fixture(scope="module")
def equality_table():
    """(type, importance, row kind) -> [blocks, those that differ by either instructions, rows refused], printed at the end."""
    rows = {}
    yield rows
    print(f"\n\n{'type':<6}{'importance':<12}{'rows':<18}{'blocks':>9}{'differ':>8}{'refused rows':>14}")
    for (kind, importance, row_kind), counts in rows.items():
        print(f"{kind:<6}{importance:<12}{row_kind:<18}{counts[0]:>9}{counts[1]:>8}{counts[2]:>14}")


@pytest.fixture
def encode(program, tmp_path):
    """(type, rows, importance, instructions) -> bytes a row, {refused row: message}."""

    def run(kind, rows, importance, instructions):
        rows.tofile(tmp_path / "rows")
        words = [program, "encode", kind, str(rows.shape[1]), instructions, tmp_path / "rows", tmp_path / "blocks"]
        if importance is not None:
            importance.tofile(tmp_path / "importance")
            words.append(tmp_path / "importance")
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        refused = dict(line.split("\t") for line in done.stdout.splitlines())
        blocks = np.fromfile(tmp_path / "blocks", np.uint8).reshape(len(rows), -1)
        return blocks, {int(row): message for row, message in refused.items()}

    return run


def row_lengths(kind):
    return [256, 3072, 8192] if libggml.TYPES[kind][1] == 256 else [32, 96, 256, 3072, 8192]


def rows_of_each_kind(kind, importance, length):
    """All row kinds, one after the other, and their number a kind."""
    random = np.random.default_rng([libggml.TYPES[kind][0], len(importance), length])
    block = max(32, libggml.TYPES[kind][1])
    ways = sum(one == kind for one, _ in WAYS) * len(row_lengths(kind)) * len(libggml.ROW_KINDS)
    count = max(2, BLOCKS * block // (length * ways) + 1, 2048 // length)
    rows = [libggml.make_rows(random, row_kind, count, length) for row_kind in libggml.ROW_KINDS]
    weights = None if importance == "none" else libggml.make_importance(random, importance, length)
    return np.concatenate(rows), count, weights


@pytest.mark.parametrize("kind,importance", WAYS)
def test_blocks_are_ggmls_byte_for_byte(ggml, encode, vector_instructions, equality_table, kind, importance):
    size = libggml.TYPES[kind][2]
    for length in row_lengths(kind):
        rows, count, weights = rows_of_each_kind(kind, importance, length)
        expected = ggml.encode(kind, rows, weights)
        finite = libggml.is_finite(kind, expected)
        for instructions in vector_instructions:
            blocks, refused = encode(kind, rows, weights, instructions)
            stored = np.array([i not in refused for i in range(len(rows))])
            differ = (blocks != expected).reshape(len(rows), -1, size).any(2)
            for i, row_kind in enumerate(libggml.ROW_KINDS):
                these = slice(i * count, (i + 1) * count)
                both = (stored & finite)[these]
                counts = equality_table.setdefault((kind, importance, row_kind), [0, 0, 0])
                if instructions == "plain":
                    counts[0] += both.sum() * differ.shape[1]
                    counts[2] += (~stored[these]).sum()
                counts[1] += differ[these][both].sum()
                assert np.array_equal(stored[these], finite[these]), f"{row_kind} rows of {length}: other rows refused than ggml breaks"
                assert not differ[these][both].any(), f"{row_kind} rows of {length}, {instructions} instructions"


def test_refusals_say_where_and_why(encode):
    rows = np.full((3, 256), 0.5, np.float32)
    rows[1, 40] = np.nan
    rows[2, 70] = 1e9
    _, refused = encode("q4_0", rows, None, "best")
    assert "column 40" in refused[1] and "nan" in refused[1]
    assert "columns 64 to 95" in refused[2] and "choose a wider type" in refused[2]


@pytest.mark.parametrize("kind", libggml.TYPES)
def test_threads_do_not_change_the_bytes(encode, kind):
    random = np.random.default_rng(1)
    rows = libggml.make_rows(random, "normal", 300, 2048)
    importance = libggml.make_importance(random, "gamma", 2048)
    one, _ = encode(kind, rows, importance, "best")
    all_of_them, _ = encode(kind, rows, importance, "threads")
    assert np.array_equal(one, all_of_them)


@pytest.fixture
def decode(program, tmp_path):
    def run(kind, blocks, instructions):
        blocks.tofile(tmp_path / "blocks")
        subprocess.run([program, "decode", kind, instructions, tmp_path / "blocks", tmp_path / "values"], check=True)
        return np.fromfile(tmp_path / "values", np.float32)

    return run


def random_blocks(kind, count):
    """Blocks of random bits, but for halves that are kept finite."""
    _, _, size, halves = libggml.TYPES[kind]
    blocks = np.random.default_rng(2).integers(0, 256, (count, size), np.uint8)
    for offset in halves:
        blocks[:, offset + 1] &= 0xBF
    if kind in ("f32", "bf16"):
        blocks[:, size - 1] &= 0xBF
    return blocks


@pytest.mark.parametrize("kind", list(libggml.TYPES)[1:])  # ggml has no decoder of F32
def test_decoded_blocks_are_ggmls_float_for_float(ggml, decode, vector_instructions, kind):
    blocks = random_blocks(kind, 4096)
    expected = ggml.decode(kind, blocks, len(blocks) * libggml.TYPES[kind][1])
    for instructions in vector_instructions:
        assert np.array_equal(decode(kind, blocks, instructions).view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("kind", libggml.TYPES)
def test_decoded_blocks_are_those_of_gguf_py(decode, kind):
    gguf = pytest.importorskip("gguf", reason="gguf, whose dequantize is the oracle, is not installed")
    blocks = random_blocks(kind, 4096)
    expected = gguf.quants.dequantize(blocks.reshape(1, -1), gguf.GGMLQuantizationType(libggml.TYPES[kind][0])).reshape(-1)
    assert np.array_equal(decode(kind, blocks, "best"), expected)


# ---- every type that ggml decodes, those included that are never written


def decoded_types():
    """(name, elements and bytes of a block, by gguf-py) of the types that are decoded by ggml itself."""
    import gguf

    sizes = {kind.name.lower(): size for kind, size in gguf.GGML_QUANT_SIZES.items()} | {"q1_0": (128, 18), "q2_0": (64, 18)}
    own = {name.lower() for name in libggml.TYPES} | {"q8_1", "q8_k", "i8", "i16", "i32", "i64", "f64"}
    return {name: size for name, size in sizes.items() if name not in own}


@pytest.mark.parametrize("kind", decoded_types())
def test_types_that_are_never_written_are_decoded_as_by_gguf_py_and_ggml(ggml, decode, kind):
    """Random bits, among them scales that are NaN and infinite."""
    import gguf

    elements, size = decoded_types()[kind]
    blocks = np.random.default_rng(3).integers(0, 256, (512, size), np.uint8)
    ours = decode(kind, blocks, "best")
    assert ours.size == 512 * elements
    oracles = []
    if kind.upper() in gguf.GGMLQuantizationType.__members__ and (number := gguf.GGMLQuantizationType[kind.upper()]) in gguf.quants._type_traits:
        with np.errstate(all="ignore"):
            oracles.append(gguf.quants.dequantize(blocks.reshape(1, -1), number).reshape(-1))
    spelled = kind[:-1] + kind[-1].upper() if kind.endswith("_k") else kind
    if ggml.has_decoder(spelled):
        oracles.append(ggml.decode(spelled, blocks, ours.size))
    assert oracles
    for expected in oracles:
        assert np.array_equal(ours, expected, equal_nan=True)


def test_all_28_types_are_decoded():
    assert len(decoded_types()) + len(libggml.TYPES) == 28
