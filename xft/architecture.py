"""Finds the MLP of every decoder layer from tensor names and shapes; refuses what can't be upcycled.

No table of model names: a layer's MLP is the one child that widens and narrows again and isn't attention.
Its tensors are stacked expert by expert; which of them share one stack is decided here, once, and travels
in the MoE's config. Needs no torch and loads nothing.
"""

import ast
import dataclasses
import importlib.util
import re
from pathlib import Path
from typing import Any

from xft.checkpoint import Checkpoint
from xft.errors import ArchitectureError
from xft.tensorfile import TensorEntry

_LAYER_TENSOR = re.compile(
    r"^(?P<layers>(?:[^.]+\.)*?[A-Za-z_]+)\.(?P<index>\d+)\.(?P<child>[^.]+)\.(?P<rest>.+)$"
)
# The tensor names of which the stacks are laid out as MoE kernels expect: gate rows, then up rows.
_SPLIT_GLU = {"gate_proj.weight", "up_proj.weight", "down_proj.weight"}
_FUSED_GLU = {"gate_up_proj.weight", "down_proj.weight"}
_SPARSE_KEYS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
_WIDTH_KEYS = ("hidden_size", "n_embd", "d_model")
_SILU = {"silu", "swish"}


@dataclasses.dataclass(frozen=True, slots=True)
class MlpLayout:
    """Where the MLPs of a dense checkpoint are and how their tensors are stacked in an MoE."""

    layers: str
    """Tensor-name prefix of the decoder layers, such as ``model.layers``."""
    n_layers: int
    mlp: str
    """Name of the layer's child that is replaced, such as ``mlp``."""
    stacks: dict[str, tuple[str, ...]]
    """Stacked tensor → the dense tensors (relative to the MLP) that it joins along their first axis."""
    container: str
    """``experts`` if a kernel for plain SwiGLU experts may take over (vLLM's does), else ``branches``."""
    width: int
    """Model width D."""
    inner: int
    """MLP width F."""

    def dense_name(self, layer: int, part: str) -> str:
        """Return the dense checkpoint's name of an MLP tensor."""
        return f"{self.layers}.{layer}.{self.mlp}.{part}"

    def stack_name(self, layer: int, stack: str) -> str:
        """Return the MoE checkpoint's name of a stacked tensor."""
        return f"{self.layers}.{layer}.{self.mlp}.{self.container}.{stack}"

    def router_name(self, layer: int, part: str) -> str:
        """Return the MoE checkpoint's name of a router tensor."""
        return f"{self.layers}.{layer}.{self.mlp}.router.{part}"

    def to_json(self) -> dict[str, Any]:
        """Return the fields as the MoE's ``config.json`` holds them."""
        return {
            "xft_layers": self.layers,
            "xft_mlp": self.mlp,
            "xft_container": self.container,
            "xft_stacks": {stack: list(parts) for stack, parts in self.stacks.items()},
            "xft_width": self.width,
            "xft_inner": self.inner,
            "xft_n_layers": self.n_layers,
        }

    @classmethod
    def from_json(cls, config: dict[str, Any]) -> "MlpLayout":
        """Read the fields back from an MoE's config."""
        return cls(
            layers=config["xft_layers"],
            n_layers=config["xft_n_layers"],
            mlp=config["xft_mlp"],
            stacks={stack: tuple(parts) for stack, parts in config["xft_stacks"].items()},
            container=config["xft_container"],
            width=config["xft_width"],
            inner=config["xft_inner"],
        )


def find_mlps(checkpoint: Checkpoint) -> MlpLayout:
    """Find the MLPs of a dense decoder.

    Raises:
        ArchitectureError: If there is no single MLP per layer, the layers differ, the model is sparse
            already, or its MLP is called with more than the hidden state.
    """
    _refuse_sparse(checkpoint)
    layers, by_layer = _decoder_layers(checkpoint)
    child = _mlp_child(checkpoint.directory, by_layer[0])
    _refuse_second_stack(checkpoint, layers, child)
    parts = _check_alike(checkpoint.directory, by_layer, child)
    width, inner = _widths(checkpoint.config, parts)
    _refuse_extra_inputs(checkpoint.config, child)
    _refuse_unknown_class(checkpoint)
    stacks, is_glu = _stacks(parts)
    return MlpLayout(
        layers=layers,
        n_layers=len(by_layer),
        mlp=child,
        stacks=stacks,
        container="experts" if is_glu and _uses_silu(checkpoint.config) else "branches",
        width=width,
        inner=inner,
    )


