"""Simulators in files: the same numbers without the code, and every bad file refused."""

import json
import subprocess
import sys
import zipfile
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxwave as jw
from jaxwave import _npy, elements

pytest.importorskip("flatbuffers")


def picture(phase, z):
    """Distances and phases mix, sizes differ."""
    beam = jw.plane_wave((8, 6), spacing=(1.0, 1.5), wavelength=0.5)
    field = jw.thin_lens(beam.replace(u=beam.u * jnp.exp(1j * phase * z)), 1e3)
    return {"image": jnp.abs(jw.ft2(field.u)) ** 2, "field": field}


PHASE = np.linspace(0, 1, 48, dtype=np.float32).reshape(8, 6)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("programs") / "picture.program"
    return jw.save_program(path, picture, PHASE, 20.0, batch=1)


def test_values_and_gradients_are_those_of_the_function(saved):
    program, zs = jw.load_program(saved), jnp.array([5.0, 20.0, 31.0])
    direct = jax.jit(lambda phase, zs: jax.vmap(partial(picture, phase))(zs))
    found, expected = program(PHASE, zs), direct(PHASE, zs)
    np.testing.assert_allclose(found["image"], expected["image"], rtol=1e-5)
    assert isinstance(found["field"], jw.Field)
    np.testing.assert_allclose(found["field"].spacing[0], [1.0, 1.5])

    def loss(call, phase, zs):
        return jnp.sum(call(phase, zs)["image"][1, 2:] ** 2)

    slopes = [
        jax.jit(jax.grad(partial(loss, call), (0, 1)))(PHASE, zs) for call in (program, direct)
    ]
    for found, expected in zip(*slopes, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_it_works_where_its_code_does_not_exist(saved, tmp_path):
    script = """
import sys, jax, jaxwave as jw
def fail(*_, **__): raise AssertionError("traced again")
jw.ft2 = jw.thin_lens = fail
program = jw.load_program(sys.argv[1])
loss = lambda z: program(0.1 * jax.numpy.ones((8, 6)), z)["image"].sum()
value, slope = jax.value_and_grad(loss)(jax.numpy.array([3.0]))
assert "tests" not in sys.modules and not any("flax" in name for name in sys.modules)
print(float(value), slope.shape)
"""
    line = [sys.executable, "-c", script, str(saved)]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[0]) > 0


def test_parameters_of_a_model_stay_numbers(tmp_path):
    model = elements.ThinLens("20 mm")
    beam = jw.plane_wave((8, 8), spacing=2.0, wavelength=0.5)
    program = jw.load_program(jw.save_program(tmp_path / "lens.program", model, beam))
    assert program.parameters["f"] == 20e3
    near = program(beam, parameters={"f": 1e3})
    np.testing.assert_allclose(near.u, jw.thin_lens(beam, 1e3).u, atol=1e-5)
    np.testing.assert_allclose(program(beam).u, model(beam).u, atol=1e-5)
    with pytest.raises(ValueError, match=r"there is no parameter 'g'. It has: f, n"):
        program(beam, parameters={"g": 1.0})


def test_calls_that_do_not_fit_are_refused_in_words(saved):
    program = jw.load_program(saved)
    assert repr(program) == "Program(picture, arguments float32(8, 6), float32(n,))"
    with pytest.raises(ValueError, match=r"takes an array of the shape \(8, 6\), got \(6, 8\)"):
        program(PHASE.T, [1.0])
    with pytest.raises(ValueError, match=r"the shape \(any\), got \(\)"):
        program(PHASE, 1.0)
    with pytest.raises(ValueError, match=r"at least one, got"):
        program(PHASE, jnp.zeros(0))
    with pytest.raises(TypeError, match=r"takes 2 arguments .* got 1 arguments"):
        program(PHASE)
    with pytest.raises(NotImplementedError, match=r"cannot be used in jax.vmap"):
        jax.vmap(lambda z: program(PHASE, z)["image"])(jnp.ones((2, 1)))
    with pytest.raises(TypeError, match=r"takes float32, got complex64"):
        program(PHASE * 1j, [1.0])


