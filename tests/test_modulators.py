"""Modulators: their far field against a sum in float64, and what a fit finds."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave.modulators import ModulatorBench, gratings, measure_modulator
from jaxwave.modulators.fit import _spline

BENCH = ModulatorBench("8 um", 0.633, "100 mm", camera_pitch=430.0, shape=(24, 27))
FINE, ACTIVE = 15, 11


def far_field(phase, gap):
    """Every pixel drawn on FINE x FINE samples, then summed."""
    one = np.abs(np.arange(FINE) - FINE // 2) <= ACTIVE // 2
    drawn = gap + np.kron(np.exp(1j * phase) - gap, np.outer(one, one))
    waves = []
    for n, m in zip(drawn.shape, (24, 27), strict=True):
        f = (np.arange(m) - m // 2) * 430 / (0.633 * 1e5)
        turns = f[:, None] * (np.arange(n) - n // 2) * 8 / FINE
        waves.append(np.exp(-2j * np.pi * turns) * np.sinc(f * 8 / FINE)[:, None] / n)
    return np.abs(waves[0] @ drawn @ waves[1].T) ** 2


def test_far_field_is_the_sum_over_the_device():
    random = np.random.default_rng(0)
    levels = random.integers(0, 4, (12, 9))
    table, path = np.array([0.0, 1.1, 2.7, 5.9]), 0.1 * random.random((12, 9))
    blur = [np.exp(-(np.subtract.outer(*[np.arange(n)] * 2) ** 2) / (2 * 0.45**2)) for n in (12, 9)]
    rows, columns = (b / b.sum(1, keepdims=True) for b in blur)
    phase = rows @ table[levels] @ columns.T + 2 * np.pi / 0.633 * path
    device = {"table": table, "fill_factor": (ACTIVE / FINE) ** 2, "gap": 0.6 * np.exp(0.7j)}
    device |= {"crosstalk": 0.45, "flatness": path, "light": 3.0}
    need = 3 * far_field(phase, device["gap"])
    np.testing.assert_allclose(BENCH.image(device, levels), need, atol=3e-6 * need.max())
    mirror = BENCH.image({"table": table}, np.zeros((12, 9)))
    np.testing.assert_allclose(mirror.max(), 1, rtol=1e-5)


def test_spline_is_exact_for_cubics_and_parabolas():
    at = np.arange(101.0)
    for knots, power in (([0, 17, 40, 66, 100], 3), ([0, 31, 100], 2)):
        knots = np.array(knots, float)
        np.testing.assert_allclose(
            _spline(knots) @ (knots / 100) ** power, (at / 100) ** power, atol=1e-12
        )


def test_gratings_of_a_device_that_is_no_square():
    levels = gratings((10, 7), knots=[0, 100, 255], period=4)
    assert levels.shape == (6, 10, 7)
    y, x = np.arange(10), np.arange(7)
    along_y, along_x = (y // 2 % 2)[:, None] + 0 * x, (x // 2 % 2) + 0 * y[:, None]
    wide, stairs = (y // 4 % 2)[:, None] + 0 * x, np.array([0, 100, 255])[y % 3, None] + 0 * x
    need = [0 * along_y, 100 * along_y, 255 * along_y, 100 * along_x, 255 * wide, stairs]
    np.testing.assert_array_equal(levels, need)


@pytest.mark.slow
def test_a_device_is_found_and_its_error_bars_are_honest():
    """Several noisy measurements: errors of a few thousandths, as large as the bars say."""
    knots = np.array([0, 64, 128, 192, 255])
    level = np.arange(256) / 255
    table = 2.2 * np.pi * (level + 0.1 * level * (1 - level))
    levels = gratings((16, 14), knots=knots)
    clean = np.stack([far_field(table[one.astype(int)], 0.5j) for one in levels])
    off = []
    for seed in range(3):
        random = np.random.default_rng(seed)
        photons = random.poisson(1e6 * clean / clean.max()) + random.normal(0, 2, clean.shape)
        fit = measure_modulator(photons, levels, BENCH, knots=knots, read_noise=2.0, modes=[(2, 0)])
        found = np.array([fit.stroke, fit.device["fill_factor"], abs(fit.device["gap"])])
        need = np.array([table[-1], (ACTIVE / FINE) ** 2, 0.5])
        bars = np.array([fit.errors[name] for name in ("stroke", "fill_factor", "gap")])
        np.testing.assert_allclose(found, need, rtol=0.01)
        assert 0.95 < fit.chi_square < 1.05
        told, bar = fit.zero_order(levels[-1])
        true = [far_field(table[levels[k].astype(int)], 0.5j)[12, 13] for k in (-1, 0)]
        off += [*((found - need) / bars), (told - true[0] / true[1]) / bar]
    assert 0.2 < np.std(off) < 1.6 and np.abs(off).max() < 4
    bent = fit.corrected(levels[-1])
    after = far_field(table[bent.astype(int)], 0.5j)[12, 13]
    assert after < 0.02 * true[0] and np.abs(bent - levels[-1]).mean() < 40


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"rise from 0, got \[1.0, 2.0, 3.0\]"):
        gratings((8, 8), knots=[1, 2, 3])
    with pytest.raises(ValueError, match="Pass 4"):
        gratings((8, 8), knots=[0, 1, 2], period=3)
    with pytest.raises(ValueError, match="`pitch` must be positive"):
        ModulatorBench(0.0, 0.6, 1e5, camera_pitch=5.0, shape=(8, 8))
    levels = gratings((8, 8), knots=[0, 128, 255])
    with pytest.raises(TypeError, match="must be a ModulatorBench"):
        measure_modulator(np.ones((6, 24, 27)), levels, None, knots=[0, 128, 255])
    with pytest.raises(ValueError, match="an image for each pattern"):
        measure_modulator(np.ones((5, 24, 27)), levels, BENCH, knots=[0, 128, 255])
    with pytest.raises(ValueError, match="between 0 and 200"):
        measure_modulator(np.ones((6, 24, 27)), levels, BENCH, knots=[0, 128, 200])
    nan = jnp.full((6, 24, 27), jnp.nan)
    with pytest.raises(ValueError, match="photons"):
        measure_modulator(nan, levels, BENCH, knots=[0, 128, 255])
