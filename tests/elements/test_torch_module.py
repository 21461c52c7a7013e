"""Elements and systems as torch modules, through the bridge."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxwave import elements as el

torch = pytest.importorskip("torch")
bridge = pytest.importorskip("torch_bridge")


def system():
    return el.learn(
        el.System(
            source=el.GaussianBeam((16, 16), spacing=2.0, wavelength=0.5, waist=8.0),
            mask=el.PhaseMask(jnp.zeros((16, 16))),
            lens=el.FFLens(1000.0),
            seen=el.Intensity(),
        ),
        "mask.phase",
    )


def test_a_system_is_a_torch_module():
    model = system()
    module = bridge.JaxModule(model)
    assert [name for name, _ in module.named_parameters()] == ["mask.phase"]
    assert "lens.f" in dict(module.named_buffers())
    image = module()
    np.testing.assert_allclose(image.detach(), model(), rtol=1e-5)
    image[3, 4].backward()
    assert module.mask.phase.grad.abs().max() > 0


def test_what_torch_learns_comes_back():
    module = bridge.JaxModule(system())
    with torch.no_grad():
        module.mask.phase += 0.5
    model = module.to_nnx()
    np.testing.assert_allclose(model.mask.phase[...], 0.5)
    assert model.names == ("source", "mask", "lens", "seen") and el.learned(model) == ["mask.phase"]


def test_an_element_of_images_is_a_layer():
    layer = bridge.JaxModule(el.learn(el.ConvolvePsf(jnp.full((3, 3), 1 / 9)), "psf"))
    image = torch.ones(8, 8, requires_grad=True)
    layer(image).sum().backward()
    assert image.grad.shape == (8, 8) and layer.psf.grad.shape == (3, 3)
