"""A prepared CamVid folder as a torch data set, as a cache on the device, and as batches."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as VF

from course_utils.checks import check_flags, check_sides, check_whole
from course_utils.classes import VOID_NAME
from course_utils.data_layout import SPLITS, find_photo
from course_utils.imagenet import IMAGENET_MEAN, IMAGENET_STD
from course_utils.picture_files import opened, read_upright
from course_utils.progress import progress_bar
from course_utils.tensor_checks import describe

Augmentation = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


def _read_lines(root: Path | str, name: str) -> list[str]:
    path = Path(root) / name
    if not path.is_file() and (path.parent / "codes.txt").is_file():
        raise FileNotFoundError(f"{path} is missing: the names of the pictures of that split, one on each line.")
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing, so {root} is no prepared data set; "
            "make one with python -m data_scripts.download_camvid or python -m data_scripts.make_street_scenes."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text; save it as UTF-8.") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_codes(root: Path | str) -> tuple[str, ...]:
    """Names of the classes of the data set at `root`; mask value ``i`` means ``codes[i]``.

    Raises:
        ValueError: if they are not 2 to 254 different names; `OSError` if their file cannot be read.
    """
    codes = tuple(_read_lines(root, "codes.txt"))
    if not 2 <= len(codes) <= 254 or len(set(codes)) < len(codes):
        names = "1 name" if len(codes) == 1 else f"{len(codes)} names"
        raise ValueError(f"{Path(root) / 'codes.txt'} lists {names}; 2 to 254 different ones are needed.")
    return codes


def read_split(root: Path | str, split: str) -> list[str]:
    """Stems of the pictures in ``"train"``, ``"val"`` or ``"test"``, in order.

    Raises:
        ValueError: for another split; `OSError` if its list cannot be read.
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r} is not one of 'train', 'val', 'test'.")
    return _read_lines(root, f"{split}.txt")


def void_code(codes: tuple[str, ...]) -> int:
    """The code called `Void`, or -1 where a data set has none: no pixel is then left out."""
    return codes.index(VOID_NAME) if VOID_NAME in codes else -1


def check_mask(mask: Tensor, n_classes: int, name: str = "the mask") -> None:
    """Refuse codes that a loss would meet with an assertion on the GPU.

    Args:
        mask: integer class codes of any shape.
        n_classes: codes must lie in ``0 .. n_classes - 1``.

    Raises:
        ValueError: naming the codes out of range and the usual cause; `TypeError` for what is no tensor of integers.
    """
    check_whole(n_classes=n_classes)
    if not isinstance(mask, Tensor) or mask.is_floating_point() or mask.is_complex() or mask.dtype == torch.bool:
        raise TypeError(f"{name} is {describe(mask)}; class codes are a tensor of integers.")
    codes = torch.unique(mask).long()
    wrong = codes[(codes < 0) | (codes >= n_classes)].tolist()
    if wrong:
        shown = ", ".join(map(str, wrong[:5])) + (", ..." if len(wrong) > 5 else "")
        why = "a mask saved with colours, as JPEG, or resized with interpolation looks like this."
        if wrong == [255]:
            why = "where 255 is white or unlabelled, write the number of its class, or of Void, instead."
        raise ValueError(f"{name} holds the codes {shown}, and only 0 to {n_classes - 1} are classes: {why}")


def _read_mask(path: Path) -> np.ndarray:
    with opened(path, path) as picture:
        if picture.mode in ("L", "P"):  # converting a palette would replace its codes by grey levels
            return np.array(picture)
        if picture.mode == "1":
            return np.array(picture).astype(np.uint8)
        channels = np.array(picture.convert("RGB"))
    if (channels != channels[..., :1]).any():
        raise ValueError(f"{path} holds colours; a mask holds one class code in each pixel, as 8-bit grey PNG.")
    return channels[..., 0]


