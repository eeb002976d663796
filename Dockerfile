# The file lands in /data: docker run --rm -v "$PWD:/data" -e ITERABLE_API_KEY reiterate sync --start-date 09/01/2026
FROM python:3.13-slim

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir '.[postgres,delta,iceberg]' && rm -rf /src

WORKDIR /data
ENTRYPOINT ["reiterate"]
CMD ["--help"]
