# One image for both processes: `tuwen serve` (the default) and `tuwen trainer`.
#
#   docker build --build-arg PIP_EXTRA_INDEX_URL=URL -t tuwen .
#
# URL is PyTorch's index of CPU builds, which its installation page names. Without it pip takes the default build of torch
# with its CUDA libraries: it works, and the image is some gigabytes larger.
FROM python:3.11-slim AS build
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_NO_CACHE_DIR=1
WORKDIR /app
# Packages change seldom, the source often: two layers. Every package is checked against the hash of its lock.
COPY scripts/setup.sh scripts/environment.py scripts/
COPY requirements requirements
RUN scripts/setup.sh packages
COPY . .
RUN scripts/setup.sh runtime && .venv/bin/python -m compileall -q app models migrations
# What only makers of the packages need: tests (not numpy's, which numpy.testing imports), C++ headers, test programs, pip.
# And pyarrow's clients of Flight and S3, for files are local: pyarrow.fs does without, and only pyarrow.flight is lost.
RUN find .venv -type d \( -name tests -not -path '*/site-packages/numpy/*' -o -path '*/torch/test' -o -name include \) \
        -prune -exec rm -r {} + && \
    find .venv -type f \( -path '*/torch/bin/*' -not -name torch_shm_manager -o -path '*/pyarrow/*flight*' \
        -o -path '*/pyarrow/*s3*' \) -delete && \
    .venv/bin/pip uninstall --quiet --yes pip

FROM python:3.11-slim
RUN useradd --uid 10001 --home-dir /tmp --no-create-home tuwen && install --directory --owner=tuwen /data
COPY --from=build /app /app
WORKDIR /app
USER 10001
# The root file system may be read-only: everything is written to /data and /tmp.
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/tmp \
    TUWEN_HOME=/data \
    TUWEN_HOST=0.0.0.0 \
    TUWEN_PORT=8000
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
CMD ["tuwen", "serve"]
