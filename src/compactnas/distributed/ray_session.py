"""Ray during a study: start it on this machine or join a cluster, silence it, and shut it down at the end."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from compactnas.config import MachineConfig
from compactnas.errors import UserError

ANSWERS_WITHIN_S = 5

LOOK_EVERY_S = 1.0
"""Seconds between two checks of the running tasks."""

OBJECTS_BYTES = 100 * 2**20
"""Size of the object store of a Ray that is started here. Its jobs share a folder and send almost no objects."""

LONGEST_TEMP = 30
"""Longest path of a folder for which the paths of Ray's sockets stay within the system's limit of 107 characters."""

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # jobs without a GPU see none; unless this is set, Ray warns
    "RAY_py_gcs_connect_timeout_s": str(ANSWERS_WITHIN_S),
}
LOCAL = ("127.0.0.1", "localhost", "::1")
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Without this setting, Ray replaces 127.0.0.1 with the network address of this machine."""


@dataclass(frozen=True)
class Share:
    """Resources of one job on a machine."""

    cpus: float
    gpus: float
    threads: int


@dataclass(frozen=True)
class RayOptions:
    """Address of a Ray cluster, and the resources of a job.

    Attributes:
        address: `HOST:PORT` of a cluster, or `auto` for the one that runs here; empty starts one on this machine.
        cpus: Number of CPUs of a job; 0 takes one for each of its threads.
        gpus: Number of GPUs of a job; with a fraction, several jobs share one. -1 takes one GPU if the study's device
            is `auto` or `cuda` and the cluster has a GPU.
    """

    address: str = ""
    cpus: float = 0.0
    gpus: float = -1.0

    def __post_init__(self) -> None:
        if self.cpus < 0:
            raise UserError(f"--ray-cpus: {self.cpus:g} is negative; 0 takes one CPU for each thread of a job")
        if self.gpus != -1 and (self.gpus < 0 or (self.gpus > 1 and self.gpus % 1)):
            raise UserError(
                f"--ray-gpus: {self.gpus:g} is neither a whole number nor a fraction below 1; give 2 or 0.5, say"
            )

    def share(self, machine: MachineConfig, nodes: Sequence[Mapping[str, Any]]) -> Share:
        """Compute the resources of a job.

        Args:
            machine: Machine config of the study.
            nodes: Nodes of the cluster, as `ray.nodes()` lists them.

        Raises:
            UserError: No node has these resources.
        """
        rooms = [node["Resources"] for node in nodes if node["Alive"]]
        gpus = self.gpus
        if gpus == -1:
            some = machine.device in ("auto", "cuda") and any(room.get("GPU", 0) >= 1 for room in rooms)
            gpus = float(some)
        if machine.device == "cuda" and not gpus:
            raise UserError(
                "--ray-gpus: machine.device is cuda, but the cluster has no GPU or --ray-gpus is 0; "
                "give jobs a GPU, or set machine.device to cpu"
            )
        cpus = self.cpus or float(max(1, machine.threads))
        if not any(room.get("CPU", 0) >= cpus and room.get("GPU", 0) >= gpus for room in rooms):
            most = [max((room.get(kind, 0) for room in rooms), default=0) for kind in ("CPU", "GPU")]
            raise UserError(
                f"no machine has the {cpus:g} CPUs and {gpus:g} GPUs of a job (at most {most[0]:g} and "
                f"{most[1]:g}); set fewer with --ray-cpus and --ray-gpus"
            )
        return Share(cpus, gpus, machine.threads or max(1, int(cpus)))


@contextmanager
def session(options: RayOptions, log: Path) -> Iterator[Any]:
    """Connect to Ray and yield the module `ray`; at the end, shut down everything that was started.

    Args:
        options: Address of the cluster.
        log: File for Ray's messages, which would otherwise mix with those of the study.

    Raises:
        UserError: Ray is not installed, does not answer at the address, or does not start.
    """
    address = _reachable(options.address) if options.address else ""
    own = not address or _on_loopback(address)
    with _environment(QUIET | (LOOPBACK if own else {}) | ({} if address else _secret())), log.open("a") as file:
        ray = _import_ray()
        with redirect_stdout(file):
            folder = None if address else _temp_folder()
            terminated = signal.getsignal(signal.SIGTERM)
            try:
                with _errors_to(file.fileno()):
                    _connect(ray, address, folder)
                _on_sigterm(_interrupt)  # Ray's own handler ends the process before its tasks
                yield ray
            finally:
                ray.shutdown()
                _on_sigterm(terminated)
                if folder:
                    shutil.rmtree(folder, ignore_errors=True)


