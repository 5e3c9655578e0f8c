# docker build -t gatewright . ; docs/operations.md says how to run it.
FROM rust:1.89-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release -p gatewright-server --bin gatewright

# The C library, the authorities of the system, a user that is not root; no shell.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/gatewright /usr/local/bin/gatewright
USER 65532:65532
EXPOSE 8080 8443
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/gatewright"]
# Ports below 1024 are root's: those of the Gateways are served on others.
CMD ["serve", "/etc/gatewright", "--port-map", "80=8080", "--port-map", "443=8443"]
