"""Freely licensed pictures in color, in domains: emoji of five artists, and clip art.

    mkdir icons; cd icons
    for name in noto twemoji openmoji fluent-emoji-flat emojione; do
        mkdir $name; tar xz -C $name < $(npm pack -s @iconify-json/$name)
    done
    apt-get download openclipart-png; dpkg -x openclipart-png_*.deb clip_art; cd ..
    pip install resvg-py
    python benchmarks/transfer/pictures_data.py --icons_dir=icons --output_dir=runs/data

Writes `emoji_noto.h5` and so on, and `clip_art.h5`: 32 × 32 × 3 on white, `train` and
`test`, label the group of Unicode, or the clip art's topmost folder. What is drawn
decides which split an emoji is in, so that no artist shows in training what another is
tested on; of EmojiOne, which is there to transfer to, a half is for testing. Without
variants of skin tone, which would be a half of all, and without pictures that are there
already. Licences: Noto Apache-2.0, Twemoji and EmojiOne 2 CC BY
4.0, OpenMoji CC BY-SA 4.0, Fluent MIT; the clip art is in the public domain.
"""

import collections
import io
import json
import pathlib
import re

import image_set
import numpy as np
import PIL.Image
from absl import app, flags

SIZE = 32
# To pre-train on, then to transfer to.
DOMAINS = ("noto", "twemoji", "openmoji", "fluent-emoji-flat")
HELD_OUT = "emojione"
# The first names most emoji, the second what it lacks; the others follow them.
NAMED_BY = ("twemoji", "openmoji")
GROUPS = (
    "Activities",
    "Animals & Nature",
    "Flags",
    "Food & Drink",
    "Objects",
    "People & Body",
    "Smileys & Emotion",
    "Symbols",
    "Travel & Places",
)
# Of clip art: what is sorted by no subject, and what has too few pictures to learn.
UNSORTED = ("special", "unsorted")
MIN_PICTURES = 50

FLAGS = flags.FLAGS
flags.DEFINE_string("icons_dir", None, "Where the packages are unpacked.")
flags.DEFINE_string("output_dir", "runs/data", "Where the HDF5 files go.")


def icon_groups(icons_dir):
    """The group of Unicode of every name: `{name: position in GROUPS}`."""
    positions = {re.sub(r"\W+", "", group): i for i, group in enumerate(GROUPS)}
    groups = {}
    for package in NAMED_BY:
        path = icons_dir / package / "package" / "metadata.json"
        categories = json.loads(path.read_text(encoding="utf-8"))["categories"]
        for category, names in categories.items():
            position = positions.get(re.sub(r"\W+", "", category))
            if position is not None:
                groups = {**dict.fromkeys(names, position), **groups}
    return groups


def icons(icons_dir, package, groups):
    """Yields `(name, group, SVG)` of the named emoji of a package."""
    path = icons_dir / package / "package" / "icons.json"
    drawn = json.loads(path.read_text(encoding="utf-8"))
    for name, icon in drawn["icons"].items():
        if name not in groups or "skin-tone" in name or icon.get("hidden"):
            continue
        box = [icon.get("left", 0), icon.get("top", 0)]
        box += [icon.get(key, drawn.get(key, 16)) for key in ("width", "height")]
        yield (
            name,
            groups[name],
            '<svg xmlns="http://www.w3.org/2000/svg" '
            'xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{" ".join(map(str, box))}">{icon["body"]}</svg>',
        )


def rendered(svg):
    """An SVG as an array `(SIZE, SIZE, 3)`."""
    import resvg_py

    png = resvg_py.svg_to_bytes(
        svg_string=svg, width=4 * SIZE, height=4 * SIZE, background="#ffffff"
    )
    return on_white(PIL.Image.open(io.BytesIO(bytes(png))))


def on_white(picture):
    """A picture of Pillow in the middle of a white square, `(SIZE, SIZE, 3)`."""
    picture = picture.convert("RGBA")
    picture.thumbnail((SIZE, SIZE), PIL.Image.Resampling.BOX)
    square = PIL.Image.new("RGBA", (SIZE, SIZE), "white")
    corner = [(SIZE - side) // 2 for side in picture.size]
    square.alpha_composite(picture, tuple(corner))
    return np.asarray(square.convert("RGB"))


def concept(name):
    """What is drawn, whoever does it: a man, a woman or a person."""
    return re.sub(r"^(man|woman|person|men|women|people)-", "", name)


def test_concepts(names, share):
    """A share of all concepts; a larger one holds every smaller one."""
    concepts = sorted({concept(name) for name in names})
    # RandomState's streams are frozen, so any NumPy draws the same.
    order = np.random.RandomState(0).permutation(len(concepts))
    return {concepts[i] for i in order[: round(share * len(concepts))]}


def clip_art(folder):
    """Yields `(path, class name, array)` of the clip art that has a subject."""
    paths = sorted(folder.glob("*/**/*.png"))
    subject = {path: path.relative_to(folder).parts[0] for path in paths}
    sizes = collections.Counter(subject.values())
    for path in paths:
        name = subject[path]
        if name in UNSORTED or sizes[name] < MIN_PICTURES:
            continue
        try:
            with PIL.Image.open(path) as picture:
                yield path, name, on_white(picture)
        except (OSError, PIL.Image.DecompressionBombError) as error:
            print(f"left out {path}: {error}", flush=True)


def write(path, pictures, class_names):
    """Writes `(is_test, label, array)`s whole, each picture once."""
    members, seen = {"train": [], "test": []}, set()
    for is_test, label, picture in pictures:
        content = picture.tobytes()
        if content not in seen:
            seen.add(content)
            members["test" if is_test else "train"].append((label, picture))
    splits = {}
    for split, pairs in members.items():
        # Sorted by name until here.
        order = np.random.RandomState(0).permutation(len(pairs))
        labels, images = zip(*(pairs[i] for i in order), strict=True)
        splits[split] = np.stack(images), np.array(labels, "int64")
    image_set.write(path, splits, class_names)
    sizes = {split: len(pairs) for split, pairs in members.items()}
    print(path, sizes, flush=True)


def main(_):
    """Writes what is not there yet."""
    icons_dir, folder = pathlib.Path(FLAGS.icons_dir), pathlib.Path(FLAGS.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    groups = icon_groups(icons_dir)
    for package in (*DOMAINS, HELD_OUT):
        for_test = test_concepts(groups, 0.5 if package == HELD_OUT else 0.2)
        path = folder / f"emoji_{package.split('-')[0]}.h5"
        if not path.exists():
            pictures = (
                (concept(name) in for_test, group, rendered(svg))
                for name, group, svg in icons(icons_dir, package, groups)
            )
            write(path, pictures, GROUPS)
    if (folder / "clip_art.h5").exists():
        return
    found = list(clip_art(icons_dir / "clip_art" / "usr/share/openclipart/png"))
    names = sorted({name for _, name, _ in found})
    is_test = np.random.RandomState(0).permutation(len(found)) < len(found) // 3
    pictures = (
        (test, names.index(name), picture)
        for test, (_, name, picture) in zip(is_test, found, strict=True)
    )
    write(folder / "clip_art.h5", pictures, names)


if __name__ == "__main__":
    flags.mark_flag_as_required("icons_dir")
    app.run(main)
