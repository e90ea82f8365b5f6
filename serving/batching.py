"""Predictions on the event loop: what waits already is predicted in one call, and nothing is made to wait.

It must not block: only native models come here, and large requests do not.
"""

from __future__ import annotations

import asyncio

import numpy as np

from serving.models import NativeModel, Outputs
from serving.tensors import Array


class Batcher:
    """Collects the matrices of one turn of the event loop and predicts them together.

    One row costs almost as much as thirty, so under load the cost of a request falls; a lone request waits
    for nobody, since the batch closes at the end of the turn.
    """

    def __init__(self, model: NativeModel, max_rows: int = 4096) -> None:
        self._model = model
        self._max_rows = max_rows
        self._waiting: list[tuple[Array, asyncio.Future[Outputs]]] = []
        self._rows = 0

    async def predict(self, matrix: Array) -> Outputs:
        """Return the prediction for a float32 matrix [rows, features]."""
        loop = asyncio.get_running_loop()
        if self._rows + len(matrix) > self._max_rows:
            self._flush()
        if not self._waiting:
            loop.call_soon(self._flush)
        mine: asyncio.Future[Outputs] = loop.create_future()
        self._waiting.append((matrix, mine))
        self._rows += len(matrix)
        return await mine

    def _flush(self) -> None:
        batch, self._waiting, self._rows = self._waiting, [], 0
        live = [(matrix, future) for matrix, future in batch if not future.done()]
        if not live:
            return
        try:
            if len(live) == 1:
                live[0][1].set_result(self._model.predict(live[0][0]))
                return
            together = self._model.predict(np.concatenate([matrix for matrix, _ in live]))
        except Exception as fault:  # noqa: BLE001  each waiting request is told, none is left hanging
            for _, future in live:
                future.set_exception(fault)
            return
        start = 0
        for matrix, future in live:
            future.set_result(together.part(slice(start, start + len(matrix))))
            start += len(matrix)
