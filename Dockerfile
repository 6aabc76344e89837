# Both images can be replaced: --build-arg GO_IMAGE=… --build-arg BASE_IMAGE=…
# The binary is static, so that the base may be empty.
ARG GO_IMAGE=golang:1.26-bookworm
ARG BASE_IMAGE=scratch

FROM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
ARG COMMIT=unknown
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X gatehouse/cli.version=${VERSION} -X gatehouse/cli.commit=${COMMIT}" -o /out/gatehouse .
RUN mkdir -p /out/data

FROM ${BASE_IMAGE}
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/gatehouse /gatehouse
COPY --from=build --chown=65532:65532 /out/data /data
COPY deploy/image/gateway.yaml /etc/gatehouse/gateway.yaml
# Every verb finds gateway.yaml in the working directory. /data is all that is
# ever written; the root may be read-only.
WORKDIR /etc/gatehouse
VOLUME /data
EXPOSE 8080
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/gatehouse", "healthcheck"]
ENTRYPOINT ["/gatehouse"]
CMD ["serve"]
