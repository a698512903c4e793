"""Loops that run as machine code: plain functions over arrays, compiled at the first call and cached on disk.

``inner`` marks a function that only compiled ones call, ``Kernel`` one that Python calls. A file of kernels
defines every constant that they read: cached machine code is renewed only when that very file changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, cast

import numba

_njit: Any = numba.njit  # some of its options are not declared

__all__ = ["Kernel", "inner"]

P = ParamSpec("P")
R = TypeVar("R")


def inner(function: Callable[P, R]) -> Callable[P, R]:
    """A function for kernels to call; it becomes part of them."""
    return cast(Callable[P, R], _njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function))


class Kernel(Generic[P, R]):
    """A function of arrays and numbers. Its index arithmetic is unchecked, so only trusted callers call it.

    Machine code is cached beside the source, or in the user's cache folder, or in ``NUMBA_CACHE_DIR``. As with
    ``__pycache__``, whoever can write there can run code. If none of them can be used, each process compiles anew.
    """

    def __init__(self, function: Callable[P, R]) -> None:
        self._plain = function
        self.compiled = self._compile()

    def __call__(self, *args: P.args, **named: P.kwargs) -> R:
        try:
            return cast(R, self.compiled(*args, **named))
        except Exception:
            if self.compiled.signatures:
                raise  # it was compiled, so this is an error of the function
            # The cache is full, read-only or damaged: compile without it.
            self.compiled = _njit(nogil=True)(self._plain)
            return cast(R, self.compiled(*args, **named))

    def _compile(self) -> Any:
        try:
            return _njit(cache=True, nogil=True, no_cfunc_wrapper=True)(self._plain)
        except (OSError, RuntimeError):  # no folder for the cache
            return _njit(nogil=True)(self._plain)
