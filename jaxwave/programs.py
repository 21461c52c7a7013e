"""Simulators in one file: traced and lowered once, loaded without the code of the model."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, export

from jaxwave import _files, _npy
from jaxwave._version import __version__
from jaxwave.field import Field, VectorField
from jaxwave.sweeps.target import is_model

_FORMAT, _VERSION = "jaxwave program", 1
_HEADER, _PROGRAM = "header", "program"
_MOST_BYTES = 2**33
_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
_ANY = "n"  # the number of what is computed at once


@dataclasses.dataclass(frozen=True)
class Program:
    """A simulator out of a file; made by :func:`load_program`.

    Call it as what was saved: ``program(*arguments)``. Other values of a model's parameters are
    given by name, ``program(*arguments, parameters={"free.z": 2e4})``. It works in ``jax.jit``,
    ``jax.lax.map`` and, if it was saved with its gradient, in ``jax.grad`` (first derivatives).
    What ``jax.vmap`` would do is ``save_program(batch=...)``.

    Args:
        name: What was saved.
        parameters: The model's parameters ``(...)`` by dotted name [its units].
        arguments: Shapes of the arguments, as a text for each array.
        batch: Numbers of the arguments whose leading axis may have any length.
        call: The compiled function of the parameters and the arguments.
        example: Shapes of the parameters and the arguments.

    Example:
        >>> import tempfile, jax.numpy as jnp
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_program(Path(folder) / "double.program", lambda x: 2 * x, jnp.ones(3))
        ...     load_program(path)
        Program(<lambda>, arguments float32(3,))
    """

    name: str
    parameters: Mapping[str, np.ndarray]
    arguments: tuple[str, ...]
    batch: tuple[int, ...]
    call: Callable[..., Any]
    example: Any

    def __call__(self, *arguments: Any, parameters: Mapping[str, Any] | None = None) -> Any:
        """Computes what was saved."""
        where = f"{self.name} (a loaded program)"
        new = parameters or {}
        if unknown := sorted({*new} - {*self.parameters}):
            raise ValueError(
                f"{where}: there is no parameter {unknown[0]!r}. It has: "
                f"{', '.join(self.parameters) or 'none'}."
            )
        given = ({**self.parameters, **new}, arguments)
        try:
            return self.call(*_like(where, self.example, given, self.batch))
        except NotImplementedError as error:
            if "atching" not in str(error):
                raise
            raise NotImplementedError(
                f"{where}: cannot be used in jax.vmap (nor in a sweep with batch > 1). Save it "
                "with save_program(batch=...), which takes many at once, or use jax.lax.map."
            ) from error

    def __repr__(self) -> str:
        more = f", {len(self.parameters)} parameters" if self.parameters else ""
        return f"Program({self.name}, arguments {', '.join(self.arguments) or 'none'}{more})"


def save_program(
    path: str | os.PathLike,
    function: Any,
    *arguments: Any,
    batch: int | Iterable[int] = (),
    gradient: bool = True,
    platforms: str | Iterable[str] = (),
) -> Path:
    """Saves a simulator, traced and lowered, in one file that needs none of its code again.

    The file holds the program for the shapes of the arguments, and a model's parameters with their
    values. :func:`load_program` gives back a function, without tracing anything: what a large model
    costs in Python is paid once. It is compiled at the first call, or read from the cache of
    ``tune_cpu``.

    Args:
        path: The file, such as ``"microscope.program"``.
        function: A function of arrays, or a model, whose parameters stay numbers that may change.
        *arguments: Arrays and numbers as it is called with, or ``jax.ShapeDtypeStruct``; dicts,
            lists and Fields of them.
        batch: Numbers of the arguments (0 for the first one) that get a leading axis of any length:
            the loaded program computes that many at once, compiled once for each length.
        gradient: Whether ``jax.grad`` works through the loaded program; it doubles the file.
        platforms: What it can run on, such as ``("cpu", "cuda")``; by default the present one.

    Returns:
        The path of the file.

    Raises:
        TypeError: If the function cannot be traced, or an argument is none of the above.
        ValueError: If an argument of ``batch`` does not exist, or a platform is unknown.
        ImportError: If flatbuffers is not installed.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile, jax.numpy as jnp
        >>> from pathlib import Path
        >>> def image(z):
        ...     return jnp.exp(-z * jnp.arange(3.0))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_program(Path(folder) / "image.program", image, 1.0, batch=0)
        ...     program = load_program(path)
        ...     program(jnp.array([0.0, 1.0])).shape
        (2, 3)
    """
    where = "save_program"
    _require_flatbuffers(where)
    name, parameters, call = _callable(where, function)
    numbers = jax.tree.map(functools.partial(_shape, where), (parameters, arguments))
    chosen = _batch(where, batch, len(arguments))
    size = export.symbolic_shape(_ANY)[0] if chosen else None
    shapes = (numbers[0], tuple(_longer(a, size, k in chosen) for k, a in enumerate(numbers[1])))
    if chosen:
        axes = (None, tuple(0 if k in chosen else None for k in range(len(arguments))))
        call = jax.vmap(call, in_axes=axes)
    kinds = ([platforms] if isinstance(platforms, str) else [*platforms]) or None
    if unknown := [kind for kind in kinds or () if kind not in _PLATFORMS]:
        raise ValueError(f"{where}: `platforms` must be of {_PLATFORMS}, got {unknown[0]!r}.")
    exported = export.export(jax.jit(call), platforms=kinds)(*shapes)
    program = _serialized(where, name, exported, gradient)
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        "jaxwave": __version__,
        "jax": jax.__version__,
        "calling": exported.calling_convention_version,
        "platforms": list(exported.platforms),
        "name": name,
        "names": [*parameters],
        "batch": sorted(chosen),
        "gradient": bool(gradient),
        "sha256": hashlib.sha256(program).hexdigest(),
    }
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    content = {_HEADER: text, _PROGRAM: np.frombuffer(program, np.uint8)}
    content |= {f"parameter.{k}": np.asarray(v) for k, v in enumerate(parameters.values())}
    return _files.atomic(where, path, lambda stream: _npy.write_npz(stream, content))


def load_program(path: str | os.PathLike) -> Program:
    """Loads a simulator that :func:`save_program` has written; its code need not exist any more.

    Nothing in the file is executed when it is loaded. Like any program, take it from people whom
    you trust.

    Args:
        path: The file.

    Returns:
        A function of JAX, with the parameters of the model.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, no program of jaxwave, too new for this jax, or made for
            another platform; the message says which.
        ImportError: If flatbuffers is not installed.

    Example:
        >>> import tempfile, jax
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = save_program(Path(folder) / "cube.program", lambda x: x**3, 1.0)
        ...     cube = load_program(path)
        >>> float(jax.grad(cube)(2.0))
        12.0
    """
    where = "load_program"
    _require_flatbuffers(where)
    place = _files.existing(where, path)
    content = _content(where, place)
    header = _header(where, place, content)
    _require_runnable(where, place, header)
    program = content[_PROGRAM].tobytes()
    if hashlib.sha256(program).hexdigest() != header["sha256"]:
        raise ValueError(f"{where}: {place.name!r} is damaged: its checksum is another one.")
    _register()
    try:
        exported = export.deserialize(bytearray(program))
    except Exception as error:
        raise ValueError(
            f"{where}: {place.name!r} was saved by jax {header['jax']}, and jax "
            f"{jax.__version__} cannot read it ({str(error).splitlines()[0]}). Save it again with "
            "the version that runs it."
        ) from error
    _require_precision(where, place, exported.in_avals)
    names = header["names"]
    values = {name: content[f"parameter.{k}"] for k, name in enumerate(names)}
    example = jax.tree.unflatten(exported.in_tree, exported.in_avals)[0]
    shapes = tuple(f"{a.dtype.name}{a.shape}" for a in jax.tree.leaves(example[1]))
    batch = tuple(header["batch"])
    return Program(header["name"], values, shapes, batch, jax.jit(exported.call), example)


# -- saving ----------------------------------------------------------------------------------


def _require_flatbuffers(where: str) -> None:
    try:
        import flatbuffers  # noqa: F401
    except ImportError:
        raise ImportError(
            f'{where}: needs flatbuffers. Install it with pip install "jaxwave[programs]".'
        ) from None


def _callable(where: str, function: Any) -> tuple[str, dict[str, Any], Callable[..., Any]]:
    """Name, parameters, and a function of the parameters and the arguments."""
    if is_model(function):
        from jaxwave.calibration._tree import split

        structure, leaves = split(where, function)

        def of_model(parameters: Mapping[str, Any], arguments: tuple) -> Any:
            return structure.merge(dict(parameters))(*arguments)

        return type(function).__name__, leaves, of_model
    if not callable(function):
        raise TypeError(
            f"{where}: `function` must be a function or a model, got {type(function).__name__}."
        )
    name = getattr(function, "__name__", type(function).__name__)
    return name, {}, lambda parameters, arguments: function(*arguments)


def _shape(where: str, leaf: Any) -> jax.ShapeDtypeStruct:
    is_key = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    if is_key or isinstance(leaf, bool | int | str) or not _is_numbers(leaf):
        raise TypeError(
            f"{where}: arguments must be arrays and floating-point numbers, got {leaf!r}. What "
            "decides about shapes or ways is fixed by functools.partial, such as partial(f, n=64); "
            "of a random key pass jax.random.key_data."
        )
    kind = jax.dtypes.canonicalize_dtype(jax.dtypes.result_type(leaf))
    return jax.ShapeDtypeStruct(np.shape(leaf), kind)


def _is_numbers(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") or isinstance(leaf, float | complex)


def _batch(where: str, batch: int | Iterable[int], count: int) -> set[int]:
    chosen = {batch} if isinstance(batch, int) else {*batch}
    if wrong := [k for k in chosen if not 0 <= k < count]:
        raise ValueError(
            f"{where}: `batch` must be numbers of the {count} arguments, the first one is 0; got "
            f"{wrong[0]}."
        )
    return chosen


def _longer(argument: Any, size: Any, chosen: bool) -> Any:
    if not chosen:
        return argument
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct((size, *a.shape), a.dtype), argument)


def _serialized(where: str, name: str, exported: export.Exported, gradient: bool) -> bytes:
    _register()
    try:
        return bytes(exported.serialize(vjp_order=int(gradient)))
    except ValueError as error:
        if "serializ" not in str(error) and "register" not in str(error):
            raise
        raise TypeError(
            f"{where}: what {name} takes and returns must be made of arrays, dicts, lists, tuples "
            f"and Fields ({str(error).splitlines()[0]}). Save a function that takes it apart."
        ) from error


@functools.cache
def _register() -> None:
    """Fields are known in files by their names; they hold nothing but arrays."""
    for kind in (Field, VectorField):
        export.register_pytree_node_serialization(
            kind,
            serialized_name=f"jaxwave.{kind.__name__}",
            serialize_auxdata=lambda _: b"",
            deserialize_auxdata=lambda _: (),
        )


# -- loading ---------------------------------------------------------------------------------


def _content(where: str, path: Path) -> dict[str, np.ndarray]:
    try:
        return _npy.read_npz(where, path, _MOST_BYTES)
    except ValueError as error:
        raise ValueError(f"{error} A program is what save_program has written.") from None


def _header(where: str, path: Path, content: Mapping[str, np.ndarray]) -> dict[str, Any]:
    foreign = ValueError(f"{where}: {path.name!r} is no program of jaxwave's save_program.")
    if not {_HEADER, _PROGRAM} <= {*content}:
        raise foreign
    try:
        header = json.loads(content[_HEADER].tobytes())
        known = header["format"] == _FORMAT and isinstance(header["version"], int)
        complete = all(f"parameter.{k}" in content for k in range(len(header["names"])))
        words = ("sha256", "jax", "jaxwave", "platforms", "calling", "name", "batch")
        complete = complete and all(word in header for word in words)
    except (ValueError, TypeError, KeyError):
        raise foreign from None
    if not known or not complete:
        raise foreign
    if header["version"] > _VERSION:
        raise ValueError(
            f"{where}: {path.name!r} was written by jaxwave {header['jaxwave']}, which is newer "
            f"than this one ({__version__}). Update jaxwave."
        )
    return header


def _require_runnable(where: str, path: Path, header: Mapping[str, Any]) -> None:
    here = jax.default_backend()
    able = {"gpu": {"cuda", "rocm"}}.get(here, {here})
    if not able & {*header["platforms"]}:
        raise ValueError(
            f"{where}: {path.name!r} was saved for {', '.join(header['platforms'])}, and this "
            f"process computes on {here}. Save it with platforms=({sorted(able)[0]!r}, ...)."
        )
    least = export.minimum_supported_calling_convention_version
    most = export.maximum_supported_calling_convention_version
    if not least <= header["calling"] <= most:
        newer = "newer" if header["calling"] > most else "older"
        raise ValueError(
            f"{where}: {path.name!r} was saved by jax {header['jax']}, too much {newer} than jax "
            f"{jax.__version__}. Save it again with the version that runs it."
        )


def _require_precision(where: str, path: Path, avals: Iterable[Any]) -> None:
    wide = [a for a in avals if a.dtype.itemsize >= 8 and a.dtype.kind in "fiu"]
    wide += [a for a in avals if a.dtype == np.complex128]
    if wide and jnp.result_type(float) != np.float64:
        raise ValueError(
            f"{where}: {path.name!r} was saved in double precision. Call "
            'jax.config.update("jax_enable_x64", True) first, or save it in single precision.'
        )


def _like(where: str, example: Any, given: Any, batch: tuple[int, ...]) -> Any:
    """The numbers in the types that the program knows; shapes are compared in words."""
    tree: Any  # stubs know none of its methods
    leaves, tree = jax.tree.flatten(example)
    try:
        numbers = tree.flatten_up_to(given)
    except (TypeError, ValueError):
        raise TypeError(
            f"{where}: takes {_words(example[1])}, got {_words(given[1])}. Give the arguments that "
            "it was saved with."
        ) from None
    lengths = set()

    def like(shape: Any, leaf: Any) -> Array:
        number = jnp.asarray(leaf)
        whole, real = (jnp.issubdtype(shape.dtype, k) for k in (jnp.integer, jnp.floating))
        if (real and jnp.iscomplexobj(number)) or (whole and jnp.issubdtype(number.dtype, float)):
            raise TypeError(f"{where}: takes {shape.dtype}, got {number.dtype}.")
        sizes = [n if isinstance(n, int) else None for n in shape.shape]
        fits = len(sizes) == number.ndim and all(
            n in (None, m) for n, m in zip(sizes, number.shape, strict=True)
        )
        if not fits:
            wanted = ", ".join("any" if n is None else str(n) for n in sizes)
            raise ValueError(
                f"{where}: takes an array of the shape ({wanted}), got {number.shape}. Another "
                "shape is another program; a leading axis of any length is save_program(batch=...)."
            )
        if sizes and sizes[0] is None:
            lengths.add(number.shape[0])
        return number.astype(shape.dtype)

    result = tree.unflatten([like(a, b) for a, b in zip(leaves, numbers, strict=True)])
    if len(lengths) > 1 or 0 in lengths:
        raise ValueError(
            f"{where}: the leading axes of the arguments {', '.join(map(str, batch))} must have "
            f"one length, at least one, got {sorted(lengths)}."
        )
    return result


def _words(arguments: tuple) -> str:
    parts = []
    for argument in arguments:
        leaves, tree = jax.tree.flatten(argument)
        plain = jax.tree_util.treedef_is_leaf(tree)
        parts.append("an array" if plain else f"{type(argument).__name__} of {len(leaves)} arrays")
    return f"{len(arguments)} arguments ({', '.join(parts)})" if parts else "no arguments"
