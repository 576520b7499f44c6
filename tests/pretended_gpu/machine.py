"""A GPU that is not there: tensors that say `cuda`, compute on the processor, and refuse what a GPU refuses.

Within `pretended_gpu()` torch believes in GPUs. What is moved to one becomes an `OnGpu`, which holds its
numbers on the processor. Each operation is looked at before it is computed: tensors of two devices in one, a
NumPy view of memory that is not the processor's, a random generator of the wrong kind raise as on a real one;
whatever makes the processor wait is counted. Mixed precision follows torch's lists for CUDA.

Not shown: kernels, their speed and their rounding, memory, streams, NCCL, page-locked memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
CPU = torch.device("cpu")
# Operations that take tensors of two devices: what they copy, or how they are indexed.
MIXING = {"copy_", "_to_copy", "_foreach_copy_", "index_put_", "index_put", "index", "_index_put_impl_"}
# Operations whose result the processor must see before it can go on: a number, or a shape.
WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "unique_dim", "nms"}
# Source: torch's documentation of automatic mixed precision, "CUDA Op-Specific Behavior".
HALVED = {
    "conv1d", "conv2d", "conv3d", "conv_transpose2d", "linear", "matmul", "__matmul__", "mm", "bmm", "addmm",
    "addbmm", "baddbmm", "einsum", "prelu",
}  # fmt: skip
FLOAT32 = {
    "acos", "asin", "cosh", "sinh", "tan", "exp", "expm1", "log", "log10", "log2", "log1p", "reciprocal",
    "rsqrt", "pow", "__pow__", "__rpow__", "softplus", "layer_norm", "group_norm", "norm", "nuclear_norm",
    "cdist", "dist", "cosine_similarity", "cosine_embedding_loss", "nll_loss", "l1_loss", "mse_loss",
    "smooth_l1_loss", "kl_div", "cross_entropy", "binary_cross_entropy_with_logits", "softmax", "log_softmax",
    "softmin", "cumsum", "cumprod", "prod", "sum", "renorm", "erfinv", "multi_margin_loss", "logsumexp",
}  # fmt: skip
WIDEST = {"cat", "stack", "concat", "addcmul", "addcdiv", "atan2", "cross", "dot", "grid_sample", "index_put"}
COMPUTED_WIDE = {
    "convolution",
    "convolution_backward",
    "addmm",
    "mm",
    "bmm",
    "baddbmm",
}  # slow in half precision


class PretendedGpuError(RuntimeError):
    """What a GPU would have refused."""


class OnGpu(Tensor):
    """A tensor on a pretended GPU; `numbers` is the same tensor on the processor."""

    numbers: Tensor
    gpu: torch.device
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, numbers: Tensor, gpu: torch.device) -> OnGpu:
        # On device "meta" as C++ sees it, so that no driver is asked.
        # In inference mode a view of an ordinary tensor is an ordinary one.
        with torch.inference_mode(numbers.is_inference()):
            shape = torch.empty_strided(numbers.shape, numbers.stride(), dtype=numbers.dtype, device="meta")
            made = torch.Tensor._make_subclass(cls, shape)
        made.numbers, made.gpu = numbers, gpu
        return made

    @property
    def device(self) -> torch.device:
        return self.gpu

    @property
    def is_cuda(self) -> bool:
        return True

    @property
    def is_meta(self) -> bool:
        return False

    def __repr__(self, **_options: object) -> str:
        return f"OnGpu({self.numbers!r}, {self.gpu})"

    def __deepcopy__(self, memo: dict[int, Any]) -> OnGpu:
        copied = OnGpu(self.numbers.detach().clone(), self.gpu).requires_grad_(self.requires_grad)
        if getattr(self, "_is_param", False):
            copied._is_param = True  # type: ignore[attr-defined]
        memo[id(self)] = copied
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.numbers.detach().__reduce_ex__(protocol)

    def numpy(self, *, force: bool = False) -> Any:
        if not force:
            raise TypeError(f"can't convert {self.gpu} device type tensor to numpy. Use Tensor.cpu() first.")
        return self.numbers.detach().numpy()

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __array__(self, *_options: object, **_others: object) -> Any:
        return self.numpy()

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        raise PretendedGpuError(f"{func} on a pretended GPU outside pretended_gpu().")


class Machine(TorchDispatchMode):
    """Computes every operation, and keeps what a GPU would have said to it.

    Attributes:
        waits: how often the processor had to wait for a GPU, by operation.
        computed: operations with a tensor on a GPU.
    """

    # In the place of torch's own tensors without numbers, so that torch does not ask for a driver.
    _mode_key = torch._C._TorchDispatchModeKey.FAKE

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.computed: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if _is_composite(func):  # in inference mode these come whole
            with self:
                return func.decompose(*args, **kwargs)
        name = func._schema.name.split("::")[1]
        given = [each for each in _leaves((args, kwargs)) if isinstance(each, Tensor)]
        inputs = [each for each in given if isinstance(each, OnGpu)]
        asked = kwargs.get("device")
        target = _target(asked, inputs)
        if inputs:
            self.computed[name] += 1
            _check_together(name, args, given)
            self._note_waiting(name, args, kwargs, target)
        if (generator := kwargs.get("generator")) is not None and target is not None:
            raise PretendedGpuError(
                f"Expected a 'cuda' device type for generator but found '{generator.device}'"
            )
        with torch._C.DisableTorchFunction():
            return self._computed(func, name, args, kwargs, inputs, target)

    def _note_waiting(self, name: str, args: Any, kwargs: Any, target: torch.device | None) -> None:
        leaves = name == "_to_copy" and kwargs.get("device") is not None and target is None
        leaves = leaves or (name == "copy_" and not isinstance(args[0], OnGpu))
        if leaves and (kwargs.get("non_blocking") or (name == "copy_" and len(args) > 2 and args[2])):
            raise PretendedGpuError(
                "a copy to the processor that is read before it has arrived (non_blocking)"
            )
        is_masked = name in ("index", "index_put_") and any(
            each is not None and each.dtype == torch.bool for each in args[1]
        )
        if name in WAITING or leaves or is_masked:
            self.waits[name] += 1

    def _computed(
        self, func: Any, name: str, args: Any, kwargs: Any, inputs: list[OnGpu], target: torch.device | None
    ) -> Any:
        wrapped = {id(each.numbers): each for each in inputs}
        here, given = _mapped(_on_processor, args), _mapped(_on_processor, kwargs)
        if name in ("_softmax", "_log_softmax") and here[2]:  # half to float, a kernel of GPUs alone
            here = (here[0].float(), here[1], False)
        out = _in_float32(func, here, given) if name in COMPUTED_WIDE else func(*here, **given)
        for each in inputs:
            if each.shape != each.numbers.shape:
                raise NotImplementedError(f"{func} changes a tensor's shape in place: not pretended.")

        def back(value: Any) -> Any:
            if not isinstance(value, Tensor) or id(value) in wrapped:
                return wrapped.get(id(value), value)
            return value if target is None else OnGpu(value, target)

        return _mapped(back, out)


class _Functions(TorchFunctionMode):
    """What happens before C++ sees a call: mixed precision as on CUDA, and tensors made like another."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "new_tensor" and isinstance(args[0], OnGpu):
            data, dtype = args[1], kwargs.get("dtype", args[0].dtype)
            return torch.tensor(data, dtype=dtype).to(args[0].device)
        if name in ("__getitem__", "__setitem__") and isinstance(args[0], OnGpu):
            args = (args[0], _listed(args[1]), *args[2:])
        if name == "to":
            args = tuple(_numbered(each) for each in args)
        if kwargs.get("device") is not None:
            kwargs = {**kwargs, "device": _numbered(kwargs["device"])}
        if name in ("tensor", "as_tensor") and kwargs.get("device") is not None:
            device = kwargs.pop("device")  # C++ would ask the driver
            return func(*args, **kwargs).to(device)
        if torch.is_autocast_enabled("cuda"):
            args, kwargs = _cast(name, args, kwargs)
        return func(*args, **kwargs)


