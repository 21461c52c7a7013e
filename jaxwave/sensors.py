"""Cameras: from intensity to photons, electrons and counts, one pure function a stage.

A random stage keeps derivatives that are right on average, a rounding stage hands them through,
and a saturated pixel has none. Parameters are one number or maps that broadcast against the
image, such as the gain of every pixel of an sCMOS camera.
"""

from __future__ import annotations

from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxwave import _check, grid, numerics

# Above this mean the inverse of the Poisson distribution is computed by its normal expansion.
_MANY = 16.0


# -- pixels --------------------------------------------------------------------------------


def _fill(where: str, fill_factor: ArrayLike) -> Array:
    _check.positive(where, "fill_factor", fill_factor)
    _check.between(where, "fill_factor", fill_factor, 0, 1)
    return _check.real_array(where, "fill_factor", fill_factor)


def pixel_integrate(
    intensity: ArrayLike,
    *,
    spacing: ArrayLike | str,
    pitch: ArrayLike | str,
    shape: tuple[int, int],
    fill_factor: ArrayLike = 1.0,
) -> Array:
    r"""Photons on each pixel: the integral of the intensity over the pixel's area.

    .. math:: N_{jk} = \iint_{\text{pixel } jk} I(y, x)\,dy\,dx

    Every sample is a rectangle of constant intensity, divided among the pixels by area: exact
    conservation of light for any ratio of ``pitch`` and ``spacing``, and an integral that is
    right to second order in ``spacing`` (for a spot of standard deviation s the error is below
    0.15 (spacing/s)² of its peak). The optical axis is at N // 2 of samples and of
    pixels. The derivative with respect to pitch and spacing is that of the shared areas. Beyond
    the samples there is darkness.

    Args:
        intensity: Intensity, ``(..., y, x)`` [photons/µm²].
        spacing: Sample spacing, one number or ``(..., 2)`` as (dy, dx) [µm].
        pitch: Distance of the pixels, one number or ``(..., 2)`` [µm].
        shape: Number of pixels (ny, nx).
        fill_factor: Share of a pixel's area that is sensitive, a centered rectangle, ``(...)``
            [none].

    Returns:
        Photons per pixel, ``(..., *shape)`` [photons].

    Raises:
        TypeError: If the intensity is complex.
        ValueError: If a shape does not fit, a length is not positive or the fill factor is not
            between zero and one.

    Example:
        >>> intensity = jnp.ones((12, 12))
        >>> pixel_integrate(intensity, spacing=0.5, pitch=1.5, shape=(2, 3)).tolist()
        [[2.25, 2.25, 2.25], [2.25, 2.25, 2.25]]

    References:
        G. D. Boreman, *Modulation Transfer Function in Optical and Electro-Optical Systems*,
        Ch. 2 (detector footprint).
    """
    where = "pixel_integrate"
    image = _check.real_array(where, "intensity", intensity, fix="Take field.intensity.")
    _check.at_least(where, "intensity", image, 2, "(..., y, x)")
    _check.positive(where, "spacing", _check.length(where, "spacing", spacing), unit="µm")
    _check.positive(where, "pitch", _check.length(where, "pitch", pitch), unit="µm")
    shape = _check.grid_shape(where, shape)
    kind = jnp.result_type(image, jnp.float32)
    samples, pixels = (
        grid.pair(where, name, value, kind)
        for name, value in (("spacing", spacing), ("pitch", pitch))
    )
    return _integrate(image, samples, pixels, _fill(where, fill_factor), shape)


@numerics.program("shape")
def _integrate(
    image: Array, samples: Array, pixels: Array, fill: Array, shape: tuple[int, int]
) -> Array:
    where, kind = "pixel_integrate", samples.dtype
    (my, mx), (ny, nx) = shape, image.shape[-2:]
    width = pixels * jnp.sqrt(fill)[..., None].astype(kind)
    batch = {"spacing": samples, "pitch": pixels, "fill_factor": width}
    _check.broadcast(
        where, intensity=image.shape[:-2], **{k: a.shape[:-1] for k, a in batch.items()}
    )
    rows = grid.shared_length(ny, samples[..., 0], my, pixels[..., 0], width[..., 0])
    columns = grid.shared_length(nx, samples[..., 1], mx, pixels[..., 1], width[..., 1])
    product = partial(jnp.matmul, precision="highest")
    columns = jnp.swapaxes(columns, -1, -2)
    if my * nx * (ny + mx) <= ny * mx * (nx + my):
        return product(product(rows, image.astype(kind)), columns)
    return product(rows, product(image.astype(kind), columns))


