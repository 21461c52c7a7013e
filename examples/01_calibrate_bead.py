"""Calibrates a real microscope: a measured bead stack goes in, its pupil and PSF come out.

Run it as it is for the stack that comes with the examples, or with your own:

    python examples/01_calibrate_bead.py beads.tif --na 1.2 --n 1.33 --wavelength "610 nm" \
        --pixel "100 nm" --dz "250 nm" -o results/mine

Even planes are fitted, odd planes are held out. The result folder holds `result.json`, the
pupil and the stacks (`calibration.npz`), the fitted PSF as a TIFF, and the picture.
"""

import argparse
from pathlib import Path

import numpy as np

import jaxwave as jw
from jaxwave import io, psf, report
from jaxwave.beads import BeadModel, cut_bead, find_beads, fit_bead
from jaxwave.units import length

STACK = Path(__file__).resolve().parent / "data" / "bead_air_na085.tif"


def arguments(words: list[str] | None) -> argparse.Namespace:
    """Reads the command line; every length may carry its unit."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("stack", nargs="?", type=Path, default=STACK)
    parser.add_argument("--na", type=float, default=0.85, help="numerical aperture")
    parser.add_argument("--n", type=float, default=1.0, help="refractive index")
    parser.add_argument("--wavelength", type=length, default="520 nm", help="emission")
    parser.add_argument("--pixel", type=length, default="130 nm", help="pixel in the sample")
    parser.add_argument("--dz", type=length, default="300 nm", help="distance of the planes")
    parser.add_argument("--size", type=int, default=64, help="width of the bead's window [pixels]")
    parser.add_argument("--order", type=int, default=8, help="highest radial Zernike order")
    parser.add_argument("--reverse", action="store_true", help="the stack was recorded backward")
    parser.add_argument("--nan", choices=("error", "mask"), default="error", help="NaN in the data")
    parser.add_argument("--scalar", action="store_true", help="neglect polarization")
    parser.add_argument("-o", "--out", type=Path, default=Path("results") / "bead")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> dict:
    """Calibrates, writes the result folder and returns what is in `result.json`."""
    options = arguments(words)
    jw.tune_cpu()
    report.prepare(options.out)
    stack = io.read_stack(options.stack, pixel=options.pixel, dz=options.dz, nan=options.nan)
    size = min(options.size, *stack.shape[1:])
    beads = find_beads(stack, size=size)
    good = [bead for bead in beads if bead.ok]
    if not good:
        raise SystemExit(f"0 of {len(beads)} beads can be used: {beads[0].rejected}")

    window = cut_bead(stack, good[0], size)
    z = (np.arange(len(window.data)) - len(window.data) // 2) * options.dz
    z = -z if options.reverse else z  # the images alone cannot tell the direction
    model = BeadModel(
        psf.Objective(na=options.na, wavelength=options.wavelength, n=options.n),
        pixel=options.pixel,
        shape=window.shape[1:],
        order=options.order,
        vectorial=not options.scalar,
    )
    fit = fit_bead(window.data, z, model, weight=1.0 - window.mask, progress=True)

    settings = {**vars(options), "provenance": stack.provenance, "sha256": stack.sha256}
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in settings.items()}
    result = report.save_bead_fit(options.out, fit, window.data, z, settings=settings)
    print(
        f"held-out NMSE {result['heldout_nmse']:.4f} with per-plane gain, "
        f"{result['heldout_nmse_one_gain']:.4f} with one; "
        f"wavefront {result['rms_wavefront_nm']:.1f} nm rms, "
        f"Strehl ratio {result['strehl_ratio']:.2f}; results in {options.out}"
    )
    if (options.stack, options.pixel, options.scalar) == (STACK, 0.13, False):
        assert result["heldout_nmse"] <= 0.0071, "the shipped stack is fitted better than that"
        assert result["heldout_nmse_one_gain"] <= 0.0105, "and so with one gain"
    return result


if __name__ == "__main__":
    main()
