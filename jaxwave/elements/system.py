"""A sequence of elements with names, which prints as an optical bench."""

from __future__ import annotations

import inspect
import keyword
import re
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check, _notebook
from jaxwave.elements import labels, names
from jaxwave.elements.element import Element, init_signature
from jaxwave.field import Field

_HEAD = ("z [µm]", "name", "element")


@init_signature
class System(nnx.Module):
    r"""Puts elements in a row: what one makes, the next one takes.

    .. math:: u' = E_N(\dots E_2(E_1(u)))

    Exact: nothing is added between the elements. They are given by name, or in order (then they
    are named after their classes). An element is anything that can be called: an
    :class:`Element`, another system, a network, a function. When the first one is a source, the
    system is called without a field. Printing it shows an optical bench. Like every element it is
    a pytree: hand it to ``jax.jit`` and ``jax.grad`` as an argument, because what a function only
    captures becomes a constant of the program.

    Args:
        elements: Elements in the order in which the light meets them.
        named: Elements by name, in the same order.

    Raises:
        TypeError: If an element cannot be called.
        ValueError: If there are no elements, or a name is taken.

    Example:
        >>> from jaxwave.elements import Fresnel, PlaneWave, ThinLens
        >>> system = System(
        ...     source=PlaneWave((64, 64), spacing=1.0, wavelength=0.5),
        ...     lens=ThinLens(200.0),
        ...     gap=Fresnel(200.0),
        ... )
        >>> print(system)
        System of 3 elements
          z [µm]  name    element
          0       source  PlaneWave(shape=(64, 64), spacing=1 µm, wavelength=0.5 µm)
          0       lens    ThinLens(f=200 µm)
          0       gap     Fresnel(z=200 µm)
          200     end
          learned: nothing
        >>> system()
        Field((64, 64) complex64, spacing=1 µm, wavelength=0.5 µm)
        >>> system.lens, system["gap"].z[...].item(), len(system[:2])
        (ThinLens(f=200 µm), 200.0, 2)
    """

    def __init__(self, *elements: Callable[..., Any], **named: Callable[..., Any]) -> None:
        found: dict[str, Any] = {}
        for element in elements:
            _require_element(_class_name(element), element)
            found[_free_name(_class_name(element), {*found, *named})] = element
        for name, element in named.items():
            _require_element(name, element)
            _require_name(name)
            found[name] = element
        if not found:
            raise ValueError("System: needs at least one element, got none.")
        for name, element in found.items():
            setattr(self, name, element)
        self._order = tuple(found)  # flax sorts attributes by name

    # -- a sequence with names ------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the elements, in order."""
        return self._order

    def items(self) -> Iterator[tuple[str, Any]]:
        """Names and elements, in order."""
        return ((name, getattr(self, name)) for name in self._order)

    def __iter__(self) -> Iterator[Any]:
        return (element for _, element in self.items())

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, name: object) -> bool:
        return name in self._order

    def __getitem__(self, key: str | int | slice) -> Any:
        if isinstance(key, slice):
            return System(**dict(list(self.items())[key]))
        if isinstance(key, str):
            _check.choice("System", "name", key, self._order)
            return getattr(self, key)
        return getattr(self, self._order[key])

    # -- light ----------------------------------------------------------------------------

    def planes(self, *inputs: object, key: Array | None = None) -> Iterator[tuple[str, Any]]:
        """What leaves each element, with its name; arguments are those of a call."""
        self._check_inputs(inputs)
        for number, (name, element) in enumerate(self.items()):
            try:
                if _takes(element, "key"):
                    inputs = (self._key(name, key, number), *inputs)
                inputs = (element(*inputs),)
            except Exception as error:
                note = f"in {name!r}, element {number + 1} of {len(self)} of the system"
                error.add_note(f"({note}: {element!r:.200})")
                raise
            yield name, inputs[0]

    def __call__(self, *inputs: object, key: Array | None = None) -> Any:
        result = None
        for _, result in self.planes(*inputs, key=key):  # noqa: B007, the last one counts
            pass
        return result

    def _check_inputs(self, inputs: tuple) -> None:
        name = self._order[0]
        first = getattr(self, name)
        if not isinstance(first, Element):
            return
        need = _inputs(first)
        if not inputs and need:
            raise TypeError(
                f"System: its first element {name!r} ({type(first).__name__}) needs `{need[0]}`. "
                "Call the system with it, or put a source first."
            )
        if inputs and not need:
            raise TypeError(
                f"System: its first element {name!r} ({type(first).__name__}) is a source; call "
                "the system without a field, or leave the source out: system[1:](field)."
            )

    def _key(self, name: str, key: Array | None, number: int) -> Any:
        if key is None:
            raise TypeError(
                f"System: {name!r} draws random numbers; pass key=jax.random.key(0), for example."
            )
        return jax.random.fold_in(key, number)

    def distance(self) -> Any:
        """Distance that the light travels along the axis, scalar [µm]."""
        total: Any = 0.0
        for element in self:
            total = total + _distance(element)
        return total

    def opd(self, wavelength: ArrayLike | str) -> Any:
        """Path of thin plates one behind the other, the sum of theirs, ``(..., y, x)`` [µm]."""
        for name, element in self.items():
            if not hasattr(element, "opd"):
                raise TypeError(
                    f"System.opd: {name!r} ({type(element).__name__}) is no height map. Take the "
                    "plates alone, such as system[1:3]."
                )
        return sum(element.opd(wavelength) for element in self)

    # -- printing -------------------------------------------------------------------------

    def _rows(self) -> list[tuple[str, str, str]]:
        """Position, name and text of every element, and the end."""
        rows, z = [], 0.0
        for name, element in self.items():
            text = repr(element) if isinstance(element, nnx.Module) else labels.static_text(element)
            first, *more = text.splitlines()
            rows += [(_z_text(z), name, first), *(("", "", line) for line in more)]
            z = z + _distance(element)
        return [*rows, (_z_text(z), "end", "")]

    def _summary(self) -> tuple[str, str]:
        count = f"System of {len(self)} element{'s' if len(self) > 1 else ''}"
        return count, f"learned: {_learned_text(self)}"

    def __repr__(self) -> str:
        count, learned = self._summary()
        return "\n  ".join([count, *labels.table([_HEAD, *self._rows()]).splitlines(), learned])

    def _repr_html_(self) -> str:
        """What a notebook shows: the optical bench as a table."""
        count, learned = self._summary()
        return (
            _notebook.words(count) + _notebook.table(_HEAD, self._rows()) + _notebook.words(learned)
        )

    __str__ = __repr__


