"""What the server knows of its model without loading it: what the engine has reported, and checks against that."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from picasso.errors import BadRequest, ConfigurationError, NotReady
from picasso.explanation.registry import Entry
from picasso.jobs.engine import Engine
from picasso.jobs.run import StoredImage, images_by_name
from picasso.targets import Classification, OutputSpec, Wanted, spec_from
from picasso.visualizations.settings import Choice, Control

# The number of layers that an error message lists.
MAX_LISTED = 20


class ServedModel:
    """The model that the workers of an engine load.

    Args:
        engine: reports what its workers find out about the model.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def status(self) -> Mapping[str, Any]:
        """Return ``state`` (loading, ready or failed), and ``card`` or ``error``."""
        return self._engine.model_status()

    def require_loadable(self) -> None:
        """Raise NotReady if the model could not be loaded."""
        status = self.status()
        if status["state"] == "failed":
            raise NotReady(status["error"])

    def require_ready(self) -> None:
        """Raise NotReady if the model is not loaded, or could not be."""
        status = self.status()
        if status["state"] != "ready":
            raise NotReady(status.get("error", "The model is still loading. Try again in a few seconds."))

    def class_names(self) -> list[str]:
        """Return the names of the model's classes.

        Raises:
            NotReady: they are not known yet.
        """
        status = self.status()
        if status["state"] == "failed":
            raise NotReady(status["error"])
        if status["state"] != "ready":
            raise NotReady("The class names are not known until the model is loaded. Try again in a few seconds.")
        names: list[str] = status["report"]["class_names"]
        return names

    def spec(self) -> OutputSpec:
        """Return what the output of the model means.

        Raises:
            NotReady: it is not known yet.
        """
        self.class_names()
        return spec_from(self.status()["report"]["model"]["task"])

    def layers(self) -> list[str]:
        """Return the names of the layers with feature maps, the default first; none while the model is loading."""
        found = self.status().get("report", {}).get("layers", [])
        return [layer["name"] for layer in sorted(found, key=lambda layer: not layer["default"])]

    def unusable(self, entry: Entry) -> str:
        """Return why a visualization can't be used with this model; "" if it can, or if that is not known yet."""
        if entry.cls is None:
            return entry.reason
        unsuitable: dict[str, str] = self.status().get("unsuitable", {})
        return unsuitable.get(entry.name, "")

    def no_audits(self) -> str:
        """Return why audits are impossible with the settings of this server; "" if possible, or if not known yet."""
        return str(self.status().get("no_audits", ""))

    def offered(self, controls: Mapping[str, Control]) -> dict[str, Control]:
        """Return controls with the values that the model allows; while it is loading, with all."""
        found = self._capabilities()
        return {name: control if found is None else control.offered(found) for name, control in controls.items()}

    def _capabilities(self) -> list[str] | None:
        """Return the capabilities of the model, or None while it is loading."""
        report = self.status().get("report")
        return report["model"]["capabilities"] if report else None

    def parsed(
        self, targets: Sequence[int | str], among: Sequence[StoredImage]
    ) -> tuple[list[Wanted], dict[str, StoredImage]]:
        """Return targets as the worker takes them, and the other images that they name, by these names.

        Args:
            targets: what a user wrote.
            among: the images of the session.

        Raises:
            BadRequest: the model has no such target, or the session no such image.
            NotReady: what the model has is not known yet.
        """
        if not targets:
            return [], {}
        spec = self.spec()
        wanted = spec.parse(targets, self.class_names())
        return wanted, images_by_name(spec.other_images(wanted), among)

    def check_settings(self, controls: Mapping[str, Control], settings: Mapping[str, object]) -> None:
        """Raise BadRequest for a layer that the model does not have, or a value that it does not allow.

        While the model is loading, the run checks that.
        """
        capabilities = self._capabilities()
        for name, control in controls.items():
            value = settings[name]
            if control.kind == "layer" and value:
                self.check_layer(str(value), name)
            if isinstance(control, Choice) and (need := (control.needs or {}).get(str(value))):
                left = control.offered(capabilities or ()).options()
                if capabilities is not None and str(value) not in left:
                    raise BadRequest(
                        f"{name} {value!r} needs {need}, which this model does not provide; it may be "
                        f"{', '.join(left)}.",
                        field=name,
                        suggestions=left,
                    )

    def check_layer(self, value: str, field: str) -> None:
        """Raise BadRequest for a layer that the model does not have, if its layers are known.

        Args:
            value: the name of the layer.
            field: the field that it stands in.
        """
        layers = self.layers()
        if layers and value not in layers:
            near = difflib.get_close_matches(value[:100], layers, n=3, cutoff=0.5)
            listed, said = ", ".join(layers[:MAX_LISTED]), f"not {value[:100]}."
            if len(layers) > MAX_LISTED:
                # A network may have hundreds.
                listed += f" and {len(layers) - MAX_LISTED} more"
                said += f" Did you mean {near[0]}?" if near else ""
            raise BadRequest(f"{field} must be one of {listed}, {said}", field=field, suggestions=near or layers[:5])

    def check_audits(self) -> None:
        """Raise an error if audits are impossible.

        Raises:
            BadRequest: the model is no classifier.
            ConfigurationError: the settings of this server prevent audits.
        """
        if not (why := self.no_audits()):
            return
        if not isinstance(self.spec(), Classification):
            raise BadRequest(why)
        raise ConfigurationError(why)
