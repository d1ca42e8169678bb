"""The prerequisites of a run: a Python, a virtual environment, the worker, and a clean process environment."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
ROOT = TESTS.parent
RUN_DIR = ROOT / ".test-run"
VENV = RUN_DIR / "venv"
REQUIREMENTS = TESTS / "requirements.txt"
OLDEST_PYTHON = (3, 13)
WORKER_BINARY = "vgi-rpc-conformance-rust"
CLIENT_DRIVER_BINARY = "vgi-rpc-client-driver-rust"
NATIVE_CLIENT_BINARY = "vgi-rpc-native-client-rust"
REFERENCE_SERVER = "vgi-rpc-conformance"
RUN_LOOP_EXAMPLE = "run_loop"
TYPED_EXAMPLE = "typed"


class SetupError(Exception):
    """The machine or the checkout lacks something that a run needs; the text names it."""


def venv_tool(name: str) -> Path:
    """Returns the path of a program in the virtual environment."""
    return VENV / "bin" / name


def prepare_venv() -> None:
    """Make the virtual environment, unless the existing one has the same requirements."""
    stamp = VENV / "requirements.sha256"
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest and _version(venv_tool("python")):
        return
    python = _newest_python()
    print(f"making {VENV.relative_to(ROOT)} with {python}", flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    _run([python, "-m", "venv", VENV], "python -m venv failed (on Debian and Ubuntu it needs the package python3-venv)")
    install = [venv_tool("python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*install, "--requirement", REQUIREMENTS], "pip could not install tests/requirements.txt")
    stamp.write_text(digest)


def build_worker() -> None:
    """Build the worker."""
    _build("--bin", WORKER_BINARY)


def built_worker() -> Path:
    """Returns the path of the built worker."""
    return _target_dir() / "debug" / WORKER_BINARY


def build_clients() -> None:
    """Build the client driver and the native client."""
    _build("--bin", CLIENT_DRIVER_BINARY, "--bin", NATIVE_CLIENT_BINARY)


def built_client_driver() -> Path:
    """Returns the path of the built client driver."""
    return _target_dir() / "debug" / CLIENT_DRIVER_BINARY


def built_native_client() -> Path:
    """Returns the path of the built native client."""
    return _target_dir() / "debug" / NATIVE_CLIENT_BINARY


def build_examples() -> None:
    """Build the run loop of the core's documentation, and the example of typed services."""
    _build("--example", TYPED_EXAMPLE)


def built_run_loop() -> Path:
    """Returns the path of the built run loop."""
    return _target_dir() / "debug" / "examples" / RUN_LOOP_EXAMPLE


def built_typed() -> Path:
    """Returns the path of the built example of typed services."""
    return _target_dir() / "debug" / "examples" / TYPED_EXAMPLE


def _build(*programs: str) -> None:
    """Build programs in debug mode, like cargo test: with all features and, since one is an example, with the features that
    dev-dependencies add to dependencies. So nothing is built twice."""
    if shutil.which("cargo") is None:
        raise SetupError("cargo is not on PATH: install Rust, or say what to run with --worker and --no-build")
    command = ["cargo", "build", "--workspace", "--all-features", *programs, "--example", RUN_LOOP_EXAMPLE]
    _run(command, f"{' '.join(programs)} does not build")


def _target_dir() -> Path:
    return ROOT / os.environ.get("CARGO_TARGET_DIR", "target")


def child_environment(**added: str) -> dict[str, str]:
    """Returns this process's environment without variables that affect Python, pytest or vgi-rpc."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VGI_", "PYTEST_")) and name not in ("PYTHONPATH", "PYTHONHOME")
    }
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", **added}


def _newest_python() -> Path:
    named = [shutil.which(name) for name in ("python3.13", "python3.14", "python3")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [Path(path) for path in named if path] + sorted(pyenv.glob("versions/*/bin/python"))
    versions = {python: version for python in found for version in [_version(python)] if version}
    usable = [python for python, version in versions.items() if version >= OLDEST_PYTHON]
    if not usable:
        tried = ", ".join(f"{python} ({'.'.join(map(str, version))})" for python, version in versions.items())
        raise SetupError(f"no Python >= 3.13 on PATH or under pyenv; found: {tried or 'none'}")
    return max(usable, key=lambda python: versions[python])


def _version(python: Path) -> tuple[int, ...]:
    """Returns the version of an interpreter; empty if it does not start, which can happen with a pyenv shim."""
    ask = "import sys; print(*sys.version_info[:3])"
    try:
        answer = subprocess.run([python, "-c", ask], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(int(part) for part in answer.stdout.split()) if answer.returncode == 0 else ()


def _run(command: list, failure: str) -> None:
    sys.stdout.flush()
    if subprocess.run([str(part) for part in command], cwd=ROOT).returncode != 0:
        raise SetupError(failure)
