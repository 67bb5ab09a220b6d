# Runs as a user without rights; only /tmp need be writable. See docs/serving.md.
FROM python:3.12-slim

COPY . /opt/picasso
# TensorFlow and Keras write a configuration at first use unless they are told where.
ENV KERAS_HOME=/tmp/keras MPLCONFIGDIR=/tmp/matplotlib PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
RUN pip install --no-cache-dir "/opt/picasso[onnx,regions,tflite]" && rm -rf /opt/picasso \
    && useradd --no-create-home --shell /usr/sbin/nologin picasso
USER picasso
WORKDIR /tmp
EXPOSE 5000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/readyz')"]
ENTRYPOINT ["picasso", "serve", "--host", "0.0.0.0"]
