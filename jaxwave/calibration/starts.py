"""Where to start: scattered models, and the twin that looks the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.calibration._tree import split
from jaxwave.elements.names import matching_names


def random_starts(
    key: Array, model: object, count: int, *, spread: Mapping[str, ArrayLike]
) -> list[Any]:
    r"""Scatters parameters of a model, for a calibration from several starts.

    .. math:: p_k = p + \sigma\,\xi_k,\qquad \xi \sim \mathcal N(0, 1)

    Valid for real and complex parameters (both parts are scattered); nothing keeps them inside
    their bounds. Pass ``[model, *random_starts(...)]`` to keep the model itself among the starts.

    Args:
        key: Random key, shape ``()`` [none].
        model: The model, any nnx module or pytree of arrays; it is not changed.
        count: Number of starts.
        spread: Standard deviation by pattern of names, a number or an array ``(...)`` that
            broadcasts to the parameter [the parameter's unit].

    Returns:
        The models, for ``calibrate(..., starts=...)``.

    Raises:
        ValueError: If a pattern matches nothing, or a spread is negative.

    Example:
        >>> models = random_starts(jax.random.key(0), {"c": jnp.zeros(3)}, 5, spread={"c": 0.1})
        >>> len(models), models[0]["c"].shape
        (5, (3,))

    References:
        R. Horst and P. M. Pardalos, *Handbook of Global Optimization*, Springer (1995), on
        multistart.
    """
    _check.key("random_starts", key)
    where = "random_starts"
    _check.integer(where, "count", count, 1)
    structure, leaves = split(where, model)
    _check.instance(where, "spread", spread, Mapping, "a dict of widths by name")
    sigmas = {}
    for pattern, sigma in spread.items():
        _check.nonnegative(where, f"spread[{pattern!r}]", sigma)
        for name in matching_names(where, structure.parameters, [pattern]):
            sigmas[name] = sigma
    models = []
    for one in jax.random.split(key, count):
        moved = dict(leaves)
        for name, part in zip(sigmas, jax.random.split(one, max(len(sigmas), 1)), strict=False):
            value = leaves[name]
            # jax draws complex numbers of variance one in both parts together
            width = np.sqrt(2) if jnp.iscomplexobj(value) else 1.0
            step = jnp.asarray(sigmas[name]) * width
            moved[name] = value + (step * jax.random.normal(part, value.shape, value.dtype)).astype(
                value.dtype
            )
        models.append(structure.merge(moved))
    return models


def twin_start(coefficients: ArrayLike, modes: Sequence[tuple[int, int]]) -> Array:
    r"""Turns Zernike coefficients into those of the twin pupil, conjugate and rotated by 180°.

    .. math:: \bar P(-\mathbf r):\qquad c_{nm} \to -(-1)^n\,c_{nm}

    The twin's intensity is the same in the plane z and the plane −z, so that a stack around the
    focus hardly tells them apart, and a fit may be caught at the twin. Exact for a scalar pupil
    of symmetric amplitude.

    Args:
        coefficients: Coefficients, ``(..., modes)`` [µm].
        modes: Their modes (n, m).

    Returns:
        Coefficients of the twin, ``(..., modes)`` [µm].

    Raises:
        ValueError: If there is not one coefficient per mode.

    Example:
        >>> twin_start(jnp.array([0.1, 0.2]), [(2, 2), (3, 1)]).round(3).tolist()
        [-0.10000000149011612, 0.20000000298023224]

    References:
        J. R. Fienup and C. C. Wackerman, "Phase-retrieval stagnation problems and solutions",
        JOSA A 3, 1897 (1986).
    """
    values = _check.real_array("twin_start", "coefficients", coefficients)
    if values.shape[-1:] != (len(modes),):
        raise ValueError(
            f"twin_start: `coefficients` must have one number for each of the {len(modes)} modes, "
            f"got the shape {values.shape}."
        )
    sign = np.array([1.0 if n % 2 else -1.0 for n, _ in modes])
    return values * sign.astype(values.dtype)
