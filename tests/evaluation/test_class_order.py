"""Labels in another order than the outputs, against orders known beforehand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from picasso.evaluation import class_order
from picasso.evaluation.class_order import AS_TEXT


def answers(places: Sequence[int], each: int, right: float = 1.0, seed: int = 0) -> list[tuple[int, int]]:
    """Return the class and the answer of images, of which a part is answered with the place of their class."""
    generator, classes = np.random.default_rng(seed), len(places)
    return [
        (target, places[target] if generator.random() < right else int(generator.integers(classes)))
        for target in range(classes)
        for _ in range(each)
    ]


def test_folders_that_are_numbers_in_the_order_of_text() -> None:
    names = [str(index) for index in range(12)]
    order = ["0", "1", "10", "11", "2", "3", "4", "5", "6", "7", "8", "9"]
    found = class_order.find(names, answers([order.index(name) for name in names], 6))
    assert found
    assert (found.names, found.right, found.before, found.images) == (tuple(order), 72, 12, 72)
    assert found.moved[:2] == ((2, "10", "2"), (3, "11", "3"))
    sentence = found.sentence()
    assert "output 2 is 10 (labelled 2), output 3 is 11 (labelled 3)" in sentence
    assert "and 2 more. With the right order 72 of 72 images are answered right, instead of 12." in sentence
    assert AS_TEXT in sentence
    assert sentence.endswith("in this order: 0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9.")
    # Half of the images are answered right, and only some of the classes have images.
    some = [pair for pair in answers([order.index(name) for name in names], 20, 0.5) if pair[0] > 4]
    found = class_order.find(names, some)
    assert found
    assert (found.names, found.as_text) == (tuple(order), True)


def test_capital_letters_come_first() -> None:
    found = class_order.find(["apple", "Banana", "cherry", "Zebra"], answers([2, 0, 3, 1], 6))
    assert found
    assert (found.names, found.as_text) == (("Banana", "Zebra", "apple", "cherry"), True)
    # The other way about: labels as Keras sorts them, outputs in the order of a dictionary.
    found = class_order.find(["Banana", "Zebra", "apple", "cherry"], answers([1, 3, 0, 2], 6))
    assert found
    assert (found.names, found.as_text) == (("apple", "Banana", "cherry", "Zebra"), False)


def test_names_whose_order_is_nothing_known_and_a_good_order_with_two_labels_exchanged() -> None:
    names = [f"class {letter}" for letter in "abcdefghij"]
    places = [3, 7, 0, 9, 2, 5, 8, 1, 4, 6]
    found = class_order.find(names, answers(places, 12, 0.6, seed=1))
    assert found
    assert not found.as_text
    assert found.names == tuple(names[place] for place in np.argsort(places))
    assert found.right > 5 * found.before
    exchanged = [0, 1, 2, 4, 3, 5, 6, 7, 8, 9]
    found = class_order.find(names, answers(exchanged, 12, 0.9))
    assert found
    assert found.moved == ((3, "class e", "class d"), (4, "class d", "class e"))


def test_two_classes_the_wrong_way_round() -> None:
    found = class_order.find(["yes", "no"], answers([1, 0], 20, 0.8))
    assert found
    assert found.names == ("no", "yes")


@pytest.mark.parametrize("seed", range(20))
def test_models_without_any_idea_and_good_ones_are_left_in_peace(seed: int) -> None:
    for classes, each in ((2, 10), (5, 4), (12, 6), (40, 3)):
        names = [f"name {index}" for index in range(classes)]
        assert class_order.find(names, answers(range(classes), each, 0.0, seed)) is None
        assert class_order.find(names, answers(range(classes), each, 0.7, seed)) is None
    # One answer to everything.
    assert class_order.find(["a", "b", "c"], [(target, 2) for target in range(3) for _ in range(9)]) is None


def test_a_class_that_is_mistaken_for_one_without_images_is_no_order() -> None:
    names = ["husky", "cat", "dog", "cow", "malamute"]
    answered = [pair for pair in answers([0, 1, 2, 3, 4], 10) if pair[0] not in (0, 4)]
    answered += [(0, 4)] * 7 + [(0, 0)] * 3
    assert class_order.find(names, answered) is None


def test_classes_without_images_leave_the_order_open_unless_one_place_is_left() -> None:
    names, places = ["a", "b", "c", "d", "e", "f"], [2, 0, 3, 5, 1, 4]
    found = class_order.find(names, [pair for pair in answers(places, 9) if pair[0] != 4])
    assert found
    assert found.names == ("b", "e", "a", "c", "f", "d")
    found = class_order.find(names, [pair for pair in answers(places, 9) if pair[0] not in (4, 3)])
    assert found
    assert (found.names, found.right) == ((), 36)
    assert found.moved == ((0, "b", "a"), (2, "a", "c"), (3, "c", "d"), (4, "f", "e"))
    assert found.sentence().endswith("The order of the other labels needs images of their classes.")


def test_too_little_to_say_anything() -> None:
    assert class_order.find(["a", "b"], []) is None
    assert class_order.find(["a", "b"], [(0, 1)] * 50) is None
    assert class_order.find(["b", "a"], [(0, 1), (1, 0)]) is None


def test_many_labels_are_not_all_listed() -> None:
    names = [str(index) for index in range(100)]
    order = sorted(names)
    found = class_order.find(names, answers([order.index(name) for name in names], 2, 0.5))
    assert found
    assert found.names == tuple(order)
    assert "order that begins 0, 1, 10, 11, 12, 13, 14, 15; check --json lists all." in found.sentence()
