"""The doors that files come in by: images, and what the reading of model files does before TensorFlow."""

from __future__ import annotations

import sys
import tempfile
import types
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from picasso.errors import ModelError
from tests.fuzz import structured
from tests.hostile import CASES, FOLDER

ROOT = Path(__file__).parents[2]
ZOO = ROOT / "tests" / "zoo"
SAMPLES = ROOT / "picasso" / "examples" / "samples"
MAX_SEED = 100_000
LABELS = {
    "list.json": b'["ant", "bee", "cat"]',
    "index.json": b'{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}',
    "classes.yaml": b"ant: 0\nbee: 1\nwhen: 2\n",
    "anchors.yaml": b"- &one ant\n- *one\n- {a: 1}\n- 2001-01-01\n- 1e3\n",
    "names.txt": "\ufeffant\nbee\n\ncat <b>\n".encode(),
    "table.csv": b'index,wnid,name\n0,n1,"a, b"\n1,n2,bee\n',
}


@dataclass(frozen=True)
class Door:
    """One door: its name, the good files that bad ones are made of, and what reads a file."""

    name: str
    seeds: dict[str, list[bytes]]
    enter: Callable[[bytes, Path], object]
    most: int = 300_000
    # Whether files are spoilt in their structure rather than anywhere.
    structured: bool = False
    # How much memory the whole process may take, where that is bounded.
    megabytes: int | None = None


def images() -> Door:
    """Return the door of images."""
    from picasso.imaging import decode

    # What is no image at all seldom becomes one.
    files = [FOLDER / "files" / name for name, case in CASES.items() if case.status != 415]
    bodies = [file.read_bytes() for file in (*files, *sorted(SAMPLES.rglob("*.png"))[:3])]
    # Few pixels, so that an input takes little time; where the limit lies makes no difference to the door.
    return Door(
        "images",
        {".png": [body for body in bodies if len(body) < 60_000]},
        lambda body, _: decode.read(body, "x.png", megapixels=2),
    )


def model_files() -> Door:
    """Return the door of model files and labels."""
    # The framework itself is not what is tested, and would take seconds and a gigabyte.
    stand_in = types.ModuleType("picasso.models.tf.runtime")
    stand_in.keras = stand_in.standard = None  # type: ignore[attr-defined]
    sys.modules.setdefault("picasso.models.tf.runtime", stand_in)
    from picasso.models import label_files, loading, recognition
    from picasso.models.tf import keras_files

    def architecture(file: Path) -> None:
        document = recognition.decoded(file)
        if document is not None:
            keras_files.generation_of(document)
            keras_files.describe(file, None)

    def other(file: Path) -> None:
        with suppress(ModelError):
            loading.open_file(file)

    def enter(body: bytes, file: Path) -> None:
        file.write_bytes(body)
        for reader in readers[file.suffix]:
            reader(file)

    # What HDF5 makes of a spoilt file is not ours to mend; some keep it at work for ever. So .h5 goes no further.
    readers: dict[str, tuple[Callable[[Path], object], ...]] = {
        **dict.fromkeys((".h5", ".hdf5"), (keras_files.check_content,)),
        ".keras": (keras_files.written_by, keras_files.check_content),
        ".json": (architecture, label_files.read),
        **dict.fromkeys((".yaml", ".txt", ".csv"), (other, label_files.read)),
    }
    seeds: dict[str, list[bytes]] = {}
    for found in sorted(ZOO.rglob("*")):
        if found.suffix in (".h5", ".hdf5", ".keras", ".json"):
            seeds.setdefault(found.suffix, []).append(found.read_bytes())
    for name, body in LABELS.items():
        seeds.setdefault(Path(name).suffix, []).append(body)
    return Door("model files", seeds, enter, most=16_000)


def scan() -> Door:
    """Return the door of the scan, which reads model files of every format before any framework does."""
    from picasso.models.scan import require

    checkpoint = ROOT / "picasso" / "examples" / "tensorflow" / "data" / "mnist.ckpt"
    whole = {ending: checkpoint.with_name(f"mnist.ckpt{ending}").read_bytes() for ending in (".meta", ".index")}
    seeds = {ending: [body] for ending, body in whole.items()} | model_seeds()
    graph = next(value for number, _, value, _ in structured.parsed(whole[".meta"]) or () if number == 2)
    # A frozen graph, and what a SavedModel of TensorFlow 1 has.
    seeds.setdefault(".pb", []).extend([graph, structured.message([(1, 0, 1, None), (2, 2, whole[".meta"], None)])])

    def enter(body: bytes, file: Path) -> None:
        file.write_bytes(body)
        if file.suffix in whole:
            for ending, good in whole.items():
                file.with_suffix(ending).write_bytes(body if file.suffix == ending else good)
        if file.suffix == ".json":
            file.with_suffix(".h5").write_bytes(seeds[".h5"][0])
        if file.suffix == ".pb":
            folder = file.with_name("saved")
            folder.mkdir(exist_ok=True)
            (folder / "saved_model.pb").write_bytes(body)
            with suppress(ModelError):
                require(folder, trust=False)
        require(file.with_suffix("") if file.suffix in whole else file, trust=False)

    return Door("scan", seeds, enter, structured=True, megabytes=300)


def model_seeds() -> dict[str, list[bytes]]:
    """Return the model files of the zoo, and hostile ones that are not broken: they hold what is worth spoiling."""
    from tests.hostile import make_models

    seeds: dict[str, list[bytes]] = {}
    for found in sorted(ZOO.rglob("*")):
        if found.suffix in (".h5", ".keras", ".onnx", ".tflite") or found.name == "model.json":
            seeds.setdefault(found.suffix, []).append(found.read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        outside = Path(folder) / "outside" / "secret.txt"
        outside.parent.mkdir()
        outside.write_text("marker")
        for hostile in make_models.every():
            if hostile.name.endswith((".onnx", ".tflite", ".keras", ".pb")) and hostile.kind not in ("broken", "limit"):
                body = make_models.write(hostile, Path(folder), outside).read_bytes()
                seeds.setdefault(Path(hostile.name).suffix, []).append(body)
    return {suffix: [body for body in bodies if len(body) < MAX_SEED] for suffix, bodies in seeds.items()}


DOORS: dict[str, Callable[[], Door]] = {"images": images, "models": model_files, "scan": scan}
