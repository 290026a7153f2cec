"""The config file of a pipeline, read and checked before anything runs. Relative paths: to the current folder."""

import json
import pathlib
from dataclasses import dataclass

from pipeline_steps.errors import INPUT, USAGE, PipelineError
from pipeline_steps.llama_library import available_cores
from pipeline_steps.nkat_options import NkatOption, did_you_mean, former_keys, options_of

# What the pipeline sets itself.
RESERVED = {
    "train": {"output_dir", "config", "help", "resume"},
    "validate": {"checkpoint_dir", "output_report", "plot_phase_transition", "json", "config", "help"},
    "export": {"model_path", "adapter", "output", "format", "json", "config", "help"},
}
SECTIONS = ["output_dir", "train", "validate", "export", "performance", "llama_cpp"]


@dataclass
class Performance:
    data: str = ""  # JSONL; empty: no loss is measured
    context: int = 4096  # tokens that llama.cpp allocates; no more than the model's original context
    prompt_tokens: int = 512
    new_tokens: int = 128
    repeats: int = 3
    perplexity_tokens: int = 4096  # target tokens, whole records
    threads: int = 0


@dataclass
class Config:
    path: str
    output_dir: pathlib.Path
    train: dict
    validate: dict
    export: list[dict]
    performance: Performance
    llama_cpp: str  # folder; empty: PATH alone


class Checker:
    """Collects complaints, so that all come at once."""

    def __init__(self, path: str, nkat: str):
        self.path, self.nkat = path, nkat
        self.wrong: list[str] = []
        self.missing: list[str] = []

    def keys(self, where: str, given: dict, known: list[str]) -> None:
        for key in given:
            if key not in known:
                self.wrong.append(f"{where}: '{key}' is not known{did_you_mean(key, known)}")

    def section(self, where: str, command: str, given) -> dict:
        """An nkat command's options; a null leaves a default out."""
        if not isinstance(given, dict):
            self.wrong.append(f"{where}: expected an object with options of `nkat {command}`, found {given!r}")
            return {}
        options, former = options_of(self.nkat, command), former_keys(self.nkat, command)
        for key in sorted(set(given) & set(former)):
            if former[key] in given:
                self.wrong.append(f"{where}: '{key}' is the former name of '{former[key]}'; give one of them")
        given = {former.get(key, key): value for key, value in given.items()}
        for key in sorted(RESERVED[command] & set(given)):
            self.wrong.append(f"{where}: '{key}' is set by the pipeline; leave it out")
        self.keys(where, given, [key for key in options if key not in RESERVED[command]] + sorted(RESERVED[command]))
        for key, value in given.items():
            if key in options and value is not None and key not in RESERVED[command]:
                self.value(f"{where}: {key}", options[key], value)
        return {key: options[key].canonical(value) if key in options else value for key, value in given.items() if value is not None}

    def value(self, where: str, option: NkatOption, value) -> None:
        complaint = option.complaint(value)
        if complaint:
            self.wrong.append(f"{where}: {complaint}")
            return
        self.missing += [f"{where}: {path} is missing" for path in option.paths(value) if not path.exists()]

    def finish(self) -> None:
        for code, complaints in ((USAGE, self.wrong), (INPUT, self.missing)):
            if complaints:
                raise PipelineError(code, f"{self.path}:\n  " + "\n  ".join(complaints))


def parse(path: str) -> dict:
    def unique(pairs):
        keys = [key for key, _ in pairs]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise ValueError(f"duplicate key '{sorted(twice)[0]}'")
        return dict(pairs)

    try:
        content = json.loads(pathlib.Path(path).read_text(), object_pairs_hook=unique)
    except OSError as error:
        raise PipelineError(INPUT, f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise PipelineError(INPUT, f"{path}: no readable JSON: {error}") from None
    if not isinstance(content, dict):
        raise PipelineError(USAGE, f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def check_performance(checker: Checker, given, train: dict) -> Performance:
    result = Performance(data=train.get("validation_data", ""), threads=available_cores())
    if not isinstance(given, dict):
        checker.wrong.append(f"performance: expected an object, found {given!r}")
        return result
    known = list(vars(result))
    checker.keys("performance", given, known)
    for key, value in given.items():
        if key == "data":
            if not isinstance(value, str):
                checker.wrong.append(f"performance: data: expected the name of a file, found {value!r}")
            elif not pathlib.Path(value).is_file():
                checker.missing.append(f"performance: data: {value} is missing")
        elif key in known and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            checker.wrong.append(f"performance: {key}: expected a whole number of at least 1, found {value!r}")
        if key in known:
            setattr(result, key, value)
    return result


def check_validate(checker: Checker, given, train: dict) -> dict:
    defaults = {"model_path": train.get("model_path"), "validation_data": train.get("validation_data")}
    defaults |= {key: train.get(key) for key in ("device", "precision", "max_sequence_length")}
    given = checker.section("validate", "validate", given)
    return {key: value for key, value in {**defaults, **given}.items() if value is not None}


def check_export(checker: Checker, given) -> list[dict]:
    if not isinstance(given, list) or not given:
        checker.wrong.append(f"export: expected a list of objects with options of `nkat export`, found {given!r}")
        return []
    return [checker.section(f"export[{i}]", "export", entry) for i, entry in enumerate(given)]


def read_config(path: str, nkat: str) -> Config:
    content = parse(path)
    checker = Checker(path, nkat)
    checker.keys("config", content, SECTIONS)
    for key in ("output_dir", "llama_cpp"):
        if not isinstance(content.get(key, ""), str):
            checker.wrong.append(f"{key}: expected the name of a folder, found {content[key]!r}")
    if not content.get("output_dir"):
        checker.wrong.append("'output_dir' is missing: the folder of everything that this pipeline makes")
    train = checker.section("train", "train", content.get("train", {}))
    for key in ("model_path", "train_data"):
        if key not in train:
            checker.wrong.append(f"train: '{key}' is missing")
    validate = check_validate(checker, content.get("validate", {}), train)
    export = check_export(checker, content.get("export", [{"quantization": "q8_0"}]))
    performance = check_performance(checker, content.get("performance", {}), train)
    llama_cpp = content.get("llama_cpp", "")
    if isinstance(llama_cpp, str) and llama_cpp and not pathlib.Path(llama_cpp).is_dir():
        checker.missing.append(f"llama_cpp: the folder {llama_cpp} is missing")
    checker.finish()
    return Config(path, pathlib.Path(content["output_dir"]), train, validate, export, performance, llama_cpp)
