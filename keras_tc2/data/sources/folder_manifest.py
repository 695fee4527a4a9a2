"""FolderManifest: the list of a folder's images, made once."""

import dataclasses
import hashlib
import json
import os
import pathlib
from typing import Self

from keras_tc2.annotations import PathLike
from keras_tc2.deprecation import warn

IMAGE_SUFFIXES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".bmp",
    ".dib",
    ".gif",
    ".webp",
    ".tif",
    ".tiff",
    ".mpo",
    ".jp2",
    ".avif",
    ".heic",
    ".heif",
)
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class FolderManifest:
    """The images below a folder, in the order of their paths.

    Listing millions of files takes minutes on a network drive. A manifest that was
    saved is read instead, as long as no folder has changed since: every addition,
    removal and renaming of a file changes the time stamp of the folder it is in.

    Attributes:
        root: path of the folder.
        files: tuple of paths relative to the root, with `/`, sorted.
        sizes: tuple of their sizes in bytes.
        checksums: tuple of their SHA-256 in hexadecimal, or `None`.
        folders: dict from the relative path of every folder, the root's is `"."`, to
            its time of modification in nanoseconds.
        links_out: number of symbolic links that were left out, because they lead
            out of the folder or to another folder.

    Example:
    ```python
    import pathlib, tempfile
    from keras_tc2 import data

    folder = pathlib.Path(tempfile.mkdtemp())
    (folder / "cat.png").write_bytes(b"")
    manifest = data.FolderManifest.scan(folder)
    assert manifest.files == ("cat.png",)
    ```
    """

    root: str
    files: tuple
    sizes: tuple
    checksums: tuple | None
    folders: dict
    links_out: int

    @classmethod
    def scan(cls, root: PathLike, *, checksums: bool = False) -> Self:
        """Lists a folder and all folders in it.

        Files whose name begins with a dot, or does not end like an image's, are
        ignored. A symbolic link to a file counts as one if the file lies in the
        folder; other links are not followed.

        Args:
            root: path of the folder.
            checksums: bool. Whether to read every file for its SHA-256.

        Raises:
            FileNotFoundError: if there is no such folder.
        """
        root = pathlib.Path(root).expanduser()
        if not root.is_dir():
            raise FileNotFoundError(f"There is no folder {str(root)!r}.")
        found, folders, links_out = _walk(root)
        sums = None
        if checksums:
            sums = tuple(_checksum(root / name) for name, _ in found)
        return cls(
            root=str(root),
            files=tuple(name for name, _ in found),
            sizes=tuple(size for _, size in found),
            checksums=sums,
            folders=folders,
            links_out=links_out,
        )

    @classmethod
    def load(cls, path: PathLike, root: PathLike) -> Self:
        """Reads a manifest that was saved, for the folder at `root`.

        Raises:
            ValueError: if the file is not a manifest of this format.
        """
        try:
            content = json.loads(pathlib.Path(path).expanduser().read_text())
            if content.pop("format") != FORMAT:
                raise KeyError("format")
            for key in ("files", "sizes", "checksums"):
                content[key] = content[key] and tuple(content[key])
            return cls(root=str(pathlib.Path(root).expanduser()), **content)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{str(path)!r} is not a manifest of an image folder; delete it, or "
                "name another file."
            ) from error

    def save(self, path: PathLike) -> None:
        """Writes the manifest as JSON, whole or not at all."""
        content = {"format": FORMAT, **dataclasses.asdict(self)}
        del content["root"]
        path = pathlib.Path(path).expanduser()
        draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
        draft.write_text(json.dumps(content))
        draft.replace(path)

    def is_current(self) -> bool:
        """Whether the folders still have the time stamps of the listing."""
        root = pathlib.Path(self.root)
        return all(
            (root / name).is_dir() and (root / name).stat().st_mtime_ns == stamp
            for name, stamp in self.folders.items()
        )

    def changed_files(self) -> list[str]:
        """Deprecated: files whose content is not the listed one, or that are gone.

        Compares checksums where the manifest has them, else sizes. A new `scan` has
        both of every file.
        """
        warn(
            "`FolderManifest.changed_files`",
            "a comparison of `files` and `checksums` with those of a new `scan`",
        )
        root = pathlib.Path(self.root)
        return [
            name
            for index, name in enumerate(self.files)
            if not (root / name).is_file()
            or (root / name).stat().st_size != self.sizes[index]
            or (self.checksums and _checksum(root / name) != self.checksums[index])
        ]


def list_folder(root, manifest_path):
    """The manifest of a folder: the saved one if it is current, else a new one."""
    if manifest_path is None:
        return FolderManifest.scan(root)
    manifest_path = pathlib.Path(manifest_path).expanduser()
    checksums = False
    if manifest_path.exists():
        saved = FolderManifest.load(manifest_path, root)
        if saved.is_current():
            return saved
        checksums = saved.checksums is not None
    manifest = FolderManifest.scan(root, checksums=checksums)
    manifest.save(manifest_path)
    return manifest


def _walk(root):
    """`[(relative path, size)]` sorted, `{folder: time stamp}`, links left out."""
    real_root = os.path.realpath(root)
    found, folders, links_out = [], {}, 0
    pending = [""]
    while pending:
        folder = pending.pop()
        path = os.path.join(root, folder)
        folders[folder or "."] = os.stat(path).st_mtime_ns
        for entry in os.scandir(path):
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_symlink() and not _stays_inside(entry, real_root):
                links_out += 1
            elif entry.is_dir(follow_symlinks=False):
                pending.append(name)
            elif entry.is_file() and entry.name.lower().endswith(IMAGE_SUFFIXES):
                found.append((name, entry.stat().st_size))
    return sorted(found), folders, links_out


def _stays_inside(link, real_root):
    """Whether a symbolic link leads to a file in the folder."""
    target = os.path.realpath(link.path)
    inside = os.path.commonpath([target, real_root]) == real_root
    return inside and os.path.isfile(target)


def _checksum(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
