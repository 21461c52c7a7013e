"""Pictures that test are no parts of pictures that train."""

import numpy as np
import pytest

from jaxwave.cameras import check_split, split

RNG = np.random.default_rng(1)


def scene(seed, shape=(3, 90, 101)):
    """Blobs, a ramp and an edge that all scenes have."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[1], : shape[2]]
    image = 0.01 * y + (x > 40) * np.ones(shape)
    for _ in range(40):
        at, width = rng.uniform(0, 100, 2), rng.uniform(1, 5)
        image += rng.normal(size=(3, 1, 1)) * np.exp(
            -((y - at[0]) ** 2 + (x - at[1]) ** 2) / width**2
        )
    return image


def test_other_scenes_pass():
    check_split([scene(0), scene(1)], [scene(2), scene(3)[..., :50]])
    check_split(np.zeros((2, 20, 20)), np.zeros((3, 20, 20)))  # nothing is on them


def test_the_same_picture_and_crops_of_one_are_named():
    whole = scene(4)
    train = {"blobs": scene(5), "garden": whole[:, :60, :70]}
    with pytest.raises(ValueError, match=r"'again' shares 60 x 70 pixels .* 'garden'"):
        check_split(train, {"fine": scene(6), "again": whole[:, :60, :70]})
    # Overlaps by 33 x 37 pixels, of another brightness, with noise.
    crop = 0.3 + 2 * whole[:, 27:, 33:]
    crop = crop + 1e-3 * RNG.normal(size=crop.shape)
    with pytest.raises(ValueError, match=r"33 x 37 .*'garden': .*\(0, 0\) are those from \(27, 33"):
        check_split(train, {"crop": crop})
    with pytest.raises(ValueError, match=r"`test` picture 0 .* `train` picture 1"):
        check_split([scene(5), whole], [whole[:, 10:50, 20:60]])


def test_a_ramp_of_brightness_is_not_seen():
    """What is compared is bent: a plane added to a picture changes no tile within its border."""
    y, x = np.mgrid[:30, :37]
    picture, kernels = RNG.normal(size=(30, 37)), RNG.normal(size=(3, 8, 8))
    plain, tilted = (
        split._projections(p, kernels)[:, 1:-1, 1:-1]
        for p in (picture, picture + 0.2 * y - 0.3 * x + 7)
    )
    assert np.all(np.isfinite(plain))
    np.testing.assert_allclose(tilted, plain, atol=1e-10)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="4 by 4"):
        check_split([np.ones((8, 3))], [np.ones((8, 8))])
    with pytest.raises(TypeError, match="complex"):
        check_split([np.ones((8, 8)) * 1j], [np.ones((8, 8))])
