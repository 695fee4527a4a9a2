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
    removal and renaming of a file changes the time stamp of the folder it is in. So
    does saving a manifest within the images; names count in that one folder.

    Attributes:
        root: path of the folder.
        files: tuple of paths relative to the root, with `/`, sorted.
        sizes: tuple of their sizes in bytes.
        checksums: tuple of their SHA-256 in hexadecimal, or `None`.
        folders: dict from the relative path of every folder, the root's is `"."`, to
            its time of modification in nanoseconds, or `None` where a manifest was
            saved in it.
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
        path = pathlib.Path(path).expanduser()
        content = {"format": FORMAT, **dataclasses.asdict(self)}
        root = os.path.realpath(content.pop("root"))
        own = pathlib.Path(os.path.relpath(path.parent.resolve(), root)).as_posix()
        if own in self.folders:
            content["folders"][own] = None
        draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
        draft.write_text(json.dumps(content))
        draft.replace(path)

    def is_current(self) -> bool:
        """Whether the folders still have the time stamps of the listing.

        Of the folder that a manifest was saved in, whether it has the same names.
        """
        return all(map(self._is_unchanged, self.folders))

    def _is_unchanged(self, folder):
        path = pathlib.Path(self.root, folder)
        if not path.is_dir():
            return False
        stamp = self.folders[folder]
        if stamp is not None:
            return path.stat().st_mtime_ns == stamp
        files, folders, _ = _entries(self.root, folder)
        listed = [
            name
            for name in (*self.files, *self.folders)
            if name != "." and (os.path.dirname(name) or ".") == folder
        ]
        return sorted([*files, *folders]) == sorted(listed)

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
    found, stamps, links_out = [], {}, 0
    pending = ["."]
    while pending:
        folder = pending.pop()
        stamps[folder] = os.stat(os.path.join(root, folder)).st_mtime_ns
        files, folders, links = _entries(root, folder)
        found += [(name, entry.stat().st_size) for name, entry in files.items()]
        pending += folders
        links_out += links
    return sorted(found), stamps, links_out


def _entries(root, folder):
    """`{image: entry}` and `[folder]` directly in a folder, and links left out."""
    files, folders, links_out = {}, [], 0
    for entry in os.scandir(os.path.join(root, folder)):
        name = entry.name if folder == "." else f"{folder}/{entry.name}"
        if entry.name.startswith("."):
            continue
        if entry.is_symlink() and not _stays_inside(entry, root):
            links_out += 1
        elif entry.is_dir(follow_symlinks=False):
            folders.append(name)
        elif entry.is_file() and entry.name.lower().endswith(IMAGE_SUFFIXES):
            files[name] = entry
    return files, folders, links_out


def _stays_inside(link, root):
    """Whether a symbolic link leads to a file in the folder."""
    target, real_root = os.path.realpath(link.path), os.path.realpath(root)
    inside = os.path.commonpath([target, real_root]) == real_root
    return inside and os.path.isfile(target)


def _checksum(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
