"""A library of point-spread functions over field, depth and wavelength, and images made with it."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, _files, numerics
from jaxwave._noun import noun, settle, static
from jaxwave.imaging import Convolution, common_type, prepare
from jaxwave.sweeps.run import sweep

AXES = ("y", "x", "z", "wavelength")
_NGFF = "0.5"
_OWN = "jaxwave_psf_library"


@noun
class PsfLibrary:
    """Point-spread functions at the nodes of a grid over field, depth and wavelength.

    Between the nodes of an axis runs a cubic spline ("not a knot"; a line between two nodes), the
    same for every pixel, so the interpolated PSF has a derivative in all four numbers and is linear
    in the stored ones. Light is not created: where the stored sums agree, every sum is theirs.

    Args:
        psfs: Shares of light in pixels, ``(y, x, z, wavelength, rows, columns)`` [none].
        y: Places in the field, ``(ny,)`` [µm], rising.
        x: Places in the field, ``(nx,)`` [µm], rising.
        z: Depths, ``(nz,)`` [µm], rising.
        wavelength: Vacuum wavelengths, ``(nw,)`` [µm], rising.
        pixel: Width of a pixel of the PSFs in the sample, one number or (dy, dx) [µm].

    Raises:
        ValueError: If an axis does not rise or has not as many nodes as the PSFs.
        TypeError: If something is no real number.

    Example:
        >>> psfs = jnp.array([0.0, 1.0])[None, None, :, None, None, None] * jnp.ones((5, 5))
        >>> library = PsfLibrary(psfs, z=(0.0, 2.0), pixel=0.1)
        >>> float(library.at(z=0.5)[2, 2]), float(jax.grad(lambda z: library.at(z=z)[2, 2])(0.5))
        (0.25, 0.5)
    """

    psfs: Any
    y: tuple[float, ...] = static(default=(0.0,))
    x: tuple[float, ...] = static(default=(0.0,))
    z: tuple[float, ...] = static(default=(0.0,))
    wavelength: tuple[float, ...] = static(default=(0.5,))
    pixel: tuple[float, float] = static(default=(1.0, 1.0))

    def __post_init__(self) -> None:
        where = "PsfLibrary"
        psfs = _check.real_array(where, "psfs", self.psfs, fix="Give the intensity.")
        nodes = {name: _nodes(where, name, getattr(self, name)) for name in AXES}
        need = tuple(len(v) for v in nodes.values())
        if psfs.ndim != 6 or psfs.shape[:4] != need:
            raise ValueError(
                f"{where}: `psfs` must be (y, x, z, wavelength, rows, columns) with {need} nodes, "
                f"got the shape {psfs.shape}."
            )
        pair = np.broadcast_to(np.asarray(_check.length(where, "pixel", self.pixel), float), (2,))
        _check.positive(where, "pixel", pair, unit="µm")
        settle(self, psfs=psfs, pixel=tuple(pair.tolist()), **nodes)

    def at(
        self,
        *,
        y: ArrayLike | None = None,
        x: ArrayLike | None = None,
        z: ArrayLike | None = None,
        wavelength: ArrayLike | None = None,
    ) -> Array:
        """The PSF at a place, a depth and a wavelength, ``(..., rows, columns)``.

        Numbers broadcast against each other; an axis with one node needs none. Known numbers
        outside the nodes are refused, traced ones are taken to the rim.
        """
        given = self._given("PsfLibrary.at", dict(y=y, x=x, z=z, wavelength=wavelength))
        return _at(self.psfs, tuple(getattr(self, name) for name in AXES), given)

    def image(
        self,
        image: ArrayLike,
        *,
        z: ArrayLike | None = None,
        wavelength: ArrayLike | None = None,
        center: tuple[float, float] = (0.0, 0.0),
        boundary: str = "zero",
    ) -> Array:
        """Image of a plane object in incoherent light, each of its points with its own PSF.

        The light of a point is spread by the PSF of the place it comes from. Where the spline runs
        between n nodes that is a sum of n convolutions, each of the object times a weight.

        Args:
            image: Object with the PSFs' pixels, ``(..., y, x)`` [any unit].
            z: Depth, scalar [µm]; none needed for one node.
            wavelength: Vacuum wavelength, scalar [µm]; the same.
            center: Place (y, x) in the field of the object's pixel N // 2 [µm].
            boundary: What is beyond the object, as in ``jaxwave.convolve_psf``.
        """
        where = "PsfLibrary.image"
        given = self._given(where, dict(z=z, wavelength=wavelength))
        psfs = _planes(self.psfs, (self.z, self.wavelength), given)
        image, psfs, steps = prepare(where, "image", image, psfs[0, 0], boundary, 2, "(..., y, x)")
        places = []
        for name, n, step, middle in zip("yx", image.shape[-2:], self.pixel, center, strict=True):
            place = middle + (np.arange(n) - n // 2) * step
            nodes = getattr(self, name)
            if len(nodes) > 1:
                _check.between(where, name, place[[0, -1]], *_rim(nodes), fix=_FIX)
            places.append(_weights(nodes, jnp.asarray(place)))
        stored = _planes(self.psfs, (self.z, self.wavelength), given)
        return _image(image, stored, places[0], places[1], steps)

    def _given(self, where: str, numbers: Mapping[str, Any]) -> dict[str, Any]:
        """Requires a number for every axis that has more than one node."""
        result = {}
        for name, value in numbers.items():
            nodes = getattr(self, name)
            if value is None:
                if len(nodes) > 1:
                    raise ValueError(
                        f"{where}: `{name}` must be given, as it has {len(nodes)} nodes."
                    )
                value = nodes[0]
            value = _check.length(where, name, value)
            if len(nodes) > 1:
                _check.between(where, name, value, *_rim(nodes))
            result[name] = _check.real_array(where, name, value)
        return result

    def save(self, path: str | os.PathLike) -> Path:
        """Writes one Zarr store: for each wavelength an NGFF image with the axes field, z, y, x."""
        path = Path(path)
        psfs = np.asarray(self.psfs, "<f4")
        ny, nx, nz, nw, *window = psfs.shape
        own = {name: list(getattr(self, name)) for name in (*AXES, "pixel")}
        with _files.replacing_folder(path) as new:
            attributes = {_OWN: own, "ome": {"version": _NGFF}}
            _write(new, {"zarr_format": 3, "node_type": "group", "attributes": attributes})
            for k in range(nw):
                data = psfs[:, :, :, k].reshape(ny * nx, nz, *window)
                _write(new / str(k), _group(self, k))
                _write(new / str(k) / "0", _array(data.shape))
                chunk = (new / str(k) / "0" / "c").joinpath("0", "0", "0")
                chunk.mkdir(parents=True)
                (chunk / "0").write_bytes(data.tobytes())
        return path

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Reads what :meth:`save` wrote, whoever packed it anew since; needs the package zarr."""
        import zarr

        try:
            store = zarr.open_group(str(path), mode="r")
            text = (Path(path) / "zarr.json").read_text(encoding="utf-8")
            own: dict[str, Any] = json.loads(text)["attributes"][_OWN]
        except (KeyError, FileNotFoundError):
            raise ValueError(
                f"PsfLibrary.load: {str(path)!r} is no library of PSFs that PsfLibrary.save wrote."
            ) from None
        shape = [len(own[name]) for name in AXES]
        parts = [np.asarray(store[f"{k}/0"]) for k in range(shape[3])]
        stacked = [p.reshape(*shape[:3], *p.shape[2:]) for p in parts]
        names: dict[str, Any] = {name: tuple(value) for name, value in own.items()}
        return cls(np.stack(stacked, axis=3), **names)


