r"""Refractive indices of materials against wavelength and temperature, each with its source.

Indices are those of catalogs: relative to air of 20 °C, real parts only. Multiply by the index of
``"air"`` for those relative to vacuum.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, numerics


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Material:
    r"""A dispersion formula, where it is valid, and where it is from.

    .. math:: n^2 - 1 = \sum_k \frac{B_k\,\lambda^2}{\lambda^2 - C_k} \quad\text{(sellmeier)},\qquad
        n = \sum_k A_k\,\lambda^{-2k} \quad\text{(cauchy)}

    ``thermal`` adds the change of :func:`refractive_index` with the temperature. Valid between
    the two wavelengths of ``limits``.

    Args:
        name: What errors call the material.
        formula: ``"sellmeier"``, ``"cauchy"``, ``"water"`` or ``"air"``.
        coefficients: B1, C1 [µm²], B2, C2 ... of Sellmeier, or A0, A1 [µm²], A2 [µm⁴] ... of
            Cauchy, ``(K,)`` [as given].
        limits: Shortest and longest wavelength [µm].
        source: Who measured it.
        temperature: Temperature of the coefficients [°C].
        thermal: D0 [1/K], D1 [1/K²], D2 [1/K³], E0 [µm²/K], E1 [µm²/K²] and the wavelength [µm] of
            Schott's formula, ``(6,)`` [as given]; None if they are not known.
        range: Lowest and highest temperature [°C].

    Example:
        >>> oil = Material("my oil", "cauchy", (1.5, 0.005), (0.4, 0.7), "data sheet")
        >>> round(float(refractive_index(oil, 0.5)), 3)
        1.52

    References:
        M. Born and E. Wolf, *Principles of Optics*, 7th ed., Sec. 2.3.4.
    """

    name: str = dataclasses.field(metadata={"static": True})
    formula: str = dataclasses.field(metadata={"static": True})
    coefficients: Array | np.ndarray | Sequence[float]
    limits: tuple[float, float] = dataclasses.field(metadata={"static": True})
    source: str = dataclasses.field(metadata={"static": True})
    temperature: float = dataclasses.field(default=20.0, metadata={"static": True})
    thermal: Array | Sequence[float] | None = None
    range: tuple[float, float] = dataclasses.field(default=(-40.0, 80.0), metadata={"static": True})


_SCHOTT = "SCHOTT optical glass, catalog of 2017-01-20"
_SULTANOVA = "N. Sultanova et al., Acta Phys. Pol. A 116, 585 (2009), Sellmeier fit"


def _glass(name: str, low: float, coefficients: tuple, thermal: tuple) -> Material:
    # The catalog's limits end at 2.5 µm; SCHOTT gives the range of the thermal formula in TIE-29.
    return Material(
        name, "sellmeier", coefficients, (low, 2.5), _SCHOTT, 20.0, thermal, (-40.0, 80.0)
    )


def _polymer(name: str, b: float, c: float) -> Material:
    return Material(name, "sellmeier", (b, c), (0.4368, 1.052), _SULTANOVA)


def _iso_oil() -> tuple[float, float]:
    """The two terms of Cauchy's formula from n_e = 1.5180 and the Abbe number 44 at the e line."""
    e, blue, red = 0.54607, 0.47999, 0.64385
    slope = (1.5180 - 1) / 44 / (blue**-2 - red**-2)
    return 1.5180 - slope / e**2, slope


