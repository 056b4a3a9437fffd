# Weir in a container: docker build -t weir . && docker run -p 6432:6432 -p 9432:9432 \
#   -v ./weir.yaml:/etc/weir/weir.yaml:ro weir
# It listens on every address of the container, whatever the configuration says; see WEIR_LISTEN and WEIR_HTTP below.

FROM node:22-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# No package needs an install script. Optional ones are the compiled part of rolldown, and what is for tests only.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/bundle.mjs ./scripts/
COPY src ./src
RUN npm run build

FROM node:22-slim AS dependencies
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --omit=dev --omit=optional

FROM node:22-slim
ENV NODE_ENV=production
WORKDIR /opt/weir
COPY --from=dependencies /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY package.json LICENSE ./
COPY bin ./bin
COPY config ./config
COPY web ./web
# The command, for docker exec and preStop: weir drain --wait
RUN chmod 755 bin/weir.js && ln -s /opt/weir/bin/weir.js /usr/local/bin/weir
# The user "node" of the base image: Weir needs no privilege and writes no file.
USER node
EXPOSE 6432 9432
# 127.0.0.1 would be the container's own; publish the ports with -p as narrowly as you like.
ENV WEIR_LISTEN=0.0.0.0:6432 WEIR_HTTP=0.0.0.0:9432
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9432/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# SIGTERM drains: give it longer (docker stop --time) than shutdown_delay + shutdown_timeout and 5 s.
STOPSIGNAL SIGTERM
# No shell and no npm in between: Weir is process 1 and gets the signals itself.
ENTRYPOINT ["node", "/opt/weir/bin/weir.js"]
CMD ["serve", "--config", "/etc/weir/weir.yaml"]
