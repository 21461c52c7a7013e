"""Editing fields: exact for band-limited fields, closed forms, symmetries, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import TAU, axis, error, gaussian, single

import jaxwave as jw


def beam(y, x, waist=9.0, f=0.3):
    """A tilted Gaussian beam, resolved to 1e-8 by one sample a micrometer."""
    return gaussian(y, x, waist, 0.5) * np.exp(1j * TAU * f * x - 0.2j * y)


@pytest.mark.parametrize("shape", [(100, 101), (101, 100)])
@pytest.mark.parametrize(
    ("spacing", "new"), [(0.37, (160, 161)), (0.5, (120, 121)), (1.2, (80, 81))]
)
def test_resample_is_exact_for_resolved_fields(shape, spacing, new):
    y, x = axis(shape[0], 1.0)[:, None], axis(shape[1], 1.0)
    # 1.2 µm samples hold frequencies up to 0.417 / µm: the tilt of 0.3 and its width 0.08
    field = jw.scalar_field(beam(y, x).astype(np.complex64), spacing=1.0, wavelength=0.5)
    got = jw.resample(field, spacing, new)
    d = single(spacing)
    need = beam(axis(new[0], d)[:, None], axis(new[1], d))
    assert error(got.u, need) < 3e-6  # 30 turns of phase at the edge, in float32
    assert float(got.power) == pytest.approx(1.0, rel=1e-5)


def test_resample_removes_what_the_new_grid_cannot_hold():
    x = axis(64, 1.0)
    u = np.ones((64, 1)) * (1 + np.exp(1j * TAU * 0.375 * x))
    coarse = jw.resample(jw.scalar_field(u, spacing=1.0, wavelength=0.5), 2.0, (32, 32))
    np.testing.assert_allclose(coarse.u, 1.0, atol=2e-5)  # 0.375 > 1/4 would alias


def test_resample_is_dark_outside_the_old_window():
    field = jw.scalar_field(np.ones((10, 11)), spacing=1.0, wavelength=0.5)
    wide = np.asarray(jw.resample(field, 1.0, (20, 21)).u)
    assert error(wide[5:15, 5:16], np.ones((10, 11))) < 1e-6
    assert np.abs(wide).sum() == pytest.approx(110, rel=1e-5)


def test_resample_gradient_of_both_spacings(x64):
    u = np.random.default_rng(0).normal(size=(6, 7))

    def total(old, new):
        field = jw.scalar_field(u, spacing=old, wavelength=0.5)
        return jnp.sum(jw.resample(field, new, (5, 4)).u.real ** 2)

    h = 1e-6
    for k in (0, 1):
        at = [1.0, 0.83]
        slope = float(jax.grad(total, k)(*at))
        ahead, back = list(at), list(at)
        ahead[k] += h
        back[k] -= h
        assert slope == pytest.approx(float((total(*ahead) - total(*back)) / (2 * h)), rel=1e-6)


@pytest.mark.parametrize("shape", [(80, 81), (81, 80)])
def test_shift_is_exact_for_resolved_fields(shape):
    y, x = axis(shape[0], 1.0)[:, None], axis(shape[1], 1.0)
    field = jw.scalar_field(beam(y, x, 7.0).astype(np.complex64), spacing=1.0, wavelength=0.5)
    got = jw.shift(field, y=-3.3, x=7.25)
    # 1e-6 float32, and the tail exp(-(29.5/7)^2) = 2e-8 that enters on the other side
    assert error(got.u, beam(y + single(3.3), x - 7.25, 7.0)) < 2e-6
    assert error(jw.shift(got, y=3.3, x=-7.25).u, field.u) < 2e-6


def test_a_batch_of_shifts():
    field = jw.gaussian_beam((16, 17), spacing=1.0, wavelength=0.5, waist=3.0)
    many = jw.shift(field, x=np.array([0.0, 1.0]))
    assert error(many.u[1], np.roll(field.u, 1, -1)) < 1e-6


def test_normalize():
    field = jw.scalar_field(np.ones((2, 4, 5)), spacing=0.5, wavelength=0.5)
    np.testing.assert_allclose(
        jw.normalize(field, power=np.array([2.0, 0.0])).power, [2, 0], rtol=1e-6
    )
    dark = jw.normalize(0 * field)
    assert not np.any(dark.u)
    slope = jax.grad(lambda s: jnp.sum(jw.normalize(s * field).power))(0.0)
    assert np.isfinite(slope)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 5), st.integers(0, 5))
def test_pad_then_crop_is_the_identity_and_keeps_the_axis(ny, nx, py, px):
    u = np.random.default_rng(0).normal(size=(ny, nx))
    wide = jw.pad(jw.scalar_field(u, spacing=1.0, wavelength=0.5), (ny + py, nx + px))
    assert wide.u[(ny + py) // 2, (nx + px) // 2] == np.float32(u[ny // 2, nx // 2])
    np.testing.assert_array_equal(jw.crop(wide, (ny, nx)).u.real, u.astype(np.float32))


def test_flip_twice_is_the_identity_also_for_vectors():
    u = np.random.default_rng(0).normal(size=(3, 4, 5))
    vector = jw.vector_field(u, spacing=1.0, wavelength=0.5)
    for a in ("x", "y", "xy"):
        np.testing.assert_array_equal(jw.flip(jw.flip(vector, axis=a), axis=a).u, vector.u)


def test_errors():
    field = jw.plane_wave((8, 6), spacing=1.0, wavelength=0.5)
    vector = jw.vector_field(np.ones((3, 8, 6)), spacing=1.0, wavelength=0.5)
    with pytest.raises(
        ValueError, match=r"pad: `shape` .* \(8, 6\), got \(4, 8\). Use crop to make"
    ):
        jw.pad(field, (4, 8))
    with pytest.raises(
        ValueError, match=r"crop: `shape` .* \(8, 6\), got \(9, 6\). Use pad to make"
    ):
        jw.crop(field, (9, 6))
    with pytest.raises(ValueError, match=r"resample: `spacing` must be positive, got -1.0 µm"):
        jw.resample(field, -1.0, (3, 3))
    with pytest.raises(ValueError, match=r"resample: `shape` must be at least \(1, 1\)"):
        jw.resample(field, 1.0, (0, 3))
    with pytest.raises(ValueError, match=r"shift: `x` must be finite, got inf µm"):
        jw.shift(field, x=np.inf)
    with pytest.raises(ValueError, match=r"flip: `axis` must be one of 'x', 'y', 'xy', got 'z'"):
        jw.flip(field, axis="z")
    with pytest.raises(ValueError, match=r"flip: .* Did you mean 'xy'\?"):
        jw.flip(field, axis="xyy")
    with pytest.raises(ValueError, match=r"normalize: `power` must be zero or more, got -1.0"):
        jw.normalize(field, power=-1.0)
    with pytest.raises(ValueError, match=r"normalize: the batch axes must broadcast"):
        jw.normalize(jw.stack([field, field]), power=np.ones(3))
    with pytest.raises(ValueError, match=r"stack: `fields` must hold at least one field, got none"):
        jw.stack([])
    with pytest.raises(TypeError, match=r"stack: scalar and vector fields cannot be stacked"):
        jw.stack([field, vector])
    with pytest.raises(ValueError, match=r"stack: the fields must have equal shapes, got"):
        jw.stack([field, jw.pad(field, (9, 9))])


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("pad", lambda u: jw.pad(u, (9, 9))),
        ("crop", lambda u: jw.crop(u, (2, 2))),
        ("resample", lambda u: jw.resample(u, 0.5, (4, 4))),
        ("shift", lambda u: jw.shift(u, x=1.0)),
        ("flip", lambda u: jw.flip(u, axis="x")),
        ("normalize", jw.normalize),
        ("stack", lambda u: jw.stack([u, u])),
    ],
)
def test_an_array_is_not_a_field(name, call):
    with pytest.raises(TypeError, match=f"{name}: `field` must be a Field, got ndarray"):
        call(np.ones((4, 4)))


@pytest.mark.parametrize("shape", [(8, 7), (7, 8)])
def test_resample_to_the_same_grid_is_the_identity(shape):
    # random samples have power at the Nyquist frequency of an even axis, which must count once
    u = np.random.default_rng(0).normal(size=(2, *shape)) @ np.eye(shape[1])
    field = jw.scalar_field(u[0] + 1j * u[1], spacing=0.5, wavelength=0.5)
    assert error(jw.resample(field, 0.5, shape).u, field.u) < 1e-6


def test_lengths_may_carry_their_unit():
    beam = jw.gaussian_beam((32, 32), spacing="0.5 um", wavelength="500 nm", waist="2 um")
    assert error(jw.shift(beam, x="1500 nm").u, jw.shift(beam, x=1.5).u) == 0
    assert error(jw.fresnel(beam, "0.01 mm").u, jw.fresnel(beam, 10.0).u) == 0
