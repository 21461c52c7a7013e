"""Calibrates a deformable mirror: one wavefront and two influence functions from six bead stacks.

Fitted are the stacks at -30, 0 and +30 mV of two actuators, together and from five starts; those
at -15 and +15 mV are predicted, and for comparison without the poke and with its sign reversed.
"""

import sys
from pathlib import Path

import jax
import numpy as np
from matplotlib.figure import Figure

import jaxwave as jw
from jaxwave import psf
from jaxwave.beads import BeadModel, StacksFit, fit_stacks, predict_stacks

DATA = Path(__file__).resolve().parent / "data" / "deformable_mirror.npz"
Z = np.arange(-3.0, 4.0)  # nominal planes [µm]
MODEL = BeadModel(
    psf.Objective(na=1.2, wavelength=0.532, n=1.333),
    pixel=0.08,
    shape=(64, 64),
    order=8,
    vectorial=False,
)


def draw(fit: StacksFit, data: np.ndarray, image: np.ndarray, bars: dict) -> None:
    """One predicted stack, the wavefront and what the actuators do, and all errors."""
    figure = Figure(figsize=(11, 8), dpi=120, layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.3, 1))
    axes = top.subplots(3, len(data))
    rows = {"data": data, "prediction": image, "difference": data - image}
    for ax, (name, planes) in zip(axes, rows.items(), strict=True):
        ax[0].set_ylabel(name)
        for a, plane, light in zip(ax, planes, data, strict=True):
            low, high = np.median(light), light.max()
            half = (high - low) / 2
            span = (-half, half) if name == "difference" else (low, high)
            colors = "RdBu_r" if name == "difference" else "inferno"
            a.imshow(plane, cmap=colors, vmin=span[0], vmax=span[1])
            a.set(xticks=[], yticks=[])
    for a, z in zip(axes[0], Z, strict=True):
        a.set_title(f"z = {z:.0f} µm", fontsize=8)
    top.suptitle("actuator 1 at +15 mV, not fitted; every plane scaled to its data", fontsize=9)
    *maps, chart = bottom.subplots(1, 4, width_ratios=(1, 1, 1, 1.7))
    pictures = [fit.opd(), *(0.03 * fit.response_opd(k) for k in (0, 1))]
    titles = ["wavefront at rest", "actuator 1, +30 mV", "actuator 2, +30 mV"]
    for ax, opd, title in zip(maps, pictures, titles, strict=True):
        nm = 1e3 * np.where(opd == 0, np.nan, opd)
        shown = ax.imshow(nm, cmap="RdBu_r", vmin=-600, vmax=600)
        ax.set_title(title, fontsize=9)
        ax.set_axis_off()
        bottom.colorbar(shown, ax=ax, orientation="horizontal", label="path [nm]")
    place = np.arange(4)
    for k, (name, values) in enumerate(bars.items()):
        chart.bar(place + 0.2 * k - 0.3, values, 0.2, label=name)
    chart.axhline(fit.nmse.mean(), color="black", lw=0.8, ls=":", label="mean of the fitted")
    chart.set_xticks(place, ["1, −15 mV", "1, +15 mV", "2, −15 mV", "2, +15 mV"], fontsize=7)
    chart.set(ylabel="NMSE", ylim=(0, 0.3))
    chart.legend(fontsize=7, loc="upper center", ncols=2)
    Path("results").mkdir(exist_ok=True)
    figure.savefig("results/05_deformable_mirror.png")


def main(starts: int = 5) -> dict[str, np.ndarray]:
    """Fits, predicts, saves the picture and returns the errors by name."""
    jw.tune_cpu()
    with np.load(DATA, allow_pickle=False) as file:
        stacks, volts = file["stacks"], file["volts"]
    heldout = np.abs(volts).max(axis=1) == 0.015
    fit = fit_stacks(
        stacks[~heldout],
        Z,
        MODEL,
        commands=volts[~heldout],
        starts=starts,
        key=jax.random.key(0),
        model_error=0.1,
        progress=True,
    )
    found = {
        name: predict_stacks(fit, stacks[heldout], Z, commands=s * volts[heldout], model_error=0.1)
        for name, s in (("predicted", 1), ("without the poke", 0), ("wrong sign", -1))
    }
    error = {name: prediction.nmse for name, prediction in found.items()}
    draw(fit, stacks[heldout][1], found["predicted"].image[1], error)
    print("NMSE of the fitted stacks:", fit.nmse.round(4), "every start:", fit.starts.round(4))
    for name, values in error.items():
        print(f"NMSE of the unseen stacks, {name}: {values.round(4)}")
    assert error["predicted"].mean() < 1.15 * fit.nmse.mean() and error["predicted"].max() < 0.035
    assert np.all(error["predicted"] < 0.6 * error["without the poke"])
    assert np.all(error["predicted"] < 0.3 * error["wrong sign"])
    assert fit.starts.max() < 1.02 * fit.starts.min(), "every start ends in the same minimum"
    return error


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
