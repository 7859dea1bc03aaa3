"""Devices by name, and the hardware of this machine in words."""

import os
import platform
from pathlib import Path
from typing import Any

import psutil
import torch


def choose_device(name: str) -> str:
    """ "cpu", "cuda" or "auto" (CUDA if there is one) as a torch device. ValueError if it does not exist."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda"):
        raise ValueError(f"device must be cpu, cuda or auto, got {name!r}.")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device cuda was requested but PyTorch sees none: use --device cpu, or auto.")
    return name


def multiplies_bfloat16(device: str) -> bool:
    """Whether a device has units for products in bfloat16; without them these are slower than in float32."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    units = getattr(torch.cpu, "get_capabilities", dict)()  # missing in older versions of PyTorch
    return any(units.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def describe_hardware(device: str) -> dict[str, Any]:
    """Processor, cores, memory, and the accelerator if the run used one."""
    hardware: dict[str, Any] = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor_name(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "device": device,
    }
    if device.startswith("cuda"):
        hardware["accelerator"] = torch.cuda.get_device_name(device)
    return hardware


def _processor_name() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
