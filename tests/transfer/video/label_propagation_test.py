"""Against loops in NumPy, and through `evaluate`."""

import base64
import io

import keras
import numpy as np
import pytest
from PIL import Image

from keras_tc2 import encoders, transfer
from keras_tc2.transfer import Clip, LabelPropagation, VideoSet, video
from keras_tc2.transfer.features.feature_maps import feature_map_function
from tests.test_case import TestCase

GENERATOR = np.random.default_rng(0)
# Pictures on black: a cross and a frame.
CROSS = np.zeros((12, 12, 1), "uint8")
CROSS[4:8], CROSS[:, 4:8] = 200, 200
FRAME = np.full((12, 12, 1), 255, "uint8")
FRAME[4:8, 4:8] = 0


def clips(number=2, **arguments):
    arguments = {"num_clips": number, "length": 5, "side": 32, **arguments}
    return transfer.moving_clips(np.stack([CROSS, FRAME]), **arguments)


def encoder():
    """Neighborhoods of pixels: enough to follow what is bright."""
    images = keras.Input((32, 32, 1))
    x = keras.layers.Conv2D(6, 3, strides=2, padding="same", name="map")(images)
    x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(images, x, name="small")
    kernel = np.random.default_rng(1).normal(size=(3, 3, 1, 6))
    model.get_layer("map").set_weights([kernel, np.full(6, 0.1)])
    return encoders.Encoder.wrap(model)


def by_loops(maps, labels, num_context, radius, num_neighbors, temperature):
    maps = maps / np.linalg.norm(maps, axis=-1, keepdims=True)
    number, height, width, _ = maps.shape
    found = [labels]
    for t in range(1, number):
        frames = sorted({0, *range(max(0, t - num_context), t)})
        soft = np.zeros_like(labels)
        for row in range(height):
            for column in range(width):
                near = []
                for s in frames:
                    for r in range(height):
                        for c in range(width):
                            if max(abs(r - row), abs(c - column)) <= radius:
                                cosine = maps[t, row, column] @ maps[s, r, c]
                                near.append((cosine, found[s][r, c]))
                near.sort(key=lambda pair: -pair[0])
                near = near[:num_neighbors]
                weights = np.exp([cosine / temperature for cosine, _ in near])
                weights /= weights.sum()
                known = [label for _, label in near]
                soft[row, column] = sum(
                    w * label for w, label in zip(weights, known, strict=True)
                )
        found.append(soft)
    return np.stack(found)


class PropagateTest(TestCase):
    @pytest.mark.parametrize(
        "settings", [(1, 1, 3, 0.1), (0, 2, 5, 1.0), (9, 9, 4, 0.05)], ids=str
    )
    def test_against_loops(self, settings):
        maps = GENERATOR.normal(size=(4, 3, 5, 6))
        labels = GENERATOR.uniform(size=(3, 5, 2))
        names = ("num_context", "radius", "num_neighbors", "temperature")
        found = video.propagate(maps, labels, **dict(zip(names, settings, strict=True)))
        self.assert_close(
            found, by_loops(maps, labels, *settings), rtol=1e-4, atol=1e-5
        )

    def test_a_still_video_keeps_its_labels(self):
        maps = np.repeat(GENERATOR.normal(size=(1, 4, 4, 8)), 3, axis=0)
        labels = GENERATOR.uniform(size=(4, 4, 2))
        found = video.propagate(maps, labels, num_neighbors=1)
        self.assert_close(found, np.stack([labels] * 3), rtol=1e-5)

    def test_arguments(self):
        maps, labels = np.ones((2, 2, 2, 1)), np.ones((2, 2, 1))
        for name in ("radius", "num_neighbors", "temperature"):
            with pytest.raises(ValueError, match=name):
                video.propagate(maps, labels, **{name: 0})


