"""Makes numba-cuda hand out images of the emulated device where it would hand out cubins."""

from __future__ import annotations

import functools
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import Any

from tests.emulation import cache
from tests.emulation.execute import modules
from tests.emulation.image import KernelImage

_TARGET = "numba.cuda.codegen"


def install(real_code: bool = False) -> None:
    """Hook `CUDACodeLibrary.get_cubin`, now or as soon as numba.cuda is imported.

    By default NVVM and the assembler do not run at all: the image is made from the IR.  With `real_code` they do, the
    true cubin is what the program sees, and the image is found again by the cubin's content, in other processes too.
    """
    loaded = sys.modules.get("numba_cuda.numba.cuda.codegen") or sys.modules.get(_TARGET)
    if loaded is not None:
        _hook(loaded, real_code)
    else:
        sys.meta_path.insert(0, _AfterImport(real_code))


class _AfterImport(importlib.abc.MetaPathFinder):
    """Importing numba.cuda takes most of a second, and most test processes never need it: so wait for the import."""

    def __init__(self, real_code: bool):
        self.real_code = real_code
        self.searching = False

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if self.searching or name != _TARGET:
            return None
        self.searching = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.searching = False
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            _hook(module, self.real_code)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _hook(codegen: ModuleType, real_code: bool) -> None:
    original = codegen.CUDACodeLibrary.get_cubin
    if getattr(original, "emulated", False):
        return

    @functools.wraps(original)
    def get_cubin(self: Any, cc: Any = None) -> Any:
        if self._entry_name is None:
            return original(self, cc)
        kept = self.__dict__.setdefault("_emulated_images", {})
        if real_code not in kept:
            kept[real_code] = _image_code(self, original(self, cc) if real_code else None)
        return kept[real_code]

    get_cubin.emulated = True  # type: ignore[attr-defined]
    codegen.CUDACodeLibrary.get_cubin = get_cubin


def _image_code(library: Any, cubin: Any) -> Any:
    from cuda.core import ObjectCode

    options = library._nvvm_options or {}
    fused = bool(options.get("fma", True))
    image = KernelImage(modules(library), library._entry_name, bool(options.get("fastmath")), fused).pack()
    if cubin is None:
        return ObjectCode.from_cubin(image, name=library._entry_name)
    path = _path_of(bytes(cubin.code))
    path.write_bytes(image)
    return cubin


def _path_of(code: bytes) -> Any:
    return cache.folder() / f"image-{hashlib.sha256(code).hexdigest()[:32]}"


def find_image(code: bytes) -> bytes | None:
    """The image of a true cubin made by this hook, here or in another process."""
    path = _path_of(code)
    return path.read_bytes() if path.exists() else None
