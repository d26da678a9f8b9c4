"""Which builds of torch run on which of Modal's GPUs; a wrong pair fails after the container is paid for."""

CAPABILITIES = {
    "T4": (7, 5),
    "A100": (8, 0),
    "A100-40GB": (8, 0),
    "A100-80GB": (8, 0),
    "A10": (8, 6),
    "A10G": (8, 6),
    "L4": (8, 9),
    "L40S": (8, 9),
    "H100": (9, 0),
    "H200": (9, 0),
    "B200": (10, 0),
    "RTX-PRO-6000": (12, 0),
}
"""CUDA's compute capability, from https://developer.nvidia.com/cuda-gpus."""
OLDEST_CUDA = {(7, 5): (10, 0), (8, 0): (11, 0), (8, 6): (11, 1), (8, 9): (11, 8), (9, 0): (11, 8)}
NEWEST_FAMILY_CUDA = (12, 8)
"""The first CUDA with code for capability 10 and above, and the first for which torch is built for it."""


def misfit(gpu: str, cuda: str) -> str:
    """Why torch built for this CUDA cannot use the GPU; empty when it can."""
    capability = CAPABILITIES.get(gpu.rstrip("!+").upper())
    if capability is None:
        return f"Modal has no GPU {gpu!r}; it has {', '.join(CAPABILITIES)}"
    try:
        version = tuple(int(part) for part in cuda.split(".")[:2])
    except ValueError:
        return f"modal: cuda: expected a version such as 12.8, got {cuda!r}"
    oldest = OLDEST_CUDA.get(capability, NEWEST_FAMILY_CUDA)
    if version >= oldest:
        return ""
    needed, has = ".".join(map(str, oldest)), ".".join(map(str, capability))
    return (
        f"torch built for CUDA {cuda} has no code for {gpu} (compute capability {has}): it needs CUDA {needed} or newer"
    )
