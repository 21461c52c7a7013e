"""A sweep is a loop over settings: same numbers, whatever the set, the batch and the chunk."""

import itertools
import json
import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxwave as jw
from jaxwave.sweeps import program, run
from jaxwave.sweeps.points import points

A, B = np.linspace(0.5, 1.5, 7), np.array([2.0, -1.0, 3.0])
RAMP = jnp.arange(6.0).reshape(2, 3)


def simulate(a, b, *, offset=0.0):
    return {"image": a * RAMP + b + offset, "sum": jnp.sum(a * RAMP) * b}


def loop(rows, function=simulate, **more):
    results = [function(*[v.astype(np.float32) for v in row], **more) for row in rows]
    return jax.tree.map(lambda *v: np.stack(v), *results)


def log(x):
    return jnp.log(x)


def close(got, need):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, 1e-5, 1e-5), got, need)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(program, "_MOST_CHUNK", 4)
    monkeypatch.setattr(program, "_MOST_BATCH", 2)


def test_the_first_line_that_one_types():
    def simulate(na, n_s):
        beam = jw.gaussian_beam((16, 16), spacing=0.5, wavelength=0.5, waist=2.0 / na)
        return jw.angular_spectrum(beam, 10.0 * n_s).intensity

    result = jw.sweep(simulate, {"na": jnp.linspace(1.0, 1.45, 20), "n_s": [1.33, 1.38]})
    assert result.values.shape == (20, 2, 16, 16)
    one = jax.jit(simulate)
    for i, j in ((0, 0), (19, 1), (7, 1)):
        need = one(np.linspace(1.0, 1.45, 20)[i], [1.33, 1.38][j])
        np.testing.assert_allclose(result.values[i, j], need, atol=1e-6)
    assert result.setting(2 * 7 + 1) == {"na": pytest.approx(1.165789), "n_s": 1.38}


@pytest.mark.parametrize("batch", [None, 1, 3])
def test_grid_is_a_loop(batch, small_chunks):
    result = jw.sweep(simulate, {"a": A, "b": B, "offset": 5.0}, batch=batch)
    need = loop([(a, b) for a in A for b in B], offset=5.0)
    close(result.values, jax.tree.map(lambda v: v.reshape(7, 3, *v.shape[1:]), need))
    assert result.chunk < 21 and result.settings["b"].tolist() == [*B] * 7
    again = jw.sweep(simulate, {"a": A, "b": B, "offset": 5.0}, batch=batch)
    jax.tree.map(np.testing.assert_array_equal, result.values, again.values)


def test_list_rows_and_arrays_as_settings(small_chunks):
    pairs = {"a": A[:3], "b": B}
    need = loop([*zip(A[:3], B, strict=True)])
    close(jw.sweep(simulate, pairs, kind="list").values, need)
    rows = [{"a": a, "b": b} for a, b in zip(A[:3], B, strict=True)]
    result = jw.sweep(simulate, rows)
    close(result.values, need)
    assert result.points.kind == "list"
    vectors = np.arange(10.0).reshape(5, 2)
    sums = jw.sweep(lambda field, c: field * jnp.sum(c), {"c": vectors}, jnp.ones(3))
    np.testing.assert_allclose(sums.values, vectors.sum(1)[:, None] * np.ones(3))
    lengths = jw.sweep(lambda z: z, {"z": ["520 nm", "1 mm", 2.0]})
    np.testing.assert_allclose(lengths.values, [0.52, 1000.0, 2.0])


