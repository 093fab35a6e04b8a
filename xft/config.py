"""What an upcycled layer looks like and how tokens are routed in it; knows no file and no tensor."""

import dataclasses
from math import inf
from typing import Any, Literal, get_args

from xft.errors import UsageProblem

Routing = Literal["xft", "xft_unnormalized", "topk", "random"]
RouterKind = Literal["mlp", "linear"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MoeConfig:
    """The choices that turn a dense model into a mixture of experts.

    The defaults are those of the paper's main run (arXiv 2404.15247).

    Raises:
        UsageProblem: If a value is out of range; the message names the option.
    """

    num_experts: int = 8
    """Experts per layer (N), the shared one included."""
    top_k: int = 6
    """Experts per token (K), the shared one included."""
    routing: Routing = "xft"
    """``xft``: shared expert, weights sum to 1; ``xft_unnormalized``; ``topk``: no shared expert; ``random``:
    no shared expert and nothing learned, for averaging experts while they train (EWA)."""
    router: RouterKind = "mlp"
    """``mlp``: W2 · tanh(W1 · x); ``linear``: W · x."""
    noise_eps: float = 0.01
    """Floor of the routing noise's standard deviation (training only)."""
    balance_coef: float = 0.01
    """Weight of the balance loss of each layer."""
    init_std: float | None = None
    """Standard deviation of the new router weights; the base's ``initializer_range`` if not given."""
    reference: bool = False
    """Reproduce the released code: RoPE base, ``is_in`` test, padding in the balance loss, noise weights."""

    def __post_init__(self) -> None:
        if self.routing not in get_args(Routing):
            raise UsageProblem(
                f"unknown routing {self.routing!r}, expected one of {', '.join(get_args(Routing))}"
            )
        if self.router not in get_args(RouterKind):
            raise UsageProblem(
                f"unknown router {self.router!r}, expected one of {', '.join(get_args(RouterKind))}"
            )
        if self.num_experts < 2:
            raise UsageProblem(f"an MoE needs at least 2 experts, got {self.num_experts}")
        least = 2 if self.has_shared_expert else 1
        if not least <= self.top_k <= self.num_experts:
            raise UsageProblem(
                f"top-k is {self.top_k}, expected {least} to {self.num_experts} "
                f"with {self.num_experts} experts and routing {self.routing}",
                hint=f"pass --top-k {min(max(self.top_k, least), self.num_experts)} or more --experts",
            )
        if not 0 < self.noise_eps < inf or not 0 <= self.balance_coef < inf:
            raise UsageProblem("the noise floor must be positive and the balance coefficient not negative")
        if self.init_std is not None and not 0 < self.init_std < inf:
            raise UsageProblem(
                f"router standard deviation is {self.init_std}, expected more than 0",
                hint="a router of zeros sends every token to the same experts",
            )

    @property
    def has_shared_expert(self) -> bool:
        """Whether expert 0 sees every token."""
        return self.routing.startswith("xft")

    @property
    def num_routed(self) -> int:
        """Experts that the router chooses from (R)."""
        return self.num_experts - 1 if self.has_shared_expert else self.num_experts

    def router_shapes(self, width: int) -> dict[str, tuple[int, int]]:
        """Return the shape of every router tensor, by name, for a model of that width."""
        n = self.num_routed
        if self.routing == "random":
            return {}
        if self.router == "mlp":
            shapes = {"proj_in.weight": (n, width), "proj_out.weight": (n, n)}
        else:
            shapes = {"proj.weight": (n, width)}
        return shapes | {"noise.weight": (n, width)}

    def to_json(self) -> dict[str, Any]:
        """Return the fields as the MoE's ``config.json`` holds them, each with the prefix ``xft_``."""
        return {f"xft_{name}": value for name, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_json(cls, config: dict[str, Any]) -> "MoeConfig":
        """Read the fields back; keys that are absent take their default."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: config[f"xft_{name}"] for name in names if f"xft_{name}" in config})


def check_shared_weight(value: float) -> float:
    """Return λ unchanged if it is in [0, 1].

    Raises:
        UsageProblem: If it is not.
    """
    if not 0.0 <= value <= 1.0:
        raise UsageProblem(
            f"the shared expert's weight λ is {value}, expected 0 to 1",
            hint="0.75 is the paper's value; 1 keeps the shared expert alone",
        )
    return value