def bench(system: System, *inputs: object, key: Array | None = None) -> str:
    r"""Tells plane by plane what the light does in a system.

    .. math:: P_k = \sum |u_k|^2\,\Delta y\,\Delta x

    Valid for every system; positions are the sums of the elements' distances along the axis. What
    is no field is listed with its sum.

    Args:
        system: The system.
        inputs: What the system is called with, such as a field; nothing if a source comes first.
        key: Random key, shape ``()`` [none], if an element draws random numbers.

    Returns:
        A table: position, name, number of samples, spacing, size of the window and power behind
        every element, and what is learned in it.

    Raises:
        TypeError: If ``system`` is not a :class:`System` or the inputs do not fit.

    Example:
        >>> from jaxwave.elements import FFLens, PlaneWave
        >>> source = PlaneWave((64, 64), spacing=50.0, wavelength=0.5)
        >>> print(bench(System(source=source, lens=FFLens(180e3))))
        z [µm]  behind  samples   spacing [µm]  window [µm]  power  learned
        0       source  (64, 64)  50            3200         1
        360000  lens    (64, 64)  28.12         1800         1
    """
    if not isinstance(system, System):
        raise TypeError(f"bench: `system` must be a System, got a {type(system).__name__}.")
    header = ("z [µm]", "behind", "samples", "spacing [µm]", "window [µm]", "power", "learned")
    rows, z = [header], 0.0
    for name, result in system.planes(*inputs, key=key):
        element = system[name]
        z = z + _distance(element)
        learned = _learned_text(element) if isinstance(element, nnx.Module) else ""
        learned = learned.replace("nothing", "")
        rows.append((_z_text(z), name, *_plane_text(result), learned))
    return labels.table(rows)