def test_random_and_sobol_sets_do_not_depend_on_chunks():
    key, ends = jax.random.key(3), {"a": (0.0, 2.0), "v": ([0, 1], [10, 2]), "b": 7.0}
    for kind in ("random", "sobol"):
        p = points(ends, kind=kind, count=1000, key=key)
        whole = p.rows(0, 1000)
        parts = [p.rows(0, 3), p.rows(3, 10), p.rows(10, 997), p.rows(997, 1000)]
        for name in ("a", "v"):
            np.testing.assert_array_equal(whole[name], np.concatenate([q[name] for q in parts]))
        assert whole["v"].shape == (1000, 2) and p.fixed["b"] == 7
        assert 0 <= whole["a"].min() and whole["a"].max() < 2
        np.testing.assert_allclose(whole["v"].mean(0), [5, 1.5], rtol=0.1)
        assert abs(np.corrcoef(whole["a"], whole["v"][:, 0])[0, 1]) < 0.1
    # 2**k Sobol points fill every interval of length 2**-k once.
    u = points({"a": (0.0, 1.0), "b": (0.0, 1.0)}, kind="sobol", count=64, key=key).rows(0, 64)
    for name in "ab":
        assert sorted(np.floor(64 * u[name]).astype(int)) == [*range(64)]


def test_models_and_fields():
    nnx = pytest.importorskip("flax.nnx")

    class Scale(nnx.Module):
        def __init__(self):
            self.gain, self.shift = nnx.Param(jnp.array(1.0)), nnx.Param(jnp.zeros(2))

        def __call__(self, field):
            return self.gain * field + jnp.sum(self.shift)

    result = jw.sweep(Scale(), {"gain": B, "shift": [[0.0, 1.0], [2.0, 2.0]]}, jnp.ones(4))
    np.testing.assert_allclose(result.values, (B[:, None] + [1, 4])[..., None] * np.ones(4))
    with pytest.raises(ValueError, match=r"no parameter 'gian'. Did you mean 'gain'"):
        jw.sweep(Scale(), {"gian": B}, jnp.ones(4))
    beams = jw.sweep(
        lambda waist: jw.gaussian_beam((8, 8), spacing=0.5, wavelength=0.5, waist=waist),
        {"waist": [1.0, 1.5]},
    )
    assert isinstance(beams.values, jw.Field) and beams.values.u.shape == (2, 8, 8)


# -- reductions ------------------------------------------------------------------------------


def test_reductions_are_those_of_the_whole(small_chunks):
    settings, whole = {"a": A, "b": B}, jw.sweep(simulate, {"a": A, "b": B}).values
    flat = jax.tree.map(lambda v: v.reshape(21, *v.shape[2:]), whole)
    names = {n: None for n in ("mean", "std", "min", "max", "argmin", "argmax")}
    levels = (0.1, 0.5)
    got = jw.sweep(
        simulate,
        settings,
        reduce={**names, "quantiles": levels, "sum": lambda x, y: jax.tree.map(jnp.add, x, y)},
    ).values
    for name in names:
        close(got[name], jax.tree.map(lambda v, n=name: getattr(np, n)(v, 0), flat))
    close(got["quantiles"], jax.tree.map(lambda v: np.quantile(v, levels, axis=0), flat))
    close(got["sum"], jax.tree.map(lambda v: v.sum(0), flat))


@pytest.mark.parametrize(
    ("reduce", "said"),
    [
        (jnp.max, r"max\(result, result\) raised: .* write reduce='max'"),
        (lambda values: values.sum(), r"takes a function of two results .* such as jnp\.add"),
        (lambda a, b: (a, b), "another structure or shape"),
    ],
)
def test_what_is_no_reduction_is_told(reduce, said):
    with pytest.raises((TypeError, ValueError), match=said):
        jw.sweep(lambda a: a, {"a": [1.0, 2.0]}, reduce=reduce)


def test_quantiles_of_a_share_and_argmin_setting(small_chunks):
    def far(x):
        return (x - 0.3) ** 2

    best = jw.sweep(far, {"x": np.linspace(0, 1, 41)}, reduce="argmin")
    assert best.setting(best.values)["x"] == pytest.approx(0.3)
    chosen = np.arange(0, 41, 2)
    from jaxwave.sweeps.reduce import reductions

    part = reductions({"quantiles": 0.5}, chosen)["quantiles"]
    values, valid = np.arange(41.0), np.ones(41, bool)
    states = [part.host(part.part(values[i : i + 4], valid[i : i + 4], i)) for i in range(0, 41, 4)]
    total = states[0]
    for state in states[1:]:
        total = part.join(total, state)
    assert part.finish(total) == np.median(chosen)


