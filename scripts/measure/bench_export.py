#!/usr/bin/env -S sh -c 'exec "$(dirname "$0")/../../.venv/bin/python" "$0" "$@"'
"""Times and peak memory of `nkat export` on a full-size model, beside llama.cpp's converter and quantizer in the same run.

  cost     per quantization about four minutes on 2 idle cores and twice the model's size of free disk (the files are deleted
           after use); with the model's 7.7 GB best on a machine whose memory holds it
  command  scripts/measure/make_random_model.py --tokenizer-from PHI-3.5-FOLDER --output FOLDER
           scripts/measure/bench_export.py --model FOLDER --llama-cpp LLAMA.CPP-SOURCE-WITH-build/bin --work WORK-FOLDER --serve

Both sides get the same processors. Their way has no adapter to merge: it converts the base (q4_k_m: to BF16, which keeps
every bit, then llama-quantize), and all tensors but ffn_down must come out with equal bytes. "on disk" adds what a sync of
the file takes after the command has ended; nkat's own command ends with one. Of memory, the anonymous part is what a
machine must have; the rest is pages of mapped files. Writes WORK-FOLDER/bench_export.json and a table in markdown.
"""

import argparse
import dataclasses
import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time

import gguf
import numpy
import safetensors.numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))
import llama_cpp  # noqa: E402

NKAT = ROOT / "build" / "nkat"
CHAT, CHAT_TOKENS = "<|user|>\nHello<|end|>\n<|assistant|>\n", [32010, 15043, 32007, 32001]  # Phi-3.5's
SELF_TESTS = ["off", "tensors", "full"]
SAMPLE_SECONDS = 0.02
MIB = 1 << 20


@dataclasses.dataclass
class Measured:
    who: str
    quantization: str
    self_test: str
    seconds: float
    on_disk_seconds: float
    processor_seconds: float
    peak_anonymous_mib: float
    peak_resident_mib: float
    output_mib: float
    command: str


def memory_mib(pid):
    """(RssAnon, VmHWM), zeros once the process is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, 0.0
    found = {line.split(":")[0]: line.split() for line in text.splitlines()}
    return tuple(int(found[name][1]) / 1024 if name in found else 0.0 for name in ("RssAnon", "VmHWM"))


def set_page_cache(files, state):
    """warm: read once just before; cold: written back, then dropped from the page cache."""
    for file in files:
        with file.open("rb") as stream:
            if state == "cold":
                os.fsync(stream.fileno())
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while state == "warm" and stream.read(16 * MIB):
                pass


def sync_seconds(path):
    begin = time.perf_counter()
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
    return time.perf_counter() - begin


class Bench:
    def __init__(self, options):
        self.options = options
        self.processors = sorted(os.sched_getaffinity(0))[: options.threads]
        self.rows = []

    def measure(self, who, quantization, self_test, words, output):
        output.unlink(missing_ok=True)  # an older one must not be taken for what this command leaves
        source = self.options.model if who != "llama-quantize" else pathlib.Path(words[1])
        set_page_cache(sorted(source.glob("*.safetensors")) if source.is_dir() else [source], self.options.cache)
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.options.threads)}
        log = self.options.work / "last.log"
        begin, anonymous, resident = time.perf_counter(), 0.0, 0.0
        with log.open("w") as stream:
            child = subprocess.Popen(list(map(str, words)), env=environment, stdout=stream, stderr=stream,
                                     preexec_fn=lambda: os.sched_setaffinity(0, self.processors))
            while True:
                now = memory_mib(child.pid)
                anonymous, resident = max(anonymous, now[0]), max(resident, now[1])
                pid, status, usage = os.wait4(child.pid, os.WNOHANG)
                if pid:
                    break
                time.sleep(SAMPLE_SECONDS)
        seconds = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        # 5: the self-test found too little of the adapter, after all the work; without a file another check failed.
        if child.returncode not in (0, 5) or not output.exists():
            sys.exit(f"{' '.join(map(str, words))}: exit code {child.returncode}\n{log.read_text()[-3000:]}")
        self.rows.append(Measured(who, quantization, self_test, seconds, seconds + sync_seconds(output), usage.ru_utime + usage.ru_stime,
                                  anonymous, resident, output.stat().st_size / MIB, " ".join(map(str, words))))
        print(f"{who} {quantization} self-test {self_test}: {seconds:.1f} s, {anonymous:.0f} MiB anonymous", flush=True)

    def ours(self, quantization, self_test):
        output = self.options.work / f"ours-{quantization}.gguf"
        words = [NKAT, "export", "--model-path", self.options.model, "--adapter", self.options.work / "adapter", "--allow-base-mismatch",
                 "--output", output, "--quantization", quantization, "--self-test", self_test,
                 *(["--maximum-kl", "1000"] if self_test == "full" else [])]  # random weights: the KL says nothing
        self.measure("nkat export", quantization, self_test, words, output)
        return output

    def theirs(self, quantization):
        """The converter's own types directly, the others by way of BF16."""
        direct = quantization in ("f32", "f16", "bf16", "q8_0")
        folder, tools = self.options.work, self.options.llama_cpp
        converted = folder / f"converted-{quantization}.gguf"
        stored = quantization if direct else "bf16"
        words = [sys.executable, tools / "convert_hf_to_gguf.py", self.options.model, "--outfile", converted, "--outtype", stored]
        self.measure("convert_hf_to_gguf.py", stored, "", words, converted)
        if direct:
            return converted
        output = folder / f"theirs-{quantization}.gguf"
        words = [tools / "build" / "bin" / "llama-quantize", converted, output, quantization, self.options.threads]
        self.measure("llama-quantize", quantization, "", words, output)
        converted.unlink()
        return output


