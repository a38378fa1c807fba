"""L-BFGS from inner products alone, so that its vectors may stay where they are.

Every vector of the two-loop recursion (Nocedal & Wright 2006, algorithm 7.4) is a combination of
the steps s_i, the gradient changes y_i and the gradient g; with their inner products known, the
coefficients follow without touching a vector (Chen, Wang & Zhou 2014, "Large-scale L-BFGS using
MapReduce"). Each tile then forms its own part of the direction.
"""

import math

import numpy as np
from numpy.typing import NDArray

CURVATURE = 1e-10
"""A pair counts if s.y is more than this part of |s| |y|."""


def inner_products(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean products over all pixels and channels of a tile, in float64.

    Args:
        vectors: (count, channels, height, width).

    Returns:
        (count, count).
    """
    total = np.zeros((len(vectors), len(vectors)))
    # by rows, so that the float64 copies stay small; einsum, since BLAS may use any number of
    # threads, each number with its own last bits
    for row in np.moveaxis(vectors, 2, 0).reshape(vectors.shape[2], len(vectors), -1):
        total += np.einsum("in,jn->ij", row, row, dtype=np.float64)
    return np.asarray(total / vectors[0].size)


def direction(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients of the step -H g.

    Args:
        products: Inner products of (s_1 .. s_m, y_1 .. y_m, g), oldest first, up to a common
            factor: (2m + 1, 2m + 1).

    Returns:
        (2m + 1,): of each vector in the direction.
    """
    m = len(products) // 2
    size = np.sqrt(products.diagonal())
    curved = [i for i in range(m) if products[i, m + i] > CURVATURE * size[i] * size[m + i]]
    q = np.zeros(2 * m + 1)
    q[-1] = -1.0
    alpha = {}
    for i in reversed(curved):
        alpha[i] = products[i] @ q / products[i, m + i]
        q[m + i] -= alpha[i]
    if curved:
        last = curved[-1]
        q *= products[last, m + last] / products[m + last, m + last]
    for i in curved:
        q[i] += alpha[i] - products[m + i] @ q / products[i, m + i]
    return q


def length(coefficients: NDArray[np.float64], products: NDArray[np.float64]) -> float:
    """Root mean square of a combination."""
    return math.sqrt(max(float(coefficients @ products @ coefficients), 0.0))