def pixel_otf(
    fy: ArrayLike, fx: ArrayLike, *, pitch: ArrayLike | str, fill_factor: ArrayLike = 1.0
) -> Array:
    r"""Transfer function of the integration over a pixel.

    .. math:: H(f_y, f_x) = \mathrm{sinc}(f_y a_y)\,\mathrm{sinc}(f_x a_x),
        \qquad a = \sqrt{\text{fill factor}} \times \text{pitch}

    with :math:`\mathrm{sinc}(t) = \sin(\pi t)/(\pi t)`. Exact for band-limited intensities:
    multiply a PSF's transfer function by it to blur the PSF by the pixels.

    Args:
        fy: Spatial frequencies of the rows, ``(..., ny, 1)`` [1/µm].
        fx: Spatial frequencies of the columns, ``(..., 1, nx)`` [1/µm].
        pitch: Distance of the pixels, one number or ``(..., 2)`` as (dy, dx) [µm].
        fill_factor: Share of a pixel's area that is sensitive, ``(...)`` [none].

    Returns:
        Transfer function, ``(..., ny, nx)`` [none]; one at zero frequency.

    Raises:
        TypeError: If a frequency is complex.
        ValueError: If the pitch is not positive or the fill factor is not between zero and one.

    Example:
        >>> [round(float(h), 4) for h in pixel_otf(0.0, jnp.array([0.0, 0.5, 1.0]), pitch=0.5)]
        [1.0, 0.9003, 0.6366]

    References:
        G. D. Boreman, *Modulation Transfer Function in Optical and Electro-Optical Systems*,
        Ch. 2 (detector footprint).
    """
    where = "pixel_otf"
    fy, fx = _check.real_array(where, "fy", fy), _check.real_array(where, "fx", fx)
    _check.positive(where, "pitch", _check.length(where, "pitch", pitch), unit="µm")
    return _pixel_transfer(fy, fx, grid.pair(where, "pitch", pitch), _fill(where, fill_factor))


@numerics.program()
def _pixel_transfer(fy: Array, fx: Array, pitch: Array, fill: Array) -> Array:
    width = pitch * jnp.sqrt(fill)[..., None]
    ay, ax = width[..., 0], width[..., 1]
    if width.ndim > 1:
        ay, ax = ay[..., None, None], ax[..., None, None]
    return jnp.sinc(fy * ay) * jnp.sinc(fx * ax)


# -- stages --------------------------------------------------------------------------------


_UNITS = {
    "dark_current": "electrons/s",
    "exposure": "s",
    "read_noise": "electrons",
    "gain": "electrons/count",
    "full_well": "electrons",
}


def _photons(where: str, photons: ArrayLike, **parameters: ArrayLike) -> Array:
    """Checks the numbers of all stages."""
    array = _check.real_array(where, "photons", photons, fix="Take the intensity of a field.")
    _check.nonnegative(where, "photons", array, unit="photons")
    for name, value in parameters.items():
        if name == "quantum_efficiency":
            _check.between(where, name, value, 0, 1)
        elif name == "offset":
            _check.finite(where, name, value, unit="counts")
        elif name in ("gain", "full_well"):
            _check.positive(where, name, value, unit=_UNITS[name])
        else:
            _check.nonnegative(where, name, value, unit=_UNITS[name])
    shapes = {name: np.shape(value) for name, value in parameters.items()}
    _check.broadcast(where, photons=array.shape, **shapes)
    return array


