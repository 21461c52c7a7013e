"""Fits Zernike coefficients to a bead stack through a vectorial model with a coverslip (optax)."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from jaxwave import psf

MODES = [(2, -2), (2, 2), (3, -1), (3, 1), (4, 0)]
NAMES = ["astigm. 45°", "astigm. 0°", "coma y", "coma x", "spherical"]
Z = jnp.linspace(-0.6, 0.6, 5)
LAYERS = psf.coverslip_layers(n_s=1.38, n_g=1.515, n_i=1.515, t_s=2.0)
OPTICS = dict(spacing=0.09, na=1.3, wavelength=0.6, layers=LAYERS, nodes=44)


def model(coefficients):  # type: ignore[no-untyped-def]
    """Image stack of a freely rotating dipole, 20,000 photons."""

    def pupil(x, y):  # type: ignore[no-untyped-def]
        return psf.zernike_pupil(
            x, y, coefficients=coefficients, modes=MODES, wavelength=OPTICS["wavelength"]
        )

    image = psf.cartesian_dipole_intensity(pupil, (24, 24), z=Z, **OPTICS)
    return psf.expected_photons(image * 0.09**2, photons=2e4, background=1.0)


def main() -> None:
    """Simulates noisy data, fits, asserts the error, saves the picture."""
    truth = jnp.array([0.03, -0.02, 0.015, -0.025, 0.02])
    data = jax.random.poisson(jax.random.key(0), model(truth)).astype(float)

    @jax.jit
    def fit(data):  # type: ignore[no-untyped-def]
        optimizer = optax.adam(3e-3)

        def loss(c):  # type: ignore[no-untyped-def]
            mu = model(c)
            return jnp.mean(mu - data * jnp.log(mu))

        def step(carry, _):  # type: ignore[no-untyped-def]
            c, state = carry
            update, state = optimizer.update(jax.grad(loss)(c), state)
            return (optax.apply_updates(c, update), state), loss(c)

        c = jnp.zeros(len(MODES))
        return jax.lax.scan(step, (c, optimizer.init(c)), length=120)

    (found, _), history = fit(data)
    error = float(jnp.max(jnp.abs(found - truth))) * 1e3
    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    axes = figure.subplots(2, 3).flat
    for k in (0, 2, 4):
        ax = next(axes)
        ax.imshow(np.asarray(data[k]), cmap="inferno")
        ax.set_title(f"data, z = {float(Z[k]):.1f} µm", fontsize=8)
    ax = next(axes)
    ax.imshow(np.asarray(model(found)[4]), cmap="inferno")
    ax.set_title(f"fit, z = {float(Z[4]):.1f} µm", fontsize=8)
    ax = next(axes)
    place = np.arange(len(MODES))
    ax.bar(place - 0.2, 1e3 * np.asarray(truth), 0.4, label="truth")
    ax.bar(place + 0.2, 1e3 * np.asarray(found), 0.4, label="fit")
    ax.set_xticks(place, NAMES, fontsize=5)
    ax.set_ylabel("path [nm]", fontsize=8)
    ax.legend(fontsize=7)
    ax = next(axes)
    ax.plot(np.asarray(history))
    ax.set_xlabel("step", fontsize=8)
    ax.set_ylabel("loss", fontsize=8)
    Path("results").mkdir(exist_ok=True)
    figure.savefig("results/03_fit_zernikes.png")
    print(f"largest error of a coefficient: {error:.2f} nm of {len(MODES)} modes")
    assert error < 3


if __name__ == "__main__":
    main()
