"""One test that stands for the others of this folder where there is no GPU."""

import jax


def test_jax_computes_on_a_gpu():
    assert jax.devices()[0].platform == "gpu"