_ALL = (
    Material(
        "air",
        "air",
        (0.05792105, 238.0185, 0.00167917, 57.362),
        (0.23, 1.69),
        "P. E. Ciddor, Appl. Opt. 35, 1566 (1996): dry, 15 °C, 101325 Pa, relative to vacuum",
        15.0,
    ),
    Material(
        "water",
        "water",
        (
            *(0.244257733, 0.00974634476, -0.00373234996, 0.000268678472),
            *(0.0015892057, 0.00245934259, 0.90070492, -0.0166626219),
        ),
        (0.2, 1.1),
        "IAPWS R9-97 (A. H. Harvey et al., J. Phys. Chem. Ref. Data 27, 761 (1998)); density at "
        "101325 Pa by M. Tanaka et al., Metrologia 38, 301 (2001)",
        20.0,
        None,
        (0.0, 40.0),
    ),
    Material(
        "glycerol",
        "cauchy",
        (1.45797, 0.00598, -0.00036),
        (0.5893, 1.05),
        "J. Rheims et al., Meas. Sci. Technol. 8, 601 (1997)",
        25.0,
    ),
    Material(
        "immersion oil",
        "cauchy",
        _iso_oil(),
        (0.4, 0.76),
        "ISO 8036-1:1998: n_e = 1.5180(5), Abbe number 44(3) at 23 °C, two terms",
        23.0,
    ),
    Material(
        "BK7 matching liquid",
        "cauchy",
        (1.502639, 4.708942e-5, 6.367045e-5),
        (0.35, 1.55),
        "Cargille BK-7 matching liquid, data sheet of 2023-03-27",
        25.0,
    ),
    Material(
        "fused silica",
        "sellmeier",
        (0.6961663, 0.0684043**2, 0.4079426, 0.1162414**2, 0.8974794, 9.896161**2),
        (0.21, 3.71),
        "I. H. Malitson, J. Opt. Soc. Am. 55, 1205 (1965)",
    ),
    Material(
        "calcium fluoride",
        "sellmeier",
        (0.5675888, 0.050263605**2, 0.4710914, 0.1003909**2, 3.8484723, 34.64904**2),
        (0.23, 9.7),
        "I. H. Malitson, Appl. Opt. 2, 1103 (1963)",
        24.0,
    ),
    _glass(
        "N-BK7",
        0.3,
        (1.03961212, 0.00600069867, 0.231792344, 0.0200179144, 1.01046945, 103.560653),
        (1.86e-6, 1.31e-8, -1.37e-11, 4.34e-7, 6.27e-10, 0.17),
    ),
    _glass(
        "N-K5",
        0.31,
        (1.08511833, 0.00661099503, 0.199562005, 0.024110866, 0.930511663, 111.982777),
        (-4.13e-7, 1.03e-8, -3.4e-11, 4.73e-7, 5.19e-10, 0.213),
    ),
    _glass(
        "N-BAK4",
        0.334,
        (1.28834642, 0.00779980626, 0.132817724, 0.0315631177, 0.945395373, 105.965875),
        (3.06e-6, 1.44e-8, -2.23e-11, 5.46e-7, 6.05e-10, 0.189),
    ),
    _glass(
        "N-BAF10",
        0.35,
        (1.5851495, 0.00926681282, 0.143559385, 0.0424489805, 1.08521269, 105.613573),
        (3.79e-6, 1.28e-8, -1.42e-11, 5.84e-7, 7.6e-10, 0.22),
    ),
    _glass(
        "F2",
        0.32,
        (1.34533359, 0.00997743871, 0.209073176, 0.0470450767, 0.937357162, 111.886764),
        (1.51e-6, 1.56e-8, -2.78e-11, 9.34e-7, 1.04e-9, 0.25),
    ),
    _glass(
        "N-SF11",
        0.37,
        (1.73759695, 0.013188707, 0.313747346, 0.0623068142, 1.89878101, 155.23629),
        (-3.56e-6, 9.2e-9, -2.1e-11, 9.65e-7, 1.44e-9, 0.294),
    ),
    _polymer("PMMA", 1.1819, 0.011313),
    _polymer("polystyrene", 1.4435, 0.020216),
    _polymer("polycarbonate", 1.4182, 0.021304),
    Material(
        "PDMS",
        "sellmeier",
        (1.0093, 0.013185),
        (0.35, 0.7),
        "F. Schneider et al., Sens. Actuators A 151, 95 (2009), Sylgard 184",
    ),
    Material(
        "SU-8",
        "cauchy",
        (1.566, 0.00796, 0.00014),
        (0.32, 0.8),
        "MicroChem SU-8 2000, data sheet (2011), uncured",
    ),
    Material(
        "EpoCore",
        "cauchy",
        (1.572, 0.0076, 0.00046),
        (0.45, 1.55),
        "micro resist technology EpoCore, data sheet (2015)",
    ),
    Material(
        "PMMA resist",
        "cauchy",
        (1.488, 0.002898, 0.0001579),
        (0.2, 1.1),
        "MicroChem 950 PMMA, data sheet (2001)",
    ),
)
_BY_NAME = {m.name.casefold(): m for m in _ALL}


