"""Lattices of synthetic raw images to a hundredth of a pixel, and what is no lattice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave.lightfield import Lattice, find_lattice, rectify
from jaxwave.lightfield.lattice import _ORDERS

RANDOM = np.random.default_rng(3)


def disks(shape, pitch, phi, y0, x0, layout="square", noise=0.01):
    """A flat field: an even disk under every lenslet, 0.84 pitches wide, and noise."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    y, x = y - shape[0] // 2 - y0, x - shape[1] // 2 - x0
    u, v = np.cos(phi) * x + np.sin(phi) * y, np.cos(phi) * y - np.sin(phi) * x
    py, px = np.broadcast_to(pitch, 2)
    if layout == "square":
        r = np.hypot(v - py * np.round(v / py), u - px * np.round(u / px))
    else:
        tall = np.sqrt(3) * px
        r = np.minimum(
            *(
                np.hypot(
                    v - tall * (np.round(v / tall - h) + h), u - px * (np.round(u / px - h) + h)
                )
                for h in (0, 0.5)
            )
        )
    light = 1 / (1 + np.exp((r - 0.42 * px) / 0.7))
    return light * (1 + noise * RANDOM.normal(size=shape))


CASES = {
    "turned, not whole, ny != nx": ((200, 263), 15.38, 0.021, 3.3, -4.1),
    "two pitches": ((190, 241), (11.2, 11.9), -0.06, 1.7, 2.2),
    "turned far": ((181, 150), 9.71, 0.3, -2.2, 1.15),
    "few and sharp": ((130, 150), 23.4, -0.01, 5.0, -3.0),
    "hexagonal": ((200, 240), 14.3, 0.05, 2.2, -1.7, "hexagonal"),
}


@pytest.mark.parametrize("name", CASES)
def test_lattice_within_a_hundredth_of_a_pixel(name):
    shape, pitch, phi, y, x, *layout = CASES[name]
    layout = layout[0] if layout else "square"
    found = find_lattice(disks(*CASES[name]), layout=layout)
    np.testing.assert_allclose(found.pitch, pitch, rtol=0, atol=0.01)
    np.testing.assert_allclose([found.y, found.x], [y, x], rtol=0, atol=0.01)
    # The farthest lenslet is a hundredth of a pixel away, too.
    np.testing.assert_allclose(found.phi, phi, rtol=0, atol=0.01 / max(shape))
    true = Lattice(pitch, phi=phi, y=y, x=x, layout=layout)
    distances = [np.hypot(*(true.centers(shape) - c).T).min() for c in found.centers(shape)]
    print(f"{name}: {max(distances):.2g} pixels")
    assert max(distances) < 0.01
    near = find_lattice(disks(*CASES[name]), layout=layout, pitch=np.mean(pitch) * 1.04)
    np.testing.assert_allclose(near.pitch, pitch, rtol=0, atol=0.01)


@pytest.mark.parametrize(("layout", "turn"), [("square", np.pi / 2), ("hexagonal", np.pi / 3)])
def test_orders_are_the_six_nearest_of_the_reciprocal_lattice(layout, turn):
    base = np.array([[1.0, 0.0], [np.cos(turn), np.sin(turn)]])
    half = [(i, j) for i in range(4) for j in range(-3, 4) if i > 0 or j > 0]  # one of each pair
    far = {order: np.linalg.norm(order @ base) for order in half}
    taken = [order if order in far else (-order[0], -order[1]) for order in _ORDERS[layout]]
    lengths = [far[order] for order in taken]
    assert len(set(taken)) == 6 and np.all(np.diff(lengths) > -1e-9)
    np.testing.assert_allclose(lengths, sorted(far.values())[:6])


def test_rectified_lenslets_repeat_after_whole_pixels():
    image = disks((200, 263), 15.38, 0.021, 3.3, -4.1, noise=0)
    lattice = Lattice(15.38, phi=0.021, y=3.3, x=-4.1)
    straight = np.asarray(rectify(image, lattice, pixels=15))
    assert straight.shape == (13 * 15, 17 * 15)
    again = find_lattice(straight)
    np.testing.assert_allclose(again.pitch, 15, atol=0.005)
    np.testing.assert_allclose([again.y, again.x, again.phi], 0, atol=0.02)
    # The light of a whole number of cells in the middle is kept.
    middle = straight[45:150, 45:210].sum() / (7 * 11)
    cell = disks((200, 263), 15.38, 0.0, 0.0, 0.0, noise=0)[
        100 - 38 : 100 + 39, 131 - 38 : 131 + 39
    ]
    assert cell.shape == (77, 77)  # five pitches of 15.38 pixels, nearly
    np.testing.assert_allclose(middle, cell.sum() / 25, rtol=5e-3)