# -- what fails ------------------------------------------------------------------------------


def test_a_failing_setting_is_a_row_of_nan_with_a_message(small_chunks):
    def root(x):
        return {"y": jnp.sqrt(x), "n": jnp.asarray(3)}

    with pytest.warns(jw.JaxwaveWarning, match=r"2 of 6 settings failed.*x=-1: 1 of 1 values"):
        result = jw.sweep(root, {"x": np.array([1.0, -1.0, 4.0, 9.0, -2.0, 0.0])}, kind="list")
    np.testing.assert_array_equal(result.values["y"], [1, np.nan, 2, 3, np.nan, 0])
    assert [*result.failures] == [1, 4] and result.values["n"].tolist() == [3] * 6
    with pytest.warns(jw.JaxwaveWarning):
        mean = jw.sweep(root, {"x": [4.0, -1.0, 16.0]}, reduce=["mean", "max", "argmax"]).values
    assert (mean["mean"]["y"], mean["max"]["y"], mean["argmax"]["y"]) == (3, 4, 2)


def test_the_words_of_the_library_for_numbers_it_refuses():
    def spot(na):
        return jw.psf.Objective(na=na, wavelength=0.5, n=1.33).na * 2.0

    with pytest.warns(jw.JaxwaveWarning, match=r"1 of 3 settings failed.*`na` must be below"):
        result = jw.sweep(spot, {"na": [1.0, 1.2, 1.4]})
    np.testing.assert_allclose(result.values, [2.0, 2.4, np.nan])
    assert "refractive index" in result.failures[2]


def test_memory_that_does_not_suffice_is_halved_once(monkeypatch):
    true, sizes = program.Program.__call__, []

    def call(self, rows, most=8):
        sizes.append(self.size)
        if self.size > most:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes")
        return true(self, rows)

    monkeypatch.setattr(program.Program, "__call__", call)
    result = jw.sweep(lambda x: 2 * x, {"x": np.arange(16.0)}, batch=2)
    np.testing.assert_array_equal(result.values, 2 * np.arange(16))
    assert sizes == [16, 8, 8]
    monkeypatch.setattr(program.Program, "__call__", lambda self, rows: call(self, rows, most=4))
    with pytest.raises(MemoryError, match="out of memory even with"):
        jw.sweep(lambda x: 2 * x, {"x": np.arange(16.0)}, batch=2)


BAD = [
    ({"naa": [1.0]}, {}, ValueError, r"no parameter 'naa'. Did you mean 'na'"),
    ({"na": []}, {}, ValueError, "`na` has no points"),
    ({"na": [1.0, 2.0], "n": [1.0, 2.0, 3.0]}, {"kind": "list"}, ValueError, "`na` 2, `n` 3"),
    ({"na": [1.0]}, {"kind": "gird"}, ValueError, "Did you mean 'grid'"),
    ({"na": (1.0, 2.0, 3.0)}, {"kind": "sobol", "points": 4}, ValueError, "two ends"),
    ({"na": (1.0, 2.0)}, {"kind": "random", "points": 4}, ValueError, "needs `key`"),
    ({"na": (1.0, 2.0)}, {"kind": "sobol"}, ValueError, "needs `points`"),
    ({"na": [1.0]}, {"points": 4}, ValueError, "random and Sobol"),
    ({"n": [1.0]}, {}, TypeError, "missing a required argument: 'na'"),
    ({"na": 1.0}, {}, ValueError, "at least one name"),
    ({"na": [[1.0], [1.0, 2.0]]}, {}, ValueError, "different shapes"),
    ({"na": ["x nm"]}, {}, ValueError, "`na`"),
    ({"na": [None]}, {}, TypeError, "must be numbers"),
    ([{"na": 1.0}, {"n": 1.0}], {}, ValueError, "row 1"),
    ("na", {}, TypeError, "dict of values by name"),
    ({"na": [1.0]}, {"reduce": "maen"}, ValueError, "Did you mean 'mean'"),
    ({"na": [1.0]}, {"batch": 0}, ValueError, "`batch`"),
    ({"na": [1.0] * 100}, {"max_bytes": 99}, ValueError, "need 400 bytes, more than the limit"),
    ({"na": [3], "n": [1.0]}, {"max_bytes": 1}, ValueError, "Pass a larger `max_bytes`"),
]


