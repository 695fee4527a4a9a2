import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_tc2.bilevel import (
    BlockAssignment,
    ClusterAssignment,
    GivenAssignment,
    TaskAssignment,
    split_tasks,
    task_of_each,
)
from keras_tc2.bilevel.task_assignment import (
    _balanced_groups,
    checked_order,
    get_task_assignment,
    nan_unless_permutation,
)
from tests.test_case import TestCase


class BlocksTest(TestCase):
    def test_split_keeps_the_order_and_the_pairs(self):
        view_1 = np.arange(6.0).reshape(6, 1)
        tasks = split_tasks({"views": [view_1, view_1 + 100]}, None, 3)
        first, second = (np.asarray(view)[..., 0] for view in tasks["views"])
        np.testing.assert_array_equal(first, [[0, 1], [2, 3], [4, 5]])
        np.testing.assert_array_equal(second, first + 100)
        np.testing.assert_array_equal(task_of_each(None, 6, 3), [0, 0, 1, 1, 2, 2])

    def test_config(self):
        self.run_config_test(BlockAssignment, {})


class ClusterTest(TestCase):
    def test_finds_separate_groups_exactly(self):
        rng = np.random.default_rng(0)
        truth = rng.permutation(np.repeat(np.arange(4), 8))
        centres = np.eye(4)[truth] * 5
        features = (centres + 0.1 * rng.normal(size=(32, 4))).astype("float32")
        order = np.asarray(ClusterAssignment().order(features, None, 4))
        groups = truth[order].reshape(4, 8)
        assert sorted(order) == list(range(32))
        assert all(len(set(group)) == 1 for group in groups)

    @pytest.mark.parametrize("num_tasks", [2, 3, 6])
    def test_is_always_a_permutation(self, num_tasks):
        features = np.random.default_rng(1).normal(size=(12, 3)).astype("float32")
        for points in (features, np.ones_like(features), 0 * features):
            order = tf.function(ClusterAssignment().order)(points, None, num_tasks)
            assert sorted(order.numpy()) == list(range(12))

    def test_a_group_takes_who_prefers_it_to_the_others(self):
        # Image 0 is nearest of all to group 0, and nearer still to group 1.
        similarities = np.float32([[0.9, 0.95], [0.8, 0.1], [0.7, 0.0], [0.6, 0.95]])
        order = np.asarray(_balanced_groups(similarities))
        assert set(order[:2]) == {1, 2}

    def test_of_equal_images_the_earlier_comes_first(self):
        rng = np.random.default_rng(3)
        for dim in (3, 64):
            distinct = rng.normal(size=(3, dim)).astype("float32")
            order = np.asarray(
                ClusterAssignment().order(np.tile(distinct, (8, 1)), None, 3)
            )
            kinds = (order % 3).reshape(3, 8)
            assert all(len(set(kind)) == 1 for kind in kinds)
            for group in order.reshape(3, 8):
                assert sorted(group) == list(group)

    def test_last_bits_change_nothing(self):
        rng = np.random.default_rng(4)
        features = np.repeat(rng.integers(1, 4, (6, 5)), 4, axis=0).astype("float32")
        noise = 1 + 1e-7 * rng.choice([-1, 1], features.shape).astype("float32")
        orders = [
            np.asarray(ClusterAssignment().order(given, None, 4))
            for given in (features, features * noise)
        ]
        np.testing.assert_array_equal(*orders)

    def test_task_of_each_inverts_the_order(self):
        features = np.random.default_rng(1).normal(size=(12, 3)).astype("float32")
        order = ClusterAssignment().order(features, None, 3)
        tasks = np.asarray(task_of_each(order, 12, 3))
        np.testing.assert_array_equal(tasks[np.asarray(order)], np.repeat([0, 1, 2], 4))

    def test_config(self):
        self.run_config_test(ClusterAssignment, {"num_iterations": 5})


