"""The steps of a pipeline and how one is run: skipped if it is done, recorded before and after."""

import json
import pathlib
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline_steps.children import Children, Ended
from pipeline_steps.config import Config
from pipeline_steps.errors import CHECK_FAILED, DONE, MACHINE, PipelineError
from pipeline_steps.record import Clock, Record, digest_of


def say(message: str) -> None:
    print(f"[pipeline] {message}", file=sys.stderr, flush=True)


@dataclass
class Outcome:
    """What a step leaves. code: 0, or 5 if a check failed, which `message` then names; such a step may be tried `again`."""

    result: dict
    outputs: list[pathlib.Path]
    commands: list[str]
    code: int = DONE
    message: str = ""
    again: bool = False


@dataclass
class Pipeline:
    config: Config
    children: Children
    record: Record
    nkat: str  # the program, as commands show it
    version: str
    names: list[str] = field(default_factory=list)  # of the steps so far

    @property
    def folder(self) -> pathlib.Path:
        return self.config.output_dir

    def step(self, name: str, inputs: dict, action: Callable[[], Outcome], prepare: Callable[[dict | None], None] | None = None) -> dict:
        """Runs `action` unless it has been done with these inputs. Returns the record's entry.

        prepare: called before with the step's last entry, while the record still has it: whenever a kill comes, it is called again
        with the same entry or has been done.
        """
        self.names.append(name)
        self.children.stop_if_asked()
        inputs = {**inputs, "program": self.version}
        digest = digest_of(inputs)
        entry = self.record.finished(name, digest)
        if entry is not None:
            say(f"{name}: done before" + (f"; {entry['message']}" if entry["message"] else ""))
            return entry
        say(f"{name}: starts")
        if prepare is not None:
            prepare(self.record.steps.get(name))
        self.record.start(name, digest, inputs)
        clock = Clock()
        outcome = action()
        entry = {"commands": outcome.commands, "code": outcome.code, "message": outcome.message, "result": outcome.result,
                 "seconds": clock.seconds(), "state": "failed" if outcome.again else "finished"}
        say(f"{name}: " + (f"FAILED: {outcome.message}" if outcome.code else "done"))
        return self.record.finish(name, entry, outcome.outputs)

    def run_nkat(self, words: list[str], may_fail: bool = False, keep_errors: bool = False) -> Ended:
        """Exit codes other than 0, and 5 where it may fail, end the pipeline."""
        ended = self.children.run([self.nkat, *words], keep_errors=keep_errors)
        if ended.code == DONE or (may_fail and ended.code == CHECK_FAILED):
            return ended
        code = ended.code if ended.code > 0 else MACHINE
        raise PipelineError(code, f"{shell([self.nkat, *words])} ended with {ended.code}; its message stands above")


def shell(words: list) -> str:
    return shlex.join(map(str, words))


def writing(words: list, path: pathlib.Path) -> str:
    """The shell's command whose stdout goes to `path`."""
    return f"{shell(words)} > {shell([path])}"


def read_json(text: str, command: str) -> dict:
    try:
        return json.loads(text)
    except ValueError:
        raise PipelineError(MACHINE, f"{command}: JSON was expected on stdout, found {text[:200]!r}") from None
