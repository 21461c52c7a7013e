"""Budget of a modulator's zero order from twelve camera images of known patterns; its correction.

The device is drawn in numpy, every pixel on 25 x 25 samples, and its far field is their plain sum
in float64 (`far_field`). Recovered by `measure_modulator` are the table of phases, the fill factor,
the light of the gaps, the crosstalk and the shape of the device, with error bars; then a blazed
grating is bent until the model, and so the device, sends no light on axis.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import jaxwave as jw
from jaxwave.modulators import ModulatorBench, ModulatorFit, gratings, measure_modulator

PIXELS, PITCH, WAVELENGTH, F, PEAK = 24, 8.0, 0.633, 100e3, 2e5  # µm, photons
CAMERA, PIXEL, NOISE = 96, 0.55 * WAVELENGTH * F / (PIXELS * PITCH), 3.0
FINE, ACTIVE = 25, 23  # samples of a pixel, and of its active width
FILL, GAP, CROSSTALK, PATHS = (ACTIVE / FINE) ** 2, 0.62 * np.exp(0.7j), 0.42, [0.04, -0.03, 0.05]
KNOTS = np.array([0, 32, 64, 96, 128, 160, 192, 224, 255])
LEVEL = np.arange(256) / 255
TABLE = 2.3 * np.pi * (LEVEL + 0.08 * np.sin(np.pi * LEVEL))  # of the device, from level 0
BENCH = ModulatorBench(PITCH, WAVELENGTH, F, PIXEL, (CAMERA, CAMERA))
AXIS = CAMERA // 2


def transmission(levels: np.ndarray) -> np.ndarray:
    """The device on its samples, ``(PIXELS * FINE, PIXELS * FINE)``."""
    at = np.arange(PIXELS)
    blur = np.exp(-((at[:, None] - at) ** 2) / (2 * CROSSTALK**2))
    blur /= blur.sum(1, keepdims=True)
    phase = blur @ np.interp(levels, np.arange(256), TABLE) @ blur.T
    y, x = np.meshgrid(*[(at - 11.5) / (12 * np.sqrt(2))] * 2, indexing="ij")
    shapes = [np.sqrt(24) * x * y, np.sqrt(3) * (2 * (x**2 + y**2) - 1), np.sqrt(6) * (x**2 - y**2)]
    phase = phase + 2 * np.pi / WAVELENGTH * np.tensordot(PATHS, shapes, 1)
    inside = np.abs(np.arange(FINE) - FINE // 2) <= ACTIVE // 2
    one = np.outer(inside, inside)
    return GAP * np.ones([PIXELS * FINE] * 2) + np.kron(np.exp(1j * phase) - GAP, one)


def far_field(levels: np.ndarray) -> np.ndarray:
    """Intensity on the camera: the sum over all samples, each a small square."""
    at = (np.arange(PIXELS * FINE) - PIXELS * FINE // 2) * PITCH / FINE
    f = (np.arange(CAMERA) - AXIS) * PIXEL / (WAVELENGTH * F)
    wave = np.exp(-2j * np.pi * f[:, None] * at) * np.sinc(f * PITCH / FINE)[:, None] / len(at)
    return np.abs(wave @ transmission(levels) @ wave.T) ** 2


def draw(photons: np.ndarray, shown: dict[str, np.ndarray], fit: ModulatorFit) -> Figure:
    """Two of the images, the table's error, and the blaze before and after on the true device."""
    figure = Figure(figsize=(11, 3.2), dpi=120, layout="constrained")
    axes = figure.subplots(1, 4)
    for ax, k, name in ((axes[0], 0, "flat"), (axes[1], 8, "bars of 2 pixels")):
        ax.imshow(np.maximum(photons[k], 0) ** 0.3, cmap="inferno")
        ax.set_title(f"camera, {name}", fontsize=8)
        ax.set_axis_off()
    error = 1e3 * fit.errors["table"]
    axes[2].fill_between(np.arange(256), -error, error, alpha=0.3, label="standard error")
    axes[2].plot(1e3 * (fit.device["table"] - TABLE), label="found minus true")
    axes[2].set(xlabel="level", ylabel="phase [mrad]")
    axes[2].legend(fontsize=7)
    for name, light in shown.items():
        axes[3].semilogy(light[:, AXIS], label=name)
    axes[3].set(xlabel="camera row", ylabel="light on the axis' column", ylim=(1e-7, 2))
    axes[3].legend(fontsize=7)
    return figure


def main() -> None:
    """Simulates the images, finds the device, predicts and removes its zero order."""
    jw.tune_cpu()
    levels = gratings((PIXELS, PIXELS), knots=KNOTS)
    clean = np.stack([far_field(one) for one in levels])
    random = np.random.default_rng(0)
    photons = random.poisson(clean * PEAK / clean.max()) + random.normal(0, NOISE, clean.shape)
    fit = measure_modulator(photons, levels, BENCH, knots=KNOTS, read_noise=NOISE)

    gap = abs(complex(fit.device["gap"]))
    need = {"fill_factor": FILL, "crosstalk": CROSSTALK, "gap": abs(GAP), "stroke": TABLE[-1]}
    got = {**fit.device, "gap": gap, "stroke": fit.stroke}
    error = {name: float(got[name]) / true - 1 for name, true in need.items()}
    off = {name: (float(got[name]) - true) / fit.errors[name] for name, true in need.items()}
    for name, true in need.items():
        bar = f"{float(got[name]):.4f} ± {fit.errors[name]:.4f}, true {true:.4f}"
        print(f"{name:12s} {bar}: {100 * error[name]:+.2f} %, {off[name]:+.1f} error bars")
    bent = np.linalg.norm(fit.coefficients[2:] - PATHS) / np.linalg.norm(PATHS)

    blaze = np.tile(20 + np.arange(8) * 27.0, PIXELS // 8)[:, None] + np.zeros(PIXELS)
    pictures = {"blaze": blaze, "corrected": fit.corrected(blaze)}
    shown = {name: far_field(one) / clean[0][AXIS, AXIS] for name, one in pictures.items()}
    before, after = (light[AXIS, AXIS] for light in shown.values())
    told, bar = fit.zero_order(blaze)
    Path("results").mkdir(exist_ok=True)
    draw(photons, shown, fit).savefig("results/22_slm_zero_order.png")
    print(
        f"zero order of the blaze {before:.5f} of flat, told {told:.5f} ± {bar:.5f}, "
        f"corrected {after:.2g}; its order {shown['blaze'].max():.2f} and "
        f"{shown['corrected'].max():.2f}; chi square {fit.chi_square:.3f}"
    )
    assert max(map(abs, error.values())) < 0.01 and bent < 0.01
    assert max(map(abs, off.values())) < 4 and 0.97 < fit.chi_square < 1.03
    assert abs(told / before - 1) < 0.03 and after < 2e-3 * before


if __name__ == "__main__":
    main()