class GivenTest(TestCase):
    features = np.zeros((6, 2), "float32")

    def test_sorts_by_id(self):
        ids = np.array([2, 0, 1, 1, 0, 2])
        order = GivenAssignment().order(self.features, ids, 3)
        np.testing.assert_array_equal(order, [1, 4, 2, 3, 0, 5])

    def test_refuses_batches_without_balance(self):
        ids = tf.constant([0, 0, 0, 1, 1, 2])
        with pytest.raises(tf.errors.InvalidArgumentError, match="2 of each of the"):
            tf.function(GivenAssignment().order)(self.features, ids, 3)

    @pytest.mark.parametrize("in_graph", [False, True])
    def test_ids_that_are_no_tasks_are_counted_too(self, in_graph):
        order = GivenAssignment().order
        order = tf.function(order) if in_graph else order
        message = r"(?s)Received counts of these:\D*0,? 2,? 2.*ids from.*1.*to.*3"
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            order(self.features, tf.constant([1, 1, 2, 2, 3, 3]), 3)
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"(?s)2,? 2,? 0\D.*-1"
        ):
            order(self.features, tf.constant([-1, -1, 0, 0, 1, 1]), 3)

    @pytest.mark.parametrize("ids", [[0, 0, 0, 1, 1, 2], [1, 1, 2, 2, 3, 3]])
    def test_is_no_permutation_where_xla_drops_the_check(self, ids):
        order = tf.function(GivenAssignment().order, jit_compile=True)
        np.testing.assert_array_equal(
            order(self.features, tf.constant(ids), 3), [-1] * 6
        )

    def test_refuses_batches_without_ids(self):
        with pytest.raises(ValueError, match="needs a task id with each image"):
            GivenAssignment().order(self.features, None, 3)

    def test_config(self):
        self.run_config_test(GivenAssignment, {})


@keras.saving.register_keras_serializable(package="tests")
class Reversed(TaskAssignment):
    def order(self, features, task_ids, num_tasks):
        return tf.range(features.shape[0] - 1, -1, -1)


class Own(TaskAssignment):
    """Gives whatever it was made with."""

    def __init__(self, given):
        self.given = given

    def order(self, features, task_ids, num_tasks):
        return self.given


class CheckedOrderTest(TestCase):
    @pytest.mark.parametrize("in_graph", [False, True])
    def test_only_permutations_pass(self, in_graph):
        features = np.zeros((4, 2), "float32")

        def checked(given):
            return checked_order(Own(given), features, None, 2)

        check = tf.function(checked) if in_graph else checked
        np.testing.assert_array_equal(check(np.array([2, 0, 3, 1])), [2, 0, 3, 1])
        for ids in ([0, 0, 1, 1], [3, 3, 3, 3], [1, 2, 3, 4]):
            with pytest.raises(
                tf.errors.InvalidArgumentError, match="a permutation of the images"
            ):
                check(np.array(ids))

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_clusters_of_what_is_not_finite(self, value):
        features = np.random.default_rng(1).normal(size=(12, 3)).astype("float32")
        features[4:6, 1] = value
        order = checked_order(ClusterAssignment(), features, None, 3)
        assert sorted(np.asarray(order)) == list(range(12))

    @pytest.mark.parametrize("jit_compile", [False, True])
    def test_nan_unless_permutation(self, jit_compile):
        check = tf.function(nan_unless_permutation, jit_compile=jit_compile)
        loss = tf.constant(2.5)
        assert float(check(None, loss)) == 2.5
        assert float(check(tf.constant([2, 0, 1]), loss)) == 2.5
        assert np.isnan(check(tf.constant([2, 0, 2]), loss))

    @pytest.mark.parametrize("given", [np.arange(3), np.arange(4.0), np.eye(4)])
    def test_shape_and_type(self, given):
        with pytest.raises(ValueError, match=r"`Own.order` must return .*int \(4,\)"):
            checked_order(Own(given), np.zeros((4, 2), "float32"), None, 2)


class GetTaskAssignmentTest(TestCase):
    def test_by_name_or_own(self):
        assert isinstance(get_task_assignment("cluster"), ClusterAssignment)
        own = Reversed()
        assert get_task_assignment(own) is own

    def test_unknown(self):
        with pytest.raises(ValueError, match="'blocks', 'cluster', 'given'"):
            get_task_assignment("random")

    def test_base_class_says_what_to_write(self):
        with pytest.raises(TypeError, match="must override `order"):
            TaskAssignment().order(None, None, 2)
