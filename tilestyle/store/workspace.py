"""The workspace: one zarr group with everything that a run reads, keeps and can go on from.

    content/<level>              (3, h, w) uint8 or uint16, sRGB-encoded; level 0 is the finest
    style/<n>/<level>            the same of each style
    start/<level>                the same of what the run starts from, if that is an image
    mask/<n>/<level>             (1, h, w), where style n is used
    style_mask/<n>/<level>       (1, h, w), where its image shows it; edge_mask/<level> alike
    edges/<level>                (1, h, w) uint8, E of Eq. (2), if no mask gives it
    target/<level>/<n>/<layer>   CF(S), (channels, channels) float32
    levels/<level>/x/<g>         the iterate X, (3, h, w) float32; g: generation, 0 or 1
    levels/<level>/moments/<g>   means of gradient and square, averaged like X, (6, h, w)
    levels/<level>/z/<g>         what each patch hands over, (patches, 3, ph, pw)
    levels/<level>/z_moments/<g> its moments, (patches, 6, ph, pw)
    levels/<level>/u/<g>         its dual, (patches, 3, ph, pw), where rho is not zero
    levels/<level>/g/<g>         exact mode: the gradient, (3, h, w)
    levels/<level>/s/<k>, y/<k>  its L-BFGS: steps and changes of gradient, (3, h, w), more slots
    done/                        not zarr: records of finished tasks, see `cluster.records`
    lock.json                    not zarr: which driver is at work, see `store.lock`

Every chunk is written whole, by one task, once a generation: tasks read generation k and write
k + 1, so that a task may run twice. The group's attributes are the commit record: they change in
one atomic write after each stage and iteration, and nothing counts that they do not mention.
"""

import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from tilestyle.admm.grid import Box, Grid
from tilestyle.errors import UserError
from tilestyle.store.location import Root, delete_all, names, open_store, read_key

FORMAT = 3
IMAGE_CHUNK = 512
BLOCK = 4 * IMAGE_CHUNK
"""Side of what is worked on at a time of an image: some tens of MB in memory."""
PATCH_CHUNK = 64
"""Side of the pieces into which a patch's chunk is sharded: a neighbour reads its strip alone."""
STAGES = ("ingest", "pyramid", "stylize", "export")
DONE = "done"
"""Where the records of finished tasks lie."""
LOCK = "lock.json"
LOG = "tilestyle.log"


