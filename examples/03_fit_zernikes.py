"""Fits Zernike coefficients to a bead stack through a vectorial model with a coverslip (optax)."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from jaxwave import calibration, losses, psf

MODES = [(2, -2), (2, 2), (3, -1), (3, 1), (4, 0)]
NAMES = ["astigm. 45°", "astigm. 0°", "coma y", "coma x", "spherical"]
Z = np.linspace(-0.6, 0.6, 5)
LAYERS = psf.Layers(n_s=1.38, n_g=1.515, n_i=1.515, t_s=2.0)
SCOPE = psf.Microscope(1.3, "600 nm", (24, 24), pixel="90 nm", layers=LAYERS)


def model(coefficients: jax.Array) -> jax.Array:
    """Image stack of a freely rotating dipole, 20,000 photons."""
    stack = SCOPE.psf(Z, coefficients=coefficients, modes=MODES)
    return psf.expected_photons(stack, photons=2e4, background=1.0)


def main() -> None:
    """Simulates noisy data, fits, asserts the error, saves the picture."""
    truth = jnp.array([0.03, -0.02, 0.015, -0.025, 0.02])
    data = jax.random.poisson(jax.random.key(0), model(truth)).astype(float)
    fit = calibration.calibrate(
        jnp.zeros(len(MODES)),
        lambda c, data: losses.poisson_nll(model(c), data).mean(),
        data,
        optimizer=optax.adam(3e-3),
        steps=120,
    )
    found, history = fit.model, fit.history["loss"]
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
