"""The comparison with PyTorch, where PyTorch isn't needed."""

from __future__ import annotations

import numpy as np

from benchmarks.pytorch import SIDE, WINDOW, compare, positions


def test_windows_lie_inside_and_cover_the_image() -> None:
    seen = np.zeros((SIDE, SIDE), bool)
    for left, top, right, bottom in positions():
        assert (right - left, bottom - top) == (WINDOW, WINDOW)
        seen[top:bottom, left:right] = True
    assert seen.all()


def test_differences_are_relative_to_the_largest_of_each_image() -> None:
    expected = np.array([[4.0, -8.0], [0.5, 0.25]])
    found = np.array([[6.0, -8.0], [0.5, 0.75]])
    np.testing.assert_allclose(compare.relative(found, expected), [0.25, 1.0])


def test_class_activation_maps_weight_channels_by_their_mean_gradient() -> None:
    maps = np.arange(16, dtype=np.float64).reshape(1, 2, 4, 2)
    gradients = np.zeros_like(maps)
    gradients[0, 0, 0, 1] = 8
    np.testing.assert_allclose(compare.cams(maps, gradients), maps[..., 1])