def raise_cause(error: Any) -> NoReturn:
    """Raise the error of a task in this process; a `UserError` stays one."""
    if isinstance(error.cause, UserError):
        raise UserError(str(error.cause)) from None
    raise error.cause from error


def _interrupt(number: int, frame: object) -> None:
    """Treat SIGTERM, which Slurm sends, like Ctrl-C."""
    raise KeyboardInterrupt


def _on_sigterm(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():  # Python allows handlers only there
        signal.signal(signal.SIGTERM, handler)


@contextmanager
def _errors_to(descriptor: int) -> Iterator[None]:
    """Silence Ray's C++ code while it connects: it repeats the exception many times on stderr."""
    sys.stderr.flush()
    before = os.dup(2)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _import_ray() -> Any:
    try:
        import ray
    except ImportError:
        raise UserError("Ray is not installed; install it with `pip install 'compactnas[cluster]'`") from None
    return ray


def _connect(ray: Any, address: str, folder: str | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "CRITICAL"}
    if address:
        quiet |= {"address": address}
    else:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        quiet |= {"num_cpus": cores, "include_dashboard": False, "object_store_memory": OBJECTS_BYTES}
        # "local" starts a new Ray even if RAY_ADDRESS is set.
        quiet |= {"address": "local", "_temp_dir": folder, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(**quiet)
    except (OSError, RuntimeError, ValueError, TimeoutError, ray.exceptions.RayError) as error:
        reason = " ".join(str(error).split())[:300]
        if address:
            raise UserError(
                f"--ray-address {address}: cannot connect ({reason}); give the address of a Ray head of this version "
                "and run the study on one of its machines"
            ) from None
        raise UserError(f"Ray does not start on this machine ({reason}); run without --ray") from None


def _reachable(address: str) -> str:
    """Resolve `auto` and check that the address answers; Ray itself would try for minutes."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "") or _running()
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise UserError(f"--ray-address: {address!r} is not HOST:PORT or auto; take what `ray start --head` printed")
    try:
        with socket.create_connection((host, int(port)), timeout=ANSWERS_WITHIN_S) as connection:
            known = "RAY_USE_TLS" in os.environ or _speaks_grpc(connection)
    except (OSError, OverflowError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UserError(
            f"--ray-address {address}: no Ray answers there ({reason}); start one with `ray start`"
        ) from None
    if not known:
        raise UserError(f"--ray-address {address}: not a Ray head; take the address that `ray start --head` printed")
    return address


def _speaks_grpc(connection: socket.socket) -> bool:
    """Check whether the other side greets in HTTP/2, as a Ray head does (RFC 9113, sections 3.4 and 6.5)."""
    settings = 4
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, settings, 0, 0, 0, 0, 0]))
    header = connection.recv(9, socket.MSG_WAITALL)
    return len(header) == 9 and header[3] == settings


def _on_loopback(address: str) -> bool:
    """Check whether a Ray is reachable by the loopback address only, and not by this machine's network address."""
    host, _, port = address.rpartition(":")
    if host not in LOCAL:
        return False
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
            outside.connect(("192.0.2.1", 9))  # sends nothing; selects this machine's network address
            own = outside.getsockname()[0]
        socket.create_connection((own, int(port)), timeout=ANSWERS_WITHIN_S).close()
    except OSError:
        return True
    return False


def _running() -> str:
    """Read the address of the Ray that was started last on this machine."""
    file = Path(os.environ.get("RAY_TMPDIR", "/tmp")) / "ray" / "ray_current_cluster"  # noqa: S108  # Ray's own place
    with suppress(OSError):
        return file.read_text(encoding="utf-8").strip()
    raise UserError("--ray-address auto: no Ray runs on this machine; give HOST:PORT, or start one with --ray")


def _temp_folder() -> str:
    """Make a temporary folder for sockets and logs."""
    base = tempfile.gettempdir()
    fits = os.name != "posix" or len(base) <= LONGEST_TEMP  # only POSIX has sockets with a path, and /tmp
    return tempfile.mkdtemp(prefix="ray-", dir=base if fits else "/tmp")  # noqa: S108  # short


def _secret() -> dict[str, str]:
    """Make a token that is needed to submit tasks to our own Ray; Ray would otherwise keep one in the home folder."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def task_options(share: Share) -> dict[str, Any]:
    """Return the options of every Ray task. Ray never retries a task: the study decides about retries."""
    threads = str(share.threads)
    # As in the command line's entry: threads that spin while they wait take time from the others.
    spin = {} if "OMP_WAIT_POLICY" in os.environ else {"GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "1000")}
    return {
        "num_cpus": share.cpus,
        "num_gpus": share.gpus,
        "max_retries": 0,
        "num_returns": "streaming",
        "runtime_env": {"env_vars": {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads} | spin},
    }
