import threading

import keras
import numpy as np
import pytest

from keras_tc2 import encoders, transfer
from keras_tc2.callbacks import push_to_hub
from keras_tc2.callbacks.push_to_hub import PushToHub
from tests.hub.conftest import TOKEN, server  # noqa: F401
from tests.test_case import TestCase


def trained(*callbacks, epochs, encoder=None, optimizer="adam"):
    encoder = encoder or encoders.create("convnet", input_shape=(8, 8, 1), widths=[4])
    encoder.compile(optimizer, "mse")
    x = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1)).astype("uint8")
    encoder.fit(x, np.ones((8, 4)), epochs=epochs, callbacks=callbacks, verbose=0)
    return encoder, x


@pytest.fixture
def slow_push(monkeypatch):
    """Pushes that wait until the test lets them go."""
    gate = threading.Event()
    push = push_to_hub.push_folder

    def wait(*arguments, **keywords):
        assert gate.wait(20)
        return push(*arguments, **keywords)

    monkeypatch.setattr(push_to_hub, "push_folder", wait)
    return gate


class PushToHubTest(TestCase):
    def test_pushes_and_ends_with_the_last_weights(self, server):  # noqa: F811
        callback = PushToHub("me/enc", token=TOKEN, license="mit")
        weights = []

        class Wait(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                callback._thread.join()
                weights.append(server.files("me/enc")["model.weights.h5"])

        encoder, x = trained(callback, Wait(), epochs=3)
        assert callback.failures == []
        _, *commits = server.repositories["me/enc"].commits
        ends = [url.rsplit("/", 1)[1] for url in callback.urls]
        assert ends == commits and len(commits) == 3
        assert len(set(weights)) == 3
        reloaded = encoders.from_pretrained("me/enc")
        np.testing.assert_array_equal(reloaded(x), encoder(x))
        assert b"license: mit" in server.files("me/enc")["README.md"]

    def test_pushes_what_changes_when_training_ends(self, server):  # noqa: F811
        callback = PushToHub("me/enc", token=TOKEN)
        average = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
        encoder, x = trained(callback, epochs=2, optimizer=average)
        reloaded = encoders.from_pretrained("me/enc")
        np.testing.assert_array_equal(reloaded(x), encoder(x))

    def test_every_few_epochs(self, server):  # noqa: F811
        callback = PushToHub("me/enc", every_epochs=10, token=TOKEN)
        trained(callback, epochs=3)
        assert len(callback.urls) == 1

    def test_a_second_run_pushes_its_own_encoder(self, server):  # noqa: F811
        callback = PushToHub("me/enc", every_epochs=10, token=TOKEN)
        trained(callback, epochs=1)
        second, x = trained(callback, epochs=1)
        assert len(callback.urls) == 2
        reloaded = encoders.from_pretrained("me/enc")
        np.testing.assert_array_equal(reloaded(x), second(x))

    def test_one_push_at_a_time(self, server, slow_push):  # noqa: F811
        callback = PushToHub("me/enc", token=TOKEN)
        alive = []

        class Watch(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                names = [thread.name for thread in threading.enumerate()]
                alive.append(names.count("push_to_hub"))
                if epoch == 4:
                    slow_push.set()

        encoder = encoders.create("convnet", input_shape=(8, 8, 1), widths=[4])
        encoder.compile("adam", "mse")
        x = np.zeros((8, 8, 8, 1), "uint8")
        encoder.fit(
            x, np.ones((8, 4)), epochs=5, callbacks=[callback, Watch()], verbose=0
        )
        assert alive == [1] * 5
        assert len(callback.urls) == 2
        np.testing.assert_array_equal(encoders.from_pretrained("me/enc")(x), encoder(x))

    def test_a_failure_is_reported_and_made_up_for(self, server):  # noqa: F811
        callback = PushToHub("me/enc", token=TOKEN)
        server.fail["commit"] = 409

        class Mend(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                callback._thread.join()
                if epoch == 1:
                    server.fail.clear()

        encoder = encoders.create("convnet", input_shape=(8, 8, 1), widths=[4])
        encoder.compile("adam", "mse")
        x = np.zeros((8, 8, 8, 1), "uint8")
        with pytest.warns(
            UserWarning, match="epoch 1 to 'me/enc' failed; training goes"
        ):
            encoder.fit(
                x, np.ones((8, 4)), epochs=2, callbacks=[callback, Mend()], verbose=0
            )
        assert [epoch for epoch, _ in callback.failures] == [0, 1]
        assert len(callback.urls) == 1
        np.testing.assert_array_equal(encoders.from_pretrained("me/enc")(x), encoder(x))

    def test_everything_that_it_was_given_is_published(self, server, tmp_path):  # noqa: F811
        picture = tmp_path / "views.png"
        picture.write_bytes(b"drawn")
        callback = PushToHub(
            "me/enc",
            every_epochs=10,
            token=TOKEN,
            license="mit",
            card_data={"tags": ["my-tag"]},
            transfer_report=transfer.TransferReport(
                [
                    {
                        "encoder": "enc",
                        "dataset": "halves",
                        "protocol": "knn",
                        "metric": "accuracy",
                        "value": 0.75,
                    }
                ]
            ),
            pictures=iter([picture]),
            safetensors=True,
        )
        trained(callback, epochs=1)
        files = server.files("me/enc")
        assert files["pictures/views.png"] == b"drawn"
        assert "model.safetensors" in files
        card = files["README.md"].decode()
        assert "license: mit" in card and "- my-tag" in card and "halves" in card

    def test_an_option_that_there_is_not(self):
        with pytest.raises(TypeError, match="licence"):
            PushToHub("me/enc", licence="mit")

    def test_what_can_no_longer_be_written_ends_no_training(self, server, tmp_path):  # noqa: F811
        picture = tmp_path / "views.png"
        picture.write_bytes(b"")
        with pytest.raises(ValueError, match="`pictures` must be a list of paths"):
            PushToHub("me/enc", pictures=picture)
        callback = PushToHub("me/enc", every_epochs=10, pictures=[picture])
        gone = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: picture.unlink()
        )
        with pytest.warns(UserWarning, match="epoch 1 to 'me/enc' failed.*views.png"):
            trained(callback, gone, epochs=1)
        assert callback.urls == []

    def test_a_hub_that_never_answers_ends_no_training(self, server):  # noqa: F811
        callback = PushToHub("me/enc", token="hf_wrongwrongwrongwrongwrongwrongwrong")
        with pytest.warns(UserWarning, match="does not know the token") as warned:
            trained(callback, epochs=2)
        assert callback.urls == []
        assert not [w for w in warned if "hf_wrong" in str(w.message)]

    def test_what_cannot_be_saved_shows_before_training(self, server):  # noqa: F811
        inputs = keras.Input((8, 8, 1))
        model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
        with pytest.raises(ValueError, match="register"):
            trained(PushToHub("me/enc"), epochs=1, encoder=encoders.Encoder.wrap(model))

    def test_bad_arguments(self):
        with pytest.raises(ValueError, match="every_epochs"):
            PushToHub("me/enc", every_epochs=0)
