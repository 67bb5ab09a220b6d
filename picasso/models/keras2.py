"""Files of Keras 2: whether they hold code, and how the package tf_keras, which wrote them, reads them."""

from __future__ import annotations

import importlib
import importlib.util
import json
import warnings
import zipfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from picasso import remedies
from picasso.errors import ModelError, reason
from picasso.models.backend import keras, standard

TF_KERAS = "pip install 'picasso-viz[keras2]'"

# By how much the answers of two readings may differ, relative to the largest one; rounding stays far below.
TOLERANCE = 1e-3

# The objects that a configuration may name. All else is refused: what is not listed may run code of the file's choice
# (Lambda, TensorFlowOpLayer), read files (StringLookup), or be a class of whatever module the file names.
MODELS = "Functional Model Sequential"
LAYERS = """
    Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average AveragePooling1D
    AveragePooling2D AveragePooling3D AvgPool2D BatchNormalization Bidirectional CenterCrop Concatenate Conv1D
    Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM2D Convolution2D Cropping1D Cropping2D
    Cropping3D Dense DepthwiseConv1D DepthwiseConv2D Dot Dropout ELU EinsumDense Embedding Flatten GRU GRUCell
    GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool2D
    GlobalMaxPool2D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization Identity InputLayer LSTM
    LSTMCell LayerNormalization LeakyReLU LocallyConnected1D LocallyConnected2D Masking MaxPool2D MaxPooling1D
    MaxPooling2D MaxPooling3D Maximum Minimum MultiHeadAttention Multiply Normalization PReLU Permute RNN
    RandomBrightness RandomContrast RandomCrop RandomFlip RandomHeight RandomRotation RandomTranslation RandomWidth
    RandomZoom ReLU RepeatVector Rescaling Reshape Resizing SeparableConv1D SeparableConv2D SeparableConvolution2D
    SimpleRNN SimpleRNNCell Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization
    StackedRNNCells Subtract SyncBatchNormalization ThresholdedReLU TimeDistributed UnitNormalization UpSampling1D
    UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
"""
PARTS = """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal LecunUniform Ones
    Orthogonal OrthogonalInitializer RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros L1 L2 L1L2
    OrthogonalRegularizer MaxNorm MinMaxNorm NonNeg UnitNorm RadialConstraint Policy
    __tuple__ __ellipsis__ __tensor__ __numpy__ __keras_tensor__ slice
"""
KNOWN = frozenset(f"{MODELS} {LAYERS} {PARTS}".split())
FUNCTIONS = """
    elu exponential gelu hard_sigmoid leaky_relu linear mish relu relu6 selu sigmoid silu softmax softplus softsign
    swish tanh
"""
ACTIVATIONS = frozenset(FUNCTIONS.split())
OPERATION_LAYERS = frozenset(["TFOpLambda", "SlicingOpLambda"])
# Layers of Keras 2 that Keras 3 does not have or does not take, and that may run code or read files.
MAY_RUN = """
    AddLoss AddMetric CategoryEncoding ClassMethod DenseFeatures Discretization HashedCrossing Hashing InstanceMethod
    InstanceProperty IntegerLookup Lambda RandomFourierFeatures StringLookup TensorFlowOpLayer TextVectorization
"""
RUNNING = OPERATION_LAYERS.union(MAY_RUN.split())
# Operations of TensorFlow as layers. Those in these two modules compute and do nothing else.
PURE = ("math.", "nn.")
OTHERS = """
    __operators__.add __operators__.getitem __operators__.ne __operators__.eq broadcast_to cast clip_by_value concat
    convert_to_tensor expand_dims identity image.resize image.per_image_standardization linalg.matmul ones_like pad
    repeat reshape reverse shape slice split squeeze stack stop_gradient strided_slice tile transpose unstack where
    zeros_like compat.v1.transpose compat.v1.shape compat.v1.squeeze compat.v1.pad compat.v1.where
"""
OPERATIONS = frozenset(OTHERS.split())


def document_of(file: Path) -> Any:
    """Return the configuration that a file of Keras holds, or None where there is none."""
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                return json.loads(archive.read("config.json"))
        with h5py.File(file) as archive:
            return json.loads(archive.attrs["model_config"])
    except Exception:
        # A broken archive fails in more ways than its reader documents.
        return None


def code_in(document: Any, known: Collection[str] = ()) -> str:
    """Return the first object of a configuration that may run code, or "" where all are known to compute only.

    Args:
        document: of a file or an architecture of Keras 2.
        known: names of classes besides, which the user hands over.
    """
    if isinstance(document, list):
        return next(filter(None, (code_in(one, known) for one in document)), "")
    if not isinstance(document, dict):
        return ""
    kind, config = document.get("class_name"), document.get("config")
    if kind is not None and not harmless(kind, config, document, known):
        return str(kind)[:60]
    # How it was trained is not read.
    parts = (one for key, one in document.items() if key != "compile_config")
    return next(filter(None, (code_in(one, known) for one in parts)), "")


def harmless(kind: Any, config: Any, document: dict[str, Any], known: Collection[str]) -> bool:
    """Tell whether an object that a configuration describes computes only."""
    module, registered = document.get("module"), document.get("registered_name")
    if not isinstance(kind, str) or not isinstance(registered, str | None):
        return False
    if kind in known or registered in known:
        return True
    if module is not None and str(module).partition(".")[0] not in ("keras", "tf_keras", "builtins"):
        return False
    if kind == "function":
        return isinstance(config, str) and config in ACTIVATIONS and registered in (None, "function", config)
    if registered not in (None, kind):
        return False
    if kind in OPERATION_LAYERS:
        function = config.get("function") if isinstance(config, dict) else None
        return isinstance(function, str) and (function.startswith(PURE) or function in OPERATIONS)
    return kind in KNOWN


