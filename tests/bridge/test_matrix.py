"""Every feature in every mode: it works as in plain torch, or says why not and what to do.

The table of torch_bridge/README.md is this table; a test compares them.
"""

import functools
import itertools
import os
import pathlib
import re
import subprocess
import sys

import pytest
import torch
from bridge.features import FEATURES
from torch.utils.checkpoint import checkpoint

import torch_bridge
from torch_bridge import _private

pytest.importorskip("flax")
README = pathlib.Path(torch_bridge.__file__).parent / "README.md"


@pytest.fixture(autouse=True)
def _fresh_dynamo():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def outputs(result):
    return list(result) if isinstance(result, tuple | list) else [result]


def loss(result):
    total = 0.0
    for k, out in enumerate(outputs(result)):
        if out.is_floating_point() or out.is_complex():
            weights = torch.linspace(1.0, 2.0 + k, out.numel(), device=out.device).reshape(
                out.shape
            )
            total = total + (out.abs() ** 2 * weights).sum()
    return total


def leaves(feature):
    return [x.clone().requires_grad_() for x in feature.inputs]


def value_and_grad(call, feature):
    xs = leaves(feature)
    result = call(*xs)
    return [x.detach() for x in outputs(result)], torch.autograd.grad(loss(result), xs)


def close(found, expected, feature):
    tolerance = feature.tolerance
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def compare(found, feature):
    close(found, value_and_grad(feature.reference, feature), feature)


def eager(feature):
    compare(value_and_grad(feature.call, feature), feature)


def without_graph(context, feature):
    with context():
        out = outputs(feature.call(*leaves(feature)))
    assert not any(x.requires_grad for x in out)
    close(out, value_and_grad(feature.reference, feature)[0], feature)


def compiled(feature, backend="aot_eager", **options):
    call = torch.compile(feature.call, backend=backend, **{"fullgraph": True, **options})
    compare(value_and_grad(call, feature), feature)
    return call


def dynamic(feature):
    call = compiled(feature, dynamic=True)
    if len(feature.inputs) == 1:  # another size, where the feature does not fix it
        return
    more = feature._replace(inputs=tuple(torch.cat([x, x]) for x in feature.inputs))
    compare(value_and_grad(call, more), more)


def with_breaks(feature):
    def step(*xs):
        torch._dynamo.graph_break()
        result = feature.call(*xs)
        torch._dynamo.graph_break()
        return result

    compiled(feature._replace(call=step), fullgraph=False)