def _cast(name: str, args: Any, kwargs: Any) -> Any:
    if name == "binary_cross_entropy":
        raise PretendedGpuError("binary_cross_entropy is unsafe to autocast")
    floats = [
        each
        for each in _leaves((args, kwargs))
        if isinstance(each, OnGpu) and each.is_floating_point() and each.dtype != torch.float64
    ]
    if not floats or not (name in HALVED or name in FLOAT32 or name in WIDEST):
        return args, kwargs
    dtype = torch.get_autocast_dtype("cuda") if name in HALVED else torch.float32
    if name in WIDEST and all(each.dtype == floats[0].dtype for each in floats):
        return args, kwargs
    chosen = {id(each) for each in floats}
    return _mapped(lambda each: each.to(dtype) if id(each) in chosen else each, (args, kwargs))


def _numbered(value: Any) -> Any:
    """`cuda` is the first GPU: C++ would ask the driver for the present one."""
    is_first = isinstance(value, (str, torch.device)) and str(value) == "cuda"
    return torch.device("cuda", 0) if is_first else value


def _listed(index: Any) -> Any:
    """Lists of places as tensors: C++ would make them where it believes the indexed tensor is."""
    if isinstance(index, tuple):
        return tuple(_listed(each) for each in index)
    return torch.tensor(index) if isinstance(index, list) else index


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [leaf for each in value for leaf in _leaves(each)]
    return [leaf for each in value.values() for leaf in _leaves(each)] if isinstance(value, dict) else [value]


