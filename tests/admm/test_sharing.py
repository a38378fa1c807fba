"""Weighted means of statistics, and the tree that they are merged in."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tilestyle.admm.sharing import Statistics, means, merge, tree_reduce

Tree = list[Any]


def statistics(seed: int) -> Statistics:
    """A large and a small mean, as float32, with weights of their own."""
    random = np.random.default_rng(seed)
    gram = (1e3 * random.standard_normal((4, 4))).astype(np.float32)
    content = np.asarray(random.random(), np.float32)
    return {"gram": (gram, float(random.uniform(0.1, 1e6))), "content": (content, random.random())}


def brute(parts: list[Statistics], name: str) -> NDArray[np.float64]:
    values = [part[name][0].astype(np.float64) for part in parts]
    return np.asarray(np.average(values, axis=0, weights=[part[name][1] for part in parts]))


@given(st.integers(1, 40))
def test_merge_is_the_weighted_mean(count: int) -> None:
    parts = [statistics(seed) for seed in range(count)]
    merged = merge(parts)
    assert set(merged) == {"gram", "content"}
    for name, (mean, weight) in merged.items():
        np.testing.assert_allclose(mean, brute(parts, name), rtol=1e-10)
        assert weight == pytest.approx(sum(part[name][1] for part in parts))


@given(st.integers(1, 60), st.integers(2, 9), st.randoms(use_true_random=False))
def test_grouping_does_not_matter(count: int, fan_in: int, random: Any) -> None:
    parts = [statistics(seed) for seed in range(count)]
    at_once = merge(parts)
    shuffled = list(parts)
    random.shuffle(shuffled)
    in_a_tree = tree_reduce(merge, shuffled, fan_in)
    for name, (mean, weight) in at_once.items():
        np.testing.assert_allclose(in_a_tree[name][0], mean, rtol=1e-9, atol=1e-12)
        assert in_a_tree[name][1] == pytest.approx(weight, rel=1e-12)
        assert np.asarray(mean).dtype == np.float64


def test_many_parts_keep_float64() -> None:
    """Ten thousand terms in float32 would be off by some 1e-5."""
    part: Statistics = {"gram": (np.full((2, 2), 0.1, np.float32), 1 / 3)}
    merged = tree_reduce(merge, [part] * 10_000)
    np.testing.assert_allclose(merged["gram"][0], np.float32(0.1), rtol=1e-12)


@given(st.integers(0, 2**31), st.floats(1e-30, 1e30))
def test_one_part_comes_back_bit_for_bit(seed: int, weight: float) -> None:
    bits = np.random.default_rng(seed).integers(0, 2**32, 64, np.uint32)
    mean = bits.view(np.float32)
    mean = mean[np.isfinite(mean)]
    merged = means(merge([{"gram": (mean, weight)}]))["gram"]
    assert merged.dtype == np.float32
    assert merged.tobytes() == mean.tobytes()


def test_parts_without_weight_do_not_count() -> None:
    empty: Statistics = {"primal": (np.asarray(7.0), 0.0)}
    full: Statistics = {"primal": (np.asarray(2.0), 3.0)}
    mean, weight = merge([empty, full, empty])["primal"]
    assert (float(mean), weight) == (2, 3)
    assert merge([empty, empty])["primal"][1] == 0
    assert np.isfinite(merge([empty, empty])["primal"][0])


def node(items: list[Tree]) -> Tree:
    return list(items)


def leaves(tree: Tree) -> list[int]:
    if len(tree) == 1 and isinstance(tree[0], int):
        return [tree[0]]
    return [leaf for child in tree for leaf in leaves(child)]


def shape(tree: Tree) -> Tree:
    return [] if isinstance(tree[0], int) else [shape(child) for child in tree]


def widest(tree: Tree) -> int:
    if isinstance(tree[0], int):
        return 0
    return max(len(tree), *(widest(child) for child in tree))


@given(st.integers(1, 200), st.integers(2, 9))
def test_tree_uses_each_item_once_in_order(count: int, fan_in: int) -> None:
    tree = tree_reduce(node, [[i] for i in range(count)], fan_in)
    assert leaves(tree) == list(range(count))
    assert widest(tree) <= fan_in


@given(st.integers(1, 200))
def test_shape_of_the_tree_depends_on_the_number_alone(count: int) -> None:
    trees = [tree_reduce(node, [[i * step] for i in range(count)]) for step in (1, -3)]
    assert shape(trees[0]) == shape(trees[1])


def test_one_item_is_combined_too() -> None:
    assert tree_reduce(sum, [3]) == 3
    assert tree_reduce(lambda items: [len(items)], [[0]]) == [1]