class Model(torch.nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call, self.module = call, getattr(call, "module", None)

    def forward(self, *xs):
        return self.call(*xs) if self.module is None else self.module(*xs)


def exported(feature, path):
    program = torch.export.export(Model(feature.call), feature.inputs)
    torch.export.save(program, path)
    found = outputs(torch.export.load(path).module()(*feature.inputs))
    expected = value_and_grad(feature.reference, feature)[0]
    close([x.detach() for x in found], expected, feature)


def torch_func(feature):
    def run(call):
        places = tuple(range(len(feature.inputs)))
        return torch.func.grad(lambda *xs: loss(call(*xs)), places)(*feature.inputs)

    close(run(feature.call), run(feature.reference), feature)


def torch_func_compiled(feature, fullgraph):
    def run(call):
        return torch.func.grad(lambda x: loss(call(x, *feature.inputs[1:])))

    step = torch.compile(run(feature.call), backend="aot_eager", fullgraph=fullgraph)
    close(step(feature.inputs[0]), run(feature.reference)(feature.inputs[0]), feature)


def forward_mode(feature):
    def run(call):
        primals = feature.inputs
        out = torch.func.jvp(lambda *xs: loss(call(*xs)), primals, primals)
        return [x.detach() for x in out]

    close(run(feature.call), run(feature.reference), feature)


def checkpointed(feature):
    def call(*xs):
        return checkpoint(feature.call, *xs, use_reentrant=False)

    compare(value_and_grad(call, feature), feature)


def distributed(feature, path):
    """One process; test_process.py runs two."""
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{path}", rank=0, world_size=1)
    try:
        model = Model(feature.call)
        model.gain = torch.nn.Parameter(torch.ones(()))  # it wants a parameter
        forward = model.forward
        model.forward = lambda *xs: [x * model.gain.to(x.dtype) for x in outputs(forward(*xs))]
        replica = torch.nn.parallel.DistributedDataParallel(model)
        compare(value_and_grad(replica, feature), feature)
    finally:
        replica = None  # before its group: see test_process.py
        dist.destroy_process_group()


MODES = {
    "eager": eager,
    "no_grad": functools.partial(without_graph, torch.no_grad),
    "inference_mode": functools.partial(without_graph, torch.inference_mode),
    "compile": compiled,
    "graph breaks": with_breaks,
    "dynamic": dynamic,
    "inductor": functools.partial(compiled, backend="inductor"),
    "export, save, load": exported,
    "torch.func": torch_func,
    "its compile": functools.partial(torch_func_compiled, fullgraph=False),
    "its fullgraph": functools.partial(torch_func_compiled, fullgraph=True),
    "jvp": forward_mode,
    "checkpoint": checkpointed,
    "DDP": distributed,
}
NEED_PATH = ("export, save, load", "DDP")
SLOW = ("inductor",)

# (feature, mode) -> the note below the table, and the words of the error.
NOTES = {
    "a": "derivatives of a wrapped function are not available inside a compiled graph",
    "b": "would mutate a captured Tensor",
}
EXCEPTIONS = {(feature, "its fullgraph"): "a" for feature in FEATURES}
EXCEPTIONS |= {
    ("`JaxModule` with changing buffers", mode): "b"
    for mode in ("torch.func", "its compile", "jvp")
}


if not _private.OBJECTS_ARE_CONSTANT:
    NOTES["c"] = "does not take an object"
    OBJECTS = ("static int, float, enum, object, shape", "methods")
    FULL = ("compile", "dynamic", "inductor")
    EXCEPTIONS |= {(feature, mode): "c" for feature in OBJECTS for mode in FULL}
    # torch's own: such a graph cannot be saved.
    MISSING = {("`torch.func.vmap` of it", "export, save, load")}
else:
    MISSING = set()
if _private.RELEASE < (2, 8):  # it says nothing of reasons
    NOTES |= dict.fromkeys("ac", "torch._dynamo.disable")
if _private.RELEASE < (2, 7):  # it does not say that it exports
    MISSING |= {(feature, "export, save, load") for feature in FEATURES}


def cells():
    for feature, mode in itertools.product(FEATURES, MODES):
        marks = [pytest.mark.slow] if mode in SLOW else []
        yield pytest.param(feature, mode, marks=marks, id=f"{mode}-{feature}".replace(" ", "_"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's own, of its compiler and exporter
@pytest.mark.parametrize(("feature", "mode"), list(cells()))
def test_cell(feature, mode, tmp_path):
    if (feature, mode) in MISSING:
        pytest.skip(f"not with torch {torch.__version__}")
    run = functools.partial(MODES[mode], FEATURES[feature]())
    if mode in NEED_PATH:
        run = functools.partial(run, str(tmp_path / "file.pt2"))
    note = EXCEPTIONS.get((feature, mode))
    if note is None:
        run()
    else:
        with pytest.raises(Exception, match=NOTES[note]):
            run()


def table():
    rows = [["", *MODES], ["---"] * (len(MODES) + 1)]
    rows += [[f, *(EXCEPTIONS.get((f, m), "✓") for m in MODES)] for f in FEATURES]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


@pytest.mark.skipif(not _private.OBJECTS_ARE_CONSTANT, reason="the table is of the newest torch")
def test_the_readme_has_this_table():
    text = README.read_text(encoding="utf-8")
    assert table() in text, f"torch_bridge/README.md needs this table:\n{table()}"
    for note in NOTES:
        assert re.search(rf"^\({note}\) ", text, re.MULTILINE), f"no note ({note})"


LOADER = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from bridge.features import FEATURES
for index, make in enumerate(FEATURES.values()):
    program = torch.export.load(f"{sys.argv[2]}/{index}.pt2").module()
    feature = make()
    expected = feature.call(*feature.inputs)  # warms it up
    torch.testing.assert_close(program(*feature.inputs), expected)
print("same")
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_exported_programs_run_in_another_process(tmp_path):
    for index, make in enumerate(FEATURES.values()):
        feature = make()
        program = torch.export.export(Model(feature.call), feature.inputs)
        torch.export.save(program, tmp_path / f"{index}.pt2")
    root = pathlib.Path(torch_bridge.__file__).parents[1]
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", LOADER, str(root / "tests"), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert run.stdout.strip().endswith("same"), run.stderr
