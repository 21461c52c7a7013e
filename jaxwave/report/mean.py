"""The mean of many beads of one microscope: pupil, modes, widths and PSF, with their spread."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxwave.beads.basis import basis_of
from jaxwave.beads.model import physical, pupil
from jaxwave.report.charts import embedded
from jaxwave.report.folder import SavedBead
from jaxwave.report.quality import calibrated_psf
from jaxwave.report.result import bead_summary, wavefront_quality
from jaxwave.zernike import zernike_name

_PLACE = ("y", "x", "z", "drift_y", "drift_x", "drift_z")
_MOST_MAPS = 8
_WIDTHS = ("fwhm_x_nm", "fwhm_y_nm", "fwhm_z_nm", "strehl", "rms_nm")


def alike(beads: Sequence[SavedBead]) -> list[SavedBead]:
    """The beads whose model is that of most of them, so that their pupils can be averaged."""
    models = [bead.fit.model for bead in beads]
    most = max(models, key=models.count)
    return [bead for bead in beads if bead.fit.model == most]


def mean_bead(beads: Sequence[SavedBead]) -> SavedBead:
    """The bead whose modes, maps and scales are the means of those of beads of one model.

    Its errors are those of the means, by the scatter from bead to bead; its place is the center.
    The modes of its ``result`` carry the scatter itself as ``sd_nm``.

    Args:
        beads: Beads of one model, as :func:`load_bead_fit` reads them.
    """
    fits, first = [bead.fit for bead in beads], beads[0]
    model, few = first.fit.model, max(len(fits) - 1, 1)
    parameters = {
        name: np.mean([fit.parameters[name] for fit in fits], axis=0) * (name not in _PLACE)
        for name in first.fit.parameters
    }
    spread = {
        name: np.sqrt(np.var([fit.values[name] for fit in fits], axis=0) * len(fits) / few)
        for name in first.fit.values
    }
    inside = {name: jnp.asarray(value, jnp.float32) for name, value in parameters.items()}
    amplitude, opd = pupil(model, inside, basis_of(model))
    fit = dataclasses.replace(
        first.fit,
        parameters=parameters,
        values=physical(model, parameters),
        errors={name: value / np.sqrt(len(fits)) for name, value in spread.items()},
        pupil_amplitude=np.asarray(amplitude),
        pupil_opd=np.asarray(opd),
        bootstrap={},  # those of one bead
        ties=(),
        layers=(),
    )
    rows = bead_summary(fit)["zernikes"]
    rows = [
        {**row, "sd_nm": 1e3 * float(sd)}
        for row, sd in zip(rows, spread["zernike_um"], strict=True)
    ]
    result = {"name": f"mean of {len(fits)} beads", "zernikes": rows, "settings": {}}
    nothing = np.zeros((0, *model.shape))
    return SavedBead(fit, nothing, first.z, result)


@dataclasses.dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of pupils and PSFs, ``(..., y, x)``."""

    pupil_amplitude: np.ndarray
    pupil_amplitude_sd: np.ndarray
    pupil_opd_um: np.ndarray
    pupil_opd_sd_um: np.ndarray
    psf: np.ndarray
    psf_sd: np.ndarray
    z_um: np.ndarray


def spread_of(beads: Sequence[SavedBead], mean: SavedBead) -> Spread:
    """The mean bead's pupil and PSF, of unit sum, and how much the beads differ."""
    z, few = mean.z - np.mean(mean.z), max(len(beads) - 1, 1)
    basis = basis_of(mean.fit.model)
    draw = jax.jit(lambda p: pupil(mean.fit.model, p, basis))
    sums = [np.zeros(np.shape(mean.fit.pupil_opd)) for _ in range(2)]
    image = calibrated_psf(mean.fit, z)
    image /= image.sum()
    squares = np.zeros_like(image)
    for bead in beads:
        now = {k: jnp.asarray(v, jnp.float32) for k, v in bead.fit.parameters.items()}
        now["na"] = jnp.asarray(mean.fit.parameters["na"], jnp.float32)  # the same rim
        amplitude, opd = draw(now)
        sums[0] += (np.asarray(amplitude) - mean.fit.pupil_amplitude) ** 2
        sums[1] += (np.asarray(opd) - mean.fit.pupil_opd) ** 2
        own = calibrated_psf(bead.fit, z)
        squares += (own / own.sum() - image) ** 2
    sds = [np.sqrt(total / few) for total in (*sums, squares)]
    pair = mean.fit.pupil_amplitude, mean.fit.pupil_opd
    return Spread(pair[0], sds[0], pair[1], sds[1], image, sds[2], z)


