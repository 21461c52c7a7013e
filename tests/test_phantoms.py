"""Phantoms against areas and volumes, and against dense points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import axis

import jaxwave as jw

TAU = 2 * np.pi


def dense(shape, spacing, inside, fine=40):
    """Share of every sample by points that lie dense."""
    part = (np.arange(fine) + 0.5) / fine - 0.5
    y, x = ((axis(n, d)[:, None] + d * part).ravel() for n, d in zip(shape, spacing, strict=True))
    return inside(y[:, None], x).reshape(shape[0], fine, shape[1], fine).mean((1, 3))


def test_bars_have_the_widths_of_the_standard(x64):
    spacing = (0.7, 0.6)
    target = jw.usaf_1951((400, 300), spacing=spacing, groups=(6, 7), y=3.0, x=-2.0)
    widths = 500 / 2 ** (np.array([6, 7])[:, None] + np.arange(6) / 6)
    assert widths[1, 0] == pytest.approx(3.90625)  # 128 line pairs a millimeter
    assert float(target.sum()) * 0.42 == pytest.approx(30 * (widths**2).sum(), rel=1e-9)
    moved = jw.usaf_1951((400, 300), spacing=spacing, groups=(6, 7), y=3.7, x=-1.4)
    np.testing.assert_allclose(moved[1:, 1:], target[:-1, :-1], atol=1e-9)
    # The widest element: three bars and the gaps, of one width.
    edges = np.flatnonzero(np.abs(np.diff(target[:40].sum(0))) > 1)
    assert len(edges) >= 6 and target.max() == pytest.approx(1)


def test_a_star_against_dense_points(x64):
    spokes, radius, angle = 7, 12.0, 0.3

    def inside(y, x):
        r, phi = np.hypot(y - 0.7, x + 0.4), np.arctan2(y - 0.7, x + 0.4) - angle
        return (r < radius) & (np.mod(phi * spokes / TAU, 1) < 0.5)

    got = jw.siemens_star(
        (40, 36), spacing=(0.8, 0.7), radius=radius, spokes=spokes, angle=angle, y=0.7, x=-0.4
    )
    need = dense((40, 36), (0.8, 0.7), inside)
    # where spokes meet the rim, and points that lie dense
    assert np.abs(got - need).max() < 0.12 and np.abs(got - need).mean() < 2e-3
    assert float(got.sum()) * 0.56 == pytest.approx(np.pi * radius**2 / 2, rel=2e-3)


def test_an_edge_is_a_half_plane(x64):
    angle, y0, x0 = 0.2, 0.4, -1.3
    got = jw.slanted_edge((20, 18), spacing=(0.8, 0.7), angle=angle, y=y0, x=x0)
    need = dense(
        (20, 18), (0.8, 0.7), lambda y, x: (x - x0) * np.cos(angle) + (y - y0) * np.sin(angle) > 0
    )
    assert np.abs(got - need).max() < 0.02
    # moving the edge along x takes its length in y away
    slope = jax.grad(
        lambda x: jnp.sum(jw.slanted_edge((20, 18), spacing=(0.8, 0.7), angle=angle, x=x))
    )
    assert float(slope(x0)) * 0.56 == pytest.approx(-20 * 0.8, rel=1e-6)


def test_volumes_of_solids(x64):
    voxel = (0.2, 0.1, 0.12)
    cell = np.prod(voxel)
    bead = jw.spheres((30, 50, 46), [(0.1, 0.2, -0.3)], 1.5, spacing=voxel)
    assert float(bead.sum()) * cell == pytest.approx(4 / 3 * np.pi * 1.5**3, rel=5e-3)
    for k, (count, d, at) in enumerate(zip((30, 50, 46), voxel, (0.1, 0.2, -0.3), strict=True)):
        mean = np.tensordot(bead.sum(tuple({0, 1, 2} - {k})), axis(count, d), 1) / bead.sum()
        assert float(mean) == pytest.approx(at, abs=3e-3)
    shell = jw.spheres((30, 50, 46), [(0.1, 0.2, -0.3)], 1.5, spacing=voxel, shell=0.4)
    need = 4 / 3 * np.pi * (1.5**3 - 1.1**3)
    assert float(shell.sum()) * cell == pytest.approx(need, rel=1e-2)
    assert float(shell[15, 25, 23]) == 0
    rod = jw.filaments(
        (20, 50, 46), [(0, -1.5, -1), (0, 0.5, 1.0), (0, 1.5, 1)], 0.5, spacing=voxel
    )
    # two cylinders that meet at an angle of 45 degrees, and two half spheres
    length = np.hypot(2, 2) + 1
    elbow = np.pi * 0.25 * length + 4 / 3 * np.pi * 0.125
    assert float(rod.sum()) * cell == pytest.approx(elbow, rel=0.03)


def test_bad_phantoms():
    with pytest.raises(ValueError, match="usaf_1951: `groups` must not be empty"):
        jw.usaf_1951((4, 4), spacing=1.0, groups=())
    with pytest.raises(ValueError, match="siemens_star: `radius` must be positive, got -1"):
        jw.siemens_star((4, 4), spacing=1.0, radius=-1.0)
    with pytest.raises(ValueError, match=r"spheres: `centers` must be \(z, y, x\)"):
        jw.spheres((4, 4, 4), [(0, 0)], 1.0, spacing=1.0)
    with pytest.raises(ValueError, match="filaments: `points` must be at least two, got 1"):
        jw.filaments((4, 4, 4), [(0, 0, 0)], 1.0, spacing=1.0)
