# The file lands in /data: docker run --rm -v "$PWD:/data" -e ITERABLE_API_KEY reiterate sync --start-date 09/01/2026
FROM python:3.13-slim

WORKDIR /src
COPY pyproject.toml README.md LICENSE requirements.txt ./
COPY src src
RUN pip install --no-cache-dir --require-hashes -r requirements.txt \
    && pip install --no-cache-dir --no-deps . && rm -rf /src

WORKDIR /data
ENTRYPOINT ["reiterate"]
CMD ["--help"]
