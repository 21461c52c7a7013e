"""Paths through layers and Fresnel coefficients: literal sums, conservation of power, corners."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from psf.quadrature import fresnel, layer_path, root

import jaxwave as jw
from jaxwave import psf

S = np.linspace(0, 1.5, 301)
LAYERS = {"n_s": 1.33, "n_g": 1.523, "n_i": 1.518, "t_s": 3.0, "t_g": 165.0, "t_g_design": 170.0}
LAYERS |= {"n_g_design": 1.515, "n_i_design": 1.515, "t_i_design": 120.0}
LITERAL = {"n_s": 1.33, "n_g": (1.523,), "n_i": 1.518, "t_s": 3.0, "t_g": (165.0,), "t_i0": 120.0}
LITERAL |= {"t_g0": (170.0,), "n_g0": (1.515,), "n_i0": 1.515}


# -- paths ---------------------------------------------------------------------------------


def test_layers_of_known_arrays_are_described_inside_jit():
    # Once an error: what is known becomes a tracer inside jit as soon as jax computes with it.
    def path(n_s, t_s):
        layers = psf.Layers(n_s=n_s, n_g=1.52, n_i=1.515, t_s=t_s)
        return psf.gibson_lanni_path(S[:5], layers).opd

    known = jnp.asarray(1.33)
    got = jax.jit(lambda t_s: path(known, t_s))(1.0)
    np.testing.assert_allclose(got, path(1.33, 1.0), rtol=1e-5)
    got = jax.jit(lambda scale: scale * path(known, jnp.asarray(1.0)))(1.0)
    np.testing.assert_allclose(got, path(1.33, 1.0), rtol=1e-5)


@pytest.mark.parametrize("motion", ["stage", "emitter"])
@pytest.mark.parametrize("t_i", [None, 121.0])
def test_path_is_the_literal_sum(motion, t_i, x64):
    layers = psf.Layers(**LAYERS, t_i=t_i)
    path = psf.gibson_lanni_path(S, layers, z=0.7, motion=motion)
    literal = layer_path(S, **LITERAL, t_i=t_i, z=0.7, motion=motion)
    assert np.abs(path.opd - literal.real).max() < 2e-13
    assert np.abs(path.decay - literal.imag).max() < 1e-14


def test_several_layers(x64):
    layers = psf.Layers(
        n_s=1.35, n_g=(1.45, 1.6, 1.52), t_g=(0.3, 5.0, 150.0), n_i=1.515, t_s=1.0,
        t_g_design=170.0, n_g_design=1.52,
    )  # fmt: skip
    literal = layer_path(
        S, n_s=1.35, n_g=(1.45, 1.6, 1.52), t_g=(0.3, 5.0, 150.0), n_i=1.515, t_s=1.0,
        t_g0=(170.0,), n_g0=(1.52,),
    )  # fmt: skip
    path = psf.gibson_lanni_path(S, layers)
    assert np.abs(path.opd - literal.real).max() < 2e-13
    assert np.abs(path.decay - literal.imag).max() < 1e-14


def test_float32_keeps_its_digits():
    """Against float64 with the same rounded numbers; the literal sum errs by 1e-3 rad."""
    layers = psf.Layers(**{k: np.float32(v) for k, v in LAYERS.items()})
    s = np.linspace(0, 1.45, 200, dtype=np.float32)
    single = psf.gibson_lanni_path(s, layers)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: jnp.asarray(np.asarray(a), jnp.float64), layers)
        double = psf.gibson_lanni_path(s.astype(float), wide)
        double = [np.asarray(a) for a in double]
    assert 2 * np.pi / 0.5 * np.abs(np.asarray(single.opd) - double[0]).max() < 1e-5
    assert 2 * np.pi / 0.5 * np.abs(np.asarray(single.decay) - double[1]).max() < 1e-5


def test_design_conditions_leave_no_aberration():
    layers = psf.Layers(n_s=1.518, n_g=1.523, n_i=1.518, t_s=5.0)
    assert np.all(psf.gibson_lanni_path(S[:280], layers).opd == 0)


def test_emitter_is_in_paraxial_focus(x64):
    """The path begins with the fourth power of s."""
    layers = psf.Layers(**LAYERS)
    opd = psf.gibson_lanni_path(np.array([0.01, 0.02]), layers).opd
    assert opd[1] / opd[0] == pytest.approx(16, rel=1e-3)


def test_motions_agree_in_matched_media(x64):
    layers = psf.Layers(n_s=1.518, n_g=1.523, n_i=1.518, t_s=5.0)
    stage, emitter = (
        psf.gibson_lanni_path(S[:280], layers, z=-1.3, motion=m).opd for m in ("stage", "emitter")
    )
    expected = psf.defocus_path(S[:280], 1.518, -1.3).opd
    assert np.allclose(stage, emitter, atol=1e-13) and np.allclose(stage, expected, atol=1e-13)


def test_evanescent_rays_decay_with_the_depth(x64):
    s, kappa = 1.45, np.sqrt(1.45**2 - 1.33**2)
    for motion, depth in (("stage", 3.0), ("emitter", 3.7)):
        layers = psf.Layers(**LAYERS)
        decay = psf.gibson_lanni_path(s, layers, z=0.7, motion=motion).decay
        assert decay == pytest.approx(depth * kappa, rel=1e-13)
    assert psf.defocus_path(1.45, 1.33, -2.0).decay == pytest.approx(2 * kappa, rel=1e-13)


def test_derivatives(x64):
    """By every number, against differences, also beside the critical angle."""
    names = [*LAYERS, "s", "z"]
    numbers = jnp.asarray([*LAYERS.values(), 1.2, 0.4])

    def both(values):
        p = dict(zip(names, values, strict=True))
        s, z = p.pop("s"), p.pop("z")
        path = psf.gibson_lanni_path(s, psf.Layers(**p), z=z, motion="emitter")
        return path.opd + 2 * path.decay

    both, slope = jax.jit(both), jax.jit(jax.grad(both))
    for s in (0.0, 1.2, 1.3299, 1.3301, 1.45):
        here = numbers.at[-2].set(s)
        gradient = slope(here)
        for k, name in enumerate(names):
            if name == "s" and s == 0:
                continue
            h = 1e-7
            ends = (both(here.at[k].add(sign * h)) for sign in (-1, 1))
            low, high = ends
            assert gradient[k] == pytest.approx(float(high - low) / (2 * h), rel=2e-5, abs=2e-5)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_finite_everywhere(kind):
    """Values and derivatives on a grid that meets every critical angle exactly."""
    with jax.enable_x64(kind is np.float64):
        s = jnp.asarray(np.concatenate([S, [1.33, 1.523, 1.518, 1.0, 2.1]]), kind)

        def total(s, n_s):
            layers = psf.Layers(**LAYERS | {"n_s": n_s})
            path = psf.gibson_lanni_path(s, layers, z=0.3)
            q = psf.fresnel_transmission(s, layers.n)
            t = psf.multilayer_transmission(s, (1.518, 1.7, n_s), (0.1,), wavelength=0.5)
            values = [path.opd, path.decay, psf.apodization(s, 1.518)]
            values += [abs(a.q_s) ** 2 + abs(a.q_p) ** 2 for a in (q, t)]
            return sum(jnp.sum(v) for v in values), values

        both = jax.jit(jax.value_and_grad(total, argnums=(0, 1), has_aux=True))
        for n_s in (1.0, 1.33, 1.518, 1.52, 1.523, 1.6):
            (_, values), gradient = both(s, jnp.asarray(n_s, kind))
            assert all(np.isfinite(v).all() for v in values)
            assert all(np.isfinite(g).all() for g in gradient)


# -- amplitudes ----------------------------------------------------------------------------


@pytest.mark.parametrize("indices", [(1.515, 1.33), (1.0, 1.5, 1.515), (1.33, 1.52, 1.7)])
def test_fresnel_is_the_textbook(indices, x64):
    s = S[S < indices[0]]
    q = psf.fresnel_transmission(s, indices)
    q_s, q_p = fresnel(s, indices)
    assert np.allclose(q.q_s, q_s, atol=1e-13) and np.allclose(q.q_p, q_p, atol=1e-13)


@pytest.mark.parametrize(("n1", "n2"), [(1.5, 1.0), (1.0, 1.5)])
def test_power_at_an_interface(n1, n2, x64):
    """Transmitted and reflected flux are the incident one, by field continuity."""
    s = np.linspace(0, 0.99, 50) * n1
    r1, r2 = root(n1, s), root(n2, s)
    q = psf.fresnel_transmission(s, (n1, n2))
    # Across: E is continuous. In the plane: n E_p (the magnetic field) is.
    reflected_s, reflected_p = q.q_s - 1, q.q_p * n2 / n1 - 1
    for t, r in ((q.q_s, reflected_s), (q.q_p, reflected_p)):
        assert np.allclose(np.abs(t) ** 2 * r2.real / r1.real + np.abs(r) ** 2, 1, atol=1e-13)


def test_both_directions(x64):
    """Reciprocity: the way back is the way there times r_first / r_last."""
    s = np.linspace(0, 1.45, 30)
    media = (1.515, 1.52, 1.33)
    there, back = psf.fresnel_transmission(s, media), psf.fresnel_transmission(s, media[::-1])
    ratio = root(media[-1], s) / root(media[0], s)
    assert np.allclose(back.q_s, there.q_s * ratio, atol=1e-13)
    assert np.allclose(back.q_p, there.q_p * ratio, atol=1e-13)


def characteristic(s, n, d, wavelength, plane):
    """Transmission by the product of 2x2 matrices for tangential E and H."""
    r = [root(index, s) for index in n]
    admittance = [index**2 / x if plane else x for index, x in zip(n, r, strict=True)]
    m = np.eye(2, dtype=complex)
    for y, x, thickness in zip(admittance[1:-1], r[1:-1], d, strict=True):
        b = 2 * np.pi / wavelength * x * thickness
        m = m @ np.array([[np.cos(b), -1j * np.sin(b) / y], [-1j * y * np.sin(b), np.cos(b)]])
    a, z = admittance[0], admittance[-1]
    tangential = 2 * a / (a * m[0, 0] + a * z * m[0, 1] + m[1, 0] + z * m[1, 1])
    return tangential * ((n[-1] * r[0]) / (n[0] * r[-1]) if plane else 1)


@pytest.mark.parametrize("s", [0.0, 0.7, 1.2, 1.4])
def test_multilayer_against_characteristic_matrices(s, x64):
    n, d = (1.515, 1.38, 2.1, 1.25, 1.45), (0.12, 0.07, 0.2)
    t = psf.multilayer_transmission(s, n, d, wavelength=0.55)
    assert abs(t.q_s - characteristic(s, n, d, 0.55, False)) < 1e-13
    assert abs(t.q_p - characteristic(s, n, d, 0.55, True)) < 1e-13


def test_a_layer_of_no_thickness_is_not_there(x64):
    s = np.linspace(0, 1.4, 9)
    thin = psf.multilayer_transmission(s, (1.5, 1.9, 1.33), (0.0,), wavelength=0.5)
    bare = psf.fresnel_transmission(s, (1.5, 1.33))
    assert np.allclose(thin.q_s, bare.q_s, atol=1e-13)
    assert np.allclose(thin.q_p, bare.q_p, atol=1e-13)


def test_lenses_keep_the_power(x64):
    """Aplanatic: |a|^2 cos(theta) d^2s is the pupil's area; Herschel: a unit of solid angle."""
    s = np.linspace(0, 1.4, 50)
    cos = root(1.5, s).real / 1.5
    assert np.allclose(psf.apodization(s, 1.5) ** 2 * cos, 1)
    assert np.allclose(psf.apodization(s, 1.5, kind="herschel") * cos, 1)
    assert np.all(psf.apodization(s, 1.5, kind="none") == 1)
    assert psf.apodization(1.5, 1.5) == 0
    for kind in ("aplanatic", "herschel", "none"):  # the two broadcast
        assert psf.apodization(0.5, np.full((3, 1), 1.5), kind=kind).shape == (3, 1)