_Layers = dict[int, dict[str, dict[str, TensorEntry]]]


def _refuse_sparse(checkpoint: Checkpoint) -> None:
    for key in _SPARSE_KEYS:
        value = checkpoint.config.get(key)
        if isinstance(value, int) and value > 1:
            raise ArchitectureError(
                f"{checkpoint.directory} is sparse already: config.json has {key} = {value}",
                hint="upcycling starts from a dense model",
            )
    if "text_config" in checkpoint.config:
        raise ArchitectureError(
            f"{checkpoint.directory} is multimodal (config.json has a text_config), expected a plain decoder",
            hint="save its language model alone first",
        )
    if checkpoint.config.get("is_encoder_decoder"):
        raise ArchitectureError(f"{checkpoint.directory} is an encoder-decoder, expected a decoder")


def _decoder_layers(checkpoint: Checkpoint) -> tuple[str, _Layers]:
    """Group tensors as layers → index → child → rest; the prefix with the most tensors is the decoder."""
    groups: dict[str, _Layers] = {}
    for name, entry in checkpoint.tensors.items():
        if found := _LAYER_TENSOR.match(name):
            by_layer = groups.setdefault(found["layers"], {})
            by_layer.setdefault(int(found["index"]), {}).setdefault(found["child"], {})[found["rest"]] = entry
    if not groups:
        raise ArchitectureError(f"{checkpoint.directory} has no numbered layers among its tensors")
    layers = max(
        groups, key=lambda prefix: sum(len(rest) for c in groups[prefix].values() for rest in c.values())
    )
    by_layer = groups[layers]
    if sorted(by_layer) != list(range(len(by_layer))):
        raise ArchitectureError(
            f"{checkpoint.directory}: layers {sorted(by_layer)} of {layers} are not consecutive"
        )
    return layers, dict(sorted(by_layer.items()))


def _mlp_child(directory: Path, children: dict[str, dict[str, TensorEntry]]) -> str:
    sparse = [
        child for child, parts in children.items() if any(_is_expert_tensor(r, e) for r, e in parts.items())
    ]
    if sparse:
        raise ArchitectureError(
            f"{directory}: {sparse[0]} of a layer holds experts or other 3-D tensors, expected dense"
        )
    found = [c for c, parts in children.items() if "att" not in c.lower() and _matrix_pair(parts) is not None]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ArchitectureError(
            f"{directory}: no MLP module in a layer with the children {', '.join(sorted(children))}",
            hint="a layer needs one child module that widens and narrows the hidden state",
        )
    raise ArchitectureError(f"{directory}: {' and '.join(sorted(found))} of a layer both look like an MLP")


def _is_expert_tensor(rest: str, entry: TensorEntry) -> bool:
    return "experts." in rest or (len(entry.shape) == 3 and "conv" not in rest)


def _matrix_pair(parts: dict[str, TensorEntry]) -> tuple[TensorEntry, TensorEntry] | None:
    """Return the widening and the narrowing matrix: the first's input is the second's output."""
    matrices = [entry for entry in parts.values() if len(entry.shape) == 2]
    for first in matrices:
        for second in matrices:
            if first is second or first.name == second.name:
                continue
            ratio = (first.shape[0] / second.shape[1], first.shape[1] / second.shape[0])
            if ratio in {(1.0, 1.0), (2.0, 1.0)}:  # 2: gate and up in one matrix
                return first, second
    return None


