"""Write the model files of this folder again: ``python -m tests.zoo.make_files``.

Needs ``tf_keras``, ``onnx`` and the TFLite converter of TensorFlow; tests only read what it wrote. Every model
takes 12 x 16 RGB images in 0..1, has random weights and answers four classes; ``expected.npz`` holds, under
the name of each file, the probabilities that its own framework gives for ``images``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent
SHAPE = (12, 16, 3)
CLASSES = 4
IMAGES = np.random.default_rng(7).random((3, *SHAPE), np.float32)


def keras_2() -> dict[str, Any]:
    """Write files of Keras 2 of each kind that Keras 3 reads or refuses, and return what they answer."""
    import tf_keras

    layers = tf_keras.layers

    def head(tensor: Any) -> Any:
        return layers.Dense(CLASSES, activation="softmax")(layers.GlobalAveragePooling2D()(tensor))

    def functional(body: Any) -> Any:
        inputs = layers.Input(SHAPE)
        return tf_keras.Model(inputs, head(body(inputs)))

    plain = tf_keras.Sequential(
        [layers.Conv2D(4, 3, activation="relu", input_shape=SHAPE), layers.Flatten(), layers.Dense(CLASSES, "softmax")]
    )
    backbone = tf_keras.Sequential([layers.Conv2D(4, 3, activation="relu", input_shape=SHAPE)], name="backbone")
    models = {
        "keras2_plain.h5": plain,
        "keras2_separable.h5": functional(lambda x: layers.SeparableConv2D(4, 3)(layers.DepthwiseConv2D(3)(x))),
        "keras2_nested.h5": functional(lambda x: layers.ReLU()(backbone(x))),
        "keras2_operation.h5": functional(lambda x: layers.Conv2D(4, 3)(x) * 2.0 - 0.5),
        "keras2_zip.keras": functional(lambda x: layers.Conv2D(4, 3, activation="relu")(x)),
    }
    answers = {}
    for name, model in models.items():
        model.save(FOLDER / name)
        answers[name] = model(IMAGES).numpy()
    split = models["keras2_zip.keras"]
    (FOLDER / "keras2_split").mkdir(exist_ok=True)
    (FOLDER / "keras2_split" / "model.json").write_text(split.to_json())
    split.save_weights(FOLDER / "keras2_split" / "weights.h5")
    answers["keras2_split"] = split(IMAGES).numpy()
    return answers


def keras_1() -> dict[str, Any]:
    """Write an architecture as Keras 1 did, encoded twice, with weights under its names."""
    import h5py
    import keras

    def described(kind: str, **config: Any) -> dict[str, Any]:
        return {"class_name": kind, "config": config}

    convolution = {"nb_filter": 4, "nb_row": 3, "nb_col": 3, "subsample": [1, 1], "border_mode": "valid"}
    options = {"activation": "relu", "bias": True, "dim_ordering": "tf"}
    layers = [
        described("Convolution2D", name="conv", batch_input_shape=[None, *SHAPE], **convolution, **options),
        described(
            "MaxPooling2D", name="pool", pool_size=[2, 2], strides=[2, 2], border_mode="valid", dim_ordering="tf"
        ),
        described("Dropout", name="drop", p=0.5),
        described("Flatten", name="flat"),
        described("Dense", name="dense", output_dim=CLASSES, activation="linear", bias=True),
        described("Activation", name="softmax", activation="softmax"),
    ]
    folder = FOLDER / "keras1"
    folder.mkdir(exist_ok=True)
    document = {"class_name": "Sequential", "config": layers, "keras_version": "1.2.1"}
    (folder / "model.json").write_text(json.dumps(json.dumps(document)))
    generator = np.random.default_rng(11)
    weights = {
        "conv": [generator.normal(size=(3, 3, 3, 4)), generator.normal(size=4)],
        "dense": [generator.normal(size=(5 * 7 * 4, CLASSES)) / 10, generator.normal(size=CLASSES)],
    }
    with h5py.File(folder / "weights.hdf5", "w") as archive:
        archive.attrs["layer_names"] = [layer["config"]["name"].encode() for layer in layers]
        for layer in layers:
            name = layer["config"]["name"]
            group = archive.create_group(name)
            arrays = dict(zip((f"{name}_W", f"{name}_b"), weights.get(name, []), strict=False))
            group.attrs["weight_names"] = [key.encode() for key in arrays]
            for key, array in arrays.items():
                group.create_dataset(key, data=array.astype("float32"))
    # The judge: the same network, written by hand in Keras 3.
    today = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    today.set_weights([array for arrays in weights.values() for array in arrays])
    return {"keras1": np.asarray(today(IMAGES))}


def onnx_files() -> dict[str, Any]:
    """Write a network as PyTorch exports it, channels first and without softmax, and one with a fixed batch."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(13)
    kernel = generator.normal(size=(4, 3, 3, 3)).astype("float32")
    dense = generator.normal(size=(4, CLASSES)).astype("float32")
    answers = {}
    for name, batch in (("logits.onnx", "N"), ("fixed_batch.onnx", 2)):
        nodes = [
            helper.make_node("Conv", ["image", "kernel"], ["c"]),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("GlobalAveragePool", ["r"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("MatMul", ["f", "dense"], ["logits"]),
        ]
        height, width, channels = SHAPE
        inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, channels, height, width])]
        outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, CLASSES])]
        constants = [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(dense, "dense")]
        graph = helper.make_graph(nodes, "classifier", inputs, outputs, constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, str(FOLDER / name))
        session = onnxruntime.InferenceSession(str(FOLDER / name))
        size = 1 if batch == "N" else 2
        rows = np.concatenate([IMAGES, IMAGES])[: len(IMAGES) + 1]
        parts = [
            session.run(None, {"image": rows[i : i + size].transpose(0, 3, 1, 2)})[0] for i in range(0, len(rows), size)
        ]
        logits = np.concatenate(parts)[: len(IMAGES)]
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        answers[name] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return answers


def tflite_files() -> dict[str, Any]:
    """Write a float and a quantized TFLite file of one network."""
    import keras
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    keras.utils.set_random_seed(17)
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    answers = {}
    for name in ("float.tflite", "quantized.tflite"):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if name.startswith("quantized"):
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([image[None]] for image in IMAGES)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.uint8
        (FOLDER / name).write_bytes(converter.convert())
        interpreter = Interpreter(str(FOLDER / name))
        interpreter.allocate_tensors()
        (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
        rows = []
        for image in IMAGES:
            scale, zero = source["quantization"]
            values = np.round(image / scale + zero).clip(0, 255) if scale else image
            interpreter.set_tensor(source["index"], values[None].astype(source["dtype"]))
            interpreter.invoke()
            scale, zero = target["quantization"]
            row = interpreter.get_tensor(target["index"])[0].astype("float32")
            rows.append((row - zero) * scale if scale else row)
        answers[name] = np.array(rows)
    return answers


def main() -> None:
    """Write everything."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    answers = {**keras_2(), **keras_1(), **onnx_files(), **tflite_files()}
    np.savez_compressed(FOLDER / "expected.npz", images=IMAGES, **answers)
    for file in sorted(FOLDER.rglob("*")):
        if file.is_file():
            print(f"{file.stat().st_size:8} {file.relative_to(FOLDER)}")


if __name__ == "__main__":
    main()
