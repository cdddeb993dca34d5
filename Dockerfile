# syntax=docker/dockerfile:1
# The Personal Data Platform in one image: job, worker, dashboard, API (docs/deploy.md). Runs as uid 10001 with a read-only root;
# it writes to /data (the data root) and /tmp only.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN python3 -m venv /opt/venv && mkdir /build && ln -s /opt/venv/lib/python3.*/site-packages /build/packages
COPY requirements-serve.lock /build/
RUN /opt/venv/bin/python -m pip install --quiet --no-compile --require-hashes -r /build/requirements-serve.lock

# What is never imported here: descriptions of 600 other Google services, Arrow's own servers and S3, headers, test suites, a notebook's
# widgets, pip itself.
# EMBEDDED_POSTGRES=no leaves the database out, too: for images that always get a DATABASE_URL.
ARG EMBEDDED_POSTGRES=yes
WORKDIR /build/packages
RUN find googleapiclient/discovery_cache/documents -type f \
       ! -name 'drive.v2.json' ! -name 'drive.v3.json' ! -name 'sheets.v4.json' ! -name 'index.json' -delete \
    && rm -rf pyarrow/include pyarrow/tests pyarrow/src pandas/tests numpy/*/tests numpy/_core/include pydeck/nbextension \
       pyarrow/*_flight.* pyarrow/*_s3.* pyarrow/*_s3fs.* \
       embedded_postgres/pginstall/include \
    && find . -name '*.pyi' -delete \
    && if [ "${EMBEDDED_POSTGRES}" = no ]; then rm -rf embedded_postgres embedded_postgres.libs; fi \
    && /opt/venv/bin/python -m pip uninstall --quiet --yes pip setuptools \
    && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash .

COPY . /app
RUN chmod -R u=rwX,go=rX /app && chmod 0755 /app/entrypoint.sh \
    && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /app \
    && /opt/venv/bin/python -c 'import cryptography, duckdb, googleapiclient, obstore, pandas, psycopg, pyarrow.parquet, streamlit, uvicorn'

FROM ${BASE}
LABEL org.opencontainers.image.title="Personal Data Platform" \
      org.opencontainers.image.description="Brings your health telemetry home: ingest, normalize, validate, merge, bronze, gold, dashboard, API." \
      org.opencontainers.image.licenses="MIT"
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends tini ca-certificates && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 pdp && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin pdp \
    && install -d -m 0700 -o 10001 -g 10001 /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp DATA_DIR=/data PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 8000 8501
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["/app/entrypoint.sh", "health"]
ENTRYPOINT ["tini", "--", "/app/entrypoint.sh"]
CMD ["job"]
