"""The Field: batches, arithmetic, pytree, gradients, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import error

import jaxwave as jw


def random(*shape, seed=0):
    u = np.random.default_rng(seed).normal(size=(2, *shape))
    return u[0] + 1j * u[1]


def make(*shape, **options):
    return jw.scalar_field(random(*shape), **{"spacing": (0.5, 0.25), "wavelength": 0.5} | options)


def test_every_leaf_has_the_batch_axes():
    field = make(4, 5, wavelength=np.array([0.5, 0.6]), spacing=np.ones((3, 1, 2)))
    assert field.u.shape == (3, 2, 4, 5) and field.spacing.shape == (3, 2, 2)
    assert field.wavelength.shape == field.batch_shape == (3, 2)
    assert len(field) == 3 and field[1].batch_shape == (2,) and field[1, 0].u.shape == (4, 5)
    assert [f.batch_shape for f in field] == [(2,)] * 3
    assert field[:, -1].wavelength.tolist() == [np.float32(0.6)] * 3


def test_light():
    field = make(4, 5)
    u = np.asarray(field.u, np.complex128)
    np.testing.assert_allclose(field.intensity, np.abs(u) ** 2, rtol=1e-5)
    np.testing.assert_allclose(field.amplitude, np.abs(u), rtol=1e-5)
    np.testing.assert_allclose(field.phase, np.angle(u), rtol=1e-5, atol=1e-6)
    assert float(field.power) == pytest.approx(np.sum(np.abs(u) ** 2) * 0.125, rel=1e-5)
    vector = jw.vector_field(random(2, 3, 4, 5), spacing=0.5, wavelength=0.5)
    assert vector.intensity.shape == (2, 4, 5) and vector.power.shape == (2,)
    np.testing.assert_allclose(vector.intensity, np.sum(np.abs(vector.u) ** 2, -3), rtol=1e-5)


def test_gradients_at_dark_samples_are_zero():
    dark = 0 * make(3, 3)
    for quantity in ("amplitude", "phase", "intensity"):
        slope = jax.grad(lambda u, q=quantity: jnp.sum(getattr(dark.replace(u=u), q)))(dark.u)
        assert np.all(np.asarray(slope) == 0)


def test_arithmetic():
    a, b = make(4, 5), jw.scalar_field(random(4, 5, seed=1), spacing=(0.5, 0.25), wavelength=0.5)
    assert error((a + b).u, a.u + b.u) < 1e-6 and error((a - b).u, a.u - b.u) < 1e-6
    assert error((2j * a).u, 2j * a.u) < 1e-6 and error((a / 2).u, a.u / 2) < 1e-6
    mask = np.random.default_rng(0).normal(size=(4, 5))
    assert error((a * mask).u, a.u * mask) < 1e-6 and error((mask * a).u, a.u * mask) < 1e-6
    assert error((a / mask).u, a.u / mask) < 1e-5 and error((-a).u, -a.u) < 1e-6
    assert (np.float64(2) * a).dtype == a.dtype == np.complex64
    assert error(a.conj().u, np.conj(a.u)) < 1e-6
    gains = np.array([1.0, 2.0])
    two = jw.stack([a, b])
    assert error((two * two.expand(gains)).u[1], 2 * b.u) < 1e-6


def test_pytree_and_printing():
    field = make(4, 5)
    assert len(jax.tree.leaves(field)) == 3
    assert repr(field) == "Field((4, 5) complex64, spacing=(0.5, 0.25) µm, wavelength=0.5 µm)"
    seen = []
    jax.jit(lambda f: seen.append(repr(f)))(field)
    assert "<traced>" in seen[0]
    assert "placeholder" in repr(jax.tree.map(lambda _: None, field))
    colors = make(4, 5, wavelength=np.array([0.4, 0.6]))
    assert "0.4 ... 0.6 µm" in repr(colors)
    mapped = jax.vmap(lambda f: 2 * f, in_axes=(jw.Field(0, 0, 0),))(colors)
    assert isinstance(mapped, jw.Field) and mapped.batch_shape == (2,)


def test_precision(x64):
    assert make(4, 5).dtype == np.complex128
    single = make(4, 5).astype(np.complex64)
    assert single.spacing.dtype == single.wavelength.dtype == single.real_dtype == np.float32
    assert (
        jw.scalar_field(np.ones((2, 2), np.float32), spacing=1, wavelength=0.5).dtype
        == np.complex64
    )


def test_errors():
    field = make(4, 5)
    with pytest.raises(
        ValueError, match=r"scalar_field: `u` must have the axes \(..., y, x\), got the sh"
    ):
        jw.scalar_field(np.ones(3), spacing=1, wavelength=0.5)
    with pytest.raises(
        ValueError, match=r"vector_field: `u` .* \(..., 3, y, x\) with the components"
    ):
        jw.vector_field(np.ones((2, 4, 4)), spacing=1, wavelength=0.5)
    with pytest.raises(ValueError, match=r"scalar_field: `u` must not be empty"):
        jw.scalar_field(np.ones((0, 3)), spacing=1, wavelength=0.5)
    with pytest.raises(
        ValueError, match=r"scalar_field: .* 520 looks like nanometres; pass 0.52 or '520 nm'"
    ):
        jw.scalar_field(np.ones((2, 2)), spacing=1, wavelength=520)
    with pytest.raises(ValueError, match=r"scalar_field: `spacing` must be positive"):
        jw.scalar_field(np.ones((2, 2)), spacing=-1, wavelength=0.5)
    with pytest.raises(TypeError, match=r"scalar_field: `wavelength` must be real, got complex128"):
        jw.scalar_field(np.ones((2, 2)), spacing=1, wavelength=0.5j)
    with pytest.raises(ValueError, match=r"scalar_field: the batch axes must broadcast"):
        jw.scalar_field(np.ones((3, 2, 2)), spacing=1, wavelength=np.array([0.5, 0.6]))
    with pytest.raises(
        ValueError, match=r"Field: fields on different grids .* Crop, pad or resample"
    ):
        field + make(5, 5)
    with pytest.raises(
        ValueError, match=r"Field: fields of different wavelength .* Add their intensities"
    ):
        field + make(4, 5, wavelength=0.6)
    with pytest.raises(ValueError, match=r"Field: the batch axes must broadcast .* `left` \(2,\)"):
        make(2, 4, 5) + make(3, 4, 5)
    with pytest.raises(ValueError, match=r"Field: fields of different spacing"):
        field - make(4, 5, spacing=0.6)
    with pytest.raises(TypeError, match=r"Field: a scalar and a vector field cannot be added"):
        field + jw.vector_field(np.ones((3, 4, 5)), spacing=0.5, wavelength=0.5)
    with pytest.raises(TypeError, match=r"Field: multiply by an array"):
        field * field
    with pytest.raises(
        ValueError, match=r"Field: a factor must be a scalar or .* Use field.expand"
    ):
        field * np.ones(5)
    with pytest.raises(
        ValueError, match=r"Field: `factor` must match the field's \(4, 5\) samples"
    ):
        field * np.ones((5, 4))
    with pytest.raises(
        IndexError, match=r"Field: indexing selects from the batch axes, .* Use field.u"
    ):
        field[0]
    with pytest.raises(IndexError, match=r"Field: '...' would reach into the samples"):
        make(2, 4, 5)[..., 0]
    with pytest.raises(IndexError, match="out of bounds"):
        make(2, 4, 5)[2]
    with pytest.raises(TypeError, match=r"Field: a field without batch axes has no length"):
        len(field)
    with pytest.raises(
        TypeError, match=r"astype: `dtype` must be complex64 or complex128, got float64"
    ):
        field.astype(float)
