"""Settings of the process, in a process of their own."""

import subprocess
import sys


def test_tune_cpu(tmp_path):
    program = (
        "import jax, jaxwave as jw, sys; done = jw.tune_cpu(cache=sys.argv[1]);"
        "assert done in (True, False); assert jax.config.jax_compilation_cache_dir == sys.argv[1];"
        "assert float(jw.plane_wave((4, 4), spacing=1, wavelength=0.5).power) > 0.99; print('fine')"
    )
    folder = tmp_path / "new" / "cache"
    run = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "fine" and folder.is_dir()


def test_tune_cpu_error(tmp_path):
    import jaxwave as jw

    blocked = tmp_path / "file"
    blocked.write_text("")
    try:
        jw.tune_cpu(cache=blocked / "cache")
    except OSError:
        return
    raise AssertionError("tune_cpu must tell that the folder cannot be made")