def test_rectify_in_two_pitches_and_its_gradient():
    image = RANDOM.random((40, 46))
    with jax.enable_x64(True):
        plain = rectify(image, Lattice(10.0), pixels=10, shape=(31, 36))
        np.testing.assert_allclose(plain, image[20 - 15 : 36, 23 - 18 : 41], atol=1e-12)

        def light(pitch, phi, y):
            lattice = Lattice(jnp.stack([pitch, 1.1 * pitch]), phi=phi, y=y)
            return jnp.sum(rectify(image, lattice, pixels=(9, 8), shape=(20, 21)) ** 2)

        at = (9.3, 0.05, 0.4)
        got = jax.grad(light, (0, 1, 2))(*map(jnp.asarray, at))
        for k, slope in enumerate(got):
            up, down = ([a + s * 1e-6 * (i == k) for i, a in enumerate(at)] for s in (1, -1))
            need = (light(*map(jnp.asarray, up)) - light(*map(jnp.asarray, down))) / 2e-6
            np.testing.assert_allclose(slope, need, rtol=1e-5)


def test_images_without_lenslets_and_impossible_pitches():
    slow = RANDOM.normal(size=(256, 256))
    spectrum = np.exp(-((np.hypot(*np.meshgrid(*[np.fft.fftfreq(256)] * 2)) / 0.1) ** 2))
    blurred = np.fft.ifft2(np.fft.fft2(slow) * spectrum).real
    stripes = np.cos(np.arange(200) / 2)[:, None] * np.ones(180)
    y, x = np.mgrid[-60:60, -65:66]
    ramp, bowl = 100 + 0.5 * y + 0.2 * x, 1000 - 0.05 * (y**2 + 1.3 * x**2)
    smooth = (ramp, ramp.round(), bowl, bowl.round(), 9e3 * np.exp(-(y**2 + x**2) / 900))
    flat = (np.ones((90, 90)), np.full((120, 131), 7, "u2"), np.full((60, 70), 1234.567, "f4"))
    other = np.tile(np.sin(np.arange(131) / 2) + 1, (120, 1))
    for picture in (slow, blurred, stripes, other, *flat, *smooth):
        for layout in ("square", "hexagonal"):
            with pytest.raises(ValueError, match="shows no lenslets"):
                find_lattice(picture, layout=layout)
    with pytest.raises(ValueError, match="two pixels or more"):
        find_lattice(slow, pitch=1.7)
    with pytest.raises(ValueError, match="two pixels or more"):
        Lattice(1.5)
    with pytest.raises(TypeError, match="`image` must be real"):
        find_lattice(1j * slow)
    with pytest.raises(ValueError, match="one picture"):
        find_lattice(np.ones((3, 40, 40)))


def test_a_lattice_of_little_contrast_is_found():
    y, x = np.mgrid[-60:60, -65:66]
    waves = np.cos(2 * np.pi * (y - 2) / 10.2) + np.cos(2 * np.pi * (x + 1) / 10.2)
    got = find_lattice((2e4 * (1 + 0.003 * waves)).round())  # a thousandth of it is rounding
    np.testing.assert_allclose(
        [*np.broadcast_to(got.pitch, 2), got.y, got.x], [10.2, 10.2, 2, -1], atol=0.01
    )


def test_centers_are_those_of_the_array():
    for layout in ("square", "hexagonal"):
        lattice = Lattice(12.3, phi=0.2, y=1.5, x=-2.0, layout=layout)
        centers = lattice.centers((100, 121))
        image = disks((100, 121), 12.3, 0.2, 1.5, -2.0, layout, noise=0)
        rows, columns = np.round(centers).astype(int).T + np.array([[50], [60]])
        inside = (rows > 0) & (rows < 99) & (columns > 0) & (columns < 120)
        assert np.all(image[rows[inside], columns[inside]] > 0.98)
        assert abs(len(centers) - 12100 / 12.3**2 / (0.866 if layout == "hexagonal" else 1)) < 8