def expose(
    photons: ArrayLike,
    *,
    quantum_efficiency: ArrayLike = 1.0,
    dark_current: ArrayLike = 0.0,
    exposure: ArrayLike = 1.0,
) -> Array:
    r"""Mean number of electrons in each pixel.

    .. math:: \mu = \eta N + D\,t

    Valid for a linear sensor; the photons are those of the whole exposure, so the exposure time
    counts for the dark current only.

    Args:
        photons: Photons on each pixel during the exposure, ``(..., y, x)`` [photons].
        quantum_efficiency: Electrons for each photon, ``(...)`` [none].
        dark_current: Dark current, ``(...)`` [electrons/s].
        exposure: Exposure time, ``(...)`` [s].

    Returns:
        Mean electrons, ``(..., y, x)`` [electrons].

    Raises:
        TypeError: If something is complex.
        ValueError: If something is negative or the quantum efficiency exceeds one.

    Example:
        >>> expose(100.0, quantum_efficiency=0.8, dark_current=0.5, exposure=2.0).item()
        81.0

    References:
        EMVA Standard 1288, *Characterization of Image Sensors and Cameras*, Release 4.0 Linear,
        Sec. 2.
    """
    array = _photons(
        "expose",
        photons,
        quantum_efficiency=quantum_efficiency,
        dark_current=dark_current,
        exposure=exposure,
    )
    return _exposed(array, *_known(quantum_efficiency, dark_current, exposure))


def _known(*values: ArrayLike) -> list[Array]:
    """Maps as arrays; a number stays a Python float, which takes the precision of the image."""
    plain = [float(v) if isinstance(v, int | float) else v for v in values]
    return [cast(Array, v) if isinstance(v, float) else numerics.number(v, None) for v in plain]


@numerics.program()
def _exposed(photons: Array, efficiency: Array, dark_current: Array, exposure: Array) -> Array:
    return photons * efficiency + dark_current * exposure


