"""Budget of a modulator's zero order from seven camera images of known gratings; its correction.

The device is simulated in numpy by the exact far field of its pixels (`far_field`), which shares
nothing with the fitted model: `jw.slm` on eight samples a pixel, and a lens. Recovered are the
table of phases, the fill factor, the light of the gaps, the crosstalk and the shape of the device,
with error bars; then a blazed grating is bent until the model, and so the device, sends no light
on axis.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import jaxwave as jw
from jaxwave import calibration as cal

PIXELS, PITCH, WAVELENGTH, F, PEAK = 24, 8.0, 0.633, 100e3, 2e5  # µm, photons
CAMERA, PIXEL = 96, 0.55 * WAVELENGTH * F / (PIXELS * PITCH)
TRUTH = {"fill": 0.92, "gap": 0.62 * np.exp(0.7j), "crosstalk": 0.42, "flat": [0.04, -0.03, 0.05]}
LEVEL = np.arange(256) / 255
TABLE = 2.3 * np.pi * (LEVEL + 0.08 * np.sin(np.pi * LEVEL))  # of the device, from level 0
AT = np.arange(PIXELS) - PIXELS // 2
EDGE = AT[:, None] * 1.4 / PIXELS, AT[None] * 1.4 / PIXELS  # places in the disk of the modes


def shapes() -> np.ndarray:
    """Height maps of the modes, written out."""
    y, x = np.broadcast_arrays(*EDGE)
    square = np.sqrt(3) * (2 * (x**2 + y**2) - 1)
    return np.stack([np.sqrt(24) * x * y, square, np.sqrt(6) * (x**2 - y**2)])


def gratings() -> np.ndarray:
    """Levels of the images: flat, bars of 4 and 8 pixels both ways, a blaze."""
    row = np.broadcast_to(AT[:, None], (PIXELS, PIXELS))
    bars = [top * (row // width % 2) for top, width in ((128, 2), (255, 2), (190, 4))]
    blaze = (row % 8) * 32
    return np.stack([0 * row, 0 * row + 64, *bars, bars[0].T, blaze]).astype(float)


def far_field(levels: np.ndarray) -> np.ndarray:
    """Intensity on the camera: every pixel is a rectangle, sinc(a f) in the far field; float64."""
    apart = np.abs(AT[:, None] - AT)
    blur = np.exp(-(apart**2) / (2 * TRUTH["crosstalk"] ** 2))
    blur /= blur.sum(1, keepdims=True)
    phase = blur @ np.interp(levels, np.arange(256), TABLE) @ blur.T
    path = np.tensordot(TRUTH["flat"], shapes(), 1)
    sent = np.exp(1j * (phase + 2 * np.pi / WAVELENGTH * path)) - TRUTH["gap"]
    f = (np.arange(CAMERA) - CAMERA // 2) * PIXEL / (WAVELENGTH * F)
    width = PITCH * np.sqrt(TRUTH["fill"])
    row = np.exp(-2j * np.pi * f[:, None] * AT * PITCH)
    pixel, whole = (np.sinc(w * f) * w for w in (width, PITCH))
    active = (row @ sent @ row.T) * np.outer(pixel, pixel)
    gaps = TRUTH["gap"] * np.outer(row.sum(1) * whole, row.sum(1) * whole)
    return np.abs(active + gaps) ** 2 / (PIXELS * PITCH) ** 4


def table(p: dict) -> jax.Array:
    """Phase of every level, a polynomial without a phase at level 0."""
    x = jnp.asarray(LEVEL, jnp.float32)
    return p["table"][0] * x + x * (1 - x) * (p["table"][1] + (1 - 2 * x) * p["table"][2])


def image(p: dict, levels: jax.Array) -> jax.Array:
    """The same with jaxwave."""
    n = 8 * PIXELS
    wave = jw.plane_wave((n, n), spacing=PITCH / 8, wavelength=WAVELENGTH)
    path = jnp.tensordot(p["flat"], jnp.asarray(shapes(), jnp.float32), 1)
    gap = jax.lax.complex(p["gap"][0], p["gap"][1])
    out = jw.slm(
        wave,
        levels,
        pitch=PITCH,
        table=table(p),
        fill_factor=p["fill"],
        gap=gap,
        crosstalk=p["crosstalk"],
        flatness=path,
        y=PITCH / 2 - PITCH / 16,
        x=PITCH / 2 - PITCH / 16,
    )
    seen = jw.ff_lens(out, F, spacing=PIXEL, shape=(CAMERA, CAMERA))
    f = (np.arange(CAMERA) - CAMERA // 2) * PIXEL / (WAVELENGTH * F)
    sample = np.sinc(PITCH / 8 * f)  # samples are means over their areas
    light = seen.intensity / jnp.asarray(np.outer(sample, sample) ** 2, jnp.float32)
    return p["light"] * light


def residuals(p: dict, data: dict) -> jax.Array:
    """Differences in units of the photons' noise."""
    seen = jax.lax.map(lambda levels: image(p, levels), data["levels"])
    return (seen - data["photons"]) / jnp.sqrt(data["photons"] + 9)


