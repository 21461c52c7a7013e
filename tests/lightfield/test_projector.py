"""Projection against the direct sum in float64, and its adjoint."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import adjoint_error

from jaxwave.lightfield import LightFieldPSF, Projector

RANDOM = np.random.default_rng(5)


def direct(values, volume):
    """The definition: every voxel paints its own PSF; light beyond the image is lost."""
    planes, ny, nx, ky, kx = values.shape
    sy, sx = volume.shape[-2:]
    wide = np.zeros((sy + 2 * ky, sx + 2 * kx))
    for z in range(planes):
        for j in range(sy):
            for k in range(sx):
                kernel = values[z, (j - sy // 2) % ny, (k - sx // 2) % nx]
                top, left = j - ky // 2 + ky, k - kx // 2 + kx
                wide[top : top + ky, left : left + kx] += volume[z, j, k] * kernel
    return wide[ky : ky + sy, kx : kx + sx]


def case(period, kernel, shape, planes=2):
    values = RANDOM.random((planes, *period, *kernel))
    return values, RANDOM.random((planes, *shape)), RANDOM.random(shape)


CASES = {
    "odd": ((3, 5), (7, 11), (19, 23)),
    "even, not whole periods": ((4, 3), (8, 10), (21, 16)),
    "kernel larger than the image": ((3, 2), (31, 40), (13, 9)),
    "the same everywhere": ((1, 1), (9, 14), (17, 12)),
    "period larger than the kernel": ((6, 4), (3, 2), (20, 15)),
}


@pytest.mark.parametrize("name", CASES)
def test_projection_is_the_direct_sum_and_has_its_adjoint(name):
    values, volume, image = case(*CASES[name])
    need = direct(values, volume)
    with jax.enable_x64(True):
        psf = LightFieldPSF(values, z=[-1.0, 2.0], pixel=0.5)
        projector = Projector(psf, image.shape)
        got = projector.project(volume)
        np.testing.assert_allclose(got, need, rtol=0, atol=1e-12 * need.max())
        back = projector.backproject(image)
        np.testing.assert_allclose(np.vdot(back, volume), np.vdot(image, need), rtol=1e-12)
    psf = LightFieldPSF(values, z=[-1.0, 2.0], pixel=0.5)
    single = Projector(psf, image.shape)
    np.testing.assert_allclose(single.project(volume), need, rtol=0, atol=1e-6 * need.max())
    assert adjoint_error(single.project, single.backproject, volume, image) < 1e-6


def test_chunks_of_depths_and_frames_change_nothing():
    values, _, _ = case((3, 4), (7, 9), (16, 18), planes=5)
    psf = LightFieldPSF(values, z=np.arange(5.0), pixel=0.5)
    volumes = RANDOM.random((2, 3, 5, 16, 18))
    kept, chunked = Projector(psf, (16, 18)), Projector(psf, (16, 18), planes=2)
    images = kept.project(volumes)
    assert images.shape == (2, 3, 16, 18)
    need = direct(values, volumes[1, 2])
    np.testing.assert_allclose(images[1, 2], need, atol=2e-6 * need.max())
    np.testing.assert_allclose(chunked.project(volumes), images, rtol=2e-5)
    np.testing.assert_allclose(chunked.backproject(images), kept.backproject(images), rtol=2e-5)


@pytest.mark.slow
def test_gradients_reach_psf_and_volume():
    values, volume, image = case((2, 3), (5, 6), (9, 10))

    def loss(values, volume, planes=None):
        psf = LightFieldPSF(values, z=[0.0, 1.0], pixel=0.5)
        return jnp.sum((Projector(psf, (9, 10), planes=planes).project(volume) - image) ** 2)

    direction = RANDOM.random(values.shape)
    with jax.enable_x64(True):
        for planes in (None, 1):
            by_psf, by_volume = jax.jit(jax.grad(loss, (0, 1)), static_argnums=2)(
                values, volume, planes
            )
            need = (
                ((direct(values + 1e-6 * direction, volume) - image) ** 2).sum()
                - ((direct(values - 1e-6 * direction, volume) - image) ** 2).sum()
            ) / 2e-6
            np.testing.assert_allclose(np.vdot(by_psf, direction), need, rtol=1e-6)
            rest = 2 * (direct(values, volume) - image)
            np.testing.assert_allclose(
                np.vdot(by_volume, volume), np.vdot(rest, rest / 2 + image), rtol=1e-9
            )


def test_mistakes_are_named():
    values = np.ones((2, 3, 3, 5, 5))
    with pytest.raises(ValueError, match="must rise"):
        LightFieldPSF(values, z=[1.0, 0.0], pixel=0.5)
    with pytest.raises(ValueError, match="one depth or more"):
        LightFieldPSF(values, z=[], pixel=0.5)
    with pytest.raises(ValueError, match=r"values\[:, None, None\]"):
        LightFieldPSF(values[:, 0, 0], z=[0.0, 1.0], pixel=0.5)
    psf = LightFieldPSF(values, z=[0.0, 1.0], pixel=0.5)
    with pytest.raises(ValueError, match="`volume` must be"):
        Projector(psf, (8, 8)).project(np.ones((3, 8, 8)))
    with pytest.raises(TypeError, match="LightFieldPSF"):
        Projector(values, (8, 8))
