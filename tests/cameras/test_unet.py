"""The network: any size, any batch, nothing changed before it has learned, and it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave import calibration
from jaxwave.cameras import UNet


def test_a_new_network_changes_nothing_and_a_trained_one_removes_noise():
    rng = np.random.default_rng(0)
    clean = np.repeat(np.repeat(rng.random((6, 2, 3, 5)), 4, 2), 4, 3)[..., :11, :]
    clean = jnp.asarray(clean, jnp.float32)
    noisy = clean + jnp.asarray(0.2 * rng.normal(size=clean.shape), jnp.float32)
    net = UNet(jax.random.key(1), channels=2, features=(8, 8))
    np.testing.assert_array_equal(net(noisy), noisy)

    def loss(net, data):
        return jnp.mean((net(data[0]) - data[1]) ** 2)

    found = calibration.calibrate(net, loss, (noisy, clean), steps=60)
    assert found.loss < 0.6 * 0.04
    batch = found.model(noisy.reshape(3, 2, 2, 11, 20))
    np.testing.assert_allclose(batch[1, 1], found.model(noisy[3]), atol=1e-5)


def test_mistakes_are_named():
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="Channels stand before"):
        UNet(key, features=(2,))(np.ones((8, 8, 3)))
    with pytest.raises(ValueError, match="one level"):
        UNet(key, features=())
    with pytest.raises(TypeError, match="channels"):
        UNet(key, channels=1.5)
