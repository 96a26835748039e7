"""No circle of files: whoever reads one file need not read another that reads it back. One place speaks HTTP."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp


def test_no_files_import_each_other_in_a_circle() -> None:
    """Imports for types alone aside: those are not there when the program runs."""
    graph = grimp.build_graph("app", "screens", "controlplane", "backends", exclude_type_checking_imports=True)
    files = {module: graph.find_modules_directly_imported_by(module) & graph.modules for module in graph.modules}
    try:
        TopologicalSorter(files).prepare()
    except CycleError as circle:
        raise AssertionError(f"a circle: {' → '.join(circle.args[1])}") from None


def test_one_folder_speaks_http() -> None:
    """What connects anywhere does it past the check of addresses there; what publishes, only where the settings say."""
    packages = ("app", "screens", "controlplane", "backends")
    graph = grimp.build_graph(*packages, include_external_packages=True)
    speakers = {
        (library, module.rpartition(".")[0])
        for library in ("httpx", "httpcore", "requests", "aiohttp", "obstore")
        if library in graph.modules
        for module in graph.find_modules_that_directly_import(library)
    }
    assert speakers == {
        ("httpx", "backends.http"),
        ("httpcore", "backends.http"),
        ("obstore", "backends.evidence"),
        ("aiohttp", "backends.browser"),  # a server: it connects to nothing
    }