_FIX = "The library must reach as far as the object; choose `center`, or compute more nodes."


def psf_library(
    function: object,
    settings: Mapping[str, Any],
    *arguments: Any,
    pixel: Any,
    **options: Any,
) -> PsfLibrary:
    """Computes a library of PSFs with ``jaxwave.sweep``.

    Args:
        function: A function of some of ``y``, ``x``, ``z`` and ``wavelength`` (µm), and of other
            numbers, that returns a PSF ``(rows, columns)``; or a model.
        settings: Nodes of the axes by name, and single numbers that stay the same.
        *arguments: What the function takes besides, in front.
        pixel: Width of a pixel of the PSFs in the sample, one number or (dy, dx) [µm].
        **options: Those of ``jaxwave.sweep``, such as ``folder`` and ``progress``.

    Returns:
        The library.

    Raises:
        ValueError: If another name than those four is swept, or the results are no PSFs.

    Example:
        >>> import jaxwave as jw
        >>> def psf(z):
        ...     r2 = jnp.sum(jnp.square(jnp.stack(jnp.meshgrid(*[jnp.arange(-4.0, 5.0)] * 2))), 0)
        ...     return jnp.exp(-r2 / (2 + z**2)) / (2 + z**2)
        >>> library = jw.sweeps.psf_library(psf, {"z": jnp.linspace(0, 1, 5)}, pixel=0.1)
        >>> library.psfs.shape
        (1, 1, 5, 1, 9, 9)
    """
    where = "psf_library"
    swept = {n: v for n, v in settings.items() if np.ndim(v) and not isinstance(v, str)}
    wrong = [name for name in swept if name not in AXES]
    if wrong:
        raise ValueError(f"{where}: a library has the axes {AXES}, got values for {wrong[0]!r}.")
    result = sweep(function, settings, *arguments, **options)
    if result.reduced or result.points.kind != "grid":
        raise ValueError(f"{where}: a library is a whole grid; leave out `reduce` and `kind`.")
    psfs = np.asarray(result.values)
    names = [*result.points.values]
    if psfs.ndim != len(names) + 2:
        raise ValueError(
            f"{where}: the function must return one PSF (rows, columns), got the shape "
            f"{psfs.shape[len(names) :]}."
        )
    order = [names.index(name) for name in AXES if name in names]
    psfs = psfs.transpose(*order, -2, -1)
    psfs = psfs.reshape(*(len(swept.get(name, [0])) for name in AXES), *psfs.shape[-2:])
    nodes = {name: tuple(result.points.values[name].tolist()) for name in names}
    fixed = {n: (float(v),) for n, v in result.points.fixed.items() if n in AXES}
    return PsfLibrary(psfs, **nodes, **fixed, pixel=pixel)