def widths(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean and standard deviation of the numbers of the good beads, by their names."""
    rows = [row for row in rows if row["status"] == "ok"]
    result = {}
    for name in _WIDTHS:
        values = np.array([row[name] for row in rows if isinstance(row[name], float)])
        values = values[np.isfinite(values)]
        if values.size:
            sd = float(values.std(ddof=1)) if values.size > 1 else 0.0
            result[name] = {"mean": float(values.mean()), "sd": sd}
    return result


def summary_of(mean: SavedBead) -> dict[str, float]:
    """Wavefront error and Strehl ratio of the mean pupil."""
    rms, strehl = wavefront_quality(mean.fit)
    return {"rms_wavefront_nm": 1e3 * rms, "strehl_ratio": strehl}


# -- pictures ------------------------------------------------------------------------------


def _picture(draw: Callable[[Any], None], size: tuple[float, float], alt: str) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    draw(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return embedded(buffer.getvalue(), "png", alt, round(96 * size[0]))


def picture_of(spread: Spread, fit: Any) -> str:
    """Mean and standard deviation of amplitude, path and PSF, side by side."""
    lit = spread.pupil_amplitude > 0.5 * spread.pupil_amplitude.max()
    focus = int(np.argmax(spread.psf.max(axis=(1, 2))))
    half = min(fit.model.shape) * fit.model.pixel / 2
    step = fit.model.step * len(lit) / 2
    depth = (float(spread.z_um.min()), float(spread.z_um.max()))
    row = spread.psf.shape[1] // 2
    columns = (
        ("amplitude", spread.pupil_amplitude, spread.pupil_amplitude_sd),
        ("optical path [nm]", 1e3 * spread.pupil_opd_um, 1e3 * spread.pupil_opd_sd_um),
        ("PSF, y over x [µm]", spread.psf[focus], spread.psf_sd[focus]),
        ("PSF, z over x [µm]", spread.psf[:, row], spread.psf_sd[:, row]),
    )

    def draw(figure: Any) -> None:
        axes = figure.subplots(2, 4)
        for k, (name, *pair) in enumerate(columns):
            of_pupil = k < 2
            extent = (-step, step, step, -step) if of_pupil else (-half, half, half, -half)
            if k == 3:
                extent = (-half, half, depth[1], depth[0])
            for j, values in enumerate(pair):
                shown = np.ma.masked_where(~lit, values) if of_pupil else values / spread.psf.max()
                ax = axes[j, k]
                style = "RdBu_r" if (k, j) == (1, 0) else "viridis"
                most = float(np.max(np.abs(shown))) or 1.0
                low = -most if style == "RdBu_r" else 0.0
                drawn = ax.imshow(shown, cmap=style, extent=extent, vmin=low, vmax=most)
                ax.set_title(f"{'mean' if j == 0 else 'deviation'}: {name}", fontsize=8)
                ax.tick_params(labelsize=7)
                if not of_pupil:  # the middle of the window, where the light is
                    ax.set_xlim(-half / 2, half / 2)
                if k == 2:
                    ax.set_ylim(half / 2, -half / 2)
                figure.colorbar(drawn, ax=ax, shrink=0.8).ax.tick_params(labelsize=7)

    return _picture(draw, (11.0, 5.0), "mean pupil and PSF, and their deviations")


def map_of(rows: Sequence[Mapping[str, Any]], beads: Sequence[SavedBead]) -> str:
    """Where in the field each bead has which aberration; the modes that vary or are largest."""
    modes = beads[0].fit.model.modes
    values = 1e3 * np.stack([bead.fit.values["zernike_um"] for bead in beads])
    order = np.argsort(-np.sqrt(np.mean(values**2, axis=0)), kind="stable")[:_MOST_MAPS]
    y, x = (np.array([row[axis] for row in rows], float) for axis in "yx")

    def draw(figure: Any) -> None:
        axes = figure.subplots(2, (len(order) + 1) // 2, squeeze=False)
        for ax in axes.flat[len(order) :]:
            ax.set_axis_off()
        for ax, j in zip(axes.flat, sorted(order), strict=False):
            middle, most = float(np.mean(values[:, j])), float(np.ptp(values[:, j])) / 2 or 1.0
            shown = ax.scatter(
                x, y, c=values[:, j], cmap="RdBu_r", vmin=middle - most, vmax=middle + most, s=28
            )
            name = zernike_name(*modes[j])
            name += f" {modes[j]}" * (not name.startswith("Z("))
            ax.set_title(f"{name} [nm]", fontsize=8)
            ax.set_aspect("equal")
            ax.invert_yaxis()
            ax.tick_params(labelsize=7)
            figure.colorbar(shown, ax=ax, shrink=0.8).ax.tick_params(labelsize=7)

    return _picture(draw, (11.0, 5.0), "aberrations over the field")
