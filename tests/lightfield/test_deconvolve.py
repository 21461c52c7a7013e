"""Richardson-Lucy on light fields: what it keeps, what it finds, and what it refuses."""

import numpy as np
import pytest

from jaxwave.lightfield import (
    LensArray,
    LightFieldMicroscope,
    LightFieldPSF,
    Projector,
    richardson_lucy,
    sampling_cutoff,
)
from jaxwave.psf import Objective

RANDOM = np.random.default_rng(2)


def projector(shape=(24, 21)):
    """Three depths: two spots that part, whose brightness differs from place to place."""
    y, x = np.mgrid[-4:5, -4:5]
    values = np.zeros((3, 3, 3, 9, 9))
    for z in range(3):
        for a in range(3):
            for b in range(3):
                left, right = (np.exp(-((x - k * (z + 1)) ** 2) - y**2) for k in (-1, 1))
                spot = (2 + a) * left + (2 + b) * right
                values[z, a, b] = spot / spot.sum()
    return Projector(LightFieldPSF(values, z=[-1.0, 0.0, 1.0], pixel=0.5), shape)


def test_beads_are_found_at_their_depths_and_light_is_kept():
    one = projector()
    volume = np.zeros((3, 24, 21))
    for place in ((0, 8, 9), (1, 14, 11), (2, 9, 15)):
        volume[place] = 1000
    image = np.asarray(one.project(volume))
    found = np.asarray(richardson_lucy(one, image, steps=60))
    assert found.min() >= 0
    for place in ((0, 8, 9), (1, 14, 11), (2, 9, 15)):
        z, y, x = place
        near = found[:, y - 1 : y + 2, x - 1 : x + 2].sum((1, 2))
        assert np.argmax(near) == z and near[z] > 800
    # One step more keeps the light that reaches the camera: sum of H V is the sum of the image.
    np.testing.assert_allclose(one.project(found).sum(), image.sum(), rtol=1e-3)


def test_truth_is_a_fixed_point_also_with_background():
    one = projector()
    volume = RANDOM.random((3, 24, 21)) + 0.1
    image = np.asarray(one.project(volume)) + 0.7
    again = richardson_lucy(one, image, steps=3, start=volume, background=0.7)
    seen = np.asarray(one.backproject(np.ones((24, 21)))) > 1e-3
    np.testing.assert_allclose(np.where(seen, again, 0), np.where(seen, volume, 0), rtol=2e-4)


def test_frames_together_and_steps_in_parts_are_the_same():
    one = projector()
    images = RANDOM.random((2, 24, 21)) + 0.1
    cutoff = [0.2, 0.3, 0.4]
    both = richardson_lucy(one, images, steps=4, cutoff=cutoff)
    half = richardson_lucy(one, images[1], steps=2, cutoff=cutoff)
    rest = richardson_lucy(one, images[1], steps=2, start=half, cutoff=cutoff)
    np.testing.assert_allclose(both[1], rest, rtol=1e-4, atol=1e-6)


def test_filter_halves_the_cutoff_and_keeps_the_light():
    identity = np.zeros((2, 1, 1, 1, 1)) + 1
    psf = LightFieldPSF(identity, z=[0.0, 1.0], pixel=[0.5, 0.25])
    one = Projector(psf, (64, 64))
    wave = 1 + 0.5 * np.cos(2 * np.pi * 0.25 * 0.5 * np.arange(64))[:, None] * np.ones(64)
    start = np.stack([wave, wave])
    got = np.asarray(richardson_lucy(one, 2 * wave, steps=1, start=start, cutoff=[0.25, 0.125]))
    middle = got[:, 16:48, 32]
    contrast = 2 * np.abs(np.fft.fft(middle, axis=-1)[:, 4]) / 32
    np.testing.assert_allclose(contrast, [0.25, 0.5 / 2**4], rtol=0.02)
    np.testing.assert_allclose(got.sum((1, 2)), start.sum((1, 2)), rtol=1e-5)


def test_cutoff_of_broxton():
    array = LensArray(2500.0, pitch=125.0)
    scope = LightFieldMicroscope(Objective(0.5, 0.525), 20, array, 25.0)
    far = sampling_cutoff(scope, [-100.0, 0.0, 100.0])
    np.testing.assert_allclose(far, [125 / (0.94 * 0.525 * 20 * 100), 20 / 250, far[0]], rtol=1e-5)
    z = np.array([-300.0, -50.0, -2.0, 0.0, 10.0, 50.0, 120.0])
    small = LightFieldMicroscope(Objective(0.05, 0.525, n=1.33), 20, array, 25.0)
    critical = 1.33 * 125**2 / (2 * 20**2 * 0.525)
    with np.errstate(divide="ignore"):
        lenslet = 125 / (0.94 * 0.525 / 1.33 * 20 * np.abs(z))
    nyquist = 20 / 250 * (1 + 3.26 * np.abs(z) / critical)
    limits = np.stack([lenslet, nyquist, np.full(7, 2 * 0.05 / 0.525)])
    assert np.argmin(limits, 0).tolist() == [0, 2, 1, 1, 1, 2, 0]  # each one is the least somewhere
    np.testing.assert_allclose(sampling_cutoff(small, z), limits.min(0), rtol=1e-5)


def test_mistakes_are_named():
    one = projector()
    with pytest.raises(TypeError, match="Projector"):
        richardson_lucy(one.psf, np.ones((24, 21)))
    with pytest.raises(ValueError, match="`image` must be"):
        richardson_lucy(one, np.ones((20, 21)))
    with pytest.raises(ValueError, match="Subtract less"):
        richardson_lucy(one, np.full((24, 21), -1.0))
    with pytest.raises(ValueError, match="`cutoff`"):
        richardson_lucy(one, np.ones((24, 21)), cutoff=[0.1, 0.2])
