"""Rows of a table: fetched by index, and added to by index where many share a row.

A CPU adds them one by one, at a nanosecond or two each. Elsewhere rows that many want to change at
once wait for each other (in jaxlib 0.10.2 to 0.11.0 hundreds of times as long as ever), so there
they are sorted first and equal ones are summed side by side.
"""

import jax
from jax import numpy as jnp
from jaxtyping import Array, Float, Int


@jax.custom_vjp
def take_rows(table: Float[Array, 'k d'], indices: Int[Array, '*n']) -> Float[Array, '*n d']:
    """table[indices], whose gradient is made by `add_rows`. Indices must be from 0 to k - 1."""
    return table.at[indices].get(mode='promise_in_bounds')


def take_forward(table, indices):
    return take_rows(table, indices), (table, indices)


def take_backward(residuals, gradient):
    table, indices = residuals
    rows = gradient.reshape(-1, gradient.shape[-1])
    return add_rows(jnp.zeros_like(table), indices.reshape(-1), rows), None


take_rows.defvjp(take_forward, take_backward)


def add_rows(
    table: Float[Array, 'k d'], indices: Int[Array, 'n'], rows: Float[Array, 'n d']
) -> Float[Array, 'k d']:
    """The table with every row added at its index, from 0 to k - 1."""
    return jax.lax.platform_dependent(
        table, indices, rows.astype(table.dtype), cpu=scattered, default=in_order
    )


def scattered(table, indices, rows):
    return table.at[indices].add(rows, mode='promise_in_bounds')


def in_order(table, indices, rows):
    order = jnp.argsort(indices)
    sums = jax.ops.segment_sum(rows[order], indices[order], len(table), indices_are_sorted=True)
    return table + sums
