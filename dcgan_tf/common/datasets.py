"""The known data sets, one entry each."""

from dataclasses import dataclass

CELEBA_CROP = "30,55,150,175"
FETCHED = ("tfds", "kaggle")  # values of --data that are not paths
DOWNLOADS = "~/.keras/datasets"  # the folder of Keras, so that downloads are shared


@dataclass(frozen=True)
class Dataset:
    """A data set and its usual places; empty where it does not apply."""

    crop: str = "center"  # for --crop auto: "left,upper,right,lower" or "center"
    size: tuple[int, int] | None = None  # width, height that every image must have; None: any
    tfds: str = ""  # its name in TensorFlow Datasets
    kaggle: str = ""  # its handle on Kaggle, "owner/name"
    terms: str = ""  # what its license allows, shown before the download
    places: tuple[str, ...] = ()  # of downloads, searched in this order; `*` is one folder
    binary: str = ""  # the reader of its raw files in data/binary.py
    url: str = ""  # archive of its raw files, downloaded if they are not found
    sha256: str = ""  # of that archive
    bytes: int = 0  # of that archive
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
    "mnist": Dataset(
        tfds="mnist",
        places=("data/mnist", "data/MNIST/raw", f"{DOWNLOADS}/mnist.npz"),
        binary="idx",
        url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
        sha256="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
        bytes=11_490_434,
    ),
    "cifar10": Dataset(
        tfds="cifar10",
        places=(
            *("data/cifar-10-batches-bin", "data/cifar10"),
            f"{DOWNLOADS}/cifar-10-binary.tar.gz",
        ),
        binary="cifar",
        url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        bytes=170_052_171,
    ),
    "demo": Dataset(crop=CELEBA_CROP, size=(178, 218)),  # drawn in CelebA's geometry
    "auto": Dataset(crop="auto"),  # replaced by the recognized data set before a training
}