class CamVid(Dataset):
    """Pictures and masks of one split, read from disk at each access.

    Item: image ``(3, H, W)`` uint8 RGB and mask ``(H, W)`` uint8 class codes, as torchvision `tv_tensors`, so that one
    joint transform from ``torchvision.transforms.v2`` moves both.

    Args:
        root: prepared folder with ``images/``, ``labels/``, ``codes.txt`` and a list for each split.
        split: ``"train"``, ``"val"`` or ``"test"``.
        transform: called as ``transform(image, mask)``.

    Raises:
        ValueError: for another split, odd class names, or, at an access, a mask that does not fit its picture or holds
            other codes; `OSError` for a file that cannot be read.
    """

    def __init__(self, root: Path | str, split: str, transform: Callable | None = None) -> None:
        self.root = Path(root)
        self.split = split
        self.transform = transform
        self.codes = read_codes(root)
        self.void = void_code(self.codes)
        self.stems = read_split(root, split)

    def __len__(self) -> int:
        return len(self.stems)

    def __getitem__(self, index: int) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
        stem = self.stems[index]
        path = find_photo(self.root / "images", stem)
        if path is None:
            raise FileNotFoundError(
                f"{self.root / 'images' / stem} has neither a .png nor a .jpg, in small letters; "
                "the lists give names without ending."
            )
        image = tv_tensors.Image(torch.from_numpy(np.array(read_upright(path))).permute(2, 0, 1).contiguous())
        label_path = self.root / "labels" / f"{stem}.png"
        if not label_path.is_file():
            raise FileNotFoundError(f"{label_path} is missing: each picture needs a mask of its name, a PNG file.")
        mask = tv_tensors.Mask(torch.from_numpy(_read_mask(label_path)))
        check_mask(mask, len(self.codes), name=str(label_path))
        if image.shape[-2:] != mask.shape:
            raise ValueError(
                f"{label_path} is {tuple(mask.shape)} pixels, its picture {tuple(image.shape[-2:])}; "
                "prepare the data anew."
            )
        return self.transform(image, mask) if self.transform else (image, mask)


