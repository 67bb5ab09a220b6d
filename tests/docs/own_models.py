"""The models and images of a reader, under the names that pages use: ``python -m tests.docs.own_models FOLDER``.

The networks are small and untrained: whether a command works does not depend on what they know.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = ["daisy", "rose", "tulip", "sunflower", "dandelion"]
SIDE = 32


def write_images(folder: Path) -> None:
    """Write images, folders of classes, labels and the truth of a regression."""
    generator = np.random.default_rng(3)
    names = ["rose.jpg", "daisy.jpg", "street.jpg", "street.png", "face.jpg", "face.png", "cat.jpg", "a.png"]
    names += ["b.png", "cats/other.jpg", "photos/1.jpg", "photos/2.jpg", "images/1.png"]
    # Two classes have enough images for an audit.
    names += [f"validation/{name}/{index}.png" for name in CLASSES for index in range(8 if name in CLASSES[:2] else 2)]
    names += [f"images/{name}/{index}.png" for name in ("tank", "no tank") for index in range(8)]
    names += [f"{name}/{index}.png" for name in ("ages", "roads") for index in range(4)]
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (140, 180, 3), np.uint8)).save(file)
    labels = {
        "flowers.txt": CLASSES,
        "labels.txt": ["no tank", "tank"],
        "roads.txt": ["road", "car", "grass"],
        "classes.txt": ["road", "car", "grass"],
        "ages.txt": ["age"],
        "coco.txt": ["person", "car"],
    }
    for name, lines in labels.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "ages" / "ages.csv").write_text("image,age\n0.png,30\n1.png,41\n2.png,7\n3.png,65\n")
    (folder / "roads" / "masks").mkdir()
    for index in range(4):
        mask = Image.fromarray(generator.integers(0, 3, (140, 180), np.uint8))
        mask.save(folder / "roads" / "masks" / f"{index}.png")


def write_settings(folder: Path) -> None:
    """Write the settings files that pages name."""
    (folder / "settings").mkdir()
    (folder / "settings" / "flowers.py").write_text('MODEL = "../flowers.keras"\nLABELS = "../flowers.txt"\n')
    (folder / "settings" / "flowers.yaml").write_text("TOP_CLASSES: 3\n")
    (folder / "my_config.py").write_text('PLUGIN_DIRS = ["docs/plugins"]\n')


def write_keras(folder: Path) -> None:
    """Write Keras models of several tasks, a SavedModel and a TensorFlow 1 checkpoint."""
    from picasso.models.tf.runtime import keras, tf, tf1

    layers: Any = keras.layers

    def model(head: list[Any], side: int | None = SIDE) -> Any:
        body = [
            layers.Conv2D(6, 3, padding="same", activation="relu"),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
        ]
        return keras.Sequential([keras.Input((side, side, 3)), *body, *head])

    def classifier(classes: int, side: int | None = SIDE) -> Any:
        return model([layers.GlobalAveragePooling2D(), layers.Dense(classes, activation="softmax")], side)

    pooled = layers.GlobalAveragePooling2D
    classifier(5).save(folder / "flowers.keras")
    classifier(2).save(folder / "tanks.keras")
    for name in (
        "old",
        "new",
        "runs/7/model",
        *(f"{at}epoch_{epoch}" for at in ("", "runs/checkpoints/") for epoch in (1, 20)),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        classifier(5).save(folder / f"{name}.keras")
    classifier(5, None).save(folder / "any_size.keras")
    for name in ("ages", "age"):
        model([pooled(), layers.Dense(1)]).save(folder / f"{name}.keras")
    for name in ("roads", "unet"):
        # As large as the places that pages ask about.
        model([layers.Conv2D(3, 1, activation="softmax")], 128).save(folder / f"{name}.keras")
    for name in ("likeness", "embedding"):
        model([pooled(), layers.Dense(16), layers.UnitNormalization()]).save(folder / f"{name}.keras")
    # YOLO's boxes in pixels, and the probability of two classes, which are all certain here.
    boxes = [pooled(), layers.Dense(6 * 21, "sigmoid", bias_initializer="ones"), layers.Reshape((6, 21))]
    scale = np.array([SIDE] * 4 + [1] * 2, np.float32).reshape(1, 6, 1)
    detector = model([*boxes, layers.Rescaling(scale.tolist())])
    detector.save(folder / "boxes.keras")
    one = keras.Input((SIDE, SIDE, 3))
    shared = pooled()(layers.Conv2D(8, 3, activation="relu")(one))
    heads = {name: layers.Dense(count, "softmax", name=name)(shared) for name, count in (("species", 5), ("colour", 3))}
    keras.Model(one, heads).save(folder / "two_heads.keras")

    exported = classifier(5)
    archive = keras.export.ExportArchive()
    archive.track(exported)
    archive.add_endpoint("classify", exported.call, [tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32)])
    archive.write_out(str(folder / "exported" / "flowers" / "1"), verbose=False)

    (folder / "old").mkdir()
    with tf.Graph().as_default(), tf1.Session() as session:
        inputs = tf1.placeholder(tf.float32, [None, SIDE, SIDE, 3], "images")
        dense = tf1.get_variable("dense", initializer=np.ones((3, 5), np.float32))
        kept = tf1.reduce_mean(inputs, [1, 2]) * tf1.placeholder(tf.float32, [], "keep_prob")
        tf1.nn.softmax(tf1.matmul(kept, dense))
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver().save(session, str(folder / "old" / "model.ckpt"), write_state=False)


def write_onnx(folder: Path) -> None:
    """Write ONNX models: a mean of the image, a dense layer, and what turns that into an answer."""
    import onnx

    def write(name: str, outputs: int, shape: list[int], last: str = "") -> None:
        helper, tensor = onnx.helper, onnx.numpy_helper.from_array
        weights = np.random.default_rng(1).normal(size=(3, outputs)).astype(np.float32)
        nodes = [
            helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
            helper.make_node("Reshape", ["scores", "shape"], ["shaped"]),
            helper.make_node(last or "Identity", ["shaped"], ["answer"]),
        ]
        given = helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
        answer = helper.make_tensor_value_info("answer", onnx.TensorProto.FLOAT, ["n", *shape])
        constants = [tensor(weights, "weights"), tensor(np.array([-1, *shape], np.int64), "shape")]
        graph = helper.make_graph(nodes, "graph", [given], [answer], constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        (folder / name).parent.mkdir(exist_ok=True)
        onnx.save(made, folder / name)

    write("resnet18.onnx", 5, [5])
    write("tags.onnx", 5, [5])
    write("downloads/flowers.onnx", 5, [5], "Softmax")
    write("yolo.onnx", 6 * 21, [6, 21], "Sigmoid")


def main(folder: Path) -> None:
    """Write everything."""
    write_images(folder)
    write_settings(folder)
    write_keras(folder)
    write_onnx(folder)
    (folder / "downloads" / "flowers.keras").write_bytes((folder / "flowers.keras").read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
