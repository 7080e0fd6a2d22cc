"""A device that is not there: tensors that say they lie on CUDA, and errors where a real one would give them.

Within `pretended()` a tensor that is put on "cuda" stays in the memory of the CPU and is marked. From then on an
operation that mixes marked tensors with others is an error, and so are .numpy() of a marked one and a generator of the
other device. A machine without a GPU sees that way the commonest defects of code that never ran on one: what was made
on the CPU is used on the device. What a kernel computes it cannot see.

What PyTorch allows is allowed: a number in a tensor of no dimension, and indices on the CPU into a tensor on a device.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any, final
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
_MARK = "_pretends"
_ACROSS = {  # operations that lead from one device to another, or take both
    Tensor.to,
    Tensor.cpu,
    Tensor.copy_,
    Tensor.type,
    torch._has_compatible_shallow_copy_type,
    Tensor.device.__get__,  # type: ignore[attr-defined]
    Tensor.data.__set__,  # type: ignore[attr-defined]
    Tensor.grad.__set__,  # type: ignore[attr-defined]
}
_OF_SHAPE = {getattr(Tensor, name).__get__ for name in ("shape", "dtype", "ndim", "layout", "requires_grad", "grad_fn")}
_TO_PYTHON = (Tensor.numpy, Tensor.__array__)


def is_pretended(tensor: Tensor) -> bool:
    return bool(getattr(tensor, _MARK, False))


@final
class _Generator(torch.Generator):
    """torch.Generator, which says where it was asked to be."""

    pretended: bool

    def __new__(cls, device: torch.device | str | int = "cpu") -> "_Generator":
        made: _Generator = super().__new__(cls, "cpu")
        made.pretended = torch.device(device).type == "cuda"
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA if self.pretended else CPU


@final
class _Mode(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if len(args) == 1 and not kwargs and func in _OF_SHAPE:  # asked for all the time
            return func(*args)
        kwargs = dict(kwargs)
        if func == Tensor.device.__get__:  # type: ignore[attr-defined]
            return CUDA if is_pretended(args[0]) else func(*args)
        if func == Tensor.is_cuda.__get__:  # type: ignore[attr-defined]
            return is_pretended(args[0])
        if func == Tensor.is_cpu.__get__:  # type: ignore[attr-defined]
            return not is_pretended(args[0])
        tensors = list(_tensors(args)) + list(_tensors(kwargs.values()))
        marked = any(map(is_pretended, tensors))
        if func == Tensor.__iter__:
            return iter(args[0].unbind(0))
        if func in _TO_PYTHON and marked:
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if func == Tensor.data.__set__ or func == Tensor.grad.__set__:  # type: ignore[attr-defined]
            func(*args)
            if isinstance(args[1], Tensor) and func == Tensor.data.__set__:  # type: ignore[attr-defined]
                setattr(args[0], _MARK, is_pretended(args[1]))
            return None
        if func is Tensor.copy_:
            return func(*args, **kwargs)
        asked, args, kwargs = _asked(func, args, kwargs)
        if func not in _ACROSS:
            _check(func, args, tensors)
        on = asked == "cuda" if asked else marked
        _check_generator(func, kwargs.get("generator"), on)
        found = func(*args, **kwargs)
        if asked and func in _ACROSS and tensors and on != is_pretended(tensors[0]) and found is tensors[0]:
            found = found.clone()
        return tree_map(lambda each: _marked(each, on, tensors), found)


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for each in values:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, list | tuple):
            yield from _tensors(each)


def _asked(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str | None, tuple[Any, ...], dict[str, Any]]:
    """The type of the device that a call asks for, if it does; and the call as the CPU takes it."""
    if func is Tensor.cpu:
        return "cpu", args, kwargs
    if func is Tensor.cuda:
        raise NotImplementedError("Tensor.cuda: to(device) leaves the choice to the caller")
    asked = None
    if kwargs.get("device") is not None:
        asked = torch.device(kwargs["device"]).type
        kwargs["device"] = CPU
    if func is Tensor.to:
        fixed = list(args)
        for i, each in enumerate(fixed[1:], 1):
            if isinstance(each, Tensor):
                asked = "cuda" if is_pretended(each) else "cpu"
            elif isinstance(each, str | torch.device):
                asked, fixed[i] = torch.device(each).type, CPU
        args = tuple(fixed)
    return asked, args, kwargs


def _check(func: Callable[..., Any], args: tuple[Any, ...], tensors: list[Tensor]) -> None:
    """RuntimeError where they lie on two devices."""
    if func in (Tensor.__getitem__, Tensor.__setitem__) and is_pretended(args[0]):
        is_basic = next(_tensors([args[1]]), None) is None  # then what is set is a copy
        tensors = [] if is_basic else [args[0], *(each for each in args[2:] if isinstance(each, Tensor))]
    large = {is_pretended(each) for each in tensors if each.ndim > 0}
    scalars = {is_pretended(each) for each in tensors if each.ndim == 0}
    if len(large) > 1 or (large == {False} and scalars == {True} and func is not torch.where):
        name = getattr(func, "__qualname__", str(func))
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, found cuda:0 and cpu")


def _check_generator(func: Callable[..., Any], generator: Any, on: bool) -> None:
    if generator is not None and getattr(generator, "pretended", False) != on:
        raise RuntimeError(f"{func}: expected a generator of the device that it draws on")


def _marked(each: Any, on: bool, given: list[Tensor]) -> Any:
    if isinstance(each, Tensor) and not any(each is other for other in given):
        setattr(each, _MARK, on)
    return each


def _as_subclass(tensor: Tensor, cls: type[Tensor]) -> Tensor:
    """Tensor.as_subclass, which no mode is told of."""
    return _marked(_AS_SUBCLASS(tensor, cls), is_pretended(tensor), [])


def _make_subclass(cls: type[Tensor], tensor: Tensor, *options: Any) -> Tensor:
    """Tensor._make_subclass, which makes parameters: nor is it of this."""
    return _marked(_MAKE_SUBCLASS(cls, tensor, *options), is_pretended(tensor), [])


_AS_SUBCLASS, _MAKE_SUBCLASS = Tensor.as_subclass, Tensor._make_subclass


@contextmanager
def pretended() -> Iterator[torch.device]:
    """While it lasts "cuda" is a device."""
    patches = [
        mock.patch("torch.Generator", _Generator),
        mock.patch.object(Tensor, "as_subclass", _as_subclass),
        mock.patch.object(Tensor, "_make_subclass", staticmethod(_make_subclass)),
        mock.patch("torch.cuda.get_device_properties", lambda device: SimpleNamespace(total_memory=1 << 34)),
        mock.patch("kg.interruption._is_main", lambda: False),  # no other threads: a mode is of the one it began in
    ]
    with _Mode(), ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield CUDA
