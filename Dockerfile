# The one image of an environment on Kubernetes: training, serving, the tracking server and the small Jobs.
#
#   docker build -t registry.example.com/slipway .
#   docker build --build-arg EXTRA=my_models ...                   # with a package of your own
#   docker build --build-arg BASE=debian:bookworm-slim@sha256:...  # pinned: `docker buildx imagetools inspect
#                                                                    debian:bookworm-slim` prints the digest
# Push it and pin what was pushed in the stack file: image: registry.example.com/slipway@sha256:...
# Where there is no engine, `make image` makes the same filesystem; a test compares this file with
# infra/image/layout.py, the table of what is where.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS base
RUN apt-get update \
 && apt-get install --yes --no-install-recommends bash ca-certificates grep procps python3.11 wget \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* \
 && useradd --uid=10001 --user-group --no-create-home --home-dir=/tmp --shell=/usr/sbin/nologin slipway \
 && echo 'export PATH=/opt/slipway/venv/bin:$PATH' > /etc/profile.d/slipway.sh

FROM base AS build
RUN apt-get update && apt-get install --yes --no-install-recommends python3.11-venv \
 && python3.11 -m venv /tools
COPY requirements/image.txt requirements/runtime.txt /build/requirements/
RUN /tools/bin/pip install --quiet --require-hashes --only-binary=:all: -r /build/requirements/image.txt \
 && /tools/bin/uv venv --no-python-downloads --python /usr/bin/python3.11 /opt/slipway/venv \
 && PYC_INVALIDATION_MODE=UNCHECKED_HASH /tools/bin/uv pip sync --no-cache --require-hashes --compile-bytecode \
      --python /opt/slipway/venv/bin/python /build/requirements/runtime.txt
ARG EXTRA=""
COPY . /build
RUN cd /build && /opt/slipway/venv/bin/python -m infra.image stage /opt/slipway/app ${EXTRA:+--extra ${EXTRA}}

FROM base
COPY --from=build /opt/slipway/venv /opt/slipway/venv
COPY --from=build /opt/slipway/app /opt/slipway/app
ENV PATH=/opt/slipway/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/opt/slipway/app \
    PYTHONUNBUFFERED=1 \
    LANG=C.UTF-8 \
    HOME=/tmp \
    RAY_USAGE_STATS_ENABLED=0 \
    RAY_ENABLE_UV_RUN_RUNTIME_ENV=0 \
    RAY_metric_cardinality_level=low \
    MLFLOW_DISABLE_TELEMETRY=true \
    GIT_PYTHON_REFRESH=quiet
WORKDIR /opt/slipway/app
USER 10001:10001
CMD ["python", "-c", "print(open('/opt/slipway/app/image.json').read())"]
