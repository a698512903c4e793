"""The ``attribution`` extra: torch and safetensors, imported on first use, with a plain message where they are missing."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from detector.errors import ConfigError

if TYPE_CHECKING:
    import torch

_MISSING = "attribution needs the extra: pip install 'hydrawatch[attribution]'"
_WHERE = (
    "a machine without a GPU wants the small CPU build: "
    "pip install torch --index-url https://download.pytorch.org/whl/cpu"
)


def needed(name: str) -> Any:
    """Module ``name`` of the extra.

    Raises
    ------
    ConfigError : it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f"{_MISSING} ({name.split('.')[0]} is not installed)", hint=_WHERE) from error


def chosen_device(wanted: str = "auto") -> torch.device:
    """The device to work on: ``auto`` takes CUDA where there is one, else the CPU.

    Raises
    ------
    ConfigError : torch is missing, no such device, or CUDA asked for where there is none.
    """
    torch = needed("torch")
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")  # type: ignore[no-any-return]
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise ConfigError(
            f"--device {wanted!r} is no device", hint="use auto, cpu, cuda or cuda:0"
        ) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda, but torch sees no CUDA device", hint="use --device cpu, or auto")
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"--device {wanted!r} is not supported", hint="use auto, cpu, cuda or cuda:0")
    return device  # type: ignore[no-any-return]


def use_threads(n: int) -> None:
    """Set the number of threads for torch.

    On small layers several threads wait for one another longer than they work.
    """
    needed("torch").set_num_threads(n)
