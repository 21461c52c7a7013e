"""How fast is `calibrate`, against torch, a loop over a compiled step, and a scan by hand?

Run with ``python benchmarks/calibrate.py``; needs torch. A 4f microscope: object, lens, learned
phase mask in the pupil, lens, camera; Adam on the mean square error of the image. All contestants
make the same steps from the same start, and their losses are compared. The times are those of a
whole call after the first one, so they hold the setup and the reports, but no compilation.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

import jaxwave as jw
from jaxwave.calibration import calibrate
from jaxwave.elements import AmplitudeMask, FFLens, PhaseMask, System, learn

sys.path.insert(0, str(Path(__file__).parent))
from timing import cpu_times, report

F, SPACING, WAVELENGTH, RATE = 20_000.0, 4.0, 0.5, 0.05
OURS = "calibrate"


class Problem:
    """The microscope, its data, and every way to fit it."""

    def __init__(self, size: int, steps: int, every: int) -> None:
        rng = np.random.default_rng(0)
        self.size, self.steps, self.every = size, steps, every
        self.object = rng.uniform(0.5, 1, (size, size)).astype(np.float32)
        truth = np.asarray(jax.random.normal(jax.random.key(1), (size, size)))
        self.start = np.zeros((size, size), np.float32)
        self.wave = jw.plane_wave((size, size), spacing=SPACING, wavelength=WAVELENGTH)
        self.optimizer = optax.adam(RATE)
        self.data = self.image(self.system(truth), self.wave)
        self.scale = float(1 / jnp.mean(self.data**2))

    def system(self, phase: np.ndarray) -> System:
        """The microscope as elements, the mask learned."""
        system = System(
            object=AmplitudeMask(self.object),
            lens=FFLens(F),
            mask=PhaseMask(phase),
            tube=FFLens(F),
        )
        return learn(system, "mask.phase")

    @staticmethod
    def image(system: System, wave: jw.Field) -> jax.Array:
        """What the camera sees."""
        return system(wave).intensity

    def loss(self, system: System, data: tuple) -> jax.Array:
        """Normalized mean square error of the image."""
        wave, image, scale = data
        return scale * jnp.mean((self.image(system, wave) - image) ** 2)

    @property
    def numbers(self) -> tuple:
        """The data of the loss."""
        return self.wave, self.data, jnp.float32(self.scale)

    def ours(self) -> Callable[[], np.ndarray]:
        """The subject."""
        model = self.system(self.start)

        def fit() -> jax.Array:
            found = calibrate(
                model,
                self.loss,
                self.numbers,
                optimizer=self.optimizer,
                steps=self.steps,
                report_every=self.every,
            )
            return found.history["loss"]

        return fit

    def plain_loss(self, phase: jax.Array, data: tuple, amplitude: jax.Array) -> jax.Array:
        """The same out of functions, as one writes it by hand."""
        wave, image, scale = data
        field = jw.ff_lens(jw.amplitude_mask(wave, amplitude), F)
        field = jw.ff_lens(jw.phase_mask(field, phase), F)
        return scale * jnp.mean((field.intensity - image) ** 2)

    def scan(self) -> Callable[[], jax.Array]:
        """One scan over all steps, on one raveled vector."""
        shape, data, amplitude = self.start.shape, self.numbers, jnp.asarray(self.object)
        optimizer, steps = self.optimizer, self.steps

        @jax.jit
        def run(flat: jax.Array, data: tuple, amplitude: jax.Array) -> jax.Array:
            def step(carry: tuple, _: None) -> tuple[tuple, jax.Array]:
                flat, state = carry
                value, gradient = jax.value_and_grad(
                    lambda f: self.plain_loss(f.reshape(shape), data, amplitude)
                )(flat)
                update, state = optimizer.update(gradient, state, flat)
                return (optax.apply_updates(flat, update), state), value

            return jax.lax.scan(step, (flat, optimizer.init(flat)), length=steps)[1]

        flat = jnp.asarray(self.start).ravel()
        return lambda: run(flat, data, amplitude)

    def loop(self) -> Callable[[], list[float]]:
        """Python calls a compiled step and looks at every loss."""
        data, amplitude, optimizer = self.numbers, jnp.asarray(self.object), self.optimizer

        @jax.jit
        def step(phase: jax.Array, state: tuple, data: tuple, amplitude: jax.Array) -> tuple:
            value, gradient = jax.value_and_grad(self.plain_loss)(phase, data, amplitude)
            update, state = optimizer.update(gradient, state, phase)
            return optax.apply_updates(phase, update), state, value

        def run() -> list[float]:
            phase = jnp.asarray(self.start)
            state, losses = optimizer.init(phase), []
            for _ in range(self.steps):
                phase, state, value = step(phase, state, data, amplitude)
                losses.append(float(value))
            return losses

        return run

    def torch(self, lens: Callable, threads: int) -> Callable[[], list[float]]:
        """Autograd, torch.optim.Adam, and a look at every loss."""
        amplitude = torch.from_numpy(self.object)
        image = torch.from_numpy(np.array(self.data))
        field = float(np.abs(np.asarray(self.wave.u)).ravel()[0]) * amplitude
        # ff_lens keeps the power: the transform of unit norm, and the ratio of the spacings.
        second = SPACING**2 * self.size / (WAVELENGTH * F)

        def run() -> list[float]:
            torch.set_num_threads(threads)
            phase = torch.zeros(self.start.shape, requires_grad=True)
            adam = torch.optim.Adam([phase], lr=RATE)
            losses = []
            for _ in range(self.steps):
                adam.zero_grad()
                pupil = lens(field.to(torch.complex64)) * second * torch.exp(1j * phase)
                u = lens(pupil) / second
                loss = self.scale * ((u.abs() ** 2 - image) ** 2).mean()
                loss.backward()
                adam.step()
                losses.append(float(loss.detach()))
            return losses

        return run


def textbook(u: torch.Tensor) -> torch.Tensor:
    """A lens with centered grids, as most torch code has it."""
    u = torch.fft.fft2(torch.fft.ifftshift(u, dim=(-2, -1)), norm="ortho")
    return torch.fft.fftshift(u, dim=(-2, -1))


def bare(u: torch.Tensor) -> torch.Tensor:
    """A lens without shifts: faster, and the mask comes out in transform order."""
    return torch.fft.fft2(u, norm="ortho")


def compare(size: int, steps: int, every: int, rounds: int) -> None:
    problem, threads = Problem(size, steps, every), torch.get_num_threads()
    contestants: dict[str, Callable] = {
        OURS: problem.ours(),
        "value_and_grad + optax, one scan by hand": problem.scan(),
        "a Python loop over a compiled step": problem.loop(),
        "torch, textbook form, 1 thread": problem.torch(textbook, 1),
        "torch without shifts, 1 thread": problem.torch(bare, 1),
    }
    for name, call in contestants.items():
        losses = np.asarray(call())
        if name == OURS:
            ours = losses
        elif "without shifts" not in name:  # that one has another pixel order
            np.testing.assert_allclose(losses[:5], ours[:5], rtol=2e-2, err_msg=name)
    goals = {
        "value_and_grad + optax, one scan by hand": 0.95,
        "torch, textbook form, 1 thread": 5.0,
    }
    if size <= 128:
        goals["a Python loop over a compiled step"] = 1.5
    times = cpu_times(contestants, rounds)
    # Threads that wait for each other burn time on a busy machine: once is enough.
    busy = {f"torch, textbook form, {threads} threads": problem.torch(textbook, threads)}
    times |= cpu_times(busy, 1)
    report(f"{size} x {size}, {steps} Adam steps, a report every {every}", times, OURS, goals)
    print(f"  steps per second of {OURS}: {1e3 * steps / times[OURS]:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    jw.tune_cpu()
    compare(32, 1000, 50, options.rounds)
    compare(32, 1000, 1000, options.rounds)
    compare(128, 200, 50, options.rounds)
    compare(512, 50, 50, options.rounds)


if __name__ == "__main__":
    main()
