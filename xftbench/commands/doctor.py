"""``xftbench doctor``: what works on this machine, and what to do about the rest."""

import importlib.metadata
import os
import platform
from pathlib import Path

import click
import msgspec

from xftbench.benchmarks import DATA_FILES
from xftbench.commands.data import DataStatus, data_status, multipl_e_status
from xftbench.commands.options import data_dir_option, json_option
from xftbench.errors import ToolchainError, XftbenchError
from xftbench.execution import environments
from xftbench.execution.native.languages import LANGUAGES
from xftbench.execution.native.toolchains import Missing, find_toolchain
from xftbench.execution.pool import Isolation
from xftbench.execution.probe import Probe, describe, probe
from xftbench.generation import choose_backend
from xftbench.generation.devices import cpu_has_bf16, device
from xftbench.records import Record


class Finding(Record):
    """One line of the doctor's report."""

    area: str
    name: str
    works: bool
    detail: str
    advice: str | None = None


@click.command
@data_dir_option
@json_option
def command(data_dir: Path | None, as_json: bool) -> None:
    """Say what works here: backends, isolation, toolchains, data sets; and how to get the rest.

    Everything is tried for real; nothing is changed. Exits with 0 even if something does not work.
    """
    findings = [*_backends(), *_isolation(), *_toolchains(), *_data(data_dir)]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(findings), indent=2))
        return
    click.echo(f"{platform.platform()}, {os.cpu_count()} CPUs, generating on {_describe_device()}")
    for finding in findings:
        click.echo(
            f"{'ok ' if finding.works else 'NO '} {finding.area:<10} {finding.name:<16} {finding.detail}"
        )
        if finding.advice:
            click.echo(f"{'':32}-> {finding.advice}")


def _describe_device() -> str:
    where = device()
    if where == "cpu" and not cpu_has_bf16():
        return "cpu (no bfloat16 instructions: models run in float32)"
    return where


def _backends() -> list[Finding]:
    findings = []
    for name in ("vllm", "hf"):
        try:
            reason = choose_backend(name).reason
            detail = (
                reason if name == "vllm" else f"transformers {importlib.metadata.version('transformers')}"
            )
            findings.append(Finding(area="backend", name=name, works=True, detail=detail))
        except XftbenchError as error:
            findings.append(
                Finding(area="backend", name=name, works=False, detail=error.message, advice=error.hint)
            )
    findings.append(Finding(area="backend", name="replay", works=True, detail="samples made elsewhere"))
    return findings


def _isolation() -> list[Finding]:
    return [_isolation_finding("namespaces"), _isolation_finding("rlimits")]


def _isolation_finding(isolation: Isolation) -> Finding:
    found = probe(isolation)
    advice = None
    if not found.works and isolation == "namespaces":
        advice = (
            "allow unprivileged user namespaces (in a container: --security-opt seccomp=unconfined; "
            "on Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0), "
            "or name the weaker --isolation rlimits"
        )
    detail = _layers(found) if found.works else found.reason
    return Finding(area="isolation", name=isolation, works=found.works, detail=detail, advice=advice)


def _layers(found: Probe) -> str:
    layers = [
        "own user, pid, mount, network and ipc namespaces (bubblewrap is not needed)" * found.namespaces,
        "seccomp" * found.seccomp,
        "landlock" * found.landlock,
        "memory control group" * found.cgroup,
        f"candidates run as {found.user}",
    ]
    return ", ".join(layer for layer in layers if layer)


def _toolchains() -> list[Finding]:
    executor = describe("namespaces")
    libraries = ", ".join(f"{name} {version}" for name, version in executor.libraries.items())
    detail = f"{executor.python}; programs can import the standard library" + (
        f" and {libraries}" if libraries else ""
    )
    return [
        Finding(area="toolchain", name="python", works=True, detail=detail),
        *map(_language, LANGUAGES),
        *map(_environment, environments.specs()),
    ]


def _environment(name: str) -> Finding:
    try:
        return Finding(area="toolchain", name=name, works=True, detail=environments.toolchain(name))
    except ToolchainError as error:
        return Finding(area="toolchain", name=name, works=False, detail=error.message, advice=error.hint)


def _language(name: str) -> Finding:
    found = find_toolchain(name)
    title = LANGUAGES[name].title
    if isinstance(found, Missing):
        detail = f"{title}: no {', '.join(found.what)} here"
        return Finding(area="toolchain", name=name, works=False, detail=detail, advice=found.install)
    return Finding(area="toolchain", name=name, works=True, detail=f"{title}: {found.version}")


def _multipl_e(data_dir: Path | None) -> Finding:
    """Sum up its many files in one line."""
    statuses = multipl_e_status(data_dir)
    wrong = [status.problem for status in statuses if status.problem]
    here = sum(status.path is not None for status in statuses)
    detail = wrong[0] if wrong else f"{here} of {len(statuses)} files are in the data directory, verified"
    return Finding(
        area="data",
        name=f"multipl-e@{statuses[0].file.version}",
        works=not wrong and here > 0,
        detail=detail,
        advice=None if here else "they come from the hub when they are asked for; docs/multipl-e.md",
    )


def _data(data_dir: Path | None) -> list[Finding]:
    statuses = [data_status(data_file, data_dir) for data_file in DATA_FILES]
    return [_multipl_e(data_dir), *(_data_finding(status) for status in statuses)]


def _data_finding(status: DataStatus) -> Finding:
    problem, _, advice = (status.problem or "").partition("\n\nhint: ")
    return Finding(
        area="data",
        name=f"{status.file.benchmark}@{status.file.version}",
        works=status.path is not None,
        detail=f"{status.path}, verified" if status.path else problem,
        advice=None if status.path else advice or f"xftbench data fetch {status.file.benchmark}",
    )
