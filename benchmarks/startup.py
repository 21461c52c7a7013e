"""Start-up time: `import jaxwave` against `import jax`, in fresh processes, interleaved.

Goal: at most 1.15 times `import jax` (CPU time, median).
"""

import os
import statistics
import subprocess
import sys

from journal import record

ROUNDS = 15
GOAL = 1.15
PROGRAMS = ("import jax", "import jaxwave")


def cpu_seconds(program: str) -> float:
    """CPU time of a fresh process that runs one line, its start included [s]."""
    process = subprocess.Popen([sys.executable, "-c", program])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{program!r} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Prints the medians and their ratio."""
    for program in PROGRAMS:  # byte code is compiled, files come into the cache
        cpu_seconds(program)
    rounds = [[cpu_seconds(program) for program in PROGRAMS] for _ in range(ROUNDS)]
    jax, ours = (statistics.median(times) for times in zip(*rounds, strict=True))
    record("import", dict(zip(PROGRAMS, (jax, ours), strict=True)), "import jaxwave")
    for program, median in zip(PROGRAMS, (jax, ours), strict=True):
        print(f"  {program:20s} {1e3 * median:8.1f} ms CPU")
    print(f"  ratio {ours / jax:.3f}   (goal: at most {GOAL})")


if __name__ == "__main__":
    main()