def resize_pair(image: Tensor, mask: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Resize ``(..., 3, H, W)`` with antialiasing and ``(..., H, W)`` codes by exact nearest neighbour, to `size`.

    The centre of pixel ``i`` of ``n`` lies in pixel ``floor((i + ½) · N / n)`` of ``N``, as in PIL. Counted in whole
    numbers, because torchvision's NEAREST is half a pixel off, and floats decide by accident on a pixel's very edge.

    Raises:
        ValueError: if `size` is no pair of sides, or a single pixel.
    """
    check_sides(size=size)
    if max(size) == 1:
        raise ValueError(f"size={size!r} leaves one pixel, to which torch does not reduce bytes; take a larger one.")
    image = VF.resize(image, list(size), InterpolationMode.BILINEAR, antialias=True)
    rows, columns = (
        (2 * torch.arange(new, device=mask.device) + 1) * old // (2 * new)
        for old, new in zip(mask.shape[-2:], size, strict=True)
    )
    return image, mask[..., rows[:, None], columns]


@dataclass
class CachedSplit:
    """One split at one size, as uint8 on one device.

    Attributes:
        images: ``(N, 3, H, W)`` uint8.
        masks: ``(N, H, W)`` uint8 class codes.
        stems: N file stems.
        codes: class names.
        void: code that no loss and no metric counts.
    """

    images: Tensor
    masks: Tensor
    stems: list[str]
    codes: tuple[str, ...]
    void: int

    def __len__(self) -> int:
        return len(self.stems)


def load_split(
    root: Path | str, split: str, size: tuple[int, int], device: torch.device | str = "cpu", progress: bool = True
) -> CachedSplit:
    """Read a whole split once, resized to `size` ``(H, W)``, and keep it on `device`.

    CamVid's train split takes 63 MB at 180×240.

    Raises:
        ValueError: if `size` is no size, the split is empty or as for `CamVid`; `OSError` as there.
    """
    check_sides(size=size)
    dataset = CamVid(root, split)
    if not len(dataset):
        raise ValueError(f"{dataset.root / f'{split}.txt'} lists no picture; prepare the data set again.")
    images = torch.empty(len(dataset), 3, *size, dtype=torch.uint8)
    masks = torch.empty(len(dataset), *size, dtype=torch.uint8)
    for i in progress_bar(range(len(dataset)), desc=f"reading {split}", show=progress):
        images[i], masks[i] = resize_pair(*dataset[i], size)
    return CachedSplit(images.to(device), masks.to(device), dataset.stems, dataset.codes, dataset.void)


def normalise(images: Tensor) -> Tensor:
    """uint8 or ``0..255`` float ``(N, 3, H, W)`` to float32 with ImageNet's mean and standard deviation per channel.

    A single ``(3, H, W)`` will do. Floats from 0 to 1 are not what it takes: multiply them by 255.

    Raises:
        ValueError: if there are not three channels.
    """
    if not isinstance(images, Tensor) or images.ndim not in (3, 4) or images.shape[-3] != 3:
        raise ValueError(f"pictures are {describe(images)}, not (N, 3, H, W); normalise others yourself.")
    mean, std = (_column(values, images.device) * 255 for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (images.float() - mean) / std


def _column(values: Sequence[float], device: torch.device) -> Tensor:
    """``(C, 1, 1)``, made on the device: to take a copy, a GPU would first have to finish its work."""
    return torch.stack([torch.full((1, 1), value, device=device) for value in values])


class Batches:
    """Batches from a cached split, shuffled and augmented on its device: a pure function of seed, epoch and position.

    Iterating yields images ``(B, 3, H, W)`` float32, normalised, and masks ``(B, H, W)`` int64. Call `set_epoch` for
    another order and other augmentations; the same epoch gives the same batches again, which is what lets a training
    run resume in the middle.

    Args:
        augment: called as ``augment(images, masks, generator)`` on uint8; returns float 0..255 images, and masks.
        drop_last: leave out the last batch where it is smaller (a tiny batch makes poor batch-norm statistics).

    Raises:
        ValueError: if the split is empty, its masks fit neither its pictures nor its codes, an option is out of range,
            or `augment` shows a border and has another code for it than the split.
    """

    def __init__(
        self,
        split: CachedSplit,
        batch_size: int,
        *,
        augment: Augmentation | None = None,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
    ) -> None:
        _check_split(split)
        check_whole(batch_size=batch_size)
        check_whole(0, seed=seed)
        check_flags(shuffle=shuffle, drop_last=drop_last)
        if augment is not None and (not callable(augment) or isinstance(augment, type)):
            raise ValueError(f"augment={augment!r} is neither None nor a function of images, masks and generator.")
        if getattr(augment, "shows_border", False) and augment.void != split.void:
            raise ValueError(
                f"augment writes void={augment.void} where it shows a border, and the void of the split is "
                f"{split.void}: take Augment(void={split.void}), or degrees=0 and a zoom of at least 1."
            )
        if drop_last and batch_size > len(split):
            raise ValueError(f"batch_size={batch_size} with drop_last leaves nothing of {len(split)} pictures.")
        self.split, self.batch_size, self.augment = split, batch_size, augment
        self.shuffle, self.drop_last, self.seed, self.epoch = shuffle, drop_last, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order and the augmentations of the next pass."""
        check_whole(0, epoch=epoch)
        self.epoch = epoch

    def __len__(self) -> int:
        full, rest = divmod(len(self.split), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        device = self.split.images.device
        order = torch.arange(len(self.split))
        if self.shuffle:
            order = torch.randperm(len(self.split), generator=self._generator("cpu", 0))
        order = order.to(device)
        for i in range(len(self)):
            chosen = order[i * self.batch_size : (i + 1) * self.batch_size]
            images, masks = self.split.images[chosen], self.split.masks[chosen]
            if self.augment is not None:
                images, masks = self.augment(images, masks, self._generator(device, i + 1))
            yield normalise(images), masks.long()

    def _generator(self, device: torch.device | str, stream: int) -> torch.Generator:
        seed = np.random.SeedSequence([self.seed, self.epoch, stream]).generate_state(1)[0]
        return torch.Generator(device).manual_seed(int(seed))


def _check_split(split: CachedSplit) -> None:
    if not isinstance(split, CachedSplit):
        raise ValueError(f"the split is {describe(split)}, not a CachedSplit, which load_split makes.")
    if not len(split):
        raise ValueError("the split holds no picture, so there are no batches; its .txt file lists them.")
    images, masks = split.images, split.masks
    if len(images) != len(split) or masks.shape != (len(images), *images.shape[2:]) or masks.is_floating_point():
        raise ValueError(
            f"the split has {len(split)} stems, images {describe(images)} and masks {describe(masks)}: give as many of "
            "each, (N, 3, H, W) and whole codes (N, H, W)."
        )
    if int(masks.min()) < 0 or int(masks.max()) >= len(split.codes):  # `check_mask` alone would sort every pixel
        check_mask(masks[masks != split.void], len(split.codes), "the masks of the split")
