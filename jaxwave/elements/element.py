"""The base of all elements: numbers become variables, everything else is static."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxwave import _check
from jaxwave.elements import labels

try:
    from flax import nnx
except ImportError:
    raise ImportError(
        'jaxwave.elements needs flax. Run pip install "jaxwave[calibration]".'
    ) from None


def init_signature(cls: type[T]) -> type[T]:
    """Shows the arguments of ``__init__``, which flax's metaclass hides."""
    parameters = [*inspect.signature(cls.__init__).parameters.values()][1:]  # type: ignore[misc]
    cls.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return cls


@init_signature
class Fixed(nnx.Variable):
    r"""A number that is traced and swept, but not learned.

    Exact: the value is used as it is, by :class:`Element`, which wraps every plain number in a
    ``Fixed``. What is learned is an ``nnx.Param``; :func:`learn` and :func:`freeze` change one
    into the other.

    Args:
        value: The number, an array of any shape ``(...)`` [its element's unit].
        metadata: Whatever flax keeps beside a value.

    Example:
        >>> from jaxwave.elements import ThinLens
        >>> type(ThinLens(200.0).f).__name__
        'Fixed'
    """

    def __init__(self, value: ArrayLike, **metadata: Any) -> None:
        super().__init__(value, **metadata)


class _NumberKind:
    """The annotation of a field that may be swept or learned; or a text that is no length."""

    def __init__(self, text: bool = False) -> None:
        self.text = text

    def __or__(self, other: object) -> _NumberKind:
        return _NumberKind(self.text or other is str)

    __ror__ = __or__

    def __repr__(self) -> str:
        return "Number | str" if self.text else "Number"


if TYPE_CHECKING:
    Number: TypeAlias = Any
else:
    Number = _NumberKind()

T = TypeVar("T")
_MISSING = inspect.Parameter.empty


class _Field(NamedTuple):
    name: str
    number: bool
    text: bool
    default: Any
    annotation: Any


def strong_array(where: str, name: str, value: object) -> Array:
    """A floating-point or complex array of a definite type, so that it never causes a retrace."""
    if isinstance(value, str):
        value = _check.length(where, name, value)
    if _check.is_concrete(value):
        with jax.ensure_compile_time_eval():  # known numbers stay known while a program is traced
            return _strong(where, name, value)
    return _strong(where, name, value)


def _strong(where: str, name: str, value: object) -> Array:
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"{where}: `{name}` must be a number, an array, a text such as '130 nm' or an "
            f"nnx.Param of one, got {value!r:.60}."
        ) from None
    if jnp.issubdtype(array.dtype, jnp.integer) or array.dtype == bool:
        return array.astype(jnp.result_type(float))
    if not jnp.issubdtype(array.dtype, jnp.inexact):
        raise TypeError(f"{where}: `{name}` must be a number, got the type {array.dtype}.")
    return jnp.asarray(array, array.dtype)  # a dtype that is named is not weak


def _variable(where: str, name: str, value: object) -> nnx.Variable:
    if not isinstance(value, nnx.Variable):
        return Fixed(strong_array(where, name, value))
    raw = value.get_value()
    array = strong_array(where, name, raw)
    if array is not raw:
        value.set_value(array)  # the same variable, so that one in two places stays shared
    return value


def _is_function(value: object) -> bool:
    return callable(value) and not isinstance(value, nnx.Variable)


def _static(value: object) -> Any:
    """Lists as tuples: what is static is compared and hashed."""
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return tuple(_static(v) for v in value)
    if isinstance(value, np.integer | np.bool_):
        return value.item()
    return value


