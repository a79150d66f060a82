"""What code needs to be installed."""

import ast
import importlib.metadata
from pathlib import Path


def third_party_imports(files: list[str]) -> set[str]:
    """Distributions that these files import at their top level."""
    names = set()
    for file in files:
        for node in ast.parse(Path(file).read_text()).body:
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(str(node.module))
    distributions = importlib.metadata.packages_distributions()
    packages = {name.split(".")[0] for name in names}
    return {distributions[name][0] for name in packages if name in distributions} - {"rspnet"}
