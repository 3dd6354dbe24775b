"""`pyarrow.compute` without types: its stubs lag behind the functions it has."""

from typing import Any, Final

import pyarrow.compute

pc: Final[Any] = pyarrow.compute
