"""The CUDA driver's library through ctypes: enough to hold memory of a card, without torch."""

from __future__ import annotations

import ctypes


class CudaFailed(Exception):
    """The library is not there, or a call failed; names the call."""


class Cuda:
    """The primary context of the first visible card, and memory in it."""

    def __init__(self) -> None:
        """Make the context.

        Raises:
            CudaFailed: no library, no card, or no memory for a context.
        """
        try:
            self._library = ctypes.CDLL("libcuda.so.1")
        except OSError as error:
            raise CudaFailed(f"libcuda.so.1: {error}") from error
        self._call("cuInit", 0)
        device = ctypes.c_int()
        self._call("cuDeviceGet", ctypes.byref(device), 0)
        context = ctypes.c_void_p()
        # the primary context, as PyTorch and vLLM take it; cuCtxCreate changed with CUDA 13
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._call("cuCtxSetCurrent", context)

    def allocate(self, size: int) -> int:
        """Bytes of the card, plainly allocated; the address.

        Raises:
            CudaFailed: there are not so many.
        """
        address = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        return address.value

    def free(self, address: int) -> None:
        self._call("cuMemFree_v2", ctypes.c_uint64(address))

    def _call(self, name: str, *arguments: object) -> None:
        code = int(getattr(self._library, name)(*arguments))
        if code != 0:
            raise CudaFailed(f"{name} returned {code}")