def always_training(document: Any) -> Iterator[str]:
    """Yield the names of layers that a configuration calls with ``training=True``, which Keras 3 does not."""
    if isinstance(document, list):
        for one in document:
            yield from always_training(one)
    elif isinstance(document, dict):
        if "inbound_nodes" in document and says_training(document["inbound_nodes"]):
            yield str(document.get("name") or document.get("class_name"))
        for key, one in document.items():
            if key != "inbound_nodes":
                yield from always_training(one)


def says_training(calls: Any) -> bool:
    """Tell whether the arguments of calls contain ``training=True``."""
    if isinstance(calls, dict):
        return bool(calls.get("training")) or any(map(says_training, calls.values()))
    return isinstance(calls, list) and any(map(says_training, calls))


def need_tf_keras(file: Path, document: Any, trust: bool, known: Collection[str], error: Exception | None) -> Any:
    """Return the package ``tf_keras``, which reads what Keras 2 wrote.

    Raises:
        ModelError: it is not installed, or the file may hold code and is not trusted; says what to do.
    """
    installed, code = is_installed(), "" if trust else code_in(document, known)
    if installed and not code:
        return importlib.import_module("tf_keras")
    why = f" ({reason(error, 120)})" if error else ""
    steps = [] if installed else [f"install it ({TF_KERAS})"]
    holds = ""
    if code:
        holds = f"; the file holds {code}, which may run code, so if you trust it"
        steps.append(remedies.setting("TRUST_MODEL"))
    raise ModelError(
        f"{file.name} was written by Keras 2, and Keras 3 can't read it{why}. The package tf_keras can{holds}: "
        f"{' and '.join(steps)}. Or save it again with Keras 3."
    )


def is_installed() -> bool:
    """Tell whether the package ``tf_keras`` is there."""
    return importlib.util.find_spec("tf_keras") is not None


def load(tf_keras: Any, file: Path, custom_objects: dict[str, Any] | None) -> Any:
    """Load a whole model with ``tf_keras``."""
    with standard(tf_keras):
        return tf_keras.models.load_model(file, custom_objects=custom_objects, compile=False)


def compared(
    model: Any, file: Path, trust: bool, custom_objects: dict[str, Any] | None, shape: Sequence[int] | None
) -> tuple[Any, tuple[str, ...]]:
    """Return the model that answers as the file's writer does, and what the user should know.

    Keras 3 and ``tf_keras`` may read one file differently, without an error: then ``tf_keras`` is right.

    Args:
        model: as Keras 3 read it.
        file: where it was read from.
        trust: whether code in the file may run.
        custom_objects: classes and functions of the user's.
        shape: ``(H, W, C)`` of the input, where the file does not say.
    """
    document = document_of(file)
    layers = ", ".join(dict.fromkeys(always_training(document)))
    calls = f"The file calls {layers} with training=True, which Keras 3 leaves out. " if layers else ""
    if not is_installed():
        advice = f"Its writer's answers differ; to have them, install tf_keras ({TF_KERAS})."
        return model, ((calls + advice,) if calls else ())
    if not trust and code_in(document, custom_objects or ()):
        trusted = remedies.setting("TRUST_MODEL")
        advice = f"Its writer's answers differ; if you trust the file, have tf_keras read it: {trusted}."
        return model, ((calls + advice,) if calls else ())
    tf_keras = importlib.import_module("tf_keras")
    try:
        writers = load(tf_keras, file, custom_objects)
        with standard(keras), standard(tf_keras):
            difference = apart(model, writers, shape)
    except Exception:
        # Layers of the user's own are of one of the two packages only.
        return model, ((calls + "Its writer's answers may differ.",) if calls else ())
    if difference <= TOLERANCE:
        return model, ()
    return writers, (
        f"{calls}On noise, what Keras 3 makes of this file of Keras 2 answers up to {difference:.3g} off: taken are "
        "the answers of tf_keras, which wrote it.",
    )


def apart(one: Any, other: Any, shape: Sequence[int] | None) -> float:
    """Return by how much the outputs of two models differ on noise in 0..1 and in 0..255, relative to the largest."""
    known = list(one.inputs[0].shape)
    sides = list(shape) if shape else known[1:]
    noise = np.random.default_rng(0).random((known[0] or 2, *sides), np.float32)
    noise[len(noise) // 2 :] *= 255
    largest = 0.0
    with warnings.catch_warnings():
        # Keras 3 is not content with how files of Keras 2 order their inputs, of which there is one.
        warnings.simplefilter("ignore")
        both = flat(one(noise, training=False)), flat(other(noise, training=False))
    for ours, theirs in zip(*both, strict=True):
        scale = max(1.0, float(np.abs(theirs).max()))
        largest = max(largest, float(np.abs(ours - theirs).max()) / scale)
    return largest


def flat(answer: Any) -> list[Any]:
    """Return the outputs of a model as arrays, in a fixed order."""
    if isinstance(answer, dict):
        answer = [answer[name] for name in sorted(answer)]
    return [one.numpy().astype(np.float32) for one in (answer if isinstance(answer, list | tuple) else [answer])]
