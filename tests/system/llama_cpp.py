"""Real llama.cpp in a child process: it aborts on some files. Its C API comes out of the xllamacpp package.

    python llama_cpp.py MODEL   reads a JSON request from standard input, writes a JSON answer to standard output
    {"logits": [ids], "context": n, "texts": [...], "prompt": [ids], "new_tokens": n, "keys": [...],
     "ends": [ids], "vocabulary_only": true, "around": true}, all optional
"""
import ctypes
import json
import struct
import subprocess
import sys

import libggml
import numpy as np

BLOB = 512  # bytes, more than the parameter structs have
NO_FLASH_ATTENTION, TYPE_F32, TYPE_F16 = 0, 0, 1


class Blob(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_ubyte * BLOB)]


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", ctypes.c_int32), ("token", ctypes.POINTER(ctypes.c_int32)), ("embd", ctypes.c_void_p),
                ("pos", ctypes.POINTER(ctypes.c_int32)), ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
                ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))), ("logits", ctypes.POINTER(ctypes.c_int8))]


def ask(model, **request):
    """In a child process; an AssertionError with llama.cpp's last words if it can't."""
    child = subprocess.run([sys.executable, __file__, str(model)], input=json.dumps(request), capture_output=True, text=True, timeout=300)
    assert child.returncode == 0, child.stderr[-3000:]
    return json.loads(child.stdout)


def context_parameters(library, tokens, threads=1):
    """Defaults, with n_tokens of context in one batch, an F32 cache and no flash attention. One thread: more of them
    spin while they wait, for minutes on a busy machine. The struct's fields move between versions, so they are found
    by their default values."""
    default = bytearray(library.llama_context_default_params().bytes)
    pattern = struct.pack("<4i", -1, -1, -1, -1)  # rope scaling, pooling, attention, flash attention
    flash = default.index(pattern) + 12
    threads_at, cache_types = flash - 24, flash + 52
    assert struct.unpack_from("<4I", default, 0)[0] == 512
    assert struct.unpack_from("<2i", default, threads_at) == (4, 4)
    assert struct.unpack_from("<2i", default, cache_types) == (TYPE_F16, TYPE_F16)
    struct.pack_into("<3I", default, 0, tokens, max(tokens, 512), max(tokens, 512))
    struct.pack_into("<2i", default, threads_at, threads, threads)
    struct.pack_into("<i", default, flash, NO_FLASH_ATTENTION)
    struct.pack_into("<2i", default, cache_types, TYPE_F32, TYPE_F32)
    return Blob((ctypes.c_ubyte * BLOB)(*default))


def model_parameters(library, vocabulary_only):
    """Defaults. `vocab_only` is the first of the flags behind the pointers; the third one, use_extra_bufts, is the first that is set."""
    default = bytearray(library.llama_model_default_params().bytes)
    flags = default.index(b"\1", 40) - 2
    assert default[40:flags] == bytes(flags - 40)
    default[flags] = vocabulary_only
    return Blob((ctypes.c_ubyte * BLOB)(*default))


class Model:
    def __init__(self, path, vocabulary_only=False):
        self.library = ctypes.CDLL(str(libggml.path()))
        for name in ("llama_model_default_params", "llama_context_default_params"):
            getattr(self.library, name).restype = Blob
        for name in ("llama_model_load_from_file", "llama_init_from_model", "llama_model_get_vocab"):
            getattr(self.library, name).restype = ctypes.c_void_p
        self.library.llama_batch_init.restype = Batch
        self.library.llama_get_logits_ith.restype = ctypes.POINTER(ctypes.c_float)
        self.library.llama_get_logits_ith.argtypes = [ctypes.c_void_p, ctypes.c_int32]
        self.library.llama_decode.argtypes = [ctypes.c_void_p, Batch]
        self.library.llama_backend_init()
        parameters = model_parameters(self.library, vocabulary_only)
        self.model = self.library.llama_model_load_from_file(str(path).encode(), parameters)
        if not self.model:
            raise SystemExit(f"llama.cpp refuses {path}")
        self.vocabulary = ctypes.c_void_p(self.library.llama_model_get_vocab(ctypes.c_void_p(self.model)))
        self.size = self.library.llama_vocab_n_tokens(self.vocabulary)

    def context(self, tokens):
        self.library.llama_init_from_model.argtypes = [ctypes.c_void_p, Blob]
        context = self.library.llama_init_from_model(self.model, context_parameters(self.library, tokens))
        if not context:
            raise SystemExit("llama.cpp makes no context")
        return context

    def feed(self, context, tokens, start=0):
        """Logits of all positions, (T, V)."""
        batch = self.library.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, start + i, 1, 1
            batch.seq_id[i][0] = 0
        if self.library.llama_decode(context, batch) != 0:
            raise SystemExit("llama_decode failed")
        return np.stack([np.ctypeslib.as_array(self.library.llama_get_logits_ith(context, i), (self.size,)).copy()
                         for i in range(len(tokens))])

    def tokenize(self, text, around=False):
        """around: with the tokens that the file asks to put around a text."""
        data = text.encode()
        ids = (ctypes.c_int32 * (len(data) + 16))()
        count = self.library.llama_tokenize(self.vocabulary, data, len(data), ids, len(ids), around, True)
        return list(ids[:count])

    def ends(self, token):
        """Whether a generation stops at it."""
        return bool(self.library.llama_vocab_is_eog(self.vocabulary, token) & 1)

    def generate(self, prompt, count):
        """Greedily, in the context that the file names; the token that ends it is the last."""
        context = self.context(0)
        tokens, position = list(prompt), 0
        new = []
        while len(new) < count:
            logits = self.feed(context, tokens, position)
            position += len(tokens)
            new.append(int(logits[-1].argmax()))
            if self.ends(new[-1]):
                break
            tokens = [new[-1]]
        return new

    def key(self, name):
        text = ctypes.create_string_buffer(4096)
        found = self.library.llama_model_meta_val_str(ctypes.c_void_p(self.model), name.encode(), text, len(text))
        return text.value.decode() if found >= 0 else None


def main():
    request = json.load(sys.stdin)
    model = Model(sys.argv[1], request.get("vocabulary_only", False))
    answer = {"tokens": [model.tokenize(text, request.get("around", False)) for text in request.get("texts", [])],
              "keys": {name: model.key(name) for name in request.get("keys", [])},
              "eot": model.library.llama_vocab_eot(model.vocabulary),
              "ends": [token for token in request.get("ends", []) if model.ends(token)]}
    if "logits" in request:
        answer["logits"] = model.feed(model.context(request.get("context", 256)), request["logits"]).tolist()
    if "prompt" in request:
        answer["new"] = model.generate(request["prompt"], request.get("new_tokens", 16))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
