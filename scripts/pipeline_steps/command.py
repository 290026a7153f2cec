"""`scripts/pipeline CONFIG.json`: from the config file to the summary page."""

import fcntl
import os
import pathlib
import subprocess

from pipeline_steps import exports, llama_tools, steps, summary
from pipeline_steps.children import Children
from pipeline_steps.config import Config, read_config
from pipeline_steps.errors import CHECK_FAILED, DONE, MACHINE, STOPPED, USAGE, PipelineError, Stopped
from pipeline_steps.performance import Measurement
from pipeline_steps.pipeline import Pipeline, say, shell
from pipeline_steps.record import Clock, Record

ROOT = pathlib.Path(__file__).resolve().parents[2]


def find_nkat() -> str:
    path = pathlib.Path(os.environ.get("NKAT", ROOT / "build" / "nkat"))
    if not os.access(path, os.X_OK):
        raise PipelineError(MACHINE, f"{path} is missing; run scripts/setup and scripts/build first")
    if not path.is_relative_to(pathlib.Path.cwd()):
        return str(path)
    short = os.path.relpath(path)
    return short if "/" in short else f"./{short}"


def lock(folder: pathlib.Path) -> int:
    """Held until this process and the last of its children have ended."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise PipelineError(MACHINE, f"{folder}: {error.strerror}") from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PipelineError(MACHINE, f"{folder} is in use by another pipeline, or by what a killed one is still saving; "
                                     "wait for it, or use another output_dir") from None
    return held


def version_of(nkat: str) -> str:
    return subprocess.run([nkat, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def run(config: Config, nkat: str) -> int:
    llama_tools.check_folder(config.llama_cpp)
    children = Children([lock(config.output_dir)])
    pipeline = Pipeline(config, children, Record(config.output_dir), nkat, version_of(nkat))
    clock = Clock()
    trained = steps.train(pipeline)
    validated = steps.validate(pipeline, trained)
    exported = exports.export(pipeline, trained)
    measured = Measurement(pipeline, trained, exported).run()
    pipeline.record.keep_only(pipeline.names)
    page = summary.write(pipeline, {"train": trained, "validate": validated, "export": exported, "performance": measured})
    failures = summary.failures(pipeline)
    for message in failures:
        say(f"FAILED: {message}")
    for message in summary.remarks(exported):
        say(f"note: {message}")
    for what, reason in measured["missing"].items():
        say(f"{what}: not measured: {reason}")
    say(f"{page} after {clock.seconds():.0f} s")
    return CHECK_FAILED if failures else DONE


def main(words: list[str], documentation: str) -> int:
    if words in (["-h"], ["--help"]):
        print(documentation)
        return DONE
    try:
        if len(words) != 1 or words[0].startswith("-"):
            raise PipelineError(USAGE, "usage: scripts/pipeline CONFIG.json (scripts/pipeline --help says more)")
        nkat = find_nkat()
        return run(read_config(words[0], nkat), nkat)
    except Stopped:
        say(f"stopped; what is finished is saved, this goes on from there: {shell(['scripts/pipeline', words[0]])}")
        return STOPPED
    except PipelineError as error:
        say(f"error: {error}")
        return error.code
