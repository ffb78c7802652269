# An image of tutumstream.
#
#   docker build -t tutumstream .
#   docker run --rm tutumstream --demo
#
# It runs tutumstream. For the gateway give it another entry point: twistd -n --pidfile= tutumgateway, as
# deploy/gateway/ does.
#
# Settings of pip come from outside, as build arguments: PIP_INDEX_URL for an index of your own, or PIP_NO_INDEX=1 and
# PIP_FIND_LINKS=/src/wheels for wheels that you have put into `wheels/` beside this file.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY . .
RUN python -m pip wheel --no-deps --wheel-dir /dist . \
 && python -m venv --without-pip /opt/tutumstream \
 && python -m pip --python /opt/tutumstream/bin/python install /dist/tutumstream-*.whl

FROM ${BASE}
COPY --from=build /opt/tutumstream /opt/tutumstream
ENV PATH=/opt/tutumstream/bin:$PATH
# twistd finds its plugins by a cache beside them, which the user below may not write.
RUN python -c "from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))" \
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/tutumstream /var/lib/tutumgateway
# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /var/lib/tutumstream
VOLUME /var/lib/tutumstream
# The probes stay inside the container; to reach them from outside, listen on tcp:8788 and publish that port.
ENV TUTUMGATEWAY_STATE_DIR=/var/lib/tutumgateway
ENV TUTUMSTREAM_STATE_DIR=/var/lib/tutumstream TUTUMSTREAM_LISTEN=tcp:8788:interface=127.0.0.1
# Past any proxy of the environment, and without curl, which the base image does not have.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", \
    "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8788, timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["twistd", "-n", "--pidfile=", "tutumstream"]
CMD []
