"""Builds wheels with the hot path compiled by mypyc, where there is a C compiler.

The modules listed in pyproject.toml are ordinary typed Python, and run as such wherever
they are not compiled: in editable installs, without a compiler, with RESPCACHE_PURE=1.
Compiled, a command costs about half.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TIMEOUT_S: Final = 1800
FLAGS: Final = "-fno-semantic-interposition -fvisibility=hidden -Wno-misleading-indentation"
"""For the C compiler: nobody replaces our functions while we run, so calls between them may be direct, or inlined.

And whether generated code is indented well nobody asks: gcc 12 spends half of its seven minutes on it, for each time
it reads the file of half a million lines from its beginning.
"""


class CompileHotPath(BuildHookInterface):  # type: ignore[type-arg] # hatchling's own base is not parametrised
    """The build hook; hatchling calls `initialize` before and `finalize` after a build."""

    PLUGIN_NAME = "custom"
    _folder: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and put the results into the wheel. Whatever fails, the wheel is built without them."""
        if self.target_name != "wheel" or version != "standard" or os.environ.get("RESPCACHE_PURE"):
            return
        self._folder = tempfile.TemporaryDirectory(prefix="respcache-build-")
        folder = Path(self._folder.name)
        shutil.copytree(Path(self.root, "respcache"), folder / "respcache", ignore=shutil.ignore_patterns("*.so"))
        modules = self.config["modules"]
        compiled = subprocess.run(  # noqa: S603 # our own interpreter on our own files
            [sys.executable, "-m", "mypyc", "--ignore-missing-imports", "--follow-imports=silent", *modules],
            cwd=folder,
            env={
                **os.environ,
                "CFLAGS": f"{os.environ.get('CFLAGS', '')} {FLAGS}",
                "MYPYC_OPT_LEVEL": "3",
                "MYPYC_DEBUG_LEVEL": "0",
            },
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if compiled.returncode:
            tail = "\n".join((compiled.stdout + compiled.stderr).splitlines()[-10:])
            self.app.display_warning(f"respcache is built without its compiled hot path:\n{tail}")
            return
        libraries = [path for path in folder.rglob("*.so") if "build" not in path.relative_to(folder).parts]
        build_data["force_include"].update({str(path): str(path.relative_to(folder)) for path in libraries})
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Clean up."""
        del version, build_data, artifact_path
        if self._folder is not None:
            self._folder.cleanup()