def materials() -> tuple[str, ...]:
    r"""Names of the materials whose index is known.

    .. math:: n(\lambda, T)

    Exact: what :func:`material` takes.

    Returns:
        The names.

    Raises:
        TypeError: If there are arguments.

    Example:
        >>> materials()[:4]
        ('air', 'water', 'glycerol', 'immersion oil')

    References:
        The ``source`` of every :class:`Material`.
    """
    return tuple(m.name for m in _ALL)


def material(name: str) -> Material:
    r"""Finds a material by its name, with its formula, its limits and its source.

    .. math:: n(\lambda, T)

    Capitals do not matter. Valid for the names of :func:`materials`.

    Args:
        name: The name.

    Returns:
        The material.

    Raises:
        ValueError: If there is no such material.

    Example:
        >>> material("n-bk7").limits
        (0.3, 2.5)

    References:
        The ``source`` of every :class:`Material`.
    """
    return _find(name)


def _find(name: str) -> Material:
    found = _BY_NAME.get(str(name).casefold())
    if found is not None:
        return found
    near = difflib.get_close_matches(str(name).casefold(), list(_BY_NAME), n=1)
    hint = f" Did you mean {_BY_NAME[near[0]].name!r}?" if near else ""
    listed = ", ".join(repr(m) for m in materials())
    raise ValueError(
        f"material: there is no material {name!r}.{hint} Known are {listed}; of others make a "
        "Material with its formula and coefficients."
    )


def refractive_index(
    material: str | Material,
    wavelength: ArrayLike | str,
    *,
    temperature: ArrayLike | None = None,
) -> Array:
    r"""Refractive index of a material, relative to air of 20 °C (that of air: to vacuum).

    .. math:: n(\lambda, T) = n_0(\lambda) + \frac{n_0^2 - 1}{2 n_0}\left[D_0\,\Delta T
        + D_1\,\Delta T^2 + D_2\,\Delta T^3
        + \frac{E_0\,\Delta T + E_1\,\Delta T^2}{\lambda^2 - \lambda_T^2}\right]

    with :math:`\Delta T` from the material's temperature; :math:`n_0` by Sellmeier or Cauchy
    (:class:`Material`). Water has its own formula of wavelength, temperature and density. Valid
    within the material's limits: beyond them a known wavelength or temperature is an error, and a
    traced one gives NaN. What is absorbed is left out.

    Args:
        material: A name of :func:`materials`, or a :class:`Material`.
        wavelength: Wavelength, ``(...)`` [µm]; or a text such as ``"532 nm"``.
        temperature: Temperature, ``(...)`` [°C]; None for that of the material's data.

    Returns:
        The index, ``(...)``.

    Raises:
        TypeError: If a number is not real.
        ValueError: If there is no such material, a number is out of its limits, or a temperature
            is given whose effect is not known.

    Example:
        >>> round(float(refractive_index("N-BK7", 0.58756)), 5)
        1.5168
        >>> round(float(refractive_index("water", "589.3 nm", temperature=25.0)), 5)
        1.33249

    References:
        SCHOTT, *TIE-29: Refractive Index and Dispersion*; IAPWS R9-97.
    """
    where = "refractive_index"
    if not isinstance(material, Material):
        material = _find(material)
    if material.formula not in _FORMULAS:
        _check.choice(where, "formula", material.formula, _FORMULAS)
    wavelength = _check.wavelength(where, wavelength)
    _inside(where, material, "wavelength", wavelength, material.limits, "µm")
    known = material.thermal is not None or material.formula == "water"
    if temperature is None:
        temperature = material.temperature
    elif not known:
        raise ValueError(
            f"{where}: how {material.name!r} changes with the temperature is not known; its index "
            f"is that at {material.temperature:g} °C. Leave `temperature` out."
        )
    _inside(where, material, "temperature", temperature, material.range, "°C")
    dtype = jnp.result_type(float)
    wavelength, temperature = (numerics.number(a, dtype) for a in (wavelength, temperature))
    _check.broadcast(where, wavelength=wavelength.shape, temperature=temperature.shape)
    return _index(material, wavelength, temperature)


