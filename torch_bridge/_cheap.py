"""What a forward pass has to carry to its pull-back, and how the rest is made again from it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

# One pass over numbers that are read anyway: XLA fuses them into whoever uses them.
_CHEAP = frozenset(
    "add sub mul neg div max min sign square integer_pow complex real imag conj "
    "convert_element_type broadcast_in_dim reshape squeeze expand_dims select_n "
    "eq ne lt le gt ge and or not copy".split()
)
_MOST = 12  # cheap operations between a residual and what is carried

Key = int  # the id of a variable


class Recipe:
    """Splits the residuals of a forward pass into four kinds, so that little goes through memory.

    Arguments of the pass are taken from where they already are; what follows from closed-over
    constants alone (``fixed``) is computed once; what cannot be made again for a few cheap
    operations is ``carried``; the rest is made again from these.

    Args:
        jaxpr: The forward pass; its last outputs are the residuals.
        outs: Number of outputs that are results.
        consts: Number of arguments that are closed-over constants.
        numbers: Number of arguments after them that are Python numbers.
    """

    def __init__(self, jaxpr: Any, outs: int, consts: int, numbers: int) -> None:
        self._jaxpr, self._first = jaxpr, _first_of_its_kind(jaxpr)
        self._residuals = [self._first.get(id(var), var) for var in jaxpr.outvars[outs:]]
        self._arguments = {id(var): i for i, var in enumerate(jaxpr.invars)}
        self._makers = {id(out): eqn for eqn in jaxpr.eqns for out in eqn.outvars}
        self._varying = _varying(jaxpr, consts)
        self._consts = consts
        self._needed: set[int] = set()  # arguments
        self.fixed: dict[Key, Any] = {}
        self.carried: dict[Key, Any] = {}
        roots = {id(var): self._roots(var) for var in self._residuals}
        for group in _groups(roots):
            own = {id(var): var for var in self._residuals if id(var) in group}
            made_from = {k: v for key in group for k, v in roots[key].items()}
            smaller = _bytes(made_from) <= _bytes(own)
            self.carried |= made_from if smaller else own
        before = consts + numbers
        self.inputs = sorted(i - before for i in self._needed if i >= before)

    def _roots(self, residual: Any) -> dict[Key, Any]:
        """What has to be carried to make a residual again."""
        roots: dict[Key, Any] = {}
        left, seen = [residual], set()
        while left:
            var = left.pop()
            var = self._first.get(id(var), var)
            if hasattr(var, "val") or id(var) in seen:
                continue
            seen.add(id(var))
            if id(var) in self._arguments:
                self._needed.add(self._arguments[id(var)])
            elif id(var) not in self._varying:
                self.fixed[id(var)] = var
            elif len(seen) <= _MOST and self._makers[id(var)].primitive.name in _CHEAP:
                left += self._makers[id(var)].invars
            else:
                roots[id(var)] = var
        return roots

    def fix(self) -> Any:
        """The program, of the closed-over constants alone, of what follows from them."""
        varying = self._varying
        eqns = [e for e in self._jaxpr.eqns if not (e.effects or varying & {*map(id, e.outvars)})]
        return self._jaxpr.replace(
            invars=self._jaxpr.invars[: self._consts],
            outvars=list(self.fixed.values()),
            eqns=eqns,
            effects=frozenset(),
        )

    def residuals(
        self, carried: Sequence[Any], fixed: Sequence[Any], arguments: Sequence[Any]
    ) -> list[Any]:
        """The residuals of a pass from what was carried and from its arguments."""
        known = dict(zip(map(id, self._jaxpr.invars), arguments, strict=True))
        known |= dict(zip(self.fixed, fixed, strict=True))
        known |= dict(zip(self.carried, carried, strict=True))

        def read(var: Any) -> Any:
            if hasattr(var, "val"):
                return var.val
            key = id(self._first.get(id(var), var))
            if key not in known:
                (known[key],) = self._apply(self._makers[key], read)
            return known[key]

        return [read(var) for var in self._residuals]

    def _apply(self, eqn: Any, read: Callable[[Any], Any]) -> list[Any]:
        """The results of one equation."""
        invars = list({id(v): v for v in eqn.invars if not hasattr(v, "val")}.values())
        jaxpr = self._jaxpr.replace(
            constvars=[], invars=invars, outvars=eqn.outvars, eqns=[eqn], effects=eqn.effects
        )
        return jax.core.eval_jaxpr(jaxpr, (), *map(read, invars))


def _first_of_its_kind(jaxpr: Any) -> dict[Key, Any]:
    """For the result of a repeated operation: that of the first one."""
    first: dict[Key, Any] = {}
    done: dict[Any, Any] = {}
    for eqn in jaxpr.eqns:
        inputs = tuple(
            (repr(v.val), v.aval)
            if hasattr(v, "val") and not v.aval.shape  # the text of an array is shortened
            else id(first.get(id(v), v))
            for v in eqn.invars
        )
        try:
            key = (eqn.primitive, inputs, tuple(sorted(eqn.params.items())))
            same = done.setdefault(key, eqn)
        except TypeError:  # a parameter that has no hash or no order
            continue
        if same is not eqn and not eqn.effects:
            first.update({id(a): b for a, b in zip(eqn.outvars, same.outvars, strict=True)})
    return first


def _varying(jaxpr: Any, consts: int) -> set[Key]:
    """The variables that may differ from call to call."""
    varying = {id(v) for v in jaxpr.invars[consts:]}
    for eqn in jaxpr.eqns:
        if eqn.effects or any(id(v) in varying for v in eqn.invars):
            varying.update(map(id, eqn.outvars))
    return varying


def _groups(roots: dict[Key, dict[Key, Any]]) -> Iterator[set[Key]]:
    """Residuals that are made from the same things belong together."""
    left = {key for key, found in roots.items() if found}
    while left:
        group, shared = set(), set(roots[next(iter(left))])
        while grown := {key for key in left - group if shared & roots[key].keys()}:
            group |= grown
            shared |= {root for key in grown for root in roots[key]}
        left -= group
        yield group


def _bytes(variables: dict[Key, Any]) -> int:
    return sum(v.aval.size * _width(v.aval.dtype) for v in variables.values())


def _width(dtype: Any) -> int:
    return dtype.itemsize if isinstance(dtype, np.dtype) else 8  # random keys
