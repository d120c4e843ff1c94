"""Blocks: what is to be used with ``async with``, and says so to whoever uses it otherwise."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import ClassVar, Generic, NoReturn, TypeVar

T = TypeVar("T")


class Block(AbstractAsyncContextManager[T, None], Generic[T]):
    """An asynchronous context manager whose other uses raise an error that says what to write.

    Parameters:
        block: the context manager itself.

    Attributes:
        how: what to write, such as ``connect with: async with connect(url) as finch:``.
    """

    how: ClassVar[str]

    def __init__(self, block: AbstractAsyncContextManager[T, bool | None]) -> None:
        self._block = block

    async def __aenter__(self) -> T:
        return await self._block.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._block.__aexit__(kind, error, traceback)

    def __await__(self) -> NoReturn:
        raise TypeError(f"{self.how} (not with await)")

    def __enter__(self) -> NoReturn:
        raise TypeError(f"{self.how} (not with a plain with)")

    def __exit__(self, *_: object) -> None: ...