class LabelPropagationTest(TestCase):
    def test_follows_what_can_be_told_apart(self):
        found = transfer.label_propagation(encoder(), clips())
        assert found["j"] > 0.5 and found["f"] > 0.5
        assert len(found["masks"]) == 2 and found["masks"][0].shape == (5, 32, 32)
        assert {one["object"] for one in found["per_object"]} == {1, 2}
        np.testing.assert_array_equal(found["masks"][0][0], clips()[0].masks[0])
        # A blind encoder is worse.
        blind = encoder()
        blind.backbone.get_layer("map").set_weights(
            [np.zeros((3, 3, 1, 6)), np.ones(6)]
        )
        assert transfer.label_propagation(blind, clips())["j"] < found["j"] - 0.1

    def test_is_the_mean_over_frames_between_first_and_last(self):
        given = clips(1)
        found = transfer.label_propagation(encoder(), given)
        expected = []
        for k in (1, 2):
            values = [
                np.sum((m == k) & (t == k)) / np.sum((m == k) | (t == k))
                for m, t in zip(found["masks"][0], given[0].masks, strict=True)
            ]
            expected.append(np.mean(values[1:-1]))
        self.assert_close(found["j"], np.mean(expected))

    def test_objects_may_have_any_numbers(self):
        given = clips()
        other = []
        for clip in given:
            masks = np.choose(clip.masks, [0, 255, 9])
            masks[2:, 0, 0] = 77  # Not in the first frame, so nothing to follow.
            other.append(Clip(clip.frames, masks, clip.name))
        expected = transfer.label_propagation(encoder(), given)
        found = transfer.label_propagation(encoder(), other)
        assert other[0].objects == [9, 255] and other[0].num_objects == 2
        numbers = [one["object"] for one in found["per_object"]]
        assert numbers == [9, 255, 9, 255]
        self.assert_close(found["j"], expected["j"], atol=0.02)
        masks = np.choose(expected["masks"][1], [0, 255, 9])
        assert np.mean(found["masks"][1] == masks) > 0.99
        figure = transfer.propagation_figure(other[0], found["masks"][0], num_frames=2)
        overlay = figure.axes[2].get_images()[1].get_array()
        np.testing.assert_array_equal(overlay[..., 3] > 0, other[0].masks[0] > 0)

    def test_a_saved_encoder(self, tmp_path):
        convnet = encoders.create("convnet", input_shape=(32, 32, 1), widths=(4,))
        convnet.save_pretrained(tmp_path)
        found = transfer.label_propagation(str(tmp_path), clips(1))
        assert found["j"] == transfer.label_propagation(convnet, clips(1))["j"]

    @pytest.mark.parametrize("shape", [(64, 16, 1), (16, 64, 1), (64, 24, 1)])
    def test_maps_of_portraits_and_landscapes(self, shape):
        convnet = encoders.create("convnet", input_shape=shape, widths=(4, 8, 16))
        to_map = feature_map_function(convnet, max_stride=4)
        found = to_map(np.zeros((1, *shape), "uint8")).shape[1:3]
        assert tuple(found) == (shape[0] // 4, shape[1] // 4)

    def test_other_sizes_and_channels_are_adapted(self):
        given = clips(1, side=48)
        color = [Clip(np.repeat(c.frames, 3, -1), c.masks, c.name) for c in given]
        found = transfer.label_propagation(encoder(), color)
        assert found["masks"][0].shape == (5, 48, 48)

    def test_through_evaluate(self):
        report = transfer.evaluate(
            encoder(),
            {"moving": VideoSet(clips())},
            protocols=[LabelPropagation(radius=3)],
        )
        metrics = {row["metric"]: row for row in report.rows}
        assert set(metrics) == {"j", "f"} and "recall" in metrics["j"]["details"]
        assert "| label_propagation | J |" in report.to_markdown()
        with pytest.raises(ValueError, match="only the protocol"):
            transfer.evaluate(encoder(), {"moving": VideoSet(clips())}, protocols="knn")
        images = GENERATOR.integers(0, 256, (8, 32, 32, 1), "uint8")
        pairs = (images, np.arange(8) % 2), (images, np.arange(8) % 2)
        with pytest.raises(ValueError, match="holds images"):
            transfer.evaluate(encoder(), {"a": pairs}, protocols="label_propagation")

    def test_page_of_a_report_shows_the_first_clip(self, tmp_path):
        given = clips()
        reports = [
            transfer.evaluate(
                encoder(),
                {"moving": VideoSet(given)},
                protocols="label_propagation",
                encoder_name=name,
            )
            for name in ("a < b", "other")
        ]
        report = transfer.TransferReport.join(reports)
        path = tmp_path / "report.json"
        report.to_json(path)
        for one in (report, transfer.TransferReport.from_json(path)):
            text = one.to_html()
            # Bars, two clips, and the differences of the encoders.
            assert text.count("data:image/png;base64,") == 4
            assert "<h2>label_propagation on moving</h2>\n<h3>a &lt; b</h3>" in text
        found = transfer.label_propagation(encoder(), given[:1])
        assert f"J = {100 * found['j']:.1f} and F = {100 * found['f']:.1f} %" in text
        picture = report.rows[0]["picture"]
        drawn = Image.open(io.BytesIO(base64.b64decode(picture["png"])))
        assert abs(drawn.width / drawn.height - 8.5 / 5.4) < 0.01
        assert picture["width"] == round(8.5 * 96) and report.rows[1]["picture"] is None

    def test_needs_a_feature_map(self):
        flat = keras.Sequential([keras.Input((32, 32, 1)), keras.layers.Flatten()])
        with pytest.raises(ValueError, match="no feature map"):
            transfer.label_propagation(encoders.Encoder.wrap(flat), clips())

    def test_picture(self):
        clip = clips(1)[0]
        figure = transfer.propagation_figure(clip, clip.masks, num_frames=3)
        assert len(figure.axes) == 9 and "true mask" in figure.axes[3].get_ylabel()

    @pytest.mark.parametrize(("channels", "drawn"), [(2, (32, 32)), (5, (32, 32, 3))])
    def test_picture_of_other_channels(self, channels, drawn):
        clip = clips(1)[0]
        clip = transfer.Clip(np.repeat(clip.frames, channels, -1), clip.masks)
        figure = transfer.propagation_figure(clip, clip.masks, num_frames=2)
        assert figure.axes[0].images[0].get_array().shape == drawn


class ClipTest(TestCase):
    def test_moving_clips_are_drawn_as_their_masks_say(self):
        clip = clips(1, seed=3)[0]
        assert clip.num_objects == 2 and clip.frames.shape == (5, 32, 32, 1)
        np.testing.assert_array_equal(clip.frames[..., 0] > 51, clip.masks > 0)
        again = clips(1, seed=3)[0]
        np.testing.assert_array_equal(clip.frames, again.frames)
        assert np.any(clip.masks[0] != clip.masks[1])
        with pytest.raises(ValueError, match="`side`"):
            clips(1, side=12)

    @pytest.mark.parametrize(
        ("frames", "masks", "message"),
        [
            (np.zeros((1, 4, 4, 1)), np.ones((1, 4, 4)), "two or more frames"),
            (np.zeros((2, 4, 4, 1)), np.ones((2, 4, 5)), "as large as the frames"),
            (np.zeros((2, 4, 4, 1)), np.zeros((2, 4, 4)), "no object to follow"),
        ],
    )
    def test_errors(self, frames, masks, message):
        with pytest.raises(ValueError, match=message):
            Clip(frames, masks.astype(int))
        with pytest.raises(ValueError, match="at least one"):
            VideoSet([])


class DavisTest(TestCase):
    def write(self, folder, *, size=(6, 8)):
        for t in range(3):
            for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
                path = folder / kind / "480p" / "bear" / f"{t:05}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                if kind == "JPEGImages":
                    Image.fromarray(np.zeros((*size, 3), "uint8")).save(path)
                else:
                    mask = np.zeros((6, 8), "uint8")
                    mask[1:3, t : t + 2] = 2
                    picture = Image.fromarray(mask)
                    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
                    picture.save(path)

    def test_reads_its_layout(self, tmp_path):
        self.write(tmp_path)
        (clip,) = transfer.read_davis(tmp_path)
        assert clip.name == "bear" and clip.frames.shape == (3, 6, 8, 3)
        assert set(np.unique(clip.masks)) == {0, 2} and clip.masks[1, 1, 1] == 2

    def test_the_home_folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        self.write(tmp_path)
        assert len(transfer.read_davis("~")) == 1

    def test_errors(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no folder"):
            transfer.read_davis(tmp_path)
        self.write(tmp_path, size=(6, 9))
        with pytest.raises(ValueError, match=r"mask of 00000\.jpg"):
            transfer.read_davis(tmp_path)
        (tmp_path / "Annotations" / "480p" / "bear" / "00001.png").unlink()
        with pytest.raises(FileNotFoundError, match="no annotation"):
            transfer.read_davis(tmp_path)
