"""The floor that serving is compared with: FastAPI and uvicorn, one model in memory, one predict per request.

No validation, no registry, no batching: ``MODEL=folder uvicorn benchmarks.bare_fastapi:app``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from training.tabular import TabularModel

app = FastAPI()
model = TabularModel.read(Path(os.environ["MODEL"]))


@app.post("/v2/models/default/infer")
async def infer(request: Request) -> JSONResponse:
    """Answer one inference request in JSON."""
    body = await request.json()
    tensor: dict[str, Any] = body["inputs"][0]
    matrix = np.array(tensor["data"], dtype=np.float32).reshape(tensor["shape"])
    scores = model.scores(matrix)
    labels = model.labels(scores)
    outputs = [
        {"name": "predict", "datatype": "INT64", "shape": list(labels.shape), "data": labels.tolist()},
        {"name": "probabilities", "datatype": "FP32", "shape": list(scores.shape), "data": scores.ravel().tolist()},
    ]
    return JSONResponse({"model_name": "default", "model_version": "1", "outputs": outputs})