@pytest.mark.parametrize(
    ("function", "arguments", "options", "text"),
    [
        (jnp.ones, (3,), {}, "must be arrays and floating-point numbers, got 3"),
        (3.0, (), {}, "must be a function or a model, got float"),
        (jax.random.normal, (jax.random.key(0),), {}, "pass jax.random.key_data"),
        (lambda x: x, (1.0,), {"batch": 1}, "numbers of the 1 arguments"),
        (lambda x: x, (1.0,), {"platforms": "mainframe"}, "must be of .* got 'mainframe'"),
        (lambda x: jw.units, (1.0,), {}, "module"),
    ],
)
def test_what_cannot_be_saved_is_told(tmp_path, function, arguments, options, text):
    with pytest.raises((TypeError, ValueError), match=text):
        jw.save_program(tmp_path / "p", function, *arguments, **options)
    assert not [*tmp_path.iterdir()]


def changed(path, place, **new):
    """The same file with another header."""
    arrays = _npy.read_npz("", path, 2**30)
    header = json.loads(arrays["header"].tobytes()) | new
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with place.open("wb") as stream:
        _npy.write_npz(stream, arrays)
    return place


@pytest.mark.parametrize(
    ("new", "text"),
    [
        ({"platforms": ["tpu"]}, "was saved for tpu, and this process computes on cpu"),
        ({"calling": 1000, "jax": "9.9"}, "saved by jax 9.9, too much newer than jax"),
        ({"calling": 1}, "too much older than jax"),
        ({"version": 2, "jaxwave": "7.0"}, "jaxwave 7.0, which is newer"),
        ({"format": "other"}, "is no program"),
        ({"names": ["f"]}, "is no program"),
        ({"sha256": "0" * 64}, "is damaged"),
    ],
)
def test_versions_and_platforms_are_checked(saved, tmp_path, new, text):
    with pytest.raises(ValueError, match=text):
        jw.load_program(changed(saved, tmp_path / "p", **new))


def test_foreign_and_damaged_files_are_refused(saved, tmp_path):
    whole, place = saved.read_bytes(), tmp_path / "p.program"
    for content in (b"", b"no zip at all", whole[:-40], whole[: len(whole) // 2]):
        place.write_bytes(content)
        with pytest.raises(ValueError, match=r"load_program: .*'p.program'"):
            jw.load_program(place)
    spots = np.random.default_rng(0).integers(100, len(whole) - 200, 12)
    for spot in spots:
        damaged = bytearray(whole)
        damaged[spot] ^= 0x10
        place.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"load_program: "):
            jw.load_program(place)
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(ValueError, match="is no program"):
        jw.load_program(tmp_path / "other.npz")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("a.txt", "text")
    with pytest.raises(ValueError, match="save_program has written"):
        jw.load_program(tmp_path / "other.zip")
    with pytest.raises(FileNotFoundError, match="load_program"):
        jw.load_program(tmp_path / "nowhere")


def test_double_precision_needs_double_precision(tmp_path):
    with jax.enable_x64(True):
        path = jw.save_program(tmp_path / "p", lambda x: 2 * x, np.float64(1.0), gradient=False)
        assert jw.load_program(path)(3.0).dtype == np.float64
    with pytest.raises(ValueError, match="saved in double precision"):
        jw.load_program(path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:angular_spectrum")
def test_windows_of_many_sizes_share_one_program():
    """Zeros around the samples change nothing inside: a propagator is a convolution with them."""
    far = jax.jit(jw.angular_spectrum)
    common = jw.fast_len(45), jw.fast_len(45)
    for size in [(45, 38), (32, 32)]:
        beam = jw.gaussian_beam(size, spacing=(0.8, 1.1), wavelength=0.5, waist=6.0)
        beam = jw.circular_aperture(beam, 9.0, y=3.0, x=-4.0)
        for z, tolerance in ((30.0, 1e-3), (300.0, 5e-5)):  # a sharp band limit; all of free space
            found = jw.crop(far(jw.pad(beam, common), z), size)
            alone = jw.angular_spectrum(beam, z)
            assert jnp.linalg.norm(found.u - alone.u) < tolerance * jnp.linalg.norm(alone.u)
    assert far._cache_size() == 1