@typing.dataclass_transform()
class Element(nnx.Module):
    """The base of every optical element: a function whose numbers can be swept and learned.

    Subclass it, name the numbers, say what it does: that is an element of your own. A field that
    is annotated ``Number`` holds a variable, read with ``self.name[...]``: a number, an array or a
    text such as ``"130 nm"`` is fixed (:class:`Fixed`), an ``nnx.Param`` is learned. Other fields
    are static. Fields with a default are given by name. Values are exact copies of what was
    given; an element never changes itself. Printing leaves out fields at their defaults. Lengths
    are in µm, angles in radians.

    Override ``check`` to look at concrete values when an element is made, and ``distance`` if the
    light travels in it.

    Args:
        args: The fields without a default, in order.
        kwargs: Fields by name.

    Raises:
        TypeError: If a field is missing, unknown or of the wrong kind.
        ValueError: If ``check`` finds a value that is out of range.

    Example:
        >>> from jaxwave.elements import Element, Number
        >>> import jaxwave as jw
        >>> class Tilt(Element):
        ...     slope: Number
        ...     def __call__(self, field):
        ...         return jw.opd_mask(field, self.slope[...] * (field.x + 0 * field.y))
        >>> tilt = Tilt(0.01)
        >>> tilt
        Tilt(slope=0.01)
        >>> tilt(jw.plane_wave((8, 8), spacing=0.5, wavelength=0.532)).shape
        (8, 8)
    """

    _fields: ClassVar[tuple[_Field, ...]] = ()
    _function: ClassVar[Callable[..., Any]] = None  # type: ignore[assignment]  # of most

    def __init_subclass__(
        cls, *, function: Callable[..., Any] | None = None, **options: Any
    ) -> None:
        super().__init_subclass__(**options)
        cls._fields = tuple(_fields_of(cls))
        if function is not None:
            cls._function = staticmethod(function)
            cls.__doc__ = _documentation(cls, function)
        if cls.__init__ is Element.__init__:
            cls.__signature__ = _signature(cls)  # type: ignore[attr-defined]

    def __init__(self, *args: object, **kwargs: object) -> None:
        where = type(self).__name__
        values = self._prepare(_bind(type(self), args, kwargs))
        for field in self._fields:
            value = values[field.name]
            if isinstance(value, nnx.Module):
                setattr(self, field.name, value)
            elif field.text and isinstance(value, str):
                setattr(self, field.name, value)
            elif field.number and value is not None and not _is_function(value):
                setattr(self, field.name, _variable(where, field.name, value))
            else:
                setattr(self, field.name, _static(value))
        self.check()
        self._complete()

    def _complete(self) -> None:
        """Settles static fields that follow from the numbers."""

    @classmethod
    def _prepare(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The fields as they are kept, from the arguments as they were given."""
        return values

    def check(self) -> None:
        """Checks the values when the element is made; it may not change them."""

    def distance(self) -> Array | float:
        """Distance that the light travels along the axis in this element, scalar [µm]."""
        return 0.0

    def arguments(self) -> dict[str, Any]:
        """The fields by name, numbers as arrays: what the function of the same name takes."""
        found = {}
        for field in self._fields:
            value = getattr(self, field.name)
            found[field.name] = value[...] if isinstance(value, nnx.Variable) else value
        return found

    def __setattr__(self, name: str, value: object) -> None:
        """A number that is assigned goes into a variable of the kind that was there, checked."""
        old = vars(self).get(name)
        if not isinstance(old, nnx.Variable) or value is None:
            return super().__setattr__(name, value)
        if not isinstance(value, nnx.Variable):
            array = strong_array(type(self).__name__, name, value)
            value = type(old)(array, **old.get_metadata())
        super().__setattr__(name, _variable(type(self).__name__, name, value))
        try:
            self.check()
        except Exception:
            super().__setattr__(name, old)
            raise

    def __repr__(self) -> str:
        parts = []
        for field in self._fields:
            if not _is_default(getattr(self, field.name, None), field.default):
                parts.append(field_text(self, field.name))
        return f"{type(self).__name__}({', '.join(parts)})"

    __str__ = __repr__


def _is_default(value: object, default: object) -> bool:
    """Whether the field is fixed and equals its default."""
    if default is _MISSING or isinstance(value, nnx.Param):
        return False
    if not isinstance(value, nnx.Variable):
        return type(value) is type(default) and value == default
    value = value.get_value()
    if default is None or isinstance(default, str) or not _check.is_concrete(value):
        return False
    return np.shape(value) == np.shape(default) and bool(np.all(np.asarray(value) == default))


def field_text(element: Element, name: str) -> str:
    """``f=2000 µm``, with what is learned marked."""
    value = getattr(element, name)
    if not isinstance(value, nnx.Variable):
        return f"{name}={labels.static_text(value)}"
    mark = "learned " if isinstance(value, nnx.Param) else ""
    return f"{name}={mark}{labels.array_text(value.get_value(), labels.unit_of(name))}"


# -- fields --------------------------------------------------------------------------------


def _fields_of(cls: type) -> typing.Iterator[_Field]:
    seen: dict[str, _Field] = {}
    for base in reversed(cls.__mro__):
        if base is Element or not issubclass(base, Element):
            continue
        for name, annotation in inspect.get_annotations(base).items():
            text = annotation if isinstance(annotation, str) else repr(annotation)
            if name.startswith("_") or "ClassVar" in text:
                continue
            number = "Number" in re.split(r"\W+", text)
            worded = number and "str" in re.split(r"\W+", text)
            seen[name] = _Field(name, number, worded, getattr(cls, name, _MISSING), annotation)
    return iter(seen.values())


def _signature(cls: type[Element]) -> inspect.Signature:
    """Fields without a default by place or by name, the others by name; or as its function."""
    kinds: dict[str, Any] = {}
    if cls._function is not None:
        kinds = {p.name: p.kind for p in inspect.signature(cls._function).parameters.values()}
    parameters = []
    for field in cls._fields:
        place, name = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
        kind = place if field.default is _MISSING else name
        parameters.append(
            inspect.Parameter(
                field.name,
                min(kind, name) if kinds.get(field.name, kind) is not name else name,
                default=field.default,
                annotation=field.annotation,
            )
        )
    order = {name: place for place, name in enumerate(kinds)}
    return inspect.Signature(
        sorted(parameters, key=lambda p: (p.kind, order.get(p.name, len(order))))
    )


def _bind(cls: type[Element], args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    names = [field.name for field in cls._fields]
    for key in kwargs:
        if key not in names:
            raise _check.no_such_argument(cls.__name__, key, names)
    try:
        bound = _signature(cls).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}: {error}. Use it as {_usage(cls)}.") from None
    bound.apply_defaults()
    return bound.arguments


def _usage(cls: type[Element]) -> str:
    parts = []
    for p in _signature(cls).parameters.values():
        named = p.kind is p.KEYWORD_ONLY
        value = "..." if p.default is p.empty else repr(p.default)
        parts.append(f"{p.name}={value}" if named else p.name)
    return f"{cls.__name__}({', '.join(parts)})"


# -- documentation -------------------------------------------------------------------------

_HEADERS = ("Args", "Returns", "Raises", "Warns", "Example", "References")


def _sections(doc: str) -> dict[str, str]:
    parts: dict[str, list[str]] = {"": []}
    current = ""
    for line in inspect.cleandoc(doc).splitlines():
        if line.endswith(":") and line[:-1] in _HEADERS:
            current = line[:-1]
            parts[current] = []
        else:
            parts[current].append(line)
    return {name: "\n".join(lines).strip("\n") for name, lines in parts.items()}


def _documentation(cls: type, function: Callable[..., Any]) -> str:
    """The class's own words and example, completed by what its function's documentation says."""
    mine, base = _sections(cls.__doc__ or ""), _sections(function.__doc__ or "")
    first, _, rest = base[""].partition("\n\n")
    text = mine[""]
    if ".. math::" not in text:
        text = f"{text}\n\nThe element of :func:`~{function.__module__}.{function.__name__}`: "
        text += f"{first[0].lower()}{first[1:]}\n\n{rest}"
    fields = {field.name for field in cls._fields}  # type: ignore[attr-defined]
    args = mine.get("Args") or "\n".join(_entries(base.get("Args", ""), fields))
    parts = [text, f"Args:\n{args}", f"Raises:\n{mine.get('Raises') or base['Raises']}"]
    for name in ("Example", "References"):
        parts.append(f"{name}:\n{mine.get(name) or base[name]}")
    return "\n\n".join(parts)


def _entries(text: str, names: set[str]) -> typing.Iterator[str]:
    keep = False
    for line in text.splitlines():
        if line.startswith("    ") and not line.startswith("     "):
            keep = line.strip().partition(":")[0] in names
        if keep:
            yield line


# -- checks --------------------------------------------------------------------------------


def check_values(element: Element, **rules: Callable[..., None]) -> None:
    """Applies checks of :mod:`jaxwave._check` to the numbers that are given."""
    where = type(element).__name__
    for name, rule in rules.items():
        value = getattr(element, name)
        if isinstance(value, nnx.Variable) and not isinstance(value[...], jax.core.Tracer):
            rule(where, name, value[...], unit=labels.unit_of(name))
