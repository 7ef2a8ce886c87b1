# The gateway and nothing else: a static binary, the roots that TLS trusts, and
# a folder for the ledger, owned by the user that runs it. No shell, no libc.
#
#   docker build -t transatel-gateway \
#     --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" .
#
# And beside it the simulated provider, for staging without an account; never
# for production:
#
#   docker build -t transatel-gateway-simulator --target simulator …
#
# Each is built for the architecture of its base image, which is the one that is
# asked for (`--platform linux/arm64`), natively or emulated: the C parts (SQLite,
# ring, mimalloc) need no cross compiler so. A base by digest:
#
#   --build-arg RUST=docker.io/library/rust:1.95-bookworm@sha256:…
#
# Where no base image can be pulled, what the first stage leaves in /out is
# made by other means and handed in; the second stage stays as it is:
#
#   buildah build --target runtime --build-context build=FOLDER …

ARG RUST=docker.io/library/rust:1.95-bookworm
FROM $RUST AS build

# Static: what runs needs nothing of the image it runs in. A target that is
# named keeps build scripts and macros, which run here, dynamic.
ENV RUSTFLAGS="-C target-feature=+crt-static" \
    CARGO_BUILD_TARGET=host-tuple
WORKDIR /src

# A base of one architecture only is refused when another was asked for.
ARG TARGETARCH
RUN case "${TARGETARCH:-any}-$(uname -m)" in \
        any-* | amd64-x86_64 | arm64-aarch64) ;; \
        *) echo "the base image is for $(uname -m), not for $TARGETARCH" >&2; exit 1 ;; \
    esac

# Dependencies are a layer of their own, which lasts until they change: a crate
# without code is built with them. Benches are left out.
# Of the client and the simulator only the manifests are here: Cargo reads those
# of the whole workspace, and the image is built without either.
COPY Cargo.toml Cargo.lock ./
COPY crates/client/Cargo.toml crates/client/
COPY crates/simulator/Cargo.toml crates/simulator/
RUN sed -i '/^\[\[bench\]\]$/,/^$/d' Cargo.toml \
    && mkdir src crates/client/src crates/simulator/src \
    && echo 'fn main() {}' >build.rs \
    && cp build.rs src/main.rs \
    && cp src/main.rs crates/simulator/src/ \
    && touch src/lib.rs crates/client/src/lib.rs crates/simulator/src/lib.rs \
    && cargo build --release --locked --package transatel-gateway --no-default-features

COPY build.rs ./
COPY build build
COPY migrations migrations
COPY proto proto
COPY src src
COPY third_party third_party
ARG REVISION
# Cargo goes by times, and the copies are older than the crate without code.
RUN touch build.rs src/lib.rs src/main.rs \
    && GATEWAY_REVISION="$REVISION" cargo build --release --locked --package transatel-gateway --no-default-features \
    && mkdir -p /out/data /out/etc/ssl/certs \
    && cp target/*-linux-gnu/release/transatel-gateway /out/ \
    && cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/

FROM build AS build-simulator

COPY crates/simulator crates/simulator
RUN touch crates/simulator/src/lib.rs crates/simulator/src/main.rs \
    && cargo build --release --locked --package transatel-simulator \
    && cp target/*-linux-gnu/release/transatel-simulator /out/

FROM scratch AS simulator

COPY --from=build-simulator /out/transatel-simulator /transatel-simulator
ENV SIMULATOR_LISTEN=0.0.0.0:8080
EXPOSE 8080
USER 65532:65532
ENTRYPOINT ["/transatel-simulator"]

ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="transatel-gateway-simulator" \
      org.opencontainers.image.description="A simulated Transatel for staging: nothing is bought, all state is in memory" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

# The last, which is built unless another is named.
FROM scratch AS runtime

COPY --from=build /out/etc /etc
# SQLite's place: mount a volume here. Not in STORE__URL: what the environment
# says wins over a configuration file.
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build /out/transatel-gateway /transatel-gateway

# Reachable from outside the container, as a container is meant to be. The
# webhook has no such default: nothing listens until it has a secret.
ENV GATEWAY__GRPC__LISTEN=0.0.0.0:50051 \
    GATEWAY__ADMIN__LISTEN=0.0.0.0:9090
EXPOSE 50051 9090 8080
# A number, so that Kubernetes can tell that it is not root.
USER 65532:65532
WORKDIR /data
ENTRYPOINT ["/transatel-gateway"]
CMD ["serve"]

ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="transatel-gateway" \
      org.opencontainers.image.description="Internal gRPC gateway to Transatel's travel eSIM offer" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
