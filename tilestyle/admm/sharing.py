"""Statistics that patches share: weighted means by name, merged pairwise in a fixed tree.

Boyd et al. (2011), section 7.3: in the sharing form of ADMM an agent keeps its own deviation
and moves the mean. Patch i aims at CF(S) + CF_i - mean_j CF_j, so that all patches together, not
each of them, match the style.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Statistics = dict[str, tuple[NDArray[Any], float]]
"""By name: a mean, and the weight with which it enters a larger mean."""

T = TypeVar("T")


def merge(parts: Sequence[Statistics]) -> Statistics:
    """The weighted means over all parts.

    Sums are taken in float64: one part comes back to the last bit, and the order of thousands of
    parts does not show in float32.
    """
    merged: Statistics = {}
    for name in parts[0]:
        weight = sum(part[name][1] for part in parts)
        total = sum(np.asarray(part[name][0], np.float64) * part[name][1] for part in parts)
        merged[name] = (np.asarray(total / weight if weight else total), weight)
    return merged


def means(statistics: Statistics) -> Mapping[str, NDArray[np.float32]]:
    """The means alone, in float32."""
    return {name: np.asarray(mean, np.float32) for name, (mean, _) in statistics.items()}


def tree_reduce(combine: Callable[[list[T]], T], items: Sequence[T], fan_in: int = 8) -> T:
    """Reduce in a tree whose shape depends on the number of items alone.

    Args:
        combine: Takes up to `fan_in` items to one.
        items: At least one.
        fan_in: Children of a node.
    """
    level = [combine(list(items[i : i + fan_in])) for i in range(0, len(items), fan_in)]
    return level[0] if len(level) == 1 else tree_reduce(combine, level, fan_in)
