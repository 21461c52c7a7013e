"""Fits many beads of one microscope: compiled once, and no bead can stop the others."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from jaxwave._check import JaxwaveWarning
from jaxwave.beads.fit import BeadFit, Progress, fit_bead
from jaxwave.beads.model import BeadModel, require_model
from jaxwave.beads.noise import Camera

# What beads of one microscope share; position and drift are each bead's own.
_SHARED = ("zernike", "amplitude", "phase_map", "amplitude_map", "pixel", "dz", "na", "blur")


@dataclasses.dataclass(frozen=True)
class BeadOutcome:
    """What became of one bead of a batch.

    Valid for the bead that it names; a ``poor`` bead has a fit whose numbers should not be
    believed, a ``failed`` one has none.

    Args:
        name: The bead's name, or its number in the batch.
        status: ``"ok"``, ``"poor"`` (the model does not describe the data) or ``"failed"``.
        reason: Why it is not ok, one sentence; empty if it is.
        fit: The fit, or None if it failed.

    Example:
        >>> BeadOutcome("0", "failed", "the stack is constant").fit is None
        True
    """

    name: str
    status: str
    reason: str = ""
    fit: BeadFit | None = None


def shared_start(fit: BeadFit) -> dict[str, Any]:
    """What another bead of the same microscope may start from: pupil, scale and blur.

    Valid for beads of one microscope and one model; position and drift are each bead's own.

    Args:
        fit: A fitted bead.

    Returns:
        Scaled parameters ``(...)`` by name, for the ``start`` of ``fit_bead``.

    Example:
        >>> from types import SimpleNamespace
        >>> sorted(shared_start(SimpleNamespace(parameters={"na": 0.1, "x": 3.0})))
        ['na']
    """
    if not hasattr(fit, "parameters"):
        raise TypeError(
            f"shared_start: `fit` must be what fit_bead returns, got {type(fit).__name__}."
        )
    return {name: fit.parameters[name] for name in _SHARED if name in fit.parameters}


def fit_beads(
    stacks: Sequence[Any],
    z: ArrayLike,
    model: BeadModel,
    *,
    names: Sequence[str] | None = None,
    weights: Sequence[Any] | None = None,
    cameras: Sequence[Camera | None] | None = None,
    steps: tuple[int, int] = (100, 40),
    later_steps: int = 20,
    start: dict[str, Any] | None = None,
    always: dict[str, Any] | None = None,
    progress: Progress | bool = False,
    checkpoint: str | os.PathLike | None = None,
    **options: object,
) -> Iterator[BeadOutcome]:
    r"""Fits beads of one microscope one after the other; a bad one never stops the batch.

    .. math:: p_k^* = \arg\min_p L(p;\, d_k),\qquad p_k^{(0)} = p_\text{first good bead}

    Everything is compiled for the first bead only, and once a bead was fitted well, the others
    start from its pupil and need ``later_steps`` steps alone; one that ends badly from there is
    fitted again from the unaberrated microscope. Valid for stacks of one shape whose beads see
    nearly the same aberrations. Every outcome is yielded as soon as it is there.

    Args:
        stacks: Beads, each ``(z, y, x)`` [counts].
        z: Nominal positions of the planes, ``(z,)`` [µm].
        model: The microscope.
        names: Names of the beads; by default their numbers.
        weights: Further weights of every pixel, each ``(z, y, x)`` or None.
        cameras: What is known of the camera, its maps cut like each bead, or None.
        steps: Steps of a first bead, as in :func:`~jaxwave.beads.fit_bead`.
        later_steps: Steps of a bead that starts from another one's pupil.
        start: What the first bead starts from, as from :func:`shared_start`.
        always: What every bead starts from, whatever the others gave, such as a known blur.
        progress: As in :func:`~jaxwave.beads.fit_bead`.
        checkpoint: Folder of one folder for every bead, so that a killed batch can go on with
            ``resume=True``.
        options: Further options of :func:`~jaxwave.beads.fit_bead`.

    Returns:
        An iterator over one :class:`BeadOutcome` for every stack, in their order.

    Raises:
        ValueError: If there are not as many names and weights as stacks.

    Example:
        >>> from jaxwave import psf
        >>> model = BeadModel(psf.Objective(0.8, 0.5, 1.0), pixel=0.13, shape=(16, 16),
        ...                   order=2, pupil_samples=24, vectorial=False, margin=2)
        >>> [bead] = fit_beads([np.full((5, 16, 16), np.nan)], np.arange(5.0), model)
        >>> bead.status
        'failed'

    References:
        B. M. Hanser et al., "Phase-retrieved pupil functions in wide-field fluorescence
        microscopy", J. Microsc. 216, 32 (2004).
    """
    where = "fit_beads"
    require_model(where, model)
    if isinstance(stacks, str | Mapping) or not np.iterable(stacks) or isinstance(names, str):
        raise TypeError(
            f"{where}: `stacks` must be a list of stacks (z, y, x) and `names` one of texts, got "
            f"{type(stacks).__name__} and {type(names).__name__}."
        )
    stacks = list(stacks)
    labels = [str(k) for k in range(len(stacks))] if names is None else [str(n) for n in names]
    seen = [None] * len(stacks) if cameras is None else list(cameras)
    masks = [None] * len(stacks) if weights is None else list(weights)
    if not len(labels) == len(masks) == len(seen) == len(stacks):
        raise ValueError(
            f"fit_beads: as many names, weights and cameras as stacks are needed, got "
            f"{len(stacks)} stacks, {len(labels)} names, {len(masks)} weights and {len(seen)} "
            "cameras."
        )
    places = [
        None if checkpoint is None else Path(checkpoint) / f"bead-{k + 1}"
        for k in range(len(stacks))
    ]
    own = [
        {"weight": w, "camera": c, "checkpoint": p}
        for w, c, p in zip(masks, seen, places, strict=True)
    ]
    options = {"progress": progress, "start": dict(always or {}), **options}
    return _run(list(stacks), z, model, labels, own, steps, later_steps, start, options)


def _run(
    stacks: list[Any],
    z: ArrayLike,
    model: BeadModel,
    names: list[str],
    own: list[dict[str, Any]],
    steps: tuple[int, int],
    later_steps: int,
    start: dict[str, Any] | None,
    options: dict[str, Any],
) -> Iterator[BeadOutcome]:
    for name, stack, mine in zip(names, stacks, own, strict=True):
        given, place = {**options, **mine}, mine["checkpoint"]
        outcome = None
        if start is not None:
            short = (0, later_steps) if steps[1] else (later_steps, 0)
            known = {"steps": short, "start": {**start, **given["start"]}}
            if place is not None:
                known["checkpoint"] = place / "from-another"
            outcome = _attempt(name, stack, z, model, {**given, **known})
        if outcome is None or outcome.status == "poor":
            outcome = _better(outcome, _attempt(name, stack, z, model, {**given, "steps": steps}))
        if start is None and outcome.fit is not None and outcome.status == "ok":
            start = shared_start(outcome.fit)
        yield outcome


def _attempt(
    name: str, stack: ArrayLike, z: ArrayLike, model: BeadModel, options: dict[str, Any]
) -> BeadOutcome:
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit = fit_bead(stack, z, model, **options)
    except Exception as error:  # whatever is wrong with this bead, the others go on
        text = str(error).strip() or type(error).__name__
        return BeadOutcome(name, "failed", text.splitlines()[0])
    texts = [str(w.message) for w in caught if issubclass(w.category, JaxwaveWarning)]
    if not np.isfinite(fit.scores["heldout_per_plane_gain"]):
        return BeadOutcome(name, "failed", "fit_beads: the fit is not finite")
    if texts:
        return BeadOutcome(name, "poor", texts[0], fit)
    return BeadOutcome(name, "ok", "", fit)


def _better(first: BeadOutcome | None, second: BeadOutcome) -> BeadOutcome:
    if first is None or first.fit is None:
        return second
    if second.fit is None:
        return first
    scores = (o.fit.scores["heldout_per_plane_gain"] for o in (first, second) if o.fit)
    return second if second.status == "ok" or np.argmin(list(scores)) else first
