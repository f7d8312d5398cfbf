# One image for the service, the worker and the migration: only the command differs.
# What runs cannot be changed by what runs it: the files belong to root, the process to a user who owns nothing.

FROM python:3.11-slim AS packages
WORKDIR /build
COPY requirements.txt .
# The environment has no pip of its own, so none reaches the image below.
RUN python -m venv --without-pip /opt/packages \
    && pip --python /opt/packages/bin/python install --no-cache-dir --requirement requirements.txt

FROM python:3.11-slim
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin inventory
COPY --from=packages /opt/packages /opt/packages
ENV PATH=/opt/packages/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /srv/inventory
COPY config.py run.py ./
COPY database database/
COPY app app/
RUN python -m compileall -q .
USER 10001:10001
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '5000') + '/api/v1/health/live', timeout=3)"]
CMD ["python", "run.py"]