@numerics.program()
def _index(material: Material, wavelength: Array, temperature: Array) -> Array:
    dtype, known = wavelength.dtype, material.thermal is not None or material.formula == "water"
    (low, high), (cold, warm) = material.limits, material.range
    # A hair beyond the limits is rounding.
    inside = (wavelength >= low * (1 - 1e-6)) & (wavelength <= high * (1 + 1e-6))
    safe = jnp.where(inside, wavelength, (low + high) / 2)
    c = jnp.stack([jnp.asarray(a, dtype) for a in material.coefficients])
    n = _FORMULAS[material.formula](c, safe, temperature)
    if material.thermal is not None:
        change = temperature - material.temperature
        n = n + _thermal(jnp.stack([*material.thermal]).astype(dtype), safe, change, n)
    if known:
        inside = inside & (temperature >= cold - 1e-3) & (temperature <= warm + 1e-3)
    return jnp.where(inside, n, jnp.nan)


def _inside(where: str, of: Material, name: str, value: Any, limits: Any, unit: str) -> None:
    if not _check.is_concrete(value):
        return
    _check.finite(where, name, value, unit=unit)
    array, (low, high) = np.asarray(value, np.float64), limits
    hair = 1e-6 * np.abs(array) + 1e-9  # rounding
    bad = (array < low - hair) | (array > high + hair)
    if np.any(bad):
        raise ValueError(
            f"{where}: `{name}` of {of.name!r} must be from {low:g} to {high:g} {unit}, got "
            f"{array[bad].flat[0]:g} {unit}. That is where its source is valid: {of.source}."
        )


def _sellmeier(c: Array, wavelength: Array, _: Array) -> Array:
    square = wavelength[..., None] ** 2
    return jnp.sqrt(1 + jnp.sum(c[0::2] * square / (square - c[1::2]), axis=-1))


def _cauchy(c: Array, wavelength: Array, _: Array) -> Array:
    return jnp.sum(c * wavelength[..., None] ** (-2.0 * np.arange(c.shape[0])), axis=-1)


def _air(c: Array, wavelength: Array, _: Array) -> Array:
    square = wavelength**-2
    return 1 + c[0] / (c[1] - square) + c[2] / (c[3] - square)


def _water(c: Array, wavelength: Array, temperature: Array) -> Array:
    """Lorentz and Lorenz's relation with the density of water under one atmosphere."""
    t = temperature
    density = 0.99997495 * (1 - (t - 3.983035) ** 2 * (t + 301.797) / (522528.9 * (t + 69.34881)))
    heat, square = 1 + t / 273.15, (wavelength / 0.589) ** 2
    a = density * (
        c[0]
        + c[1] * density
        + c[2] * heat
        + c[3] * square * heat
        + c[4] / square
        + c[5] / (square - 0.229202**2)
        + c[6] / (square - 5.432937**2)
        + c[7] * density**2
    )
    air = _air(jnp.asarray(_BY_NAME["air"].coefficients, c.dtype), jnp.maximum(wavelength, 0.2), t)
    return jnp.sqrt((1 + 2 * a) / (1 - a)) / air


def _thermal(d: Array, wavelength: Array, change: Array, n: Array) -> Array:
    pole = (d[3] * change + d[4] * change**2) / (wavelength**2 - d[5] ** 2)
    rise = d[0] * change + d[1] * change**2 + d[2] * change**3 + pole
    return (n**2 - 1) / (2 * n) * rise


_FORMULAS = {"sellmeier": _sellmeier, "cauchy": _cauchy, "air": _air, "water": _water}
