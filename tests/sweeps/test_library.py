"""A library of PSFs: between its nodes, its gradients, and images whose every point is spread."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxwave as jw
from jaxwave.sweeps import PsfLibrary, psf_library

ROWS = jnp.arange(7.0)[:, None] - 3
COLUMNS = jnp.arange(9.0) - 4
Y, X = (-2.0, 0.5, 1.0, 3.0), (-1.0, 0.0, 2.5)


def gauss(y=0.0, x=0.0, z=0.0, wavelength=0.5):
    """A spot whose width and place change with everything, of unit sum."""
    width = 1.2 + 0.1 * y + 0.05 * x * x + 0.2 * z * wavelength
    spot = jnp.exp(-((ROWS - 0.2 * y) ** 2 + (COLUMNS - 0.1 * x) ** 2) / (2 * width**2))
    return spot / spot.sum()


def polynomial(y, x, z, wavelength):
    """Cubic in places and depth, linear where two nodes are."""
    return (y**3 - y + 1) * (x**2 + 0.5) * (z**3 + z) * (wavelength + 0.1) * (1 + ROWS * COLUMNS)


@pytest.fixture(scope="module")
def library():
    settings = {"y": Y, "x": X, "z": np.linspace(-1, 1, 5), "wavelength": [0.5, 0.7]}
    return psf_library(gauss, settings, pixel=(0.5, 0.25))


def test_nodes_are_kept_and_polynomials_are_exact(library):
    for place in ((-2.0, 2.5, -1.0, 0.7), (0.5, 0.0, 0.5, 0.5), (3.0, -1.0, 1.0, 0.5)):
        names = dict(zip(("y", "x", "z", "wavelength"), place, strict=True))
        np.testing.assert_allclose(library.at(**names), gauss(**names), atol=3e-7)
    settings = {"wavelength": [0.5, 0.7], "z": [-1.0, -0.2, 0.4, 1.0], "y": Y, "x": X}
    cubic = psf_library(polynomial, settings, pixel=1.0)
    y, x = jnp.array([-1.7, 2.2]), jnp.array([[0.3], [2.2], [-0.4]])
    got = cubic.at(y=y, x=x, z=0.31, wavelength=0.61)
    need = jax.vmap(lambda y, x: polynomial(y, x, 0.31, 0.61))(
        jnp.tile(y, 3), jnp.repeat(x[:, 0], 2)
    )
    np.testing.assert_allclose(got.reshape(6, 7, 9), need, rtol=1e-5, atol=1e-4)


def test_between_nodes_it_is_near_and_differentiable(library):
    place = dict(y=0.7, x=1.1, z=0.3, wavelength=0.56)
    np.testing.assert_allclose(library.at(**place), gauss(**place), atol=4e-3)
    assert float(library.at(**place).sum()) == pytest.approx(1, abs=1e-6)

    def probe(place, psfs):
        model = PsfLibrary(psfs, library.y, library.x, library.z, library.wavelength, library.pixel)
        return jnp.sum(model.at(**place) * jnp.sin(ROWS + COLUMNS))

    slope = jax.jit(jax.grad(probe))(place, library.psfs)
    for name, value in place.items():
        up, down = (probe({**place, name: value + h}, library.psfs) for h in (1e-2, -1e-2))
        assert float(slope[name]) == pytest.approx(float(up - down) / 2e-2, rel=2e-2, abs=2e-4)
    learned = jax.grad(probe, 1)(place, library.psfs)
    assert float(jnp.vdot(learned, library.psfs)) == pytest.approx(
        float(probe(place, library.psfs)), rel=1e-4
    )


def test_a_point_is_spread_by_the_psf_of_its_own_place(library):
    n, m = 8, 10
    points = {(2, 7): 3.0, (6, 1): 5.0, (4, 5): 1.0}
    image = np.zeros((n, m), np.float32)
    need = np.zeros((n + 20, m + 20))
    for (i, j), light in points.items():
        image[i, j] = light
        y, x = 0.5 + (i - 4) * 0.5, 0.5 + (j - 5) * 0.25
        h = library.at(y=y, x=x, z=0.1, wavelength=0.6)
        need[10 + i - 3 : 10 + i + 4, 10 + j - 4 : 10 + j + 5] += light * np.asarray(h)
    got = library.image(image, z=0.1, wavelength=0.6, center=(0.5, 0.5))
    np.testing.assert_allclose(got, need[10 : 10 + n, 10 : 10 + m], atol=2e-6)


def test_one_psf_everywhere_is_a_convolution():
    psf, image = gauss(y=1.0), np.random.default_rng(0).random((2, 12, 11)).astype(np.float32)
    stored = jnp.broadcast_to(psf, (4, 3, 1, 1, 7, 9))
    same = PsfLibrary(stored, y=Y, x=X, pixel=0.1)
    for boundary in ("zero", "periodic"):
        need = jw.convolve_psf(image, psf, boundary=boundary)
        np.testing.assert_allclose(same.image(image, boundary=boundary), need, atol=1e-5)


def test_the_store_is_ngff_and_comes_back(library, tmp_path):
    zarr = pytest.importorskip("zarr")
    path = library.save(tmp_path / "library.zarr")
    again = PsfLibrary.load(path)
    np.testing.assert_array_equal(again.psfs, library.psfs)
    assert (again.y, again.x, again.z, again.wavelength) == (Y, X, library.z, (0.5, 0.7))
    image = json.loads((path / "1" / "zarr.json").read_text())["attributes"]["ome"]
    (scales,) = image["multiscales"]
    assert [a["name"] for a in scales["axes"]] == ["field", "z", "y", "x"]
    transform = scales["datasets"][0]["coordinateTransformations"][0]
    assert transform == {"type": "scale", "scale": [1.0, 0.5, 0.5, 0.25]}
    data = zarr.open_group(str(path), mode="r")["1/0"]
    np.testing.assert_array_equal(data[5, 2], np.asarray(library.psfs)[1, 2, 2, 1])
    with pytest.raises(ValueError, match="no library"):
        PsfLibrary.load(tmp_path / "other.zarr")


def test_bad_input(library):
    with pytest.raises(ValueError, match="`z` must be given, as it has 5 nodes"):
        library.at(y=0.0, x=0.0, wavelength=0.5)
    with pytest.raises(ValueError, match="`y` must be between"):
        library.at(y=9.0, x=0.0, z=0.0, wavelength=0.5)
    with pytest.raises(ValueError, match="must reach as far as the object"):
        library.image(np.ones((99, 9)), z=0.0, wavelength=0.5)
    with pytest.raises(ValueError, match="that rise"):
        PsfLibrary(np.ones((2, 1, 1, 1, 3, 3)), y=(1.0, 1.0))
    with pytest.raises(ValueError, match=r"with \(2, 1, 1, 1\) nodes"):
        PsfLibrary(np.ones((3, 1, 1, 1, 3, 3)), y=(1.0, 2.0))
    with pytest.raises(ValueError, match="got values for 'na'"):
        psf_library(lambda na: na, {"na": [1.0, 2.0]}, pixel=1.0)
    with pytest.raises(ValueError, match="must return one PSF"):
        psf_library(lambda z: z, {"z": [1.0, 2.0]}, pixel=1.0)
