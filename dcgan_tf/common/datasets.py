"""The known data sets, one entry each."""

from dataclasses import dataclass

CELEBA_CROP = "30,55,150,175"
FETCHED = ("tfds", "kaggle")  # what --data names that is no path


@dataclass(frozen=True)
class Dataset:
    """A data set and its usual places; empty where it does not apply."""

    crop: str = "center"  # what --crop auto stands for: "left,upper,right,lower" or "center"
    size: tuple[int, int] | None = None  # width, height that every image must have; None: any
    tfds: str = ""  # its name in TensorFlow Datasets
    kaggle: str = ""  # its handle on Kaggle, "owner/name"
    terms: str = ""  # what its license allows, said before it is fetched
    places: tuple[str, ...] = ()  # of downloads, searched in this order; `*` is one folder
    binary: str = ""  # which reader of data/binary.py takes its raw files
    page: str = ""  # where to download it


DATASETS = {
    "celeba": Dataset(
        crop=CELEBA_CROP,
        size=(178, 218),
        tfds="celeb_a",
        kaggle="jessicali9530/celeba-dataset",
        terms="non-commercial research only",
        places=(
            *("data/img_align_celeba.zip", "data/celeba*.zip", "data/archive.zip"),
            *("data/img_align_celeba", "data/celeba", "data/CelebA"),
            *("img_align_celeba.zip", "img_align_celeba", "archive.zip"),
            *("~/Downloads/img_align_celeba.zip", "~/Downloads/archive.zip"),
            *("/kaggle/input/*/img_align_celeba", "/kaggle/input/*/*/*/img_align_celeba"),
        ),
        page="kaggle.com/datasets/jessicali9530/celeba-dataset",
    ),
    "folder": Dataset(),
    "mnist": Dataset(tfds="mnist", places=("data/mnist", "data/MNIST/raw"), binary="idx"),
    "cifar10": Dataset(
        tfds="cifar10", places=("data/cifar-10-batches-bin", "data/cifar10"), binary="cifar"
    ),
    "demo": Dataset(crop=CELEBA_CROP, size=(178, 218)),  # drawn in CelebA's geometry
}