def calibrate(photons: np.ndarray, levels: np.ndarray) -> tuple[dict, cal.Uncertainty]:
    """The device's numbers from its images, and their error bars."""
    data = {"photons": photons.astype(np.float32), "levels": levels.astype(np.float32)}
    p = {"fill": 0.85, "crosstalk": 0.3, "light": 1.0, "gap": np.array([0.5, 0.0])}
    p |= {"flat": np.zeros(3), "table": np.array([2 * np.pi, 0.0, 0.0])}
    p = jax.tree.map(jnp.float32, p)
    p["light"] = photons[0].sum() / jax.jit(image)(p, data["levels"][0]).sum()
    scales = {"fill": 0.1, "gap": 0.1, "flat": 0.05, "table": 0.5, "light": float(p["light"])}
    fit = cal.calibrate(
        p,
        cal.least_squares(residuals),
        data,
        optimizer=cal.levenberg_marquardt(),
        steps=40,
        scales=scales,
        report_every=5,
        tolerance=1e-6,
    )
    return fit.model, cal.uncertainty(fit.model, residuals, data)


def corrected(p: dict, start: np.ndarray) -> np.ndarray:
    """Levels of one period that send less light on axis, and most into the brightest order."""

    def loss(levels: jax.Array, p: dict) -> jax.Array:
        light = image(p, jnp.repeat(jnp.tile(levels, PIXELS // 8)[:, None], PIXELS, 1))
        return light[CAMERA // 2, CAMERA // 2] / light[:, CAMERA // 2].max()

    found = cal.minimize(loss, jnp.asarray(start, jnp.float32), p, steps=40)
    return np.rint(np.clip(found.parameters, 0, 255))


def draw(photons: np.ndarray, shown: dict[str, np.ndarray], p: dict) -> Figure:
    """Two of the images, the table, and the blaze before and after on the true device."""
    figure = Figure(figsize=(11, 3.2), dpi=120, layout="constrained")
    axes = figure.subplots(1, 4)
    for ax, k, name in ((axes[0], 0, "flat"), (axes[1], 2, "bars of 4 pixels")):
        ax.imshow(photons[k] ** 0.3, cmap="inferno")
        ax.set_title(f"camera, {name}", fontsize=8)
        ax.set_axis_off()
    axes[2].plot(TABLE, color="k", lw=3, alpha=0.3, label="truth")
    axes[2].plot(np.asarray(table(p)), label="found")
    axes[2].set(xlabel="level", ylabel="phase [rad]")
    axes[2].legend()
    for name, light in shown.items():
        axes[3].semilogy(light[:, CAMERA // 2], label=name)
    axes[3].set(xlabel="camera row", ylabel="light on the axis' column", ylim=(1e-7, 2))
    axes[3].legend(fontsize=7)
    return figure


def main() -> None:
    """Simulates the images, finds the device, predicts and removes its zero order."""
    levels = gratings()
    clean = np.stack([far_field(one) for one in levels])
    photons = np.random.default_rng(0).poisson(clean * PEAK / clean.max()).astype(float)
    p, bars = calibrate(photons, levels)
    print(bars)
    found = {k: np.asarray(v) for k, v in p.items()}
    gap = abs(complex(*found["gap"]))
    need = np.array([TRUTH["fill"], TRUTH["crosstalk"], abs(TRUTH["gap"]), TABLE[-1]])
    got = np.array([found["fill"], found["crosstalk"], gap, found["table"][0]])
    error = np.abs(got / need - 1)
    bent = np.linalg.norm(found["flat"] - TRUTH["flat"]) / np.linalg.norm(TRUTH["flat"])
    print("errors [%] of fill factor, crosstalk, gap light, stroke:", (100 * error).round(2))

    blaze = 20 + np.arange(8) * 27.0
    pictures = {"blaze": blaze, "corrected": corrected(p, blaze)}
    full = {k: np.tile(v, PIXELS // 8)[:, None] + np.zeros(PIXELS) for k, v in pictures.items()}
    shown = {k: far_field(v) / clean[0].max() for k, v in full.items()}
    zero = {k: v[CAMERA // 2, CAMERA // 2] for k, v in shown.items()}
    model = jax.jit(image)(p, full["blaze"])[CAMERA // 2, CAMERA // 2]
    told = float(model) / float(jax.jit(image)(p, levels[0])[CAMERA // 2, CAMERA // 2])
    Path("results").mkdir(exist_ok=True)
    draw(photons, shown, p).savefig("results/22_slm_zero_order.png")
    before, after = zero["blaze"], zero["corrected"]
    print(f"zero order of the blaze {before:.2g} (told {told:.2g}), corrected {after:.2g} of flat")
    assert error.max() < 0.01 and bent < 0.01
    assert abs(told - before) < 3e-3 and after < 0.02 * before


if __name__ == "__main__":
    main()
