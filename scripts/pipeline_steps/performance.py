"""What llama.cpp makes of the exported files: tokens a second, and the loss on held-out text, each beside the base alone.

Loss, by the library (PyPI's xllamacpp): the target tokens of `performance.data` as `nkat eval` counts them, the first whole records
that reach perplexity_tokens, each in a context of its own. The same tokens go through every file, and through nkat itself.
Perplexity, by llama-perplexity where it is found: of the records' plain text in windows of the context, second halves alone.
Speed: by llama-bench where it is found, else by the library; all files in turn, `repeats` times, every other time backwards.
"""

import json
import pathlib
import re
import sys
from statistics import median

from pipeline_steps import llama_library, llama_tools
from pipeline_steps.errors import CHECK_FAILED, DONE, INPUT, MACHINE, PipelineError
from pipeline_steps.nkat_options import words_of
from pipeline_steps.pipeline import Outcome, Pipeline, read_json, shell
from pipeline_steps.record import digest_of, identity, replace
from pipeline_steps.steps import hashes

MEASURE = pathlib.Path(__file__).resolve().parents[1] / "measure" / "llama_file.py"
INSTALL = "pip install xllamacpp, or put llama.cpp's llama-bench and llama-perplexity in PATH or name their folder in \"llama_cpp\""
LOSS, PERPLEXITY = "loss on target tokens", "perplexity of the plain text by llama-perplexity"
ROLE_TAG = re.compile(r"<\|[a-z_0-9]+\|>")


def original_context(pipeline: Pipeline, model: str) -> int:
    """Tokens up to which the short rope factors hold."""
    if pathlib.Path(model).is_file():
        file = json.loads(pipeline.run_nkat(["inspect", model, "--json"]).output)
        keys = [f"{file['architecture']}.{name}" for name in ("rope.scaling.original_context_length", "context_length")]
        return next(int(file["metadata"][key].removeprefix("u32: ")) for key in keys if key in file["metadata"])
    config = json.loads((pathlib.Path(model) / "config.json").read_text())
    scaling = config.get("rope_scaling") or config.get("rope_parameters") or {}
    return int(config.get("original_max_position_embeddings") or scaling.get("original_max_position_embeddings")
               or config["max_position_embeddings"])


def files_of(exported: dict) -> list[tuple[str, str, dict]]:
    """(export's name, base or adapter, file)."""
    return [(name, kind, files[kind]) for name, files in exported.items() for kind in ("base", "adapter") if kind in files]


