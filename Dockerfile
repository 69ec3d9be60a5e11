# The worker without Cloudflare and what stands beside it, for compose.yaml; see docs/self-host.md.
#
#   core       workerd with the bundle, its queues and its clock
#   setup      migrations and seeds: does one of them and ends
#   pgbouncer  the pooler before PostgreSQL
#
# Everything is built in a stage of its own. With BUILT=from-here it is taken from build/containers instead, where
# "npm run self-host -- --containers" puts it.

ARG DEBIAN=debian:bookworm-20250520-slim
ARG RUST=rust:1.95.0-bookworm
ARG NODE=node:22.12.0-bookworm-slim
ARG BUILT=from-source

FROM ${NODE} AS node

FROM ${RUST} AS from-source
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN npm run self-host -- --containers && mv build/containers /built

FROM scratch AS from-here
COPY build/containers /built

FROM ${BUILT} AS built

FROM ${DEBIAN} AS base
RUN useradd --system --uid 10001 --home-dir /data --create-home celaest

FROM base AS core
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=built /built/bin/workerd /usr/local/bin/
COPY --from=built /built/core /app
USER 10001
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 CMD ["/app/answers.sh", "8080", "/health/ready"]
ENTRYPOINT ["/app/entrypoint.sh"]

FROM base AS setup
COPY --from=built /built/bin/node /built/bin/celaest-migrate /usr/local/bin/
COPY --from=built /built/setup /app
USER 10001
WORKDIR /app
ENTRYPOINT ["node", "/app/tools/bin/setup.mjs"]

FROM base AS pgbouncer
RUN apt-get update && apt-get install -y --no-install-recommends pgbouncer && rm -rf /var/lib/apt/lists/*
COPY self-host/pgbouncer.sh self-host/answers.sh /app/
USER 10001
EXPOSE 6432
HEALTHCHECK --interval=5s --timeout=3s --retries=6 CMD ["/app/answers.sh", "6432"]
ENTRYPOINT ["/app/pgbouncer.sh"]
