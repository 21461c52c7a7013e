"""How right a fit is, the table that is printed, and `result.json`."""

import json
from pathlib import Path

import numpy as np

from jaxwave.io import write_json

RESULT = "result.json"
PAPER = {  # mean and deviation that Page and Favaro report; the depth before and after
    "psf": {"image_nmse": (9.34e-3, 6.95e-3), "field_nmse": (1.5, 0.43)},
    "mask": {"image_nmse": (6.30e-2, 2.1e-3), "mask_nmse": (0.51, 0.42)},
    "depth-psf": {"depth_error_um": (2.8, None), "depth_error_before_um": (19.21, None)},
    "depth-mask": {"depth_error_um": (0.67, None), "depth_error_before_um": (5.70, None)},
}

WIDTHS = 21, 21, 10, 21, 12, 10, 9  # of the columns

Scores = dict[str, float]


def nmse(got: np.ndarray, need: np.ndarray) -> float:
    """Squared error over the square of what is needed."""
    return float((np.abs(got - need) ** 2).sum() / (np.abs(need) ** 2).sum())


def aligned_nmse(got: np.ndarray, need: np.ndarray) -> float:
    """The same after the best complex factor, since no image tells phase and exposure."""
    return nmse(np.vdot(got, need) / np.vdot(got, got) * got, need)


def piston(phase: np.ndarray) -> float:
    """Mean phase on the circle [rad]."""
    return float(np.angle(np.exp(1j * phase).mean()))


def phase_nmse(got: np.ndarray, need: np.ndarray) -> float:
    """Of phases without their means and modulo a turn, since no image tells these."""
    differs = np.exp(1j * (got - need))
    differs = np.angle(differs * np.exp(-1j * np.angle(differs.mean())))
    return float((differs**2).sum() / ((need - need.mean()) ** 2).sum())


def summary(scores: list[Scores]) -> dict:
    """Mean, deviation, median and largest value of every score."""
    table = {}
    for name in scores[0] if scores else ():
        values = np.array([one[name] for one in scores])
        how = {"mean": values.mean(), "std": values.std(), "median": np.median(values)}
        table[name] = {k: float(v) for k, v in how.items()} | {"max": float(values.max())}
    return table


def print_table(experiment: str, result: dict, goals: dict[str, float]) -> None:
    """The paper, the free-form baseline and ours, side by side; a failure is beyond its goal."""
    paper, tables = PAPER[experiment], {"free_form": result["free_form"], "ours": result}
    heads = "paper", "free-form baseline", "failures", "ours", "failures", "largest", "goal"
    print(_line("mean ± deviation", *heads))
    for name in result["truths"][0]["ours"]:
        cells = [_cell(*paper[name]) if name in paper else "-"]
        for which, table in tables.items():
            found = [one[which][name] for one in result["truths"] if name in one.get(which, {})]
            beyond = sum(value >= goals.get(name, np.inf) for value in found)
            cells += [_cell(table[name]["mean"], table[name]["std"]) if found else "-"]
            cells += [f"{beyond} of {len(found)}" if found and name in goals else "-"]
        goal = f"{goals[name]:.2g}" if name in goals else "-"
        print(_line(name, *cells, f"{result[name]['max']:.2g}", goal))


def _line(name: str, *cells: str) -> str:
    return f"{name:21s}" + "".join(f"{c:>{w}s}" for c, w in zip(cells, WIDTHS, strict=True))


def _cell(mean: float, deviation: float | None) -> str:
    return f"{mean:.3g}" + ("" if deviation is None else f" ± {deviation:.2g}")


def write(folder: Path, truths: list[dict], settings: dict) -> dict:
    """Writes `result.json` atomically and returns what is in it."""
    tables = {
        name: summary([one[name] for one in truths if name in one])
        for name in ("ours", "free_form")
    }
    result = {**tables["ours"], "free_form": tables["free_form"]}
    result |= {"settings": settings | {"truths": len(truths)}, "truths": truths}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RESULT, result)
    return result


def finished(folder: Path, settings: dict) -> list[dict]:
    """The truths that an earlier run with these settings has finished."""
    try:
        earlier = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        theirs = {k: v for k, v in earlier["settings"].items() if k != "truths"}
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, LookupError, AttributeError):
        hint = "is another program's; choose another folder with -o."
        raise SystemExit(f"{folder / RESULT} {hint}") from None
    if theirs != settings:
        raise SystemExit(f"{folder} holds results of {theirs}; choose another folder with -o.")
    return earlier["truths"]