@pytest.mark.parametrize(("settings", "options", "kind", "text"), BAD)
def test_bad_input(settings, options, kind, text):
    with pytest.raises(kind, match=text):
        jw.sweep(lambda na, n=1.0: na * n, settings, **options)


def test_more_bad_input():
    with pytest.raises(TypeError, match="makes shapes or decisions"):
        jw.sweep(lambda n: jnp.zeros(n), {"n": [1, 2]})
    with pytest.raises(TypeError, match="must be a function or a model"):
        jw.sweep(3, {"n": [1, 2]})
    with pytest.raises(TypeError, match="returns no arrays"):
        jw.sweep(lambda n: None, {"n": [1, 2]})
    with pytest.raises(IndexError, match="2 settings"):
        jw.sweep(lambda n: n, {"n": [1, 2]}).setting(2)


# -- folders ---------------------------------------------------------------------------------


def test_a_folder_goes_on_where_it_stopped(tmp_path, small_chunks, monkeypatch):
    settings, calls = {"a": A, "b": B}, []
    true = run.Job.compute

    def compute(self, chunk, most=3):
        if len(calls) == most:
            raise KeyboardInterrupt
        calls.append(chunk)
        return true(self, chunk)

    monkeypatch.setattr(run.Job, "compute", compute)
    with pytest.raises(KeyboardInterrupt):
        jw.sweep(simulate, settings, folder=tmp_path)
    monkeypatch.setattr(run.Job, "compute", lambda self, chunk: compute(self, chunk, most=99))
    result = jw.sweep(simulate, settings, folder=tmp_path)
    assert sorted(calls) == [*range(6)], "a chunk was lost, or computed twice"
    jax.tree.map(np.testing.assert_array_equal, result.values, jw.sweep(simulate, settings).values)
    calls.clear()
    assert jw.sweep(simulate, settings, folder=result.folder).folder == result.folder
    mean = jw.sweep(simulate, settings, folder=tmp_path, reduce="mean")
    assert mean.folder != result.folder and len(calls) == 6
    np.testing.assert_array_equal(
        mean.values["sum"], jw.sweep(simulate, settings, reduce="mean").values["sum"]
    )
    with pytest.raises(ValueError, match="holds another sweep"):
        jw.sweep(simulate, {"a": A, "b": B[:2]}, folder=result.folder)


def test_failures_and_damaged_files_in_a_folder(tmp_path, small_chunks):
    def line():
        with pytest.warns(jw.JaxwaveWarning, match="1 of 9 settings failed"):
            return jw.sweep(log, {"x": np.arange(9.0) - 0.0}, folder=tmp_path)

    assert line().failures == line().failures
    chunk = sorted(tmp_path.glob("*/chunks/*.npz"))[1]
    chunk.write_bytes(chunk.read_bytes()[:-30])
    with pytest.raises(ValueError, match=rf"{chunk.name}' is damaged"):
        jw.sweep(log, {"x": np.arange(9.0)}, folder=tmp_path)
    header = tmp_path / result_name(tmp_path) / "sweep.json"
    header.write_text(header.read_text()[:20])
    with pytest.raises(ValueError, match=r"sweep.json' is damaged"):
        jw.sweep(log, {"x": np.arange(9.0)}, folder=tmp_path)


def result_name(folder):
    (found,) = folder.iterdir()
    return found.name


