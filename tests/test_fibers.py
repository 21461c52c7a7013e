"""Modes of step-index fibers: how many there are, what they are, that they share no light."""

import jax
import numpy as np
import pytest
from reference import TAU, axis, error, lp_mode
from scipy.special import jn_zeros

import jaxwave as jw

GRID = dict(spacing=(0.5, 0.4375), wavelength=0.625)


def fiber(v, radius=4.0):
    return dict(radius=radius, na=v * 0.625 / (TAU * radius))


@pytest.mark.parametrize("v", [2.3, 2.5, 3.8, 3.9, 7.2, 15.6])
def test_a_mode_appears_where_j_vanishes(v):
    """Cutoffs: V of l >= 1 at the zeros of J_{l-1}, of l = 0 at those of J_1, and at zero."""
    count = 1 + np.sum(jn_zeros(1, 20) < v)
    count += 2 * sum(np.sum(jn_zeros(n - 1, 20) < v) for n in range(1, 30))
    modes = jax.eval_shape(lambda: jw.lp_modes((4, 4), **fiber(v), **GRID))
    assert modes.batch_shape == (count,)


def test_modes_are_those_of_the_characteristic_equation_and_orthonormal():
    v, radius, orders = 5.8, 4.0, [(0, 1), (0, 2), (2, 1), (-3, 1)]
    y, x = axis(80, 0.5)[:, None] - 1, axis(91, 0.4375) + 0.5
    need = [lp_mode(*o, v, np.hypot(y, x) / radius, np.arctan2(y, x)) / radius for o in orders]
    modes = jw.lp_modes((80, 91), orders=orders, y=1.0, x=-0.5, power=4.0, **fiber(v), **GRID)
    assert error(modes.u, need) < 2e-6
    u = np.asarray(modes.u).reshape(4, -1)
    # The rim has a kink in its second derivative, which sums over samples see.
    np.testing.assert_allclose(u @ u.T * 0.5 * 0.4375, np.eye(4), atol=2e-3)
    # All light of the fiber has the symmetry of the core.
    every = jw.total_intensity(jw.lp_modes((33, 33), **fiber(v), spacing=0.5, wavelength=0.625))
    np.testing.assert_allclose(every, every.T, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"orders": [(3, 1)]}, r"orders` has \(3, 1\), which needs V .* above 5\.136"),
        ({"orders": (0, 1)}, "pairs"),
        ({"radius": [1.0, 2.0]}, "scalars"),
        ({"na": 0.0}, "`na` must be positive"),
    ],
)
def test_mistakes_are_named(change, words):
    with pytest.raises(ValueError, match=words):
        jw.lp_modes((8, 8), **{**fiber(4.0), **GRID, **change})


def test_a_traced_fiber_and_coarse_samples_are_told():
    with pytest.raises(TypeError, match="pass `orders`"):
        jax.jit(lambda a: jw.lp_modes((8, 8), radius=a, na=0.1, **GRID))(4.0)
    with pytest.warns(jw.JaxwaveWarning, match="spacing of at most"):
        jw.lp_modes((16, 16), radius=4.0, na=0.1, spacing=4.0, wavelength=0.5, orders=[(0, 1)])