def _refuse_second_stack(checkpoint: Checkpoint, layers: str, child: str) -> None:
    """Refuse models with layers in two places: only one of them would be upcycled."""
    for name in checkpoint.tensors:
        found = _LAYER_TENSOR.match(name)
        if found and found["child"] == child and found["layers"] != layers:
            raise ArchitectureError(f"{checkpoint.directory} has layers in {layers} and in {found['layers']}")


def _check_alike(directory: Path, by_layer: _Layers, child: str) -> dict[str, TensorEntry]:
    first = by_layer[0][child]
    signature = {rest: (entry.dtype, entry.shape) for rest, entry in first.items()}
    for index, children in by_layer.items():
        other = {rest: (entry.dtype, entry.shape) for rest, entry in children.get(child, {}).items()}
        if other != signature:
            what = f"a {child} of other tensors, dtypes or shapes than" if other else f"no {child}, unlike"
            raise ArchitectureError(
                f"{directory}: layer {index} has {what} layer 0",
                hint="models that mix dense and sparse layers, or layer widths, are not supported",
            )
    return first


def _widths(config: dict[str, Any], parts: dict[str, TensorEntry]) -> tuple[int, int]:
    """Return (D, F): the config says which side is the model width; if it doesn't, the narrow one is."""
    pair = _matrix_pair(parts)
    assert pair is not None, "the child was chosen for having such a pair"
    narrow, wide = sorted(pair[1].shape)
    if wide in {config.get(key) for key in _WIDTH_KEYS}:
        return wide, narrow
    return narrow, wide


def _stacks(parts: dict[str, TensorEntry]) -> tuple[dict[str, tuple[str, ...]], bool]:
    """Return the stacks, and whether they are those of a gated MLP without biases."""
    if set(parts) == _SPLIT_GLU:
        return {
            "gate_up_proj": ("gate_proj.weight", "up_proj.weight"),
            "down_proj": ("down_proj.weight",),
        }, True
    if set(parts) == _FUSED_GLU:
        return {"gate_up_proj": ("gate_up_proj.weight",), "down_proj": ("down_proj.weight",)}, True
    return {rest.replace(".", "__"): (rest,) for rest in parts}, False


def _uses_silu(config: dict[str, Any]) -> bool:
    named = {
        config[key] for key in ("hidden_act", "hidden_activation", "activation_function") if config.get(key)
    }
    return bool(named) and named <= _SILU


def _refuse_extra_inputs(config: dict[str, Any], child: str) -> None:
    """Refuse models whose layer gives its MLP more than the hidden state (Bloom adds the residual inside)."""
    source = _modeling_source(config)
    if source is None:
        return
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if not (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == child
        ):
            continue
        if ast.unparse(node.func) == f"self.{child}" and len(node.args) + len(node.keywords) > 1:
            call = ast.unparse(node)
            raise ArchitectureError(
                f"{config.get('model_type')} calls its MLP with more than the hidden state: {call}",
                hint="a mixture of such MLPs would not equal the dense model",
            )


def _refuse_unknown_class(checkpoint: Checkpoint) -> None:
    source = _modeling_source(checkpoint.config)
    architectures = checkpoint.config.get("architectures") or []
    if len(architectures) != 1:
        raise ArchitectureError(
            f"{checkpoint.directory}: config.json names {len(architectures)} architectures, not 1"
        )
    if source is not None and f"class {architectures[0]}(" not in source.read_text(encoding="utf-8"):
        raise ArchitectureError(
            f"the installed transformers has no {architectures[0]} in {source.name}",
            hint="models with their own remote code are not supported",
        )
    if not str(architectures[0]).endswith(("ForCausalLM", "LMHeadModel")):
        raise ArchitectureError(f"{architectures[0]} is not a causal language model")


def _modeling_source(config: dict[str, Any]) -> Path | None:
    """Return transformers' modeling file of a model type, found without importing transformers."""
    spec = importlib.util.find_spec("transformers")
    model_type = str(config.get("model_type", ""))
    if spec is None or spec.origin is None or not model_type.isidentifier():
        return None
    path = Path(spec.origin).parent / "models" / model_type / f"modeling_{model_type}.py"
    return path if path.is_file() else None
