"""A microscope of elements: a phase mask behind the objective learns to make three spots of one.

The system prints as an optical bench, the mask is learned by its name, the lenses stay as they
are, and the learned microscope is saved as a file that can be read.
"""

from pathlib import Path

import jax
import numpy as np
import optax
from flax import nnx
from matplotlib.figure import Figure

from jaxwave import elements as el
from jaxwave import nmse

PIXEL, CAMERA, STEPS = 6.5, (64, 64), 200


def microscope() -> el.System:
    """A molecule, an objective 60x/1.2 W, a mask in its back focal plane, a tube lens, a camera."""
    noise = 0.02 * jax.random.normal(jax.random.key(0), (256, 256))
    return el.System(
        molecule=el.ObjectivePointSource(
            (256, 256), spacing="32 um", wavelength="600 nm", f="3 mm", na=1.2, n=1.33
        ),
        mask=el.PhaseMask(noise),
        tube=el.FFLens("180 mm", spacing=PIXEL / 2, shape=(128, 128)),
        camera=el.PixelIntegrate(pitch=PIXEL, shape=CAMERA),
    )


def three_spots() -> np.ndarray:
    """Where the light shall go: three spots of the diffraction limit on a triangle."""
    y, x = (np.mgrid[:64, :64] - 32) * PIXEL
    angles = np.deg2rad([90, 210, 330])
    spots = [
        np.exp(-((x - 65 * np.cos(a)) ** 2 + (y + 65 * np.sin(a)) ** 2) / 2 / 13**2) for a in angles
    ]
    return np.sum(spots, axis=0) / np.sum(spots)


def learn_mask(system: el.System, target: np.ndarray) -> tuple[el.System, np.ndarray]:
    """Learns what the system calls learned; everything else is fixed."""
    graph, learned, fixed = nnx.split(system, nnx.Param, ...)
    optimizer = optax.adam(optax.cosine_decay_schedule(0.8, STEPS))

    @jax.jit
    def run(learned, fixed, target):  # type: ignore[no-untyped-def]
        def loss(learned):  # type: ignore[no-untyped-def]
            return nmse(nnx.merge(graph, learned, fixed)(), target)

        def step(carry, _):  # type: ignore[no-untyped-def]
            learned, state = carry
            value, gradient = jax.value_and_grad(loss)(learned)
            update, state = optimizer.update(gradient, state)
            return (optax.apply_updates(learned, update), state), value

        (learned, _), history = jax.lax.scan(step, (learned, optimizer.init(learned)), length=STEPS)
        return learned, history

    learned, history = run(learned, fixed, target)
    return nnx.merge(graph, learned, fixed), np.asarray(history)


def main() -> None:
    """Learns the mask, asserts the error that is left, saves the picture and the model."""
    target = three_spots()
    before = el.learn(microscope(), "mask.phase")
    print(before, el.bench(before), sep="\n\n", end="\n\n")
    after, history = learn_mask(before, target)
    Path("results").mkdir(exist_ok=True)
    el.save_model("results/04_microscope.json", after)
    again = el.load_model("results/04_microscope.json")

    figure = Figure(figsize=(10, 2.8), dpi=150, layout="constrained")
    axes = figure.subplots(1, 4)
    images = {"before": before(), "wanted": target, "learned": again()}
    for ax, (name, image) in zip(axes, images.items(), strict=False):
        ax.imshow(np.asarray(image), cmap="inferno")
        ax.set_title(f"camera, {name}", fontsize=8)
    axes[3].imshow(np.angle(np.exp(1j * np.asarray(after.mask.phase[...]))), cmap="twilight")
    axes[3].set_title("mask [rad]", fontsize=8)
    figure.savefig("results/04_microscope_of_elements.png")

    error, light = float(nmse(again(), target)), float(again().sum())
    print(f"error of the three spots (NMSE): {history[0]:.2f} -> {error:.4f}, light {light:.3f}")
    assert error < 0.05
    assert light > 0.95


if __name__ == "__main__":
    main()
