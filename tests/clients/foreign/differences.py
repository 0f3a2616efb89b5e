"""What is known to differ between the two kernels, and why; by part and by the check's name."""

from __future__ import annotations

_DEATH = (
    "A cell ends its Python process. With ipykernel that is the kernel's own, and nbclient "
    "raises DeadKernelError, which says no more. Here the kernel goes on: the cell fails with "
    "RemoteKernelDied, which says what happened, and the next cell runs in a fresh process."
)

DIFFERENCES: dict[str, dict[str, str]] = {
    "nbclient": {
        "tests.test_client::test_async_parallel_notebooks": (
            "Two notebooks look for each other's file in a folder of this machine: each has the "
            "file system of its own environment."
        ),
        "tests.test_client.TestExecute::test_kernel_death_during_execution": _DEATH,
        "tests.test_client.TestExecute::test_error_notebook_hook": _DEATH,
    },
    "jupyter_client": {
        f"tests.test_kernelmanager.{kind}::test_subclass_callables[{transport}]": (
            "The test counts the signals that an interrupt sends. Our kernelspec asks for a "
            "message (interrupt_mode): what is to be interrupted is a process in the environment."
        )
        for kind in ("TestKernelManager", "TestAsyncKernelManager")
        for transport in ("tcp", "ipc")
    },
    "nbmake": {
        "dying.ipynb::dying.ipynb": (
            f"{_DEATH} nbmake reports that as the failure; of DeadKernelError it says that nbmake "
            "itself has failed."
        ),
    },
}
