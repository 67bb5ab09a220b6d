# Runs as a user without rights; only /tmp need be writable. See docs/serving.md. A new volume that is mounted at
# /var/lib/picasso gets the owner of that folder; see docs/team.md.
# The full version; a digest that you have checked is even more: --build-arg BASE=python@sha256:...
ARG BASE=python:3.12.11-slim-bookworm
FROM ${BASE}

COPY . /opt/picasso
# TensorFlow and Keras write a configuration at first use unless they are told where.
ENV KERAS_HOME=/tmp/keras MPLCONFIGDIR=/tmp/matplotlib PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
RUN pip install --no-cache-dir "/opt/picasso[dask,metrics,onnx,regions,tflite]" && rm -rf /opt/picasso \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin picasso \
    && install --directory --owner picasso --mode 700 /var/lib/picasso
USER picasso
WORKDIR /tmp
EXPOSE 5000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/readyz')"]
ENTRYPOINT ["picasso", "serve", "--host", "0.0.0.0"]
