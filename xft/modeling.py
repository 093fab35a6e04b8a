"""The model of an upcycled checkpoint: the base architecture of transformers with its MLPs replaced.

This file travels inside every MoE checkpoint (as ``modeling_xft.py``, beside ``xft_moe.py`` and
``xft_router.py``) and is what ``trust_remote_code`` loads; it imports nothing of xft but those two.
``BASE_ARCHITECTURE`` is filled in by ``xft upcycle`` with the class that the dense checkpoint names.
"""

import contextlib
import dataclasses
import inspect
import sys
from collections.abc import Iterator
from typing import Any

import torch
import transformers
from torch import nn
from transformers import conversion_mapping

from xft.moe import XftMlp
from xft.router import Balance, XftRouter

BASE_ARCHITECTURE = "LlamaForCausalLM"

_CausalBase: Any = getattr(transformers, BASE_ARCHITECTURE)
_ConfigBase: Any = _CausalBase.config_class


def _model_base() -> Any:
    """Return the base's class without a head: as AutoModel knows it, or by its name (Emu3TextModel)."""
    if _ConfigBase in transformers.AutoModel._model_mapping:
        return transformers.AutoModel._model_mapping[_ConfigBase]
    stem = BASE_ARCHITECTURE.removesuffix("ForCausalLM").removesuffix("LMHeadModel")
    module = sys.modules[_CausalBase.__module__]
    return getattr(module, f"{stem}TextModel", None) or getattr(module, f"{stem}Model")


_ModelBase: Any = _model_base()


class XftConfig(_ConfigBase):  # type: ignore[misc]
    """The base's config, flat, with what ``xft upcycle`` decided under the prefix ``xft_``."""

    model_type = f"xft_{_ConfigBase.model_type}"


def _inherit_renamings() -> None:
    """Have transformers rename checkpoint tensors as it does for the base (GPT-NeoX: embed_out to lm_head).

    It looks renamings up by class name or model type, and ours are new to it.
    """
    for name in (BASE_ARCHITECTURE, _ConfigBase.model_type):
        found = conversion_mapping.get_checkpoint_conversion_mapping(name)  # type: ignore[no-untyped-call]
        if found:
            register = conversion_mapping.register_checkpoint_conversion_mapping
            register(XftConfig.model_type, found, overwrite=True)
            return


_inherit_renamings()


@dataclasses.dataclass(frozen=True)
class _Options:
    """The routing choices of a config, as `XftRouter` wants them."""

    num_experts: int
    top_k: int
    routing: str
    router: str
    noise_eps: float
    balance_coef: float
    reference: bool


def _options(config: Any) -> _Options:
    return _Options(
        **{field.name: getattr(config, f"xft_{field.name}") for field in dataclasses.fields(_Options)}
    )


def install(model: nn.Module, config: Any) -> None:
    """Replace every decoder layer's dense MLP by a mixture of `num_experts` copies of it.

    Raises:
        RuntimeError: If the layers can't be found, or the MLP takes more than the hidden state.
    """
    layers = _find_layers(model, config.xft_mlp, config.xft_n_layers)
    options = _options(config)
    for index, layer in enumerate(layers):
        dense = getattr(layer, config.xft_mlp)
        required = [p for p in inspect.signature(dense.forward).parameters.values() if p.default is p.empty]
        if len([p for p in required if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]) != 1:
            raise RuntimeError(f"{type(dense).__name__} takes more than the hidden state")
        mixture = XftMlp(dense, options, config.xft_stacks, config.xft_container, config.xft_width)
        experts = getattr(mixture, config.xft_container)
        if config.xft_container == "experts" and experts.activation is None and "vllm" in sys.modules:
            raise RuntimeError(
                f"{type(dense).__name__} is not plain SwiGLU, which is what vLLM would run in its place"
            )
        reference = next(dense.parameters())
        mixture.router.to(device=reference.device)
        if reference.device.type != "meta":
            std = config.xft_init_std or getattr(config, "initializer_range", None) or 0.02
            mixture.router.init_weights(std, seed=index, noise_std=std if options.reference else 0.0)
        setattr(layer, config.xft_mlp, mixture.train(model.training))


def _find_layers(model: nn.Module, mlp: str, count: int) -> list[nn.Module]:
    found = [
        list(module)
        for module in model.modules()
        if isinstance(module, nn.ModuleList)
        and len(module) == count
        and all(hasattr(layer, mlp) for layer in module)
    ]
    if len(found) != 1:
        raise RuntimeError(
            f"{type(model).__name__} has {len(found)} lists of {count} layers with a child {mlp}, not 1"
        )
    return found[0]


def routers(model: nn.Module) -> list[XftRouter]:
    """Return the routers of a model, first layer first."""
    return [module.router for module in model.modules() if isinstance(module, XftMlp)]


class _Mixture:
    """What the base model and the causal model have in common."""

    config_class = XftConfig
    _keep_in_fp32_modules_strict = {"router"}  # noqa: RUF012 - transformers copies it per instance

    @contextlib.contextmanager
    def recorded_balance(self) -> Iterator[list[Balance]]:
        """Collect the balance of each layer for the passes in the block; leave it before ``backward()``.

        A recorder still open in ``backward()`` would count recomputed layers twice.
        """
        records: list[Balance] = []
        for router in routers(self):  # type: ignore[arg-type]
            router.records = records
        try:
            yield records
        finally:
            for router in routers(self):  # type: ignore[arg-type]
                router.records = None

    @classmethod
    def is_custom_code(cls) -> bool:
        """Have buffers that no file holds computed as for the base: custom code is not trusted with that.

        FalconH1's, for one, would stay as they come out of the allocator.
        """
        return False

    def _init_weights(self, module: nn.Module) -> None:
        """Initialise what `install` did not; experts and routers are done, or come from the checkpoint."""
        if not isinstance(module, XftMlp | XftRouter) and not type(module).__module__.endswith(
            ("xft_moe", "xft.moe")
        ):
            super()._init_weights(module)  # type: ignore[misc]


def _watch_mask(model: nn.Module) -> None:
    """Tell the routers, before each training pass, which tokens are padding."""
    signature = inspect.signature(model.forward)

    def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not module.training:
            return
        given = signature.bind_partial(*args, **kwargs).arguments
        mask = given.get("attention_mask", given.get("kwargs", {}).get("attention_mask"))
        is_token_mask = isinstance(mask, torch.Tensor) and mask.ndim == 2
        for router in routers(module):
            router.token_mask_T = mask.reshape(-1).bool() if is_token_mask else None

    model.register_forward_pre_hook(before, with_kwargs=True)


class XftModel(_Mixture, _ModelBase):  # type: ignore[misc]
    """The decoder without its head."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        install(self, config)
        _watch_mask(self)


class XftForCausalLM(_Mixture, _CausalBase):  # type: ignore[misc]
    """The decoder with its language-model head.

    Its loss is the base's: a trainer adds the balance loss itself, from `recorded_balance`, because fused
    heads never call this class's ``forward``.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        install(self, config)
        _watch_mask(self.base_model)
