"""Ranks of one run, started as a launcher would: each process with its own environment, or all by torchrun."""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

TORCHRUN = pathlib.Path(sys.executable).with_name("torchrun")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def environment(rank, size, port, **changes):
    """Of one rank on a machine that has all of them; changes: NAME="value", None takes one away."""
    values = {
        **os.environ,
        "RANK": rank,
        "WORLD_SIZE": size,
        "LOCAL_RANK": rank,
        "LOCAL_WORLD_SIZE": size,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "OMP_NUM_THREADS": 1,
        **changes,
    }
    return {name: str(value) for name, value in values.items() if value is not None}


class Ranks:
    """N processes `nkat train`; what rank i writes to stderr is in `folder`/rank-i.txt."""

    def __init__(self, nkat_path, folder, size, words, faults={}):
        port = free_port()
        self.logs = [folder / f"rank-{rank}.txt" for rank in range(size)]
        self.processes = []
        for rank, log in enumerate(self.logs):
            own = environment(rank, size, port, NKAT_FAULTS=faults.get(rank))
            with log.open("w") as stderr:
                self.processes.append(subprocess.Popen([str(nkat_path), "train", *words], stderr=stderr, env=own))

    def wait(self, seconds=60):
        """The exit codes."""
        deadline = time.monotonic() + seconds
        return [process.wait(max(0.1, deadline - time.monotonic())) for process in self.processes]

    def log(self, rank=0):
        return self.logs[rank].read_text()

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()


def torchrun(nkat_path, folder, size, words, restarts=0):
    """torchrun as a process; all it and its ranks write is in `folder`/torchrun.txt."""
    command = [TORCHRUN, "--no-python", "--standalone", "--nproc-per-node", size, "--max-restarts", restarts, "--monitor-interval", 0.1]
    with (folder / "torchrun.txt").open("w") as output:
        return subprocess.Popen([*map(str, command), str(nkat_path), "train", *words], stdout=output, stderr=output)


def rank_process(launcher, rank):
    """The process of a rank that torchrun has started; None if it is not there (yet)."""
    children = pathlib.Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    for pid in children:
        try:
            variables = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"RANK={rank}".encode() in variables:
            return int(pid)
    return None


def stop_torchrun(launcher):
    if launcher.poll() is None:
        launcher.send_signal(signal.SIGTERM)
        launcher.wait(60)