def _mapped(change: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(change, each) for each in value)
    if isinstance(value, dict):
        return {name: _mapped(change, each) for name, each in value.items()}
    return change(value)


@cache
def _is_composite(func: Any) -> bool:
    key = torch._C.DispatchKey.CompositeImplicitAutograd
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key))


def _target(asked: torch.device | None, inputs: list[OnGpu]) -> torch.device | None:
    """Where the result is; None: on the processor."""
    if asked is None or asked.type == "meta":
        return inputs[0].gpu if inputs else (None if asked is None else torch.device("cuda", 0))
    return torch.device("cuda", asked.index or 0) if asked.type == "cuda" else None


def _check_together(name: str, args: Any, given: list[Tensor]) -> None:
    if name in MIXING:
        indexed = name.startswith(("index", "_index"))
        if indexed and not isinstance(args[0], OnGpu):
            raise PretendedGpuError(
                "indices should be either on cpu or on the same device as the indexed tensor"
            )
        if indexed and len(args) > 2 and not isinstance(args[2], OnGpu) and args[2].dim():
            raise PretendedGpuError(f"{name}: values on the processor for a tensor on a GPU")
        return
    # A number may lie anywhere: torch reads it from the processor's memory.
    places = {str(each.device) for each in given if isinstance(each, OnGpu) or each.dim()}
    if len(places) > 1:
        raise PretendedGpuError(
            f"Expected all tensors to be on the same device, but found {sorted(places)} in {name}"
        )


def _on_processor(value: Any) -> Any:
    if isinstance(value, OnGpu):
        return value.numbers
    if isinstance(value, torch.device) and value.type in ("cuda", "meta"):
        return CPU
    return value


def _in_float32(func: Any, args: Any, kwargs: Any) -> Any:
    halves = {
        each.dtype
        for each in _leaves((args, kwargs))
        if isinstance(each, Tensor) and each.dtype in (torch.float16, torch.bfloat16)
    }
    if not halves:
        return func(*args, **kwargs)
    if any(
        each.dtype == torch.float32
        for each in _leaves((args, kwargs))
        if isinstance(each, Tensor) and each.dim()
    ):
        raise PretendedGpuError(f"{func}: half precision and float32 in one operation")
    (half,) = halves
    wide = _mapped(
        lambda each: each.float() if isinstance(each, Tensor) and each.dtype == half else each, (args, kwargs)
    )
    out = func(*wide[0], **wide[1])
    return _mapped(lambda each: each.to(half) if isinstance(each, Tensor) else each, out)


@contextmanager
def pretended_gpu(count: int = 1) -> Iterator[Machine]:
    """Torch sees `count` GPUs inside; gives the machine that computes."""
    machine = Machine()
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    with ExitStack() as stack:
        for name, value in {
            "torch.cuda.is_available": lambda: True,
            "torch.cuda.device_count": lambda: count,
            "torch.cuda.amp.common.amp_definitely_not_available": lambda: False,
            "torch.cuda.get_rng_state_all": lambda: [torch.get_rng_state() for _ in range(count)],
            "torch.cuda.set_rng_state_all": lambda states: None,
            "torch.cuda.is_bf16_supported": lambda *_, **__: True,
        }.items():
            stack.enter_context(mock.patch(name, value))
        for name in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):
            if hasattr(
                torch.optim.Optimizer, name
            ):  # either asks the driver, in one version of torch or another
                stack.enter_context(mock.patch.object(torch.optim.Optimizer, name))
        # Threads that load have no mode of this one.
        stack.enter_context(mock.patch.object(torch.Tensor, "pin_memory", lambda own, *_: own.clone()))
        torch.__future__.set_swap_module_params_on_conversion(True)
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, swaps)
        stack.enter_context(machine)
        stack.enter_context(_Functions())
        yield machine
