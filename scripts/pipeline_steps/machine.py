"""Where a pipeline ran: figures mean little without it."""

import os
import pathlib
import platform
import re
import shutil
import subprocess


def processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def graphics() -> str:
    if not shutil.which("nvidia-smi"):
        return "none found (no nvidia-smi)"
    done = subprocess.run(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"],
                          capture_output=True, text=True)
    return done.stdout.strip().replace("\n", "; ") if done.returncode == 0 and done.stdout.strip() else "none found"


def describe() -> dict[str, str]:
    cores = len(os.sched_getaffinity(0))
    return {"CPU": f"{processor()}, {cores} cores for this process", "memory": f"{memory_gib():.1f} GiB", "GPU": graphics(),
            "system": f"{platform.system()} {platform.release()}"}
