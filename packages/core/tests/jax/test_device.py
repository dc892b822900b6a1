"""Which device is used is said in words, also where the environment chose it."""

import os
import subprocess
import sys

import jax

from offlow_core.jax.device import configure, describe_device


def test_the_default_device_in_words():
    assert describe_device() == f"{jax.devices()[0].platform}: {jax.devices()[0].device_kind}"


def test_a_device_that_the_environment_chose():
    command = [sys.executable, "-c", "from offlow_core.jax.device import describe_device; print(describe_device())"]
    environment = {**os.environ, "JAX_DEFAULT_DEVICE": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "cpu: cpu"


def test_a_gpu_that_is_not_there_is_said(capsys):
    configure(gpu=99)
    error = capsys.readouterr().err
    assert error.startswith("--gpu 99: there is no such GPU here")
    assert describe_device() in error
