# syntax=docker/dockerfile:1
ARG PYTHON_IMAGE=python:3.13-slim

# The first stage has a C compiler, so the hot path of the wheel is compiled.
FROM ${PYTHON_IMAGE} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY respcache ./respcache
RUN python -m venv /opt/respcache \
    && /opt/respcache/bin/pip install --no-cache-dir '.[lua]'

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/respcache /opt/respcache
# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 10001:10001
WORKDIR /tmp
# Clients, nodes (TCP and UDP), and HTTP for metrics and probes.
EXPOSE 6379 16379 16379/udp 9379
# Listens on all addresses: nodes need keys (RESPCACHE_CLUSTER__KEYS_FILE, a mounted secret), or
# RESPCACHE_CLUSTER__PLAINTEXT=yes; clients from elsewhere need a password, or protected-mode off.
ENV RESPCACHE_SERVER__BIND=0.0.0.0
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=35s \
    CMD ["/opt/respcache/bin/python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 9379, timeout=2); c.request('GET', '/livez'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["/opt/respcache/bin/respcache"]
CMD ["serve"]
