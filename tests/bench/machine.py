"""What the benches say about the machine that they ran on."""
import os

CORES = len(os.sched_getaffinity(0))
NAMED = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")


def instruction_sets():
    """Those that decide which kernels run, of this processor; "?" where the kernel does not say."""
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("flags"):
                have = line.split()
                return " ".join(name for name in NAMED if name in have)
    return "?"
