"""The experiments of Page and Favaro (2020), "Learning to model and calibrate optics", again.

    python examples/20_waveblocks.py psf --truths 100 -o results/psf

makes 100 random microscopes with an independent model (`examples/waveblocks/truth.py`), finds each
from three images of a USAF target, and prints the paper's numbers, those of a free-form field that
Adam learns, and ours. The folder holds `result.json` and pictures. Experiments: psf (4.1.1),
mask (4.2.1: a phase mask in the pupil), depth-psf and depth-mask (4.1.2, 4.2.2: the depth of images
by an aberrated, noisy microscope, and by one with a modulator that has a zero order).
`result.json` grows with every truth: the same command goes on after a run that was stopped.
Every core has a process of its own, if it has eight truths to find.
"""

import argparse
from functools import cache, partial
from pathlib import Path

import numpy as np
from tqdm import tqdm
from waveblocks import cores, depth, mask, psf, scores
from waveblocks import truth as t

import jaxwave as jw

EXPERIMENTS = {
    "psf": (psf.one, psf.draw),
    "mask": (mask.one, mask.draw),
    "depth-psf": (depth.one, depth.draw),
    "depth-mask": (partial(depth.one, modulator=True), depth.draw),
}
GOALS = {  # of the median, by experiment and ensemble
    ("psf", "noiseless"): {"image_nmse": 1e-6, "field_nmse": 1e-3, "intensity_nmse": 1e-4},
    ("psf", "noise"): {"image_nmse": 2e-7, "field_nmse": 2e-4, "intensity_nmse": 2e-4},
    ("psf", "aberrated"): {"image_nmse": 5e-8, "field_nmse": 5e-3, "intensity_nmse": 2e-3},
    ("mask", "noiseless"): {"image_nmse": 1e-5, "mask_nmse": 1e-2},
    ("mask", "noise"): {"image_nmse": 1e-5, "mask_nmse": 1e-2},
    ("depth-psf", "noise"): {"depth_error_um": 0.2},
    ("depth-mask", "noise"): {"depth_error_um": 0.2},
}


def arguments(words: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("--truths", type=int, default=5, help="how many random microscopes")
    parser.add_argument("--ensemble", choices=["noiseless", "noise", "aberrated"])
    parser.add_argument("--baseline", type=int, default=1, help="fitted free-form too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, default=Path("results") / "waveblocks")
    options = parser.parse_args(words)
    if options.truths < 1 or options.baseline < 0 or options.seed < 0:
        parser.error("--truths counts from 1, --baseline and --seed from 0")
    default = "noise" if options.experiment.startswith("depth") else "noiseless"
    options.ensemble = options.ensemble or default
    if (options.experiment, options.ensemble) not in GOALS:
        parser.error(f"{options.experiment} has no ensemble {options.ensemble}")
    return options


@cache
def target() -> np.ndarray:
    """What all microscopes look at."""
    shape, spacing = (t.OBJECT, t.OBJECT), t.PIXEL / t.MAG
    return np.asarray(jw.usaf_1951(shape, spacing=spacing, groups=(7, 8, 9)), float)


def find(options: argparse.Namespace, k: int) -> dict:
    """Makes the truth number k and finds it."""
    one = EXPERIMENTS[options.experiment][0]
    return one(k, options.seed, target(), options.ensemble, k < options.baseline)


def main(words: list[str] | None = None) -> dict:
    """Runs an experiment and returns what is in `result.json`."""
    options = arguments(words)
    jw.tune_cpu()
    draw = EXPERIMENTS[options.experiment][1]
    settings = {k: v for k, v in vars(options).items() if k not in ("out", "truths", "baseline")}
    truths = scores.finished(options.out, settings)
    bar = tqdm(initial=len(truths), total=options.truths, desc=options.experiment, unit=" truths")
    for one in cores.found(partial(find, options), range(len(truths), options.truths)):
        if not truths:
            options.out.mkdir(parents=True, exist_ok=True)
            for name, figure in draw(one).items():
                figure.savefig(options.out / f"{options.experiment}{name}.png")
        truths.append({name: one[name] for name in ("ours", "free_form") if name in one})
        scores.write(options.out, truths, settings)
        bar.update()
    bar.close()
    result = scores.write(options.out, truths, settings)
    goals = GOALS[options.experiment, options.ensemble]
    scores.print_table(options.experiment, result, goals)
    for name, goal in goals.items():
        assert result[name]["median"] < goal, f"the median {name} is {result[name]['median']:.2g}"
    return result


if __name__ == "__main__":
    main()
