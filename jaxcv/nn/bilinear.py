"""The convolution as a primitive of its own: one trilinear form with three faces.

A convolution y = conv(x, k) and its two gradients are the derivatives of the same scalar

    T(x, k, y') = <y', conv(x, k)>,

with respect to y', x and k. Each is bilinear in the other two arguments, and the derivatives of
each are again among the three. So the family is closed under differentiation, in both modes and
to any order, and under `vmap`; what is left open is only how a face is computed, which
`jaxcv.nn.faces` decides by platform when the program is lowered. With `jax.lax` alone that
decision cannot be made: autodiff writes the two gradients in layouts that XLA's CPU backend runs
25 to 60 times slower inside loops.
"""

from dataclasses import replace
from functools import partial

import jax
from jax import numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

from jaxcv.nn.faces import autodiff, canonical
from jaxcv.nn.geometry import Geometry

ROLES = ('x', 'k', 'y')


def product(role: str, a: Float[Array, '...'], b: Float[Array, '...'], geometry: Geometry):
    """The face of the form whose result plays `role`; `a` and `b` play the other two roles, in the
    order x [b, *size, c], k [*taps, c / groups, d], y [b, *output, d]."""
    return product_p.bind(a, b, role=role, geometry=geometry)


product_p = Primitive('convolution')


@partial(jax.jit, static_argnames=('role', 'geometry'))
def eager(a, b, *, role, geometry):
    return product_p.bind(a, b, role=role, geometry=geometry)


product_p.def_impl(eager)


@product_p.def_abstract_eval
def abstract(a, b, *, role, geometry):
    return a.update(shape=geometry.result(role, a.shape, b.shape), weak_type=False)


def operands(role: str) -> tuple[str, str]:
    first, second = (r for r in ROLES if r != role)
    return first, second


def gradient(position, cotangent, a, b, *, role, geometry):
    """The gradient with respect to one operand: the face in which the result and the operand have
    changed places."""
    wanted, other = operands(role)[position], operands(role)[1 - position]
    given = {role: cotangent, other: (a, b)[1 - position]}
    return product(wanted, *(given[r] for r in operands(wanted)), geometry)


ad.defbilinear(product_p, partial(gradient, 0), partial(gradient, 1))


def batch(args, dims, *, role, geometry):
    """One kernel for all: the mapped axis joins the samples. Otherwise each element has its own
    kernel, and becomes a set of groups."""
    mapped = {r for r, dim in zip(operands(role), dims, strict=True) if dim is not None}
    if 'k' not in mapped | {role}:
        return join_samples(args, dims, role, geometry), 0
    count = next(a.shape[d] for a, d in zip(args, dims, strict=True) if d is not None)
    folded = [fold(a, d, count) for a, d in zip(args, dims, strict=True)]
    groups = replace(geometry, groups=geometry.groups * count)
    out = product(role, *folded, groups)
    return out.reshape(*out.shape[:-1], count, out.shape[-1] // count), out.ndim - 1


batching.primitive_batchers[product_p] = batch


def join_samples(args, dims, role, geometry):
    i = next(i for i, dim in enumerate(dims) if dim is not None)
    a = jnp.moveaxis(args[i], dims[i], 0)
    count, samples, *rest = a.shape
    given = list(args)
    given[i] = a.reshape(count * samples, *rest)
    out = product(role, *given, geometry)
    return out.reshape(count, samples, *out.shape[1:])


def fold(a, dim, count):
    """Moves the mapped axis in front of the last, of which groups are the major part in every
    role, and merges the two."""
    if dim is None:
        a = jnp.broadcast_to(a[..., None, :], (*a.shape[:-1], count, a.shape[-1]))
    else:
        a = jnp.moveaxis(a, dim, -2)
    return a.reshape(*a.shape[:-2], count * a.shape[-1])


def lower(face):
    return mlir.lower_fun(
        lambda a, b, *, role, geometry: face(role, a, b, geometry), multiple_results=False
    )


mlir.register_lowering(product_p, lower(autodiff))
mlir.register_lowering(product_p, lower(canonical), platform='cpu')