# -- interpolation ---------------------------------------------------------------------------


def _nodes(where: str, name: str, value: object) -> tuple[float, ...]:
    _check.length(where, name, np.asarray(value, float))
    nodes = tuple(np.atleast_1d(np.asarray(value, float)).tolist())
    if not nodes or not np.all(np.isfinite(nodes)) or np.any(np.diff(nodes) <= 0):
        raise ValueError(f"{where}: `{name}` must be finite numbers that rise, got {nodes}.")
    return nodes


def _rim(nodes: tuple[float, ...]) -> tuple[float, float]:
    """First and last node, with room for numbers in float32."""
    room = 1e-6 * (abs(nodes[0]) + abs(nodes[-1]))
    return nodes[0] - room, nodes[-1] + room


@functools.lru_cache
def _spline(nodes: tuple[float, ...]) -> np.ndarray:
    """Coefficients ``(power, interval, node)`` of the weights of all nodes, highest power first."""
    if len(nodes) == 2:
        step = nodes[1] - nodes[0]
        return np.array([[[-1 / step, 1 / step]], [[1.0, 0.0]]])
    from scipy.interpolate import CubicSpline

    return CubicSpline(nodes, np.eye(len(nodes)), bc_type="not-a-knot").c


def _weights(nodes: tuple[float, ...], place: Array) -> Array:
    """What each node contributes at a place, ``(..., nodes)``; they sum to one."""
    place = jnp.asarray(place, jnp.result_type(float))
    if len(nodes) == 1:
        return jnp.ones((*place.shape, 1), place.dtype)
    place = jnp.clip(place, nodes[0], nodes[-1])
    interval = jnp.searchsorted(jnp.asarray(nodes[1:-1]), place, side="right")
    step = place - jnp.asarray(nodes)[interval]
    coefficients = jnp.asarray(_spline(nodes), place.dtype)
    total = jnp.zeros((*place.shape, len(nodes)), place.dtype)
    for row in coefficients:
        total = total * step[..., None] + row[interval]
    return total


@numerics.program("nodes")
def _at(psfs: Array, nodes: tuple, given: Mapping[str, Array]) -> Array:
    numbers = jnp.broadcast_arrays(*(given[name] for name in AXES))

    def one(*place: Array) -> Array:
        wy, wx, wz, ww = map(_weights, nodes, place)
        field = jnp.einsum("c,d,abcdij->abij", wz, ww, psfs)
        return jnp.einsum("a,b,abij->ij", wy, wx, field)

    return numerics.map_batch(one, numbers[0].shape, *numbers)


@numerics.program("nodes")
def _planes(psfs: Array, nodes: tuple, given: Mapping[str, Array]) -> Array:
    """PSFs of the field at one depth and wavelength, ``(y, x, rows, columns)``."""
    wz, ww = (_weights(n, given[name]) for n, name in zip(nodes, AXES[2:], strict=True))
    return jnp.einsum("c,d,abcdij->abij", wz, ww, psfs)


@numerics.program("steps")
def _image(image: Array, psfs: Array, wy: Array, wx: Array, steps: Convolution) -> Array:
    """Sum over the nodes of convolutions of the weighted object; one transform back."""
    image, psfs = common_type(image, psfs)
    ny, nx = psfs.shape[:2]
    wy, wx = wy.astype(image.dtype), wx.astype(image.dtype)

    def add(total: Array, k: Array) -> tuple[Array, None]:
        i, j = k // nx, k % nx
        part = image * wy[:, i][:, None] * wx[:, j]
        return total + steps.image(part) * steps.psf(psfs[i, j]), None

    shape = jax.eval_shape(lambda: steps.image(image) * steps.psf(psfs[0, 0]))
    total = jnp.zeros(shape.shape, shape.dtype)
    return steps.back(jax.lax.scan(add, total, jnp.arange(ny * nx))[0])


# -- files -----------------------------------------------------------------------------------


def _write(folder: Path, metadata: Mapping[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "zarr.json").write_text(json.dumps(metadata, indent=1), encoding="utf-8")


def _group(library: PsfLibrary, k: int) -> dict[str, Any]:
    """An NGFF image; its field axis counts places (y, x), rows first."""
    axes = [{"name": "field"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    z = library.z
    dz = (z[-1] - z[0]) / (len(z) - 1) if len(z) > 1 else 1.0
    scales = [{"type": "scale", "scale": [1.0, dz, *library.pixel]}]
    image = {
        "name": f"{library.wavelength[k]:g} um",
        "axes": axes,
        "datasets": [{"path": "0", "coordinateTransformations": scales}],
    }
    ome = {"version": _NGFF, "multiscales": [image]}
    return {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}


def _array(shape: tuple[int, ...]) -> dict[str, Any]:
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(shape)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0.0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "dimension_names": ["field", "z", "y", "x"],
        "attributes": {},
    }
