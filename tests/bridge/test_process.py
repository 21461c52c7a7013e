"""Other processes: distributed training, data loaders, and what an import brings in."""

import os
import subprocess
import sys
import textwrap

import pytest

import torch_bridge

ROOT = [os.path.dirname(os.path.dirname(torch_bridge.__file__))]


def run(arguments):
    """Runs another Python, which finds this torch_bridge, and returns what it prints."""
    path = os.pathsep.join([*ROOT, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def python(code):
    return run(["-W", "error", "-c", textwrap.dedent(code)])


def script(code, folder, *arguments):
    """As a file: a spawned worker imports the main module."""
    file = folder / "script.py"
    file.write_text(textwrap.dedent(code))
    return run([str(file), *arguments])


def test_import_loads_no_flax_and_starts_no_jax():
    code = """
        import sys
        import torch_bridge
        from jax._src import xla_bridge
        print([m in sys.modules for m in ("flax", "optax", "jaxwave", "matplotlib", "dlpack")],
              xla_bridge.backends_are_initialized())
    """
    assert python(code) == "[False, False, False, False, False] False"


def test_jax_module_is_loaded_on_demand():
    code = """
        import sys, torch_bridge
        assert "JaxModule" in torch_bridge.__all__
        torch_bridge.JaxModule
        print("flax" in sys.modules)
    """
    assert python(code) == "True"


def test_synchronous_dispatch_gives_the_same():
    # The option that the README recommends for small functions.
    code = """
        import jax, jax.numpy as jnp, torch
        jax.config.update("jax_cpu_enable_async_dispatch", False)
        from torch_bridge import wrap
        x = torch.randn(3, requires_grad=True)
        wrap(lambda x: jnp.sum(jnp.sin(x)))(x).backward()
        torch.testing.assert_close(x.grad, torch.cos(x.detach()))
        print("same")
    """
    assert python(code) == "same"


@pytest.mark.slow
def test_data_loader_with_spawned_workers(tmp_path):
    code = """
        import jax.numpy as jnp, torch
        from torch_bridge import wrap
        class Squares(torch.utils.data.Dataset):
            def __len__(self): return 4
            def __getitem__(self, index): return wrap(jnp.square)(torch.tensor(float(index)))
        if __name__ == "__main__":
            wrap(jnp.square)(torch.ones(1))
            loader = torch.utils.data.DataLoader(
                Squares(), num_workers=1, multiprocessing_context="spawn")
            print([x.item() for x in loader])
    """
    assert script(code, tmp_path) == "[0.0, 1.0, 4.0, 9.0]"


@pytest.mark.slow
def test_forked_loader_worker_raises_instead_of_hanging(tmp_path):
    code = """
        import jax.numpy as jnp, torch
        from torch_bridge import wrap
        square = wrap(jnp.square)
        class Squares(torch.utils.data.Dataset):
            def __len__(self): return 2
            def __getitem__(self, index): return square(torch.tensor(float(index)))
        square(torch.ones(1))
        loader = torch.utils.data.DataLoader(
            Squares(), num_workers=1, multiprocessing_context="fork")
        try:
            list(loader)
        except RuntimeError as error:
            print("Start workers with the 'spawn'" in str(error))
    """
    assert script(code, tmp_path) == "True"


@pytest.mark.slow
def test_distributed_data_parallel(tmp_path):
    code = """
        import os, sys
        import jax.numpy as jnp, torch
        import torch.distributed as dist
        import torch.multiprocessing as mp
        from flax import nnx
        from torch_bridge import JaxModule

        def work(rank, path):
            dist.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=2)
            torch.manual_seed(rank)
            module = JaxModule(nnx.Sequential(
                nnx.Linear(3, 4, rngs=nnx.Rngs(rank)), nnx.BatchNorm(4, rngs=nnx.Rngs(0)),
                nnx.Dropout(0.1, rngs=nnx.Rngs(0))))
            model = torch.nn.parallel.DistributedDataParallel(module)
            optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
            for _ in range(3):
                optimizer.zero_grad()
                (model(torch.randn(8, 3)) ** 2).mean().backward()
                optimizer.step()
            flat = torch.cat([p.detach().flatten() for p in module.parameters()])
            both = [torch.zeros_like(flat) for _ in range(2)]
            dist.all_gather(both, flat)
            if rank == 0:
                print("in step", torch.equal(*both), flush=True)
            # The last one to hold the group must not be the model: torch would wait for a thread
            # of the group with Python's lock in its hand, and that thread for the lock.
            del model
            dist.destroy_process_group()

        if __name__ == "__main__":
            mp.start_processes(work, (sys.argv[1],), nprocs=2, start_method="spawn")
    """
    assert "in step True" in script(code, tmp_path, str(tmp_path / "store"))