# -- arguments -----------------------------------------------------------------------------


def test_batch_axes():
    layers = psf.Layers(n_s=np.array([[1.33], [1.4]]), n_g=1.52, n_i=1.515, t_s=2.0)
    path = psf.gibson_lanni_path(S, layers)
    assert path.opd.shape == path.decay.shape == (2, 301)
    mapped = jax.vmap(
        lambda n: psf.gibson_lanni_path(S, psf.Layers(n_s=n, n_g=1.52, n_i=1.515, t_s=2.0)).opd
    )(jnp.array([1.33, 1.4]))
    assert np.allclose(mapped, path.opd, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"t_s": -1.0}, r"`t_s` must be zero or more, got -1.0 µm"),
        ({"t_g": (1.0, 2.0)}, r"`t_g` must have one thickness for each of the 1 layers of `n_g`"),
        ({"n_s": 0.0}, r"`n_s` must be positive, got 0.0"),
        ({"n_g_design": -1.5}, r"`n_g_design\[0\]` must be positive"),
        ({"t_i": -3.0}, r"`t_i` must be zero or more"),
    ],
)
def test_bad_layers(arguments, message):
    with pytest.raises(ValueError, match=message):
        psf.Layers(**{"n_s": 1.33, "n_g": 1.52, "n_i": 1.515} | arguments)


def test_no_room_for_the_immersion():
    with pytest.warns(jw.JaxwaveWarning, match=r"beyond the working distance. Lower `t_s`"):
        psf.Layers(n_s=1.33, n_g=1.52, n_i=1.515, t_s=200.0)


def test_bad_arguments():
    layers = psf.Layers(n_s=1.33, n_g=1.52, n_i=1.515)
    with pytest.raises(ValueError, match=r"`motion` must be one of 'stage', 'emitter'"):
        psf.gibson_lanni_path(0.5, layers, motion="focus")
    with pytest.raises(ValueError, match=r"`n` must be the indices of two media or more"):
        psf.fresnel_transmission(0.5, (1.5,))
    with pytest.raises(ValueError, match=r"`thickness` must have one number for each of the 1"):
        psf.multilayer_transmission(0.5, (1.5, 1.4, 1.3), (), wavelength=0.5)
    with pytest.raises(ValueError, match=r"`kind` must be one of"):
        psf.apodization(0.5, 1.0, kind="sine")
