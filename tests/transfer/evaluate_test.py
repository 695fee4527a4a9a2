import json

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from keras_tc2 import SSLPretrainer, data, encoders, transfer
from tests import tiny
from tests.test_case import TestCase
from tests.transfer.blobs import blobs


def bright_and_dark(number, *, size=8, channels=1, seed=0):
    """Images whose class is the half that is bright, and their labels."""
    generator = np.random.default_rng(seed)
    labels = np.arange(number) % 2
    images = generator.integers(100, size=(number, size, size, channels))
    images[labels == 1, : size // 2] += 120
    images[labels == 0, size // 2 :] += 120
    return images.astype("uint8"), labels


def encoder(*, size=8, channels=1, name="pixels"):
    layers = [
        keras.Input((size, size, channels)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
    ]
    return keras.Sequential(layers, name=name)


class EvaluateTest(TestCase):
    def test_the_table(self):
        data = {"halves": (bright_and_dark(60), bright_and_dark(30, seed=1))}
        report = transfer.evaluate(encoder(), data, protocols=("knn", "linear"))
        assert [row["protocol"] for row in report.rows] == ["knn", "linear"]
        for row in report.rows:
            assert (row["encoder"], row["dataset"]) == ("pixels", "halves")
            assert row["value"] == 1.0 and row["seconds"] > 0
            assert row["per_image"].shape == (30,)
        assert report.notes == []
        assert report.settings["protocols"]["KNN"] == {"k": 20, "temperature": 0.07}

    def test_equals_the_functions(self):
        train, test = blobs(90), blobs(50, seed=1)
        report = transfer.evaluate(
            None, {"blobs": (train, test)}, protocols=("knn", "linear", "few_shot")
        )
        assert report.accuracy("blobs", "knn") == transfer.knn_accuracy(*train, *test)
        probe = transfer.linear_probe(*train, *test)
        assert report.accuracy("blobs", "linear") == probe["accuracy"]
        shots = transfer.few_shot(*train, *test, shots=(1, 2, 5, 10))
        for number, result in shots.items():
            name = f"few_shot_{number}"
            assert report.accuracy("blobs", name) == result["accuracy"]
        for row in report.rows:
            assert row["per_image"].mean() == pytest.approx(row["value"], abs=1e-6)

    def test_extracts_features_once(self):
        calls = []
        model = encoder()

        class Counting(keras.Model):
            def call(self, images, training=None):
                tf.py_function(lambda: calls.append(1), [], [])
                return model(images)

        data = [("halves", (bright_and_dark(30), bright_and_dark(10, seed=1)))]
        transfer.evaluate(Counting(), data, protocols=("knn", "linear"), batch_size=10)
        assert len(calls) == 4

    def test_adapts_size_and_channels_and_says_so(self):
        data = {"grey": (bright_and_dark(40), bright_and_dark(20, seed=1))}
        report = transfer.evaluate(encoder(size=12, channels=3), data)
        assert report.notes == ["grey: images 8×8×1 adapted to 12×12×3"]
        assert report.accuracy("grey", "knn") == 1.0
        assert "12×12×3" in report.to_markdown()

    def test_datasets_of_pairs(self):
        splits = tuple(
            tf.data.Dataset.from_tensor_slices(bright_and_dark(number, seed=number))
            for number in (40, 20)
        )
        report = transfer.evaluate(encoder(), {"halves": splits}, protocols=["knn"])
        assert report.accuracy("halves", "knn") == 1.0

    def test_own_protocol(self):
        class FirstPixel(transfer.Protocol):
            function = staticmethod(lambda features, *, threshold=0.5: None)

            def __call__(self, downstream):
                features, labels = downstream.arrays[2:]
                right = (features[:, 0] > self.options["threshold"]) == labels
                return [transfer.Score("first", float(right.mean()), per_image=right)]

        data = {"halves": (bright_and_dark(40), bright_and_dark(20, seed=1))}
        report = transfer.evaluate(
            encoder(), data, protocols=[FirstPixel(threshold=0.41), transfer.KNN(k=1)]
        )
        assert report.accuracy("halves", "first") > 0.9
        assert report.settings["protocols"]["FirstPixel"] == {"threshold": 0.41}

    def test_errors(self):
        halves = (bright_and_dark(10), bright_and_dark(4, seed=1))
        with pytest.raises(ValueError, match="'knn', 'linear'"):
            transfer.evaluate(encoder(), {"a": halves}, protocols=["nearest"])
        with pytest.raises(ValueError, match="at least one dataset"):
            transfer.evaluate(encoder(), [])
        with pytest.raises(ValueError, match="without a name"):
            transfer.evaluate(encoder(), [(*halves, halves[0])])
        with pytest.raises(ValueError, match="Only 1 and 3 convert"):
            transfer.evaluate(encoder(channels=2), {"a": halves})
        broken = (halves[0][0], halves[0][1][:3])
        with pytest.raises(ValueError, match="as many labels"):
            transfer.evaluate(encoder(), {"a": (broken, halves[1])})
        with pytest.raises(ValueError, match="'k', 'temperature'"):
            transfer.KNN(neighbours=3)


class Failing(transfer.Protocol):
    """Fails on the dataset of that name."""

    function = staticmethod(lambda features, *, dataset="b": None)

    def __call__(self, downstream):
        if downstream.name == self.options["dataset"]:
            raise ArithmeticError("out of luck")
        return [transfer.Score("failing", 0.5)]


class FailureTest(TestCase):
    def data(self):
        halves = (bright_and_dark(20), bright_and_dark(8, seed=1))
        return {"a": halves, "b": halves}

    def test_what_others_found_is_kept(self, tmp_path):
        with pytest.warns(UserWarning, match="b: Failing failed.*out of luck"):
            report = transfer.evaluate(
                encoder(), self.data(), protocols=[Failing(), "knn"], seed=3
            )
        found = [(row["dataset"], row["protocol"]) for row in report.rows]
        assert found == [("a", "failing"), ("a", "knn"), ("b", "knn")]
        (failure,) = report.failures
        assert failure == {
            "encoder": "pixels",
            "dataset": "b",
            "seed": 3,
            "protocol": "Failing",
            "error": "ArithmeticError: out of luck",
        }
        sentence = "b: Failing failed. ArithmeticError: out of luck"
        assert sentence in str(report) and sentence in report.to_html()
        with pytest.raises(ValueError, match=r"0 rows.*out of luck"):
            report.accuracy("b", "failing")
        again = transfer.TransferReport.from_json(report.to_json())
        assert again.failures == report.failures
        joined = transfer.TransferReport.join([report, self.other()])
        assert joined.failures == report.failures
        assert joined.only("pixels").failures == report.failures
        assert joined.only("other").failures == []
        assert self.other().compare(report).differences

    def other(self):
        return transfer.evaluate(
            encoder(name="other"), self.data(), protocols=["knn"], seed=3
        )

    def test_nothing_measured_is_an_error(self):
        with (
            pytest.warns(UserWarning, match="out of luck"),
            pytest.raises(ArithmeticError, match="out of luck"),
        ):
            transfer.evaluate(
                encoder(), {"b": self.data()["b"]}, protocols=[Failing(), Failing()]
            )

    def test_unreadable_images_are_read_once(self):
        passes = []

        def splits():
            passes.append(1)
            yield np.zeros((8, 8, 1), "uint8"), 0
            raise ValueError("of a generator")

        spec = (tf.TensorSpec((8, 8, 1), tf.uint8), tf.TensorSpec((), tf.int64))
        broken = tf.data.Dataset.from_generator(splits, output_signature=spec)
        data = {**self.data(), "c": (broken, broken)}
        with pytest.warns(UserWarning, match="c: KNN failed"):
            report = transfer.evaluate(encoder(), data, protocols=["knn", "linear"])
        assert len(report.rows) == 4
        assert [failure["dataset"] for failure in report.failures] == ["c", "c"]
        assert len(passes) == 1

    def test_all_datasets_are_opened_before_anything_is_measured(self):
        measured = []

        class Spy(transfer.Protocol):
            function = staticmethod(lambda features: None)

            def __call__(self, downstream):
                measured.append(downstream.name)
                return [transfer.Score("spy", 1.0)]

        with pytest.raises(ValueError, match="no existing file"):
            transfer.evaluate(
                encoder(), [("a", self.data()["a"]), "no_such_set"], protocols=[Spy()]
            )
        assert measured == []


class SourcesTest(TestCase):
    @pytest.mark.parametrize(
        ("source", "message"),
        [
            (
                bright_and_dark(8),
                r"'a' must be a pair \(train, test\).*8, 8, 1\), \(8,",
            ),
            (bright_and_dark(8)[0], "'a' must be a pair .*Received: ndarray"),
            (tf.data.Dataset.from_tensor_slices(bright_and_dark(8)), "must be a pair"),
            ((*[bright_and_dark(8)] * 2, bright_and_dark(8)), "tuple of 3 items"),
            ((bright_and_dark(8)[0], None), "must be a pair"),
            (((bright_and_dark(8)[0], None),) * 2, "as many labels"),
            (((np.zeros((4, 3)),), (np.zeros((4, 3)),)), "Each split of dataset 'a'"),
            (None, "must be a pair.*NoneType"),
        ],
    )
    def test_what_is_no_pair_of_splits(self, source, message):
        with pytest.raises(ValueError, match=message):
            transfer.evaluate(encoder(), {"a": source})

    @pytest.mark.parametrize("kind", [str, object, "S"])
    def test_names_as_labels(self, kind):
        names = np.array(["zebra", "ant"])
        (train, y_train), (test, y_test) = (bright_and_dark(40), bright_and_dark(20))
        every = tuple(transfer.protocol_names())[:5]
        plain = {"a": ((train, y_train), (test, y_test))}
        named = {
            "a": (
                (train, names[y_train].astype(kind)),
                (test, names[y_test].astype(kind)),
            )
        }
        first = transfer.evaluate(encoder(), plain, protocols=every)
        second = transfer.evaluate(encoder(), named, protocols=every)
        assert not second.failures
        rows = zip(first.rows, second.rows, strict=True)
        assert all(a["value"] == b["value"] for a, b in rows)

    def test_a_folder_whose_test_lacks_a_class(self, tmp_path):
        rng = np.random.default_rng(0)
        for split, classes in (("train", "abc"), ("test", "bc")):
            for name in classes:
                (tmp_path / split / name).mkdir(parents=True)
                for index in range(8):
                    pixels = rng.integers(0, 40, (8, 8))
                    rows = slice(2 * "abc".index(name), 2 * "abc".index(name) + 3)
                    pixels[rows] += 200
                    picture = PIL.Image.fromarray(pixels.astype("uint8"))
                    picture.save(tmp_path / split / name / f"{index}.png")
        report = transfer.evaluate(encoder(), str(tmp_path))
        assert [row["value"] for row in report.rows] == [1.0, 1.0]
        train, test = (
            data.load(tmp_path, split, labels=True) for split in ("train", "test")
        )
        numbers = np.array([int(label) for _, label in test])
        images = np.stack([image for image, _ in test])
        with pytest.raises(ValueError, match=r"`class_names` differ.*'s'"):
            sources = {"x": (train, test), "y": (train, (images, numbers))}
            transfer.evaluate(encoder(), {"s": sources})

    def test_domains_with_names_as_labels_are_numbered_together(self):
        names = np.array(["cat", "dog", "fox"])
        labels = np.arange(90) % 3
        noise = np.random.default_rng(0).normal(size=(90, 6))
        features = 6 * np.eye(6)[labels] + noise
        without = labels > 0
        plain = {
            "photo": ((features, labels), (features, labels)),
            "sketch": ((features[without], labels[without]),) * 2,
        }
        named = {
            domain: tuple((x, names[y]) for x, y in pair)
            for domain, pair in plain.items()
        }
        every = ("out_of_distribution", "knn")
        first, second = (
            transfer.evaluate(None, {"s": sources}, protocols=every)
            for sources in (plain, named)
        )
        # Sketches have no cats: little else of the photos is wrong.
        assert first.value("s", "out_of_distribution_photo") > 0.5
        for a, b in zip(first.rows, second.rows, strict=True):
            assert a["value"] == b["value"]

    def test_labels_may_be_a_column(self):
        train, test = blobs(60), blobs(30, seed=1)
        every = ("knn", "linear", "few_shot", "clustering", "retrieval")
        column = tuple((x, y[:, None]) for x, y in (train, test))
        rows = [
            transfer.evaluate(None, {"a": splits}, protocols=every).rows
            for splits in ((train, test), column)
        ]
        for a, b in zip(*rows, strict=True):
            assert a["value"] == b["value"]
            np.testing.assert_array_equal(a["per_image"], b["per_image"])
        assert transfer.knn_accuracy(*column[0], *column[1]) == rows[0][0]["value"]
        images, labels = bright_and_dark(20)
        dataset = tf.data.Dataset.from_tensor_slices((images, labels[:, None]))
        report = transfer.evaluate(encoder(), {"a": (dataset, dataset)})
        assert [row["per_image"].shape for row in report.rows] == [(20,), (20,)]
        with pytest.raises(ValueError, match=r"labels of a.*\(60, 3\).*argmax"):
            rows = np.eye(3)[train[1]]
            transfer.evaluate(None, {"a": ((train[0], rows), test)})

    def test_names_that_cannot_be_numbered(self):
        images, labels = bright_and_dark(8)
        names = np.array(["a", "b"])[labels]
        with pytest.raises(ValueError, match="names as labels in one split and num"):
            transfer.evaluate(encoder(), {"a": ((images, names), (images, labels))})
        text = tf.data.Dataset.from_tensor_slices((images, names))
        with pytest.raises(ValueError, match="Labels of dataset 'a' are text"):
            transfer.evaluate(encoder(), {"a": (text, text)})

    def test_images_without_an_encoder(self):
        halves = (bright_and_dark(8), bright_and_dark(8))
        with (
            pytest.warns(UserWarning, match="there is no encoder"),
            pytest.raises(ValueError, match="there is no encoder: give one"),
        ):
            transfer.evaluate(None, {"a": halves}, protocols="knn")

    @pytest.mark.parametrize("channels", [1, 3])
    def test_folder_with_grey_and_colour_images(self, tmp_path, channels, caplog):
        rng = np.random.default_rng(0)
        for split in ("train", "test"):
            for index in range(6):
                path = tmp_path / split / "ab"[index % 2] / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                shape = (9, 9) if index in (0, 5) else (9, 9, 3)
                pixels = rng.integers(0, 100, shape, "uint8") + index % 2 * 100
                PIL.Image.fromarray(pixels.astype("uint8")).save(path)
        report = transfer.evaluate(
            encoder(channels=channels), str(tmp_path), protocols="knn"
        )
        assert f"read with the {channels} channels of the encoder" in report.notes[-1]
        assert not caplog.records


class AdaptTest(TestCase):
    def test_uint8_stays_uint8(self):
        from keras_tc2.transfer.features.adapt import adapt

        images, labels = bright_and_dark(3, size=9, channels=3)
        dataset = tf.data.Dataset.from_tensor_slices((images, labels))
        adapted, _ = adapt(dataset, (6, 6, 1))
        result = np.stack([image for image, _ in adapted.as_numpy_iterator()])
        assert result.shape == (3, 6, 6, 1) and result.dtype == np.uint8
        expected = tf.image.resize(images.astype("float32"), (6, 6), antialias=True)
        luma = np.asarray(expected) @ [0.2989, 0.587, 0.114]
        self.assert_close(result[..., 0], luma, atol=1.6)

    def test_uint16_takes_other_channels(self):
        from keras_tc2.transfer.features.adapt import adapt

        pixels = np.array([[[[30000]]], [[[60000]]]], "uint16")
        grey = tf.data.Dataset.from_tensor_slices((pixels, [0, 1]))
        color, _ = adapt(grey, (1, 1, 3))
        back, _ = adapt(color, (1, 1, 1))
        found = [image for image, _ in color.as_numpy_iterator()]
        np.testing.assert_array_equal(found, pixels.repeat(3, axis=-1))
        assert found[0].dtype == np.uint16
        found = np.array([image for image, _ in back.as_numpy_iterator()])
        # The weights of ITU-R 601 as TensorFlow has them sum to 0.9999.
        self.assert_close(found, pixels, rtol=2e-4)

    def test_nothing_to_do_is_nothing_done(self):
        from keras_tc2.transfer.features.adapt import adapt

        dataset = tf.data.Dataset.from_tensor_slices(bright_and_dark(3))
        assert adapt(dataset, (8, 8, 1)) == (dataset, None)
        assert adapt(dataset, (None, None, 1)) == (dataset, None)
        assert adapt(dataset, None) == (dataset, None)

    def test_images_of_many_sizes_need_a_size(self):
        from keras_tc2.transfer.features.adapt import adapt

        dataset = tf.data.Dataset.from_generator(
            lambda: iter([(np.zeros((4, 5, 1), "uint8"), 0)]),
            output_signature=(
                tf.TensorSpec((None, None, 1), tf.uint8),
                tf.TensorSpec((), tf.int64),
            ),
        )
        with pytest.raises(ValueError, match="does not say which it takes"):
            adapt(dataset, None)
        adapted, note = adapt(dataset, (7, 7, 3))
        assert next(iter(adapted))[0].shape == (7, 7, 3)
        assert note == "images ?×?×1 adapted to 7×7×3"


class ReportTest(TestCase):
    def report(self, **arguments):
        train, test = blobs(60), blobs(30, seed=1)
        return transfer.evaluate(
            None,
            {"blobs": (train, test)},
            protocols=("knn", transfer.FewShot(shots=(2,), num_draws=3)),
            **arguments,
        )

    def test_json_round_trip(self, tmp_path):
        report = self.report()
        text = report.to_json(tmp_path / "report.json")
        json.loads(text)
        for read in (text, tmp_path / "report.json"):
            again = transfer.TransferReport.from_json(read)
            assert again.to_dict() == report.to_dict()
            assert again.to_json() == text
            for row, other in zip(report.rows, again.rows, strict=True):
                self.assert_close(row["per_image"], other["per_image"])

    def test_markdown(self):
        row = {"encoder": "a", "dataset": "d", "protocol": "p", "accuracy": 0.4567}
        report = transfer.TransferReport(
            [
                {**row, "spread": 0.0123, "seconds": 1.26},
                {**row, "metric": "nmi"},
            ],
            notes=["d: resized"],
        )
        assert str(report).splitlines() == [
            "| dataset | protocol | measure, % | a | seconds |",
            "| --- | --- | --- | ---: | ---: |",
            "| d | p | accuracy | 45.67 ± 1.23 | 1.3 |",
            "| d | p | NMI | 45.67 |  |",
            "",
            "- d: resized",
        ]

    def test_encoders_stand_side_by_side(self):
        rows = [
            {"encoder": name, "dataset": "d", "protocol": protocol, "value": value}
            for name, protocol, value in (
                ("a", "p", 0.5),
                ("b|c", "p", 0.7),
                ("b|c", "q", 0.9),
            )
        ]
        assert str(transfer.TransferReport(rows)).splitlines() == [
            "| dataset | protocol | measure, % | a | b\\|c |",
            "| --- | --- | --- | ---: | ---: |",
            "| d | p | accuracy | 50.00 | 70.00 |",
            "| d | q | accuracy | – | 90.00 |",
        ]

    def test_other_measures_are_no_accuracy(self):
        row = {"encoder": "a", "dataset": "d", "protocol": "p", "value": 0.4}
        report = transfer.TransferReport([{**row, "metric": "nmi"}])
        assert report.value("d", "p") == 0.4
        with pytest.raises(ValueError, match="measures 'nmi', not accuracy"):
            report.accuracy("d", "p")

    def test_measures_of_one_protocol_stay_apart(self):
        rows = [
            {
                "encoder": name,
                "dataset": "d",
                "protocol": "p",
                "metric": metric,
                "value": value,
            }
            for name, values in (("a", (0.5, 0.9)), ("b", (0.6, 0.7)))
            for metric, value in zip("jf", values, strict=True)
        ]
        first, second = (transfer.TransferReport(rows[i : i + 2]) for i in (0, 2))
        assert first.value("d", "p", metric="f") == 0.9
        with pytest.raises(ValueError, match=r"\['f', 'j'\]: say by `metric=`"):
            first.value("d", "p")
        with pytest.raises(ValueError, match="Received: metric='k'"):
            first.value("d", "p", metric="k")
        comparison = first.compare(second)
        self.assert_close([d.mean for d in comparison.differences], [-0.1, 0.2])
        assert all(len(row.per_seed) == 1 for row in comparison.differences)
        assert "in the mean of 2 measurements" in comparison.finding
        only_f = transfer.TransferReport(rows[3:])
        assert not transfer.TransferReport(rows[:1]).pairs_with(only_f)
        assert len(first.compare(only_f).differences) == 1
        assert transfer.TransferReport.join([only_f, only_f]).encoders == ["b", "b (2)"]
        halves = [transfer.TransferReport([row]) for row in rows[:2]]
        assert transfer.TransferReport.join(halves).encoders == ["a"]

    def test_protocols_of_one_kind_stay_apart(self):
        train, test = blobs(60), blobs(30, seed=1)
        protocols = [transfer.KNN(k=1), "linear", transfer.KNN(k=30)]
        report = transfer.evaluate(None, {"blobs": (train, test)}, protocols=protocols)
        for name, k in (("knn", 1), ("knn (2)", 30)):
            expected = transfer.knn_accuracy(*train, *test, k=k)
            assert report.accuracy("blobs", name) == expected
        assert report.settings["protocols"]["KNN (2)"]["k"] == 30

    def test_a_second_of_a_kind_is_one_where_the_first_failed(self):
        train, test = blobs(60), blobs(30, seed=1)
        protocols = [transfer.Clustering(num_clusters=1000), "knn", "clustering"]
        with pytest.warns(UserWarning, match="Clustering failed"):
            report = transfer.evaluate(
                None, {"blobs": (train, test)}, protocols=protocols
            )
        names = {row["protocol"] for row in report.rows}
        assert names == {"knn", "clustering (2)"}
        assert report.failures[0]["protocol"] == "Clustering"

    def test_encoders_of_one_name_stay_apart(self):
        first, second = self.report(encoder_name="a"), self.report(encoder_name="a")
        joined = transfer.TransferReport.join([first, second, second])
        assert joined.encoders == ["a", "a (2)", "a (3)"]
        assert set(joined.settings["feature_seconds"]) == {"a", "a (2)", "a (3)"}
        other = transfer.TransferReport([{**first.rows[0], "dataset": "other"}])
        assert transfer.TransferReport.join([first, other]).encoders == ["a"]

    def test_joined_again_encoders_of_one_name_stay_apart(self):
        def one(value):
            row = {"encoder": "a", "dataset": "d", "protocol": "knn", "value": value}
            return transfer.TransferReport([row])

        joined = transfer.TransferReport.join([one(0.5), one(0.7)])
        joined = transfer.TransferReport.join([one(0.9), joined])
        assert len(joined.encoders) == len(set(joined.encoders)) == 3
        values = [joined.value("d", "knn", encoder=name) for name in joined.encoders]
        assert values == [0.9, 0.5, 0.7]

    def test_settings_that_differ_are_beside_each_other(self):
        row = {"encoder": "a", "dataset": "d", "protocol": "knn", "value": 0.5}
        settings = [
            {"batch_size": 4, "protocols": {"KNN": {"k": k, "shots": [1, 5]}}}
            for k in (1, 200, 1)
        ]
        settings[1]["protocols"]["Linear"] = {"max_iter": 3}
        reports = [
            transfer.TransferReport([{**row, "seed": seed}], settings=one)
            for seed, one in enumerate(settings)
        ]
        assert transfer.TransferReport.join(reports).settings == {
            "batch_size": 4,
            "protocols": {
                "KNN": {"k": [1, 200], "shots": [1, 5]},
                "Linear": {"max_iter": 3},
            },
        }

    def test_reports_of_before_are_read(self):
        row = {"encoder": "a", "dataset": "d", "protocol": "p", "accuracy": 0.4}
        text = json.dumps({"rows": [row], "settings": {}, "notes": []})
        assert transfer.TransferReport.from_json(text).accuracy("d", "p") == 0.4

    def test_join(self):
        first = self.report(encoder_name="a")
        second = self.report(encoder_name="b", seed=1)
        joined = transfer.TransferReport.join([first, second])
        assert joined.encoders == ["a", "b"]
        assert len(joined.rows) == len(first.rows) + len(second.rows)
        assert set(joined.settings["feature_seconds"]) == {"a", "b"}
        with pytest.raises(ValueError, match="one encoder must"):
            joined.accuracy("blobs", "knn")
        assert joined.accuracy("blobs", "knn", encoder="b") == second.accuracy(
            "blobs", "knn"
        )
        with pytest.raises(ValueError, match="0 rows"):
            joined.accuracy("blobs", "linear")
        with pytest.raises(ValueError, match="Missing"):
            transfer.TransferReport([{"encoder": "a"}])


class NamesTest(TestCase):
    def name(self, model, **arguments):
        train, test = bright_and_dark(20), bright_and_dark(10, seed=1)
        data = {"halves": (train, test)}
        report = transfer.evaluate(model, data, protocols="knn", **arguments)
        return report.encoders[0]

    def test_a_name_says_what_an_encoder_is(self, tmp_path):
        made = [
            encoders.create("convnet", input_shape=(8, 8, 1), widths=(4,))
            for _ in range(2)
        ]
        assert [self.name(model) for model in made] == ["convnet", "convnet"]
        assert self.name(made[0], encoder_name="mine") == "mine"
        made[0].save_pretrained(tmp_path / "run")
        loaded = encoders.from_pretrained(tmp_path / "run")
        assert self.name(loaded) == str(tmp_path / "run")
        assert self.name(encoders.Encoder.wrap(encoder())) == "pixels"
        unnamed = keras.Sequential(encoder().layers)
        assert self.name(unnamed) == "Sequential"
        assert self.name(encoder(name="sequential_of_mine")) == "sequential_of_mine"


class GivenTest(TestCase):
    def test_a_pretrainer_stands_for_its_encoder(self):
        model = SSLPretrainer(tiny.encoder(), objective="nt_xent")
        images = np.random.default_rng(0).random((12, *tiny.IMAGE_SHAPE))
        np.testing.assert_array_equal(
            transfer.extract_features(model, images),
            transfer.extract_features(model.encoder, images),
        )

    def test_classes_that_train_lacks_are_told(self):
        (images, labels), (more, others) = bright_and_dark(60), bright_and_dark(30)
        others = np.where(np.arange(30) < 4, 7, others)
        report = transfer.evaluate(
            encoder(), {"a": ((images, labels), (more, others))}, protocols="knn"
        )
        (note,) = [n for n in report.notes if "train lacks" in n]
        assert "4 test images are of classes that train lacks (7)" in note

    def test_channels_come_last(self):
        images = np.zeros((5, 3, 32, 32), "uint8")
        with pytest.raises(ValueError, match=r"np.moveaxis\(images, 1, -1\)"):
            data.load(images)
        model = encoders.create("convnet", input_shape=(32, 32, 3), widths=(4,))
        with pytest.raises(ValueError, match=r"np.moveaxis\(images, 1, -1\)"):
            model.predict(images, verbose=0)