class Workspace:
    """A run's state.

    Attributes:
        root: Where it lies.
        store: Its keys.
        group: The zarr group.
    """

    def __init__(self, root: Root, mode: Any = "r+") -> None:
        self.root = root
        self.store = open_store(root, read_only=mode == "r")
        self.group = zarr.open_group(self.store, mode=mode, zarr_format=3)

    @classmethod
    def create(cls, root: Root, record: Mapping[str, Any]) -> "Workspace":
        """A new workspace with its first commit.

        Raises:
            UserError: The folder holds something else, or cannot be made.
        """
        refuse_foreign(root)
        first = {
            "format": FORMAT,
            "run": uuid.uuid4().hex,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "stages": [],
            "history": [],
            "levels": {},
            **record,
        }
        try:
            zarr.create_group(open_store(root), zarr_format=3, attributes=first)
        except OSError as error:
            raise UserError(f"{root}: cannot make the workspace: {error.strerror}") from error
        return cls(root)

    @classmethod
    def open(cls, root: Root) -> "Workspace":
        """An existing workspace.

        Raises:
            UserError: There is none, or it is of another format.
        """
        if not exists(root):
            raise UserError(f"{root}: no workspace; make one with `tilestyle ingest` or `run`")
        workspace = cls(root)
        if workspace.record.get("format") != FORMAT:
            raise UserError(f"{root}: made by another version of tilestyle; start a new workspace")
        return workspace

    @property
    def record(self) -> dict[str, Any]:
        """The commit record."""
        return dict(self.group.attrs.asdict())

    @property
    def title(self) -> str:
        """What a person calls the run."""
        names = {image["role"]: image["name"] for image in self.record["inputs"]}
        styles = [name for role, name in names.items() if role.startswith("style/")]
        return f"{names['content']} in the manner of {', '.join(styles)}"

    def commit(self, **changes: Any) -> None:
        """Change the record in one atomic write."""
        self.group.update_attributes(changes)

    def advance(self, **changes: Any) -> None:
        """Commit what the tasks of a graph have made; their records are needed no more."""
        self.commit(**changes)
        with suppress(OSError):  # what is left is found by no later task
            delete_all(self.store, DONE)

    def finish(self, stage: str) -> None:
        """Commit the end of a stage."""
        self.advance(stages=[*self.record["stages"], stage])

    def finished(self, stage: str) -> bool:
        """Whether a stage is done."""
        return stage in self.record["stages"]

    def iterations_done(self, level: int, total: int) -> int:
        """Committed iterations of a level that takes at most `total`."""
        progress = self.record.get("progress")
        if str(level) in self.record["levels"]:
            return int(self.record["levels"][str(level)]["iterations"])
        if progress is None or progress["level"] > level:
            return 0
        return int(progress["iteration"]) if progress["level"] == level else total

    def array(self, path: str) -> zarr.Array[Any]:
        """An array of the group, by path."""
        found = self.group[path]
        if not isinstance(found, zarr.Array):
            raise KeyError(path)
        return found

    def create_image(
        self, path: str, shape: tuple[int, int], dtype: Any, channels: int = 3
    ) -> zarr.Array[Any]:
        """A (channels, height, width) array of integer pixels, compressed."""
        chunk = tuple(min(IMAGE_CHUNK, n) for n in shape)
        return self._require(path, shape=(channels, *shape), chunks=(channels, *chunk), dtype=dtype)

    def create_iterate(self, path: str, grid: Grid, channels: int) -> zarr.Array[Any]:
        """A (channels, height, width) float32 array, one chunk for each core of the grid."""
        return self._create_raw(
            path,
            shape=(channels, grid.rows.length, grid.columns.length),
            chunks=(channels, grid.rows.core, grid.columns.core),
        )

    def create_patches(self, path: str, grid: Grid, channels: int) -> zarr.Array[Any]:
        """A (patches, channels, ph, pw) float32 array, one shard for each patch."""
        padded = tuple(-(-n // PATCH_CHUNK) * PATCH_CHUNK for n in grid.patch_shape)
        return self._create_raw(
            path,
            shape=(len(grid), channels, *padded),
            chunks=(1, channels, PATCH_CHUNK, PATCH_CHUNK),
            shards=(1, channels, *padded),
        )

    def _create_raw(self, path: str, **layout: Any) -> zarr.Array[Any]:
        # float noise does not compress; the time is better spent elsewhere
        return self._require(path, dtype="float32", fill_value=0, compressors=None, **layout)

    def _require(self, path: str, **layout: Any) -> zarr.Array[Any]:
        """A new array; or the one of an earlier start, which tasks may have filled already."""
        if path in self.group:
            return self.array(path)
        return self.group.create_array(path, **layout)

    def save_target(self, level: int, n: int, grams: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep the correlations of a level's target `n`."""
        for layer, gram in grams.items():
            path = f"target/{level}/{n}/{layer}"
            self.group.create_array(path, data=np.asarray(gram, np.float32), overwrite=True)

    def load_targets(self, level: int) -> list[dict[str, NDArray[np.float32]]]:
        """The correlations of each target of a level, by layer."""
        targets = self.group[f"target/{level}"]
        if not isinstance(targets, zarr.Group):
            raise KeyError(f"target/{level}")
        found = {int(n): group for n, group in targets.groups()}
        return [
            {name: np.asarray(array[:]) for name, array in found[n].arrays()} for n in sorted(found)
        ]

    def remove(self) -> None:
        """Delete the workspace."""
        delete_all(self.store, "")

    def drop(self, path: str) -> None:
        """Delete a group or an array, if there is one."""
        if path in self.group:
            del self.group[path]


def exists(root: Root) -> bool:
    """Whether there is a zarr group with a commit record.

    Raises:
        UserError: There is something else, or something damaged.
    """
    store = open_store(root, read_only=True)
    if read_key(store, "zarr.json") is None:
        return False
    try:
        return "format" in zarr.open_group(store, mode="r").attrs
    except (ValueError, zarr.errors.NodeTypeValidationError) as error:
        raise UserError(
            f"{root}: its zarr.json is damaged or that of something else; choose another "
            "--workspace"
        ) from error


def log_of(root: Root) -> Path | None:
    """The file of a run's log; a bucket has none."""
    return root / LOG if isinstance(root, Path) else None


def refuse_foreign(root: Root) -> None:
    """Refuse to make a workspace where something else lies.

    Raises:
        UserError: It does.
    """
    foreign = isinstance(root, Path) and root.is_file()
    if foreign or set(names(open_store(root, read_only=True))) - {LOCK, LOG}:
        raise UserError(f"{root}: is not empty and no workspace; choose another --workspace")


def read_pixels(image: zarr.Array[Any], box: Box) -> NDArray[np.float32]:
    """A window of an integer image as float32, 0 to 1: (3, height, width)."""
    pixels = read_box(image, box)
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def read_box(array: zarr.Array[Any], box: Box) -> NDArray[Any]:
    """A window of an image or iterate: (channels, height, width)."""
    return np.asarray(array[(slice(None), *box.index())])


def check_space(root: Root, needed: int) -> None:
    """Refuse a run that cannot fit; of a bucket, nobody knows.

    Raises:
        UserError: Fewer than `needed` bytes are free where the workspace lies.
    """
    if not isinstance(root, Path):
        return
    folder = next(p for p in (root, *root.resolve().parents) if p.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{root}: not enough space: the run needs {_gib(needed)}, {_gib(free)} are free; "
            "make space or choose another --workspace"
        )


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def blocks(shape: tuple[int, int], side: int) -> Iterator[Box]:
    """An image cut into squares, row by row; with a multiple of the chunk, of whole chunks."""
    for y in range(0, shape[0], side):
        for x in range(0, shape[1], side):
            yield Box(y, min(y + side, shape[0]), x, min(x + side, shape[1]))


def sizes(shapes: Sequence[tuple[int, int]]) -> int:
    """Pixels of all levels."""
    return sum(h * w for h, w in shapes)