def _plane_text(value: Any) -> tuple[str, str, str, str]:
    if isinstance(value, Field):
        return (
            str(tuple(value.u.shape)),
            _range_text(value.spacing),
            _range_text(value.extent),
            _range_text(value.power),
        )
    shape = getattr(value, "shape", None)
    if shape is None:
        return type(value).__name__, "", "", ""
    return str(tuple(shape)), "", "", f"sum {_range_text(value.sum())}"


def _range_text(value: object) -> str:
    """One number, or the smallest and the largest of several."""
    if not _check.is_concrete(value):
        return "<traced>"
    array = np.asarray(value)
    low, high = f"{array.min():.4g}", f"{array.max():.4g}"
    return low if low == high else f"{low} ... {high}"


def _z_text(z: ArrayLike) -> str:
    return "<traced>" if not _check.is_concrete(z) else f"{np.max(np.asarray(z)):.7g}"


def _distance(element: object) -> Any:
    return element.distance() if isinstance(element, Element | System) else 0.0


def _learned_text(module: nnx.Module) -> str:
    found = names.variables(module)
    learned = [name for name, v in found.items() if isinstance(v, nnx.Param)]
    parts = []
    for name in learned:
        size = int(np.size(found[name].get_value()))
        parts.append(f"{name} ({size} values)" if size > 1 else name)
    return ", ".join(parts) or "nothing"


# -- names ---------------------------------------------------------------------------------


def _inputs(element: Any) -> list[str]:
    """What a call of an element needs besides a random key."""
    needed = [
        p.name
        for p in inspect.signature(element.__call__).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    variadic = any(
        p.kind is p.VAR_POSITIONAL for p in inspect.signature(element.__call__).parameters.values()
    )
    return [name for name in needed if name != "key"] or (["..."] if variadic else [])


def _takes(element: object, name: str) -> bool:
    """Whether the first thing that a call of an element takes is ``name``."""
    if not isinstance(element, Element):
        return False
    return next(iter(inspect.signature(element.__call__).parameters), "") == name


def _class_name(element: object) -> str:
    """``thin_lens`` for a ThinLens, ``ff_lens`` for an FFLens."""
    name = getattr(element, "__name__", None) or type(element).__name__
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    return re.sub(r"\W", "", name) or "element"


def _free_name(name: str, taken: set[str]) -> str:
    options = (name if k == 1 else f"{name}_{k}" for k in range(1, len(taken) + 2))
    return next(option for option in options if option not in taken)


def _require_element(name: str, element: object) -> None:
    if isinstance(element, type):
        raise TypeError(
            f"System: {name!r} is the class {element.__name__}; make an element of it first."
        )
    if not callable(element) or isinstance(element, nnx.Variable):
        hint = " Pass its elements one by one: System(*elements)." * isinstance(element, list)
        raise TypeError(
            f"System: {name!r} must be an Element, another System or a function, got "
            f"{type(element).__name__}.{hint}"
        )


def _require_name(name: str) -> None:
    if not name.isidentifier():
        raise ValueError(f"System: an element's name must be an identifier, got {name!r}.")
    if name.startswith("_") or keyword.iskeyword(name) or hasattr(System, name):
        raise ValueError(f"System: an element cannot be called {name!r}; the name is taken.")