class Measurement:
    def __init__(self, pipeline: Pipeline, trained: dict, exported: dict):
        self.pipeline, self.trained = pipeline, trained
        self.files = files_of(exported)
        self.options = pipeline.config.performance
        self.model = pipeline.config.train["model_path"]
        self.context = min(self.options.context, original_context(pipeline, self.model))
        self.options.prompt_tokens = min(self.options.prompt_tokens, self.context)
        self.options.new_tokens = min(self.options.new_tokens, self.context)
        self.folder = pipeline.folder / "performance"
        self.folder.mkdir(exist_ok=True)
        self.samples, self.records, self.text = (self.folder / name for name in ("samples.jsonl", "records.jsonl", "records.txt"))
        folder = pipeline.config.llama_cpp
        self.bench, self.perplexity = (llama_tools.find_tool(name, folder) for name in ("llama-bench", "llama-perplexity"))
        self.missing: dict[str, str] = {}  # what isn't measured: why, and what to do

    def run(self) -> dict:
        library = llama_library.is_installed()
        found: dict = {"context": self.context, "missing": self.missing}
        if not self.options.data:
            for what in (LOSS, PERPLEXITY):
                self.missing[what] = 'no held-out data: set "data" of "performance", or "validation_data" of "train"'
        else:
            samples = self.pipeline.step("held-out samples", self.sample_inputs(), self.take_samples)
            found["samples"] = samples
            found["nkat"] = self.step_of_nkat(samples)
            found["loss"] = self.each("loss", samples, self.measure_loss) if library else self.lacks(LOSS, INSTALL)
            tool = "llama-perplexity was not found; it comes with llama.cpp: put it in PATH or name its folder in \"llama_cpp\""
            found["perplexity"] = self.each("perplexity", samples, self.measure_perplexity) if self.perplexity else self.lacks(PERPLEXITY, tool)
        found["speed"] = self.step_of_speed() if self.bench or library else self.lacks("speed", INSTALL)
        if found["speed"]:
            self.missing |= missing_speeds(found["speed"]["result"].get("runs", {}))
        return found

    def lacks(self, what: str, reason: str) -> None:
        self.missing[what] = reason

    def sample_inputs(self) -> dict:
        return {"data": identity(pathlib.Path(self.options.data)), "path": self.options.data, "model": identity(pathlib.Path(self.model)),
                "tokens": self.options.perplexity_tokens, "context": self.context}

    def take_samples(self) -> Outcome:
        words = ["data", "samples", self.options.data, "--model-path", self.model, "--max-sequence-length", str(self.context),
                 "--overlong", "cut"]
        taken, targets = [], 0
        for line in self.pipeline.run_nkat(words).output.splitlines():
            sample = json.loads(line)
            taken.append(sample)
            targets += len(sample["targets"])
            if targets >= self.options.perplexity_tokens:
                break
        replace(self.samples, "".join(json.dumps(sample) + "\n" for sample in taken).encode())
        lines = pathlib.Path(self.options.data).read_bytes().split(b"\n")
        numbers = [int(sample["at"].rsplit(":", 1)[1]) for sample in taken]
        replace(self.records, b"".join(lines[number - 1] + b"\n" for number in numbers))
        decode = ["data", "tokenize", "--model-path", self.model, "--lines", "--decode"]
        ended = self.pipeline.children.run([self.pipeline.nkat, *decode], text="".join(json.dumps(one["tokens"]) + "\n" for one in taken))
        if ended.code != DONE:
            raise PipelineError(max(ended.code, INPUT), f"{shell([self.pipeline.nkat, *decode])} failed; its message stands above")
        texts = [ROLE_TAG.sub("", json.loads(line)).strip() for line in ended.output.splitlines()]
        replace(self.text, "\n\n".join(texts).encode())
        return Outcome({"samples": len(taken), "target_tokens": targets}, [self.samples, self.records, self.text],
                       [shell([self.pipeline.nkat, *words]) + f" | head -n {len(taken)} > {shell([self.samples])}"])

    def step_of_nkat(self, samples: dict) -> dict:
        """The loss of backbone and adapter as trained, before any export."""
        train = self.pipeline.config.train
        machine = {key: train[key] for key in ("device", "precision", "data_special_tokens") if key in train}
        words = ["eval", "--model-path", self.model, "--adapter", self.trained["result"]["checkpoint"], "--data", str(self.records),
                 "--max-sequence-length", str(self.context), *words_of(machine), "--json"]

        def action() -> Outcome:
            result = read_json(self.pipeline.run_nkat(words).output, "nkat eval")
            return Outcome(result, [], [shell([self.pipeline.nkat, *words])])

        inputs = {"samples": hashes(samples), "trained": hashes(self.trained), "options": machine}
        return self.pipeline.step("loss: nkat", inputs, action)

    def each(self, what: str, samples: dict, measure) -> dict[str, dict[str, dict]]:
        found: dict[str, dict[str, dict]] = {}
        for name, kind, file in self.files:
            inputs = {"file": file["identity"], "samples": hashes(samples), "context": self.context, "threads": self.options.threads,
                      "tool": self.perplexity if what == "perplexity" else "library"}
            entry = self.pipeline.step(f"{what}: {name} {kind}", inputs, lambda path=file["file"]: measure(path))
            found.setdefault(name, {})[kind] = entry
        return found

    def measured(self, words: list[str], shown: list[str], read) -> Outcome:
        """One run of a llama.cpp program; `read` takes what it wrote, and raises a ValueError where it can't be read."""
        log = self.folder / "llama.log"
        log.write_bytes(b"")
        ended = self.pipeline.children.run(words, log=log)
        said = log.read_text(errors="replace")
        reason = llama_tools.last_line(said) or f"exit code {ended.code}"
        if ended.code == DONE:
            try:
                return Outcome(read(ended.output, said), [], [shell(shown)])
            except ValueError as error:
                reason = str(error)
        if ended.code == -9:
            raise PipelineError(MACHINE, f"{shell(shown)} was killed: too little memory?")
        return Outcome({}, [], [shell(shown)], CHECK_FAILED, f"{shell(shown)} failed: {reason}", again=True)

    def library_words(self, *words) -> tuple[list[str], list[str]]:
        """As run, and as shown."""
        words = [*words, "--context", self.context, "--threads", self.options.threads]
        return [sys.executable, str(MEASURE), *map(str, words)], ["scripts/measure/llama_file.py", *map(str, words)]

    def measure_loss(self, file: str) -> Outcome:
        def read(output: str, _said: str) -> dict:
            found = json.loads(output)
            return {key: value for key, value in found.items() if key != "sample_losses"}

        return self.measured(*self.library_words("loss", file, "--samples", self.samples), read)

    def measure_perplexity(self, file: str) -> Outcome:
        words = llama_tools.perplexity_words(self.perplexity, file, self.text, self.options, self.context)
        return self.measured(words, words, lambda output, said: llama_tools.read_perplexity(output + said))

    def measure_speed(self, file: str) -> Outcome:
        if self.bench:
            words = llama_tools.bench_words(self.bench, file, self.options)
            return self.measured(words, words, lambda output, _: llama_tools.read_bench(output, self.options))
        sizes = ["--prompt-tokens", self.options.prompt_tokens, "--new-tokens", self.options.new_tokens]
        return self.measured(*self.library_words("speed", file, *sizes), lambda output, _: json.loads(output))

    def step_of_speed(self) -> dict:
        def action() -> Outcome:
            runs: dict[str, dict[str, list]] = {}
            commands: list[str] = []
            for repeat in range(self.options.repeats):
                for name, kind, file in self.files if repeat % 2 == 0 else self.files[::-1]:
                    outcome = self.measure_speed(file["file"])
                    if outcome.code != DONE:
                        return outcome
                    runs.setdefault(name, {}).setdefault(kind, []).append(outcome.result)
                    commands += [command for command in outcome.commands if command not in commands]
            return Outcome({"runs": runs}, [], commands)

        inputs = {"files": digest_of([[name, kind, file["identity"]] for name, kind, file in self.files]),
                  "options": {key: getattr(self.options, key) for key in ("prompt_tokens", "new_tokens", "repeats", "threads")},
                  "context": self.context, "tool": self.bench or "library"}
        return self.pipeline.step("speed", inputs, action)


def missing_speeds(runs: dict) -> dict[str, str]:
    """What a tool gave no speed for, and why: of the first run without."""
    found: dict[str, str] = {}
    for kinds in runs.values():
        for run in (run for repeats in kinds.values() for run in repeats):
            found |= {f"speed of the {what}": reason for what, reason in run.get("missing", {}).items() if f"speed of the {what}" not in found}
    return found


def spread(values: list[float]) -> tuple[float, float, float]:
    """Median, smallest, largest."""
    return median(values), min(values), max(values)


def ratios(base: list[dict], adapter: list[dict], key: str) -> list[float]:
    """Of the runs of one repeat."""
    return [new[key] / old[key] for old, new in zip(base, adapter)]
