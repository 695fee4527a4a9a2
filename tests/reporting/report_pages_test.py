import html
import shutil
import subprocess

import numpy as np
import pytest

from keras_tc2 import transfer
from tests.test_case import TestCase
from tests.transfer.blobs import blobs

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)


def rendered(path, folder):
    """The page's text after Chromium has laid it out, and its picture."""
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
        f"--user-data-dir={folder / 'profile'}",
        "--window-size=1100,1400",
    ]
    picture = folder / "page.png"
    texts = [
        subprocess.run(
            [*command, option, path.as_uri()],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        for option in ("--dump-dom", f"--screenshot={picture}")
    ]
    return texts[0], picture


def joined_report():
    train, test = blobs(90), blobs(60, seed=1)
    noisy = train[0] + np.random.default_rng(0).normal(size=train[0].shape) * 2
    reports = [
        transfer.evaluate(
            None,
            {"blobs": ((features, train[1]), test)},
            protocols=("knn", "linear", transfer.FewShot(shots=(1, 5), num_draws=3)),
            encoder_name=name,
        )
        for name, features in (("a < b", train[0]), ("noisy", noisy))
    ]
    return transfer.TransferReport.join(reports)


class ReportPagesTest(TestCase):
    def test_the_home_folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        report = joined_report()
        text = report.to_json("~/a.json")
        assert transfer.TransferReport.from_json("~/a.json").to_json() == text
        report.to_html("~/b.html")
        report.plot("~/c.png")
        report.only("noisy").compare(report.only("a < b")).plot("~/d.png")
        made = {"a.json", "b.html", "c.png", "d.png"}
        assert {path.name for path in tmp_path.iterdir()} == made

    def test_page_is_self_contained_and_escaped(self, tmp_path):
        report = joined_report()
        text = report.to_html(tmp_path / "report.html")
        assert (tmp_path / "report.html").read_text(encoding="utf-8") == text
        assert "a &lt; b" in text and "a < b" not in text
        # The bars, and the difference of the two encoders.
        assert text.count("data:image/png;base64,") == 2
        for outside in ("http://", "https://", "<script", "<link"):
            assert outside not in text
        for row in report.rows:
            assert f"{100 * row['value']:.2f}" in text
        assert "<td>k = 20, temperature = 0.07</td>" in text

    def test_page_compares_with_the_reference(self):
        report = joined_report()
        text = report.to_html()
        first, second = (report.only(name) for name in report.encoders)
        assert "<h3>noisy minus a &lt; b</h3>" in text
        assert html.escape(second.compare(first).finding) in text
        turned = report.to_html(reference="noisy")
        assert html.escape(first.compare(second).finding) in turned
        with pytest.raises(ValueError, match="reference"):
            report.to_html(reference="other")
        second.rows = [{**row, "seed": 7} for row in second.rows]
        apart = transfer.TransferReport.join([first, second]).to_html()
        assert "share no measurement and seed" in apart

    def test_picture_of_differences(self, tmp_path):
        report = joined_report()
        first, second = (report.only(name) for name in report.encoders)
        comparison = second.compare(first)
        figure = comparison.plot(tmp_path / "differences.png")
        assert (tmp_path / "differences.png").stat().st_size > 5000
        panel = figure.axes[0]
        names = [text.get_text() for text in panel.get_yticklabels()]
        assert names == [d.name for d in comparison.differences] + ["mean accuracy"]
        means = [d.mean for d in (*comparison.differences, comparison.overall)]
        points = next(line for line in panel.lines if line.get_marker() == "D")
        self.assert_close(points.get_xdata(), 100 * np.array(means))
        low, high = panel.lines[0].get_xdata()
        expected = comparison.differences[0].image_interval
        self.assert_close((low, high), 100 * np.array(expected))

    def test_bars_do_not_shrink_with_their_number(self):
        def thickness(protocols):
            rows = [
                {"encoder": e, "dataset": "d", "protocol": p, "value": 0.5}
                for e in "ab"
                for p in protocols
            ]
            figure = transfer.TransferReport(rows).plot()
            figure.draw_without_rendering()
            bar = figure.axes[0].patches[0].get_window_extent()
            assert figure.get_figwidth() == 6.4
            return bar.height / figure.dpi

        few = thickness(["knn", "linear"])
        many = thickness([f"protocol_{i}" for i in range(16)])
        # Room for a label of 8 points, which are a ninth of an inch.
        assert few > 0.1 and many > 0.1

    def test_picture_has_what_a_reader_needs(self, tmp_path):
        report = joined_report()
        figure = report.plot(tmp_path / "bars.png")
        assert (tmp_path / "bars.png").stat().st_size > 5000
        panel = figure.axes[0]
        assert (
            panel.get_xlabel() == "accuracy, %" and panel.get_title("left") == "blobs"
        )
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        assert labels == ["a < b", "noisy"]
        heights = [bar.get_width() for bar in panel.patches]
        expected = [
            100 * row["value"]
            for name in report.encoders
            for row in report.rows
            if row["encoder"] == name
        ]
        self.assert_close(heights, expected)

    def test_seeds_become_whiskers(self):
        rows = [
            {"encoder": "a", "dataset": "d", "protocol": "p", "accuracy": v, "seed": i}
            for i, v in enumerate((0.5, 0.7))
        ]
        figure = transfer.TransferReport(rows).plot()
        assert figure.axes[0].patches[0].get_width() == pytest.approx(60)
        assert "sd over 2 seeds" in figure.get_suptitle()

    @pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
    def test_chromium_shows_it(self, tmp_path):
        path = tmp_path / "report.html"
        joined_report().to_html(path)
        text, picture = rendered(path, tmp_path)
        assert "<td>few_shot_5</td>" in text
        assert picture.stat().st_size > 20_000
