"""Published weights, from a server on this machine that answers as the hub does."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from lightmobile.errors import UsageError
from lightmobile.models import create_model, list_models, model_info
from lightmobile.models.hub import download

REPOSITORY = "timm/fasternet_t0.in1k"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def weights() -> bytes:
    with torch.device("meta"):
        model = create_model("fasternet_t0")
    state = {
        key: torch.empty(value.shape, dtype=value.dtype).fill_(1)
        for key, value in model.state_dict().items()
    }
    return save(model.key_maps["timm"].to_theirs(state))


class Hub(BaseHTTPRequestHandler):
    content = b""
    stated = ""

    def _answer(self, body: bytes) -> None:
        found = self.path.startswith(f"/{REPOSITORY}/resolve/")
        self.send_response(200 if found else 404)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Linked-Etag", f'"{self.stated}"')
        self.send_header("X-Linked-Size", str(len(self.content)))
        self.send_header("ETag", f'"{self.stated}"')
        self.send_header("Content-Length", str(len(self.content) if found else 0))
        self.end_headers()
        self.wfile.write(body if found else b"")

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(self.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path):
    """The environment of a process that takes this server for the hub, and the server's class."""
    handler = type("Handler", (Hub,), {"content": weights()})
    handler.stated = hashlib.sha256(handler.content).hexdigest()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    yield handler, {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home")}
    server.shutdown()
    server.server_close()


def run(script: str, environment: dict[str, str]) -> dict:
    ran = subprocess.run(
        [sys.executable, "-P", "-c", f"import json\n{script}"],
        env={key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


FETCH = """
from lightmobile.errors import UsageError
from lightmobile.models import model_info
from lightmobile.models.hub import download
try:
    found = download(model_info({name!r}))
    print(json.dumps({{"path": str(found.path), "name": found.name}}))
except UsageError as error:
    print(json.dumps(error.to_dict()))
"""


@pytest.mark.parametrize("name", ["fasternet_t0", "timm:fasternet_t0", "timm:fasternet_t0.in1k"])
def test_the_file_is_the_one_that_the_hub_states(hub, name):
    if name.startswith("timm:"):
        from tests.models.timm_oracle import timm  # noqa: F401 - skips where it is missing
    handler, environment = hub
    found = run(FETCH.format(name=name), environment)
    assert found["name"] == f"{REPOSITORY}@{COMMIT}/model.safetensors"
    assert Path(found["path"]).read_bytes() == handler.content


def test_another_file_is_refused(hub):
    handler, environment = hub
    handler.stated = "0" * 64
    error = run(FETCH.format(name="fasternet_t0"), environment)
    assert "is not the file that the hub states" in error["what"]


def test_a_repository_that_is_not_there_is_told(hub):
    _, environment = hub
    error = run(FETCH.format(name="fasternet_t1"), environment)
    assert error["what"] == ("The weights timm/fasternet_t1.in1k cannot be fetched from the hub")
    assert "--checkpoint" in error["fix"]


@pytest.mark.parametrize(
    "environment", [{"HF_ENDPOINT": "http://127.0.0.1:9"}, {"HF_HUB_OFFLINE": "1"}]
)
def test_offline_is_told_quickly(environment, tmp_path):
    started = time.monotonic()
    error = run(FETCH.format(name="fasternet_t0"), environment | {"HF_HOME": str(tmp_path)})
    assert "cannot be fetched" in error["what"]
    assert "--checkpoint" in error["fix"]
    assert time.monotonic() - started < 25


def test_weights_from_the_hub_are_a_checkpoint(hub):
    _, environment = hub
    script = """
from lightmobile.models import create_model, model_info, prepare
from lightmobile.models.hub import download
model = create_model("fasternet_t0", pretrained=True)
origin = prepare("fasternet_t0", checkpoint=download(model_info("fasternet_t0"))).weights
same = all(bool((value == 1).all()) for value in model.state_dict().values())
print(json.dumps({"same": same, **origin}))
"""
    found = run(script, environment)
    assert found["same"]
    assert found["source"] == "checkpoint"
    assert found["checkpoint"] == f"{REPOSITORY}@{COMMIT}/model.safetensors"
    assert found["checkpoint_sha256"] == hub[0].stated


def test_a_model_without_published_weights_says_so():
    with pytest.raises(UsageError, match=r"No published weights of hetconv_vgg16_p1 are known\."):
        download(model_info("hetconv_vgg16_p1"))
    with pytest.raises(UsageError, match="No published weights"):
        create_model("regnety_400mf@dWr:2", pretrained=True)
    with pytest.raises(UsageError, match="Give one of the two"):
        create_model("fasternet_t0", "file.pth", pretrained=True)


def test_the_weights_named_fit():
    from lightmobile.models.checkpoints import _in_own_layout
    from tests.models.timm_oracle import timm

    named = [name for name in list_models() if model_info(name).pretrained]
    assert "fasternet_t0" in named
    for name in named:
        with torch.device("meta"):
            ours = create_model(name)
            theirs = timm.create_model(model_info(name).pretrained.removeprefix("timm/"))
        state = _in_own_layout(theirs.state_dict(), ours.state_dict(), ours.key_maps.values())
        shapes = {key: value.shape for key, value in state.items()}
        assert shapes == {key: value.shape for key, value in ours.state_dict().items()}, name
        assert model_info(name).preprocessing.mean == tuple(theirs.pretrained_cfg["mean"]), name
