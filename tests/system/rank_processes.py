"""Ranks of one run, started as a launcher would: each process with its own environment, or all by torchrun."""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

TORCHRUN = pathlib.Path(sys.executable).with_name("torchrun")


class Port:
    """A TCP port that no other process is given while it is held, and that rank 0 can listen on."""

    def __init__(self):
        self.held = socket.socket(socket.AF_INET6)  # bound, so not handed out; it never listens itself
        self.held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.held.bind(("::", 0))

    def __str__(self):
        return str(self.held.getsockname()[1])


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
    """N processes `nkat train`; what rank i writes to stderr is in `folder`/rank-i.txt.

    own: a rank's own words. machines: each believes that it has a machine of its own.
    """

    def __init__(self, nkat_path, folder, size, words, faults=None, own=None, machines=False):
        self.port = Port()
        self.logs = [folder / f"rank-{rank}.txt" for rank in range(size)]
        self.processes = []
        for rank, log in enumerate(self.logs):
            alone = dict(LOCAL_RANK=0, LOCAL_WORLD_SIZE=1, GROUP_RANK=rank, GLOO_SOCKET_IFNAME="lo") if machines else {}
            variables = environment(rank, size, self.port, NKAT_FAULTS=(faults or {}).get(rank), **alone)
            command = [str(nkat_path), "train", *(own or {}).get(rank, words)]
            with log.open("w") as stderr:
                self.processes.append(subprocess.Popen(command, stderr=stderr, env=variables))

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


def rank_process(launcher, rank, seconds=30):
    """The process of a rank that torchrun has started, as soon as it is there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        children = pathlib.Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
        for pid in children:
            try:
                variables = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if f"RANK={rank}".encode() in variables:
                return int(pid)
        time.sleep(0.01)
    raise AssertionError(f"torchrun has no rank {rank} after {seconds} s")


def stop_torchrun(launcher):
    if launcher.poll() is None:
        launcher.send_signal(signal.SIGTERM)
        launcher.wait(60)