def test_full_disk(tmp_path, small_chunks, monkeypatch):
    from jaxwave import _npy

    true, calls = _npy.write_npz, []

    def write(stream, arrays):
        calls.append(1)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        true(stream, arrays)

    monkeypatch.setattr(_npy, "write_npz", write)
    with pytest.raises(OSError, match="2 chunks are safe"):
        jw.sweep(simulate, {"a": A, "b": B}, folder=tmp_path)
    monkeypatch.setattr(_npy, "write_npz", true)
    assert not [*tmp_path.rglob("*.tmp")]
    result = jw.sweep(simulate, {"a": A, "b": B}, folder=tmp_path)
    assert result.values["sum"].shape == (7, 3)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OSError, match="Choose another `folder`"):
        jw.sweep(simulate, {"a": A, "b": B}, folder=blocked)


def test_the_name_tells_code_and_numbers(tmp_path):
    def version(gain, wave):
        def simulate(a):
            return a * gain + jnp.sum(wave)

        return simulate

    def name(function, a=(1.0, 2.0), **more):
        return jw.sweep(function, {"a": a}, folder=tmp_path, **more).folder

    wave = jnp.arange(3.0)
    first = name(version(2.0, wave))
    assert first == name(version(2.0, jnp.arange(3.0)))
    others = {
        name(version(3.0, wave)),
        name(version(2.0, wave.at[1].set(5.0))),
        name(version(2.0, wave), a=(1.0, 3.0)),
        name(version(2.0, wave), reduce="mean"),
        name(lambda a: 3 * a),
        name(lambda a: 4 * a),
    }
    assert len(others) == 6 and first not in others


# -- devices, processes, speed ------------------------------------------------------------------

TWO_DEVICES = """
import jax, jax.numpy as jnp, numpy as np, jaxwave as jw
assert jax.local_device_count() == 2
ramp = jnp.arange(6.0)
def f(a, b, offset): return {"image": a * ramp + b + offset, "sum": jnp.sum(a * ramp) * b}
for count in (7, 1):
    a, b = np.linspace(0.5, 1.5, count), np.array([2.0, -1.0, 3.0])
    result = jw.sweep(f, {"a": a, "b": b, "offset": jnp.float32(5.0)})
    need = jax.vmap(jax.vmap(f, (None, 0, None)), (0, None, None))(a, b, 5.0)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, 1e-6), result.values, dict(need))
mean = jw.sweep(f, {"a": a, "b": b, "offset": 5.0}, reduce="mean")
np.testing.assert_allclose(mean.values["sum"], need["sum"].mean(), 1e-6)
"""


def test_devices_share_a_chunk():
    environment = {"JAX_NUM_CPU_DEVICES": "2", "JAX_PLATFORMS": "cpu", "PATH": ""}
    run = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES], capture_output=True, text=True, env=environment
    )
    assert run.returncode == 0, run.stderr


def test_nothing_is_compiled_between_chunks(small_chunks):
    compiled = []

    def count(event, *_, **__):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(len(done))

    jax.monitoring.register_event_duration_secs_listener(count)
    done = []
    try:
        jw.sweep(simulate, {"a": A, "b": B}, progress=lambda *report: done.append(report))
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    assert [r[:2] for r in done] == [(4 * k, 21) for k in range(1, 6)] + [(21, 21)]
    assert done[-1][3] == 0 and done[0][2] > 0
    assert not any(compiled), "a later chunk was compiled"


def test_a_clock_that_jumps_is_not_asked(monkeypatch, tmp_path):
    import time

    clock = itertools.cycle([1e9, 0.0, 3e9])
    monkeypatch.setattr(time, "time", lambda: next(clock))
    assert jw.sweep(lambda a: a, {"a": [1.0]}, folder=tmp_path, progress=lambda *_: None)


# -- memory ----------------------------------------------------------------------------------


