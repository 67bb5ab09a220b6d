"""The compose file of a team: programs accept the commands, and the containers agree on their files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from picasso import config
from picasso.cli.command import main
from tests.docs.blocks import ROOT
from tests.docs.test_container import COMPOSE as ONE
from tests.docs.test_container import DOCKERFILE

TEAM: dict[str, Any] = yaml.safe_load((ROOT / "compose.team.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = TEAM["services"]
LOCKS = (
    "read_only",
    "tmpfs",
    "cap_drop",
    "security_opt",
    "mem_limit",
    "memswap_limit",
    "pids_limit",
    "restart",
    "build",
)
SETTINGS = "/etc/picasso/config.team.yaml"


def mounts(service: str) -> dict[str, str]:
    """Return what a service mounts, by its path in the container."""
    return {words[1]: words[0] for one in SERVICES[service].get("volumes", []) if (words := one.split(":"))}


def dask(service: str) -> dict[str, Any]:
    """Return the parameters of a service that runs Dask, as Dask's own command line understands them."""
    pytest.importorskip("distributed")
    from distributed.cli import dask_scheduler, dask_worker

    program, name = SERVICES[service]["entrypoint"]
    assert program == "dask"
    command = {"scheduler": dask_scheduler.main, "worker": dask_worker.main}[name]
    found: dict[str, Any] = command.make_context(name, list(SERVICES[service]["command"])).params
    return found


@pytest.mark.parametrize("name", ["picasso", "scheduler", "worker"])
def test_each_container_may_do_no_more_than_the_single_one(name: str) -> None:
    service = SERVICES[name]
    assert {lock: service[lock] for lock in LOCKS} == {lock: ONE["services"]["picasso"][lock] for lock in LOCKS}
    assert not {"privileged", "network_mode", "user", "environment", "cap_add", "devices"} & set(service)


def test_only_the_server_can_be_reached() -> None:
    assert SERVICES["picasso"]["ports"] == ONE["services"]["picasso"]["ports"]
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"picasso"}
    assert TEAM["networks"]["cluster"] == {"internal": True}
    assert {name: service["networks"] for name, service in SERVICES.items()} == {
        "picasso": ["visitors", "cluster"],
        "scheduler": ["cluster"],
        "worker": ["cluster"],
    }
    # The password is for the server only.
    assert {name for name, service in SERVICES.items() if "secrets" in service} == {"picasso"}
    assert TEAM["secrets"] == ONE["secrets"]


def test_the_server_accepts_its_command_and_settings() -> None:
    given = main.commands["serve"].make_context("serve", ["--host", "0.0.0.0", *SERVICES["picasso"]["command"]]).params  # noqa: S104 - in the container
    assert str(given["config"]) == SETTINGS
    (secret,) = SERVICES["picasso"]["secrets"]
    assert str(given["password_file"]) == f"/run/secrets/{secret}"
    settings = config.load(ROOT / mounts("picasso")[SETTINGS], {"PASSWORD_FILE": str(given["password_file"])})
    scheduler = dask("scheduler")
    assert f"dask://scheduler:{scheduler['port']}" == settings.ENGINE
    assert mounts("picasso")[settings.WORK_DIR] in TEAM["volumes"]
    for file in (settings.MODEL, settings.LABELS):
        assert str(Path(file).parent) in mounts("picasso")


def test_workers_have_the_same_files_and_one_thread() -> None:
    assert SERVICES["worker"]["volumes"] == SERVICES["picasso"]["volumes"]
    worker = dask("worker")
    assert worker["scheduler"] == f"tcp://scheduler:{dask('scheduler')['port']}"
    assert worker["nthreads"] == 1
    assert SERVICES["worker"]["deploy"]["replicas"] == 2
    # The only other folder that can be written to.
    assert worker["local_directory"] == SERVICES["worker"]["tmpfs"][0].partition(":")[0]


@pytest.mark.parametrize("name", ["scheduler", "worker"])
def test_health_is_asked_on_loopback(name: str) -> None:
    (address,) = re.findall(r"'(http://.*?)'", SERVICES[name]["healthcheck"]["test"][-1])
    assert address == f"http://{dask(name)['dashboard_address']}/health"
    assert address.startswith("http://127.0.0.1:")
    compile(SERVICES[name]["healthcheck"]["test"][-1], name, "exec")


def test_the_user_of_the_image_owns_the_volume() -> None:
    folder = yaml.safe_load((ROOT / "config.team.yaml").read_text(encoding="utf-8"))["WORK_DIR"]
    assert f"install --directory --owner picasso --mode 700 {folder}\n" in DOCKERFILE
    extras = set(re.findall(r"picasso\[([a-z,]+)\]", DOCKERFILE)[0].split(","))
    assert {"dask", "metrics"} <= extras