def _uniform(key: Array, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
    """Uniform numbers above zero and below one that are fine-grained near zero."""
    eps = jnp.finfo(dtype).eps
    coarse, fine = (jax.random.uniform(k, shape, dtype) for k in jax.random.split(key))
    return jnp.clip(coarse + eps * fine, eps * eps / 4, 1 - eps / 2)


def _few(tail: Array, mean: Array) -> Array:
    """Smallest k with P(more than k) <= tail, added up term by term."""
    tiny = 1e-8 if mean.dtype == jnp.float32 else 1e-16

    def search(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        k, term, more, active = state
        k = jnp.where(active, k + 1, k)
        term = term * mean / jnp.maximum(k, 1)
        more = more - term
        # Beyond tiny terms `more` is nothing but rounding.
        return k, term, more, active & (tail < more) & ((k < mean) | (term > tiny))

    more = -jnp.expm1(-mean)
    state = jnp.zeros_like(mean), jnp.exp(-mean), more, tail < more
    return lax.while_loop(lambda s: jnp.any(s[3]), search, state)[0]


def _many(tail: Array, mean: Array) -> Array:
    """Inverse of the Poisson distribution by its expansion around the normal one."""
    w = -jax.scipy.special.ndtri(tail)
    root = jnp.sqrt(mean)
    whole = jnp.floor(mean)
    part = (mean - whole) + root * w + (2 + w * w) / 6 - w * (2 + w * w) / (72 * root)
    part = part + (w**4 / 270 + 7 * w * w / 810 - 8 / 405) / mean
    return jnp.maximum(whole + jnp.floor(part), 0)


def _poisson(key: Array, mean: Array) -> Array:
    tail = _uniform(key, mean.shape, mean.dtype)
    few, many = mean < _MANY, mean >= _MANY
    sample = jnp.where(
        many,
        _many(tail, jnp.where(many, mean, _MANY)),
        _few(tail, jnp.where(few, jnp.maximum(mean, 0), 0)),
    )
    return jnp.where(jnp.isnan(mean), mean, sample)


def shot_noise(key: Array, electrons: ArrayLike) -> Array:
    r"""Counts electrons one by one: a sample of the Poisson distribution.

    .. math:: P(s) = \frac{\mu^s e^{-\mu}}{s!}, \qquad
        \frac{\partial s}{\partial \mu} := 1 + \frac{s - \mu}{2\mu}

    The distribution is inverted, term by term below 16 electrons and by its normal expansion
    above (probabilities are right to 3e-5), so it is valid in float32 from 0 to 1e6 electrons;
    ``jax.random.poisson`` (0.10.1) is not: its variance is 2.5 % off at 1e6. The derivative has
    the right mean for every loss that is linear or quadratic in the counts; at zero mean it is
    one. A negative mean counts as zero. With one key, brighter pixels never count less.

    Args:
        key: Random key of :func:`jax.random.key`, shape ``()`` [none].
        electrons: Mean number of electrons, ``(...)`` [electrons].

    Returns:
        Sampled numbers of electrons, ``(...)`` [electrons]; whole numbers as floats.

    Raises:
        TypeError: If ``electrons`` is complex.
        ValueError: If ``electrons`` is negative or not finite.

    Example:
        >>> import jax
        >>> electrons = shot_noise(jax.random.key(0), jnp.full((1000, 1000), 4.0))
        >>> round(float(electrons.mean()), 1), round(float(electrons.var()), 1)
        (4.0, 4.0)

    References:
        M. B. Giles, "Algorithm 955: approximation of the inverse Poisson cumulative distribution
        function", ACM Trans. Math. Softw. 42, 7 (2016).
    """
    _check.key("shot_noise", key)
    _check.nonnegative("shot_noise", "electrons", electrons, unit="electrons")
    return _shot_noise(key, _check.real_array("shot_noise", "electrons", electrons))


@numerics.program()
def _shot_noise(key: Array, mean: Array) -> Array:
    mean = mean.astype(jnp.promote_types(mean.dtype, jnp.float32))
    fixed = lax.stop_gradient(mean)
    sample = _poisson(key, fixed)
    lit = fixed > 0
    slope = jnp.where(lit, 0.5 + 0.5 * sample / jnp.where(lit, fixed, 1), 1)
    return sample + slope * (mean - fixed)


def add_read_noise(key: Array, electrons: ArrayLike, *, read_noise: ArrayLike) -> Array:
    r"""Adds the Gaussian noise of the amplifier.

    .. math:: e' = e + \sigma z, \qquad z \sim \mathcal{N}(0, 1)

    Valid for white noise; sCMOS cameras have a ``read_noise`` for each pixel. Differentiable in
    both arguments.

    Args:
        key: Random key of :func:`jax.random.key`, shape ``()`` [none].
        electrons: Electrons in each pixel, ``(..., y, x)`` [electrons].
        read_noise: Standard deviation, ``(...)`` [electrons].

    Returns:
        Noisy electrons, ``(..., y, x)`` [electrons]; may be negative.

    Raises:
        TypeError: If something is complex.
        ValueError: If ``read_noise`` is negative.

    Example:
        >>> import jax
        >>> noisy = add_read_noise(jax.random.key(0), jnp.zeros((500, 500)), read_noise=2.0)
        >>> round(float(noisy.std()), 1)
        2.0

    References:
        EMVA Standard 1288, *Characterization of Image Sensors and Cameras*, Release 4.0 Linear,
        Sec. 2.
    """
    _check.key("add_read_noise", key)
    _check.nonnegative("add_read_noise", "read_noise", read_noise, unit="electrons")
    mean = _check.real_array("add_read_noise", "electrons", electrons)
    sigma = _check.real_array("add_read_noise", "read_noise", read_noise)
    return _add_read_noise(key, mean, sigma)


@numerics.program()
def _add_read_noise(key: Array, mean: Array, sigma: Array) -> Array:
    shape = _check.broadcast("add_read_noise", electrons=mean.shape, read_noise=sigma.shape)
    return mean + sigma * jax.random.normal(key, shape, jnp.result_type(mean, sigma))


def _clip(x: Array, low: ArrayLike, high: ArrayLike) -> Array:
    """Clips; a clipped number has no derivative, also where it just meets the limit."""
    return jnp.where(x <= low, low, jnp.where(x >= high, high, x))


def saturate(electrons: ArrayLike, *, full_well: ArrayLike) -> Array:
    r"""Fills a pixel to its full well at most.

    .. math:: e' = \min(e, e_\mathrm{max})

    Valid without blooming. A full pixel has no derivative with respect to ``electrons``.

    Args:
        electrons: Electrons, ``(..., y, x)`` [electrons].
        full_well: Largest number, ``(...)`` [electrons].

    Returns:
        Electrons, ``(..., y, x)`` [electrons].

    Raises:
        TypeError: If something is complex.
        ValueError: If ``full_well`` is not positive.

    Example:
        >>> saturate(jnp.array([10.0, 50.0]), full_well=20.0).tolist()
        [10.0, 20.0]

    References:
        J. R. Janesick, *Photon Transfer*, Ch. 5.
    """
    _check.positive("saturate", "full_well", full_well, unit="electrons")
    e = _check.real_array("saturate", "electrons", electrons)
    return _saturate(e, _check.real_array("saturate", "full_well", full_well))


@numerics.program()
def _saturate(e: Array, full_well: Array) -> Array:
    limit = full_well.astype(e.dtype)
    _check.broadcast("saturate", electrons=e.shape, full_well=limit.shape)
    return jnp.where(e < limit, e, limit)


def quantize(
    electrons: ArrayLike, *, gain: ArrayLike = 1.0, offset: ArrayLike = 0.0, bit_depth: int = 16
) -> Array:
    r"""Converts electrons into counts.

    .. math:: c = \mathrm{clip}\bigl(\mathrm{round}(e/g + c_0),\ 0,\ 2^b - 1\bigr)

    The derivative passes straight through the rounding and is zero where the converter is at
    either end. Valid for an ideal converter.

    Args:
        electrons: Electrons, ``(..., y, x)`` [electrons].
        gain: Electrons for one count, ``(...)`` [electrons/count].
        offset: Counts of a dark pixel, ``(...)`` [counts].
        bit_depth: Number of bits, from 1 to 24.

    Returns:
        Counts, ``(..., y, x)`` [counts]; whole numbers as floats.

    Raises:
        TypeError: If something is complex or ``bit_depth`` is not an integer.
        ValueError: If ``gain`` is not positive or ``bit_depth`` is out of range.

    Example:
        >>> electrons = jnp.array([-9.0, 0.0, 5.0, 1e6])
        >>> quantize(electrons, gain=2.0, offset=3.0, bit_depth=8).tolist()
        [0.0, 3.0, 6.0, 255.0]

    References:
        EMVA Standard 1288, *Characterization of Image Sensors and Cameras*, Release 4.0 Linear,
        Sec. 2.
    """
    e = _converter("quantize", electrons, gain, offset, bit_depth)
    scale, zero = _known(gain, offset)
    return _quantize(e, scale, zero, bit_depth)


@numerics.program("bit_depth")
def _quantize(e: Array, gain: Array, offset: Array, bit_depth: int) -> Array:
    counts, top = _counts(e, gain, offset, bit_depth)
    inside = _clip(counts, 0, top)
    return lax.stop_gradient(jnp.round(inside)) + (inside - lax.stop_gradient(inside))


def _counts(e: Array, gain: Array, offset: Array, bit_depth: int) -> tuple[Array, int]:
    """Counts before rounding and clipping, and the largest count."""
    return e / gain + offset, 2**bit_depth - 1


def _converter(
    where: str, electrons: ArrayLike, gain: ArrayLike, offset: ArrayLike, bit_depth: int
) -> Array:
    """Checks the numbers of the converter."""
    _check.integer(where, "bit_depth", bit_depth, 1, 24)
    _check.positive(where, "gain", gain, unit="electrons/count")
    _check.finite(where, "offset", offset, unit="counts")
    e = _check.real_array(where, "electrons", electrons)
    _check.broadcast(where, electrons=e.shape, gain=np.shape(gain), offset=np.shape(offset))
    return e


# -- the whole camera ----------------------------------------------------------------------


def camera(
    key: Array,
    photons: ArrayLike,
    *,
    quantum_efficiency: ArrayLike = 1.0,
    dark_current: ArrayLike = 0.0,
    exposure: ArrayLike = 1.0,
    read_noise: ArrayLike = 0.0,
    gain: ArrayLike = 1.0,
    offset: ArrayLike = 0.0,
    full_well: ArrayLike | None = None,
    bit_depth: int = 16,
) -> Array:
    r"""Counts that a camera reports for the photons on its pixels.

    .. math:: c = \mathrm{clip}\!\left(\mathrm{round}\!\left[
        \frac{\min(s, e_\mathrm{max}) + \sigma z}{g} + c_0\right], 0, 2^b - 1\right),
        \qquad s \sim \mathrm{Poisson}(\eta N + D t)

    The stages :func:`expose`, :func:`shot_noise`, :func:`saturate`, :func:`add_read_noise` and
    :func:`quantize` in this order, with their derivatives. Valid for CCD and CMOS sensors
    without electron multiplication, blooming or cross-talk.

    Args:
        key: Random key of :func:`jax.random.key`, shape ``()`` [none].
        photons: Photons on each pixel during the exposure, ``(..., y, x)`` [photons].
        quantum_efficiency: Electrons for each photon, ``(...)`` [none].
        dark_current: Dark current, ``(...)`` [electrons/s].
        exposure: Exposure time, ``(...)`` [s].
        read_noise: Standard deviation of the amplifier's noise, ``(...)`` [electrons].
        gain: Electrons for one count, ``(...)`` [electrons/count].
        offset: Counts of a dark pixel, ``(...)`` [counts].
        full_well: Largest number of electrons in a pixel, ``(...)`` [electrons]; None for no limit.
        bit_depth: Number of bits, from 1 to 24. The parameters before it broadcast against
            ``photons``: one number, or a map of shape ``(..., y, x)``.

    Returns:
        Counts, ``(..., y, x)`` [counts]; whole numbers as floats.

    Raises:
        TypeError: If something is complex or ``bit_depth`` is not an integer.
        ValueError: If a parameter is out of its range or a shape does not fit.

    Example:
        >>> import jax
        >>> photons = jnp.full((200, 200), 100.0)
        >>> counts = camera(jax.random.key(0), photons, gain=0.5, offset=100.0, read_noise=1.0)
        >>> counts.shape, round(float(counts.mean()))
        ((200, 200), 300)

    References:
        EMVA Standard 1288, *Characterization of Image Sensors and Cameras*, Release 4.0 Linear,
        Sec. 2; J. R. Janesick, *Photon Transfer*, Ch. 5.
    """
    _check.key("camera", key)
    numbers = {
        "quantum_efficiency": quantum_efficiency,
        "dark_current": dark_current,
        "exposure": exposure,
        "read_noise": read_noise,
        "gain": gain,
        "offset": offset,
    } | ({} if full_well is None else {"full_well": full_well})
    _check.integer("camera", "bit_depth", bit_depth, 1, 24)
    array = _photons("camera", photons, **numbers)
    known = dict(zip(numbers, _known(*numbers.values()), strict=True))
    return _camera(key, array, known, bit_depth)


@numerics.program("bit_depth")
def _camera(key: Array, photons: Array, p: dict[str, Array], bit_depth: int) -> Array:
    shot, read = jax.random.split(key)
    mean = _exposed(photons, p["quantum_efficiency"], p["dark_current"], p["exposure"])
    electrons = _shot_noise(shot, mean)
    if "full_well" in p:
        electrons = _saturate(electrons, jnp.asarray(p["full_well"]))
    electrons = _add_read_noise(read, electrons, jnp.asarray(p["read_noise"]))
    return _quantize(electrons, p["gain"], p["offset"], bit_depth)


def expected_counts(
    photons: ArrayLike,
    *,
    quantum_efficiency: ArrayLike = 1.0,
    dark_current: ArrayLike = 0.0,
    exposure: ArrayLike = 1.0,
    gain: ArrayLike = 1.0,
    offset: ArrayLike = 0.0,
    full_well: ArrayLike | None = None,
    bit_depth: int = 16,
) -> Array:
    r"""Counts of a camera without noise: the model to compare with measured counts.

    .. math:: \bar c = \mathrm{clip}\!\left(
        \frac{\min(\eta N + D t,\ e_\mathrm{max})}{g} + c_0,\ 0,\ 2^b - 1\right)

    The mean of :func:`camera`, not rounded. Valid where the noise does not reach the limits: at
    the full well and at either end of the converter the true mean is rounded off.

    Args:
        photons: Photons on each pixel during the exposure, ``(..., y, x)`` [photons].
        quantum_efficiency: Electrons for each photon, ``(...)`` [none].
        dark_current: Dark current, ``(...)`` [electrons/s].
        exposure: Exposure time, ``(...)`` [s].
        gain: Electrons for one count, ``(...)`` [electrons/count].
        offset: Counts of a dark pixel, ``(...)`` [counts].
        full_well: Largest number of electrons in a pixel, ``(...)`` [electrons]; None for no limit.
        bit_depth: Number of bits, from 1 to 24. The parameters before it broadcast against
            ``photons``: one number, or a map of shape ``(..., y, x)``.

    Returns:
        Mean counts, ``(..., y, x)`` [counts].

    Raises:
        TypeError: If something is complex or ``bit_depth`` is not an integer.
        ValueError: If a parameter is out of its range or a shape does not fit.

    Example:
        >>> expected_counts(100.0, quantum_efficiency=0.5, gain=2.0, offset=10.0).item()
        35.0

    References:
        EMVA Standard 1288, *Characterization of Image Sensors and Cameras*, Release 4.0 Linear,
        Sec. 2.
    """
    numbers = {
        "quantum_efficiency": quantum_efficiency,
        "dark_current": dark_current,
        "exposure": exposure,
        "gain": gain,
        "offset": offset,
    } | ({} if full_well is None else {"full_well": full_well})
    _check.integer("expected_counts", "bit_depth", bit_depth, 1, 24)
    array = _photons("expected_counts", photons, **numbers)
    known = dict(zip(numbers, _known(*numbers.values()), strict=True))
    return _expected_counts(array, known, bit_depth)


@numerics.program("bit_depth")
def _expected_counts(photons: Array, p: dict[str, Array], bit_depth: int) -> Array:
    electrons = _exposed(photons, p["quantum_efficiency"], p["dark_current"], p["exposure"])
    if "full_well" in p:
        electrons = _saturate(electrons, jnp.asarray(p["full_well"]))
    counts, top = _counts(electrons, p["gain"], p["offset"], bit_depth)
    return _clip(counts, 0, top)


def counts_variance(
    photons: ArrayLike,
    *,
    quantum_efficiency: ArrayLike = 1.0,
    dark_current: ArrayLike = 0.0,
    exposure: ArrayLike = 1.0,
    read_noise: ArrayLike = 0.0,
    gain: ArrayLike = 1.0,
) -> Array:
    r"""Variance of a camera's counts, for losses that weight by the noise.

    .. math:: v = \frac{\eta N + D t + \sigma^2}{g^2} + \frac{1}{12}

    Shot noise, read noise and rounding. Valid away from saturation, and where the noise is at
    least half a count, so that rounding is independent of it.

    Args:
        photons: Photons on each pixel during the exposure, ``(..., y, x)`` [photons].
        quantum_efficiency: Electrons for each photon, ``(...)`` [none].
        dark_current: Dark current, ``(...)`` [electrons/s].
        exposure: Exposure time, ``(...)`` [s].
        read_noise: Standard deviation, ``(...)`` [electrons].
        gain: Electrons for one count, ``(...)`` [electrons/count].

    Returns:
        Variance, ``(..., y, x)`` [counts²].

    Raises:
        TypeError: If something is complex.
        ValueError: If a parameter is out of its range.

    Example:
        >>> round(counts_variance(96.0, read_noise=2.0, gain=10.0).item(), 4)
        1.0833

    References:
        J. R. Janesick, *Photon Transfer*, Ch. 5; EMVA Standard 1288, Release 4.0 Linear, Sec. 2.
    """
    numbers = {
        "quantum_efficiency": quantum_efficiency,
        "dark_current": dark_current,
        "exposure": exposure,
        "read_noise": read_noise,
        "gain": gain,
    }
    array = _photons("counts_variance", photons, **numbers)
    return _counts_variance(array, *_known(*numbers.values()))


@numerics.program()
def _counts_variance(
    photons: Array,
    efficiency: Array,
    dark_current: Array,
    exposure: Array,
    noise: Array,
    scale: Array,
) -> Array:
    electrons = _exposed(photons, efficiency, dark_current, exposure)
    return (electrons + noise * noise) / (scale * scale) + 1 / 12