def test_memory_of_known_programs():
    a = jax.ShapeDtypeStruct((300, 200), jnp.float32)
    need = jw.memory(lambda a: (a @ a.T) @ a, a)
    assert need.arguments == need.outputs == 4 * 300 * 200
    assert 4 * 300 * 300 <= need.scratch <= 4 * 300 * 300 + 2**21
    assert need.bytes == need.arguments + need.outputs + need.scratch
    assert 0 < need.seconds < 1
    n = 256
    fields = jw.memory(lambda u: jnp.abs(jnp.fft.ifft2(jnp.fft.fft2(u) * 1j)), jnp.ones((n, n)))
    assert 8 * n * n <= fields.scratch <= 3 * 8 * n * n + 2**20
    assert jw.memory(jnp.zeros, (3, 5)).outputs == 60
    named = jw.memory(lambda x, *, n: x * jnp.ones(n), 1.0, n=7)
    assert named.outputs == 28
    with pytest.raises(TypeError, match="must be a function"):
        jw.memory(a)


def test_operations_are_counted():
    from jaxwave.sweeps.memory import operations, working_set

    def both(a):
        def step(x, _):
            return x @ a, None

        return jax.lax.scan(step, a, length=5)[0], jnp.fft.fft2(a)

    jaxpr = jax.make_jaxpr(both)(jnp.ones((32, 32))).jaxpr
    count = operations(jaxpr)
    assert count["matmul"] == 5 * 2 * 32**3
    assert count["fft"] == 5 * 32**2 * 10
    assert working_set(jaxpr) == 2 * 8 * 32**2


# -- labelled results --------------------------------------------------------------------------


