# One node; compose.yaml runs three. Built from what is copied here and nothing else.
FROM rust:1-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake libasio-dev libssl-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY Cargo.toml Cargo.lock build.rs ./
COPY benches benches
COPY core core
COPY cpp cpp
COPY include include
COPY src src
RUN cargo build --release --locked && strip --strip-unneeded target/release/raft3d

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libssl3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/raft3d --no-create-home raft3d \
    && install -d -o raft3d -g raft3d -m 700 /var/lib/raft3d
COPY --from=build /source/target/release/raft3d /usr/bin/raft3d
USER raft3d
VOLUME /var/lib/raft3d
ENV RAFT3D_DATA_DIR=/var/lib/raft3d
EXPOSE 8081 9081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s \
    CMD ["raft3d", "health", "--endpoint", "127.0.0.1:8081", "--timeout", "3"]
ENTRYPOINT ["raft3d"]
CMD ["serve"]
