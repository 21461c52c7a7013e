"""Settings of every test process, made before JAX is imported."""

import os
import signal
import threading
from importlib.metadata import version
from pathlib import Path

# Compiled programs are kept between runs, and for the workers of a run and the programs that they
# start. One may read what another one is writing: a warning that pyproject.toml leaves a warning.
_CACHE = Path(__file__).parent / ".jax_cache"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # a reloaded program lists the CPU's features

# Half the time of the suite is the compiler's. The older emitters of fusions compile twice as fast
# as those that jaxlib 0.11 no longer lets one choose; LLVM's level 1 gives the digits of level 2.
# A program compiled in one piece costs a sixth less than in 32, which are for idle cores.
_FLAGS = ["--xla_backend_optimization_level=1"]
if tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 11):
    _FLAGS += ["--xla_cpu_use_fusion_emitters=false", "--xla_cpu_parallel_codegen_split_count=1"]
os.environ.setdefault("XLA_FLAGS", " ".join(_FLAGS))

# A shell starts background jobs with Ctrl-C ignored, and what they start inherits that: programs
# whose interruption is tested would not notice.
_IGNORED = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
if _IGNORED and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