def test_xarray_and_pandas():
    xarray, pandas = pytest.importorskip("xarray"), pytest.importorskip("pandas")
    result = jw.sweep(simulate, {"a": A, "b": B, "offset": 1.0})
    data = result.to_xarray()
    assert data["image"].dims == ("a", "b", "y", "x") and data.attrs["offset"] == 1.0
    one = data["image"].sel(a=1.5, b=-1.0)
    np.testing.assert_allclose(one, simulate(1.5, -1.0, offset=1.0)["image"], rtol=1e-6)
    assert isinstance(data, xarray.Dataset)
    table = jw.sweep(lambda a, b: {"s": a * b}, {"a": A[:3], "b": B}, kind="list").to_pandas()
    assert isinstance(table, pandas.DataFrame) and [*table.columns] == ["a", "b", "s"]
    np.testing.assert_allclose(table["s"], A[:3] * B, rtol=1e-6)
    again = jw.sweep(lambda a, b: {"s": a * b}, table[["a", "b"]])
    np.testing.assert_allclose(again.values["s"], A[:3] * B, rtol=1e-6)
    with pytest.raises(ValueError, match="to_xarray"):
        result.to_pandas()
    lists = jw.sweep(lambda y, c: y * c, {"y": [1.0, 2.0], "c": np.ones((3, 4))}).to_xarray()
    assert lists["value"].dims == ("y", "c", "value_0")
    reduced = jw.sweep(simulate, {"a": A, "b": B}, reduce=["mean", "max"]).to_xarray()
    assert reduced["mean.image"].shape == (2, 3)
    assert json.dumps(str(data.attrs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jw.JaxwaveWarning)
        failed = jw.sweep(lambda x: jnp.sqrt(x), {"x": [1.0, -1.0]}).to_pandas()
    assert failed["message"].tolist()[0] == ""


def test_the_same_line_compiles_once_and_sees_what_changed():
    names = {"wave": jnp.ones(3), "jnp": jnp}
    exec("def simulate(a): return a * jnp.sum(wave)", names)  # as a cell of a notebook
    compiled = []

    def count(event, *_, **__):
        compiled.append(event == "/jax/core/compile/backend_compile_duration")

    first = jw.sweep(names["simulate"], {"a": [1.0, 2.0]})
    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        again = jw.sweep(names["simulate"], {"a": [3.0, 5.0]})
        assert not any(compiled)
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    names["wave"] = jnp.full(3, 2.0)
    other = jw.sweep(names["simulate"], {"a": [1.0, 2.0]})
    assert [*first.values, *again.values, *other.values] == [3, 6, 9, 15, 6, 12]


def test_memory_of_the_compiled_program_keeps_the_limit():
    def simulate(a):
        return jnp.sum(jnp.fft.fft2(a * jnp.ones((64, 64))).real)

    result = jw.sweep(simulate, {"a": np.arange(64.0)}, batch=64, max_bytes=2e6)
    np.testing.assert_allclose(result.values, 64**2 * np.arange(64.0), rtol=1e-5)


def test_zarr_is_read_while_it_grows_and_beyond_memory(tmp_path, small_chunks):
    xarray = pytest.importorskip("xarray")
    settings = {"a": A, "b": B}
    result = jw.sweep(simulate, settings, folder=tmp_path, format="zarr")
    whole = jw.sweep(simulate, settings)
    jax.tree.map(np.testing.assert_array_equal, result.values, whole.values)
    with xarray.open_zarr(f"{result.folder}/results.zarr", consolidated=False) as data:
        assert {"a", "b"} <= {*data.coords} and data["image"].shape == (21, 2, 3)
        np.testing.assert_array_equal(data["sum"], whole.values["sum"].reshape(-1))
        np.testing.assert_allclose(data["a"], np.repeat(A, 3))
        grid = data[["sum"]].set_index(setting=["a", "b"]).unstack()
        np.testing.assert_array_equal(
            grid["sum"].sel(a=A[2]).sortby("b"), np.sort(whole.values["sum"][2])
        )
    large = jw.sweep(simulate, settings, folder=tmp_path, format="zarr", max_bytes=400)
    assert large.folder == result.folder
    np.testing.assert_array_equal(large.values["image"][5], whole.values["image"][1, 2])
    name = f"{result.folder}/results.zarr/sum/c/1"
    with open(name, "r+b") as stream:
        stream.truncate(3)
    with pytest.raises(ValueError, match="is truncated"):
        jw.sweep(simulate, settings, folder=tmp_path, format="zarr")
    with pytest.raises(ValueError, match="needs a `folder`"):
        jw.sweep(simulate, settings, format="zarr")


def test_results_become_files(tmp_path):
    result = jw.sweep(simulate, {"a": A, "b": B})
    with np.load(result.save(tmp_path / "r.npz")) as file:
        np.testing.assert_array_equal(file["settings.a"], A)
        np.testing.assert_array_equal(file["image"], result.values["image"])
    xarray = pytest.importorskip("xarray")
    for name, way in (
        ("r.nc", {"engine": "scipy"}),
        ("r.zarr", {"engine": "zarr", "consolidated": False}),
    ):
        with xarray.open_dataset(result.save(tmp_path / name), **way) as data:
            np.testing.assert_array_equal(data["sum"], result.values["sum"])
    with pytest.raises(ValueError, match=r"got 'r\.txt'"):
        result.save(tmp_path / "r.txt")


def test_pictures_of_sweeps(tmp_path):
    pytest.importorskip("matplotlib")
    from jaxwave.plot import plot_sweep

    result = jw.sweep(simulate, {"a": A, "b": B})
    assert len(plot_sweep(result, name="image").axes) == 21
    curves = plot_sweep(result, name="sum", path=tmp_path / "curves.png").axes[0]
    assert len(curves.lines) == 3
    np.testing.assert_allclose(curves.lines[1].get_ydata(), result.values["sum"][:, 1])
    turned = jw.sweep(simulate, {"b": B, "a": A})
    mesh = plot_sweep(turned, name="sum").axes[0].collections[0]
    np.testing.assert_allclose(mesh.get_array(), turned.values["sum"][[1, 0, 2]], rtol=1e-6)
    listed = jw.sweep(simulate, {"a": A[:3], "b": B}, kind="list")
    assert plot_sweep(listed, name="sum").axes[0].get_xlabel() == "setting"
    with pytest.raises(ValueError, match="no result 'summ'"):
        plot_sweep(result, name="summ")
    with pytest.raises(ValueError, match="reductions"):
        plot_sweep(jw.sweep(simulate, {"a": A, "b": B}, reduce="mean"))
    with pytest.raises(ValueError, match="shape"):
        plot_sweep(jw.sweep(lambda a: a * jnp.ones(4), {"a": A}))