def write_adapter(folder, config):
    """Random rotations, gates from nearly shut to open; no hash of a base that nobody has trained it on."""
    random, layers, hidden = numpy.random.default_rng(0), config["num_hidden_layers"], config["hidden_size"]
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for layer, alpha in enumerate(numpy.linspace(-5, 2, layers, dtype=numpy.float32)):
        tensors[f"layers.{layer}.so8t.weight"] = random.standard_normal((hidden // 8, 8, 8), dtype=numpy.float32)
        tensors[f"layers.{layer}.so8t.alpha"] = numpy.asarray(alpha)
    safetensors.numpy.save_file(tensors, folder / "adapter_model.safetensors")
    description = {"peft_type": "NKAT_SO8T", "version": 1, "base_model_name_or_path": "random", "hidden_size": hidden,
                   "num_hidden_layers": layers, "first_adapter_layer": 0, "base_sha256": "0" * 64}
    (folder / "adapter_config.json").write_text(json.dumps(description))


def digests(path):
    return {tensor.name: (tensor.tensor_type.name, hashlib.sha256(tensor.data).hexdigest()) for tensor in gguf.GGUFReader(path).tensors}


def compare(ours, theirs):
    """Tensors with equal type and bytes. The adapter acts on ffn_down alone, and there on every layer."""
    left, right = digests(ours), digests(theirs)
    changed = {name for name in left if left[name] != right.get(name)}
    expected = {name for name in left if ".ffn_down." in name}
    if left.keys() != right.keys() or changed != expected:
        sys.exit(f"unlike llama.cpp's: {sorted(changed ^ expected)}")
    return {"equal": len(left) - len(changed), "merged": len(changed)}


def serve(path):
    """llama.cpp loads the file, cuts a chat into tokens and answers with a few."""
    answer = llama_cpp.ask(path, texts=[CHAT], prompt=CHAT_TOKENS, new_tokens=4)
    if answer["tokens"][0] != CHAT_TOKENS:
        sys.exit(f"{path}: llama.cpp cuts {CHAT!r} into {answer['tokens'][0]}, expected {CHAT_TOKENS}")
    return {"tokens": answer["tokens"][0], "new": answer["new"]}


def machine(bench):
    cpu = next(line.split(": ")[1] for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return {"date": datetime.date.today().isoformat(), "processor": cpu, "threads": len(bench.processors), "memory_gib": round(memory, 1),
            "load_at_start": os.getloadavg()[0], "page_cache": bench.options.cache, "model": bench.options.model.name}


def their_total(bench, quantization, field):
    names = [("convert_hf_to_gguf.py", quantization)]
    if not any((row.who, row.quantization) == names[0] for row in bench.rows):
        names = [("convert_hf_to_gguf.py", "bf16"), ("llama-quantize", quantization)]
    return sum(min(getattr(row, field) for row in bench.rows if (row.who, row.quantization) == name) for name in names)


def table(bench):
    lines = ["| what | type | self-test | seconds | on disk | of theirs | of theirs, on disk | anonymous MiB | resident MiB | file MiB |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    for row in bench.rows:
        ratios = ["", ""]
        if row.who == "nkat export":
            ratios = [f"{getattr(row, field) / their_total(bench, row.quantization, field):.2f}" for field in ("seconds", "on_disk_seconds")]
        lines.append(
            f"| {row.who} | {row.quantization} | {row.self_test} | {row.seconds:.1f} | {row.on_disk_seconds:.1f} | {ratios[0]} | {ratios[1]} "
            f"| {row.peak_anonymous_mib:.0f} | {row.peak_resident_mib:.0f} | {row.output_mib:.0f} |"
        )
    return "\n".join(lines)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--llama-cpp", type=pathlib.Path, default=os.environ.get("NKAT_LLAMA_CPP"))
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--quantizations", nargs="+", default=["f16", "q8_0", "q4_k_m"])
    parser.add_argument("--self-tests", nargs="+", default=SELF_TESTS, choices=SELF_TESTS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", choices=["warm", "cold"], default="warm", help="page cache of the files read")
    parser.add_argument("--serve", action="store_true", help="also answer a prompt with the q8_0 file (Phi-3.5's tokenizer)")
    options = parser.parse_args()
    if options.llama_cpp is None:
        parser.error("--llama-cpp or NKAT_LLAMA_CPP is needed")
    options.llama_cpp = pathlib.Path(options.llama_cpp)
    return options


def main():
    options = parse()
    options.work.mkdir(parents=True, exist_ok=True)
    write_adapter(options.work / "adapter", json.loads((options.model / "config.json").read_text()))
    bench = Bench(options)
    report = {**machine(bench), "tensors": {}}
    for quantization in options.quantizations:
        for self_test in options.self_tests:
            ours = bench.ours(quantization, self_test)
        theirs = bench.theirs(quantization)
        report["tensors"][quantization] = compare(ours, theirs)
        theirs.unlink()
        if options.serve and quantization == "q8_0":
            report["served"] = serve(ours)
        ours.unlink()
    report["rows"] = [dataclasses.asdict(row) for row in bench.rows]
    (options.work / "bench_export.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps({name: value for name, value in report.items() if name != "rows"}))
    print(table(bench))


main()
