# The worker's image: `make image` builds it, `make push` puts it into the deployment's repository (docs/deployment.md).
#
# Only tags are pinned here, by whoever can reach no registry to look digests up. Pin both by digest where you build, with no
# edit:  make image RUST_IMAGE=rust@sha256:... BASE_IMAGE=...@sha256:...
# Both are Debian 12, so that the program meets the C library it was linked against.
ARG RUST_IMAGE=rust:1.94.1-slim-bookworm
# glibc, libgcc, CA certificates, time zones, a user `nonroot`, and the package list that image scanners read. No shell.
ARG BASE_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUST_IMAGE} AS build
WORKDIR /source
ENV CARGO_TERM_COLOR=never \
    CARGO_INCREMENTAL=0 \
    # Function names stay, for the backtrace of a panic.
    CARGO_PROFILE_RELEASE_STRIP=debuginfo
COPY . .
# The EC2 SDK is the build's memory and time; it only moves bytes, so it is not worth optimising to the last.
# The caches outlive a build and are no part of the image; the binary is copied out of one, because it ends with this step.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/source/target,sharing=locked \
    cargo build --release --locked --package tidegate-worker --config 'profile.release.package.aws-sdk-ec2.opt-level=1' \
    && install -D -m 0555 target/release/tidegate-worker /out/tidegate-worker

FROM ${BASE_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tidegate-worker" \
      org.opencontainers.image.description="Activity worker of Tidegate, multi-wave disaster recovery on AWS DRS" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/tidegate-worker /usr/local/bin/tidegate-worker
# By number, so that the platform can see that it is not root. The program writes no file: run it with a read-only root.
USER 65532:65532
# SIGTERM starts the drain, which takes up to 90 s: give it a longer stop timeout.
STOPSIGNAL SIGTERM
# As the task definition's own check, which ECS uses instead of this one.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/tidegate-worker", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/tidegate-worker"]
CMD ["run"]
