"""The programs that a pipeline starts: one at a time, told of every signal, and never left behind.

A child has a process group of its own, so that Ctrl-C reaches it once, through the pipeline: a second signal would make nkat
exit at once, unsaved. If the pipeline itself is killed, the kernel sends the child a SIGTERM, on which nkat saves.
"""

import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass

from pipeline_steps.errors import CHECK_FAILED, DONE, Stopped

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


@dataclass
class Ended:
    code: int  # negative: ended by that signal
    output: str  # what it wrote to stdout
    errors: str = ""  # and to stderr, where that was asked for


class Children:
    def __init__(self, held: list[int]):
        """held: file descriptors that children keep open, so that a lock lasts as long as the last of them."""
        self.held = held
        self.child: subprocess.Popen | None = None
        self.signal = 0
        for kind in (signal.SIGINT, signal.SIGTERM):
            signal.signal(kind, self._pass_on)

    def _pass_on(self, kind, _frame) -> None:
        self.signal = kind
        if self.child is not None:
            self.child.send_signal(kind)

    def stop_if_asked(self) -> None:
        if self.signal:
            raise Stopped

    def run(self, words: list[str], log: pathlib.Path | None = None, text: str | None = None, keep_errors: bool = False) -> Ended:
        """Waits for a command. Its stderr goes to `log`, or where ours goes, and with keep_errors also into the result (it is
        then no terminal to the command); `text` is its input. Throws Stopped."""
        self.stop_if_asked()
        with open(log or os.devnull, "ab") as file, Copied(keep_errors) as copied:
            self.child = subprocess.Popen(
                words, stdin=subprocess.PIPE if text is not None else subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                stderr=file if log else copied.written, pass_fds=self.held, process_group=0, preexec_fn=die_with_parent)
            if self.signal:
                self.child.send_signal(self.signal)
            output, _ = self.child.communicate(text)
        code, self.child = self.child.returncode, None
        if code not in (DONE, CHECK_FAILED):
            self.stop_if_asked()
        return Ended(code, output, "".join(copied.lines))


class Copied:
    """A pipe whose lines go to our stderr as they come, and are kept; `written` is its end for a child, None without a pipe."""

    def __init__(self, wanted: bool):
        self.lines: list[str] = []
        self.written, self.thread = None, None
        if wanted:
            read, self.written = os.pipe()
            self.thread = threading.Thread(target=self._copy, args=(read,), daemon=True)

    def _copy(self, read: int) -> None:
        with open(read, errors="replace") as lines:
            for line in lines:
                self.lines.append(line)
                print(line, end="", file=sys.stderr, flush=True)

    def __enter__(self):
        if self.thread is not None:
            self.thread.start()
        return self

    def __exit__(self, *_error) -> None:
        if self.thread is not None:
            os.close(self.written)
            self.thread.join()


def die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
