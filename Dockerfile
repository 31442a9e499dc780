# docker build -t dcgan_tf .                       for the CPU
# docker build -t dcgan_tf --build-arg GPU=1 .     with CUDA's libraries, for `docker run --gpus all`
# How to run it, and what is kept where: docs/places.md.
FROM python:3.12-slim

ARG GPU=
WORKDIR /opt/dcgan_tf
COPY requirements.txt requirements-gpu.txt ./
RUN pip install --no-cache-dir -r requirements${GPU:+-gpu}.txt
COPY . .
RUN pip install --no-cache-dir --no-deps .

# Runs, packs and what else is written belong into the volume, and to nobody special.
RUN useradd --create-home --uid 1000 dcgan && mkdir /work && chown dcgan /work
USER dcgan
# Also what is downloaded: ~/.cache, ~/tensorflow_datasets.
ENV HOME=/work
WORKDIR /work
CMD ["dcgan-train", "--config", "demo", "--run", "runs/demo"]
