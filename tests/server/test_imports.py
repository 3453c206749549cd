"""What importing the service brings into a host's process, and what it refuses there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.waiting import PATIENCE_S


def python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=4 * PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("statement", ["import gym_p2p.server", "from gym_p2p.server import mount"])
def test_importing_brings_no_server_and_no_http_library(statement: str) -> None:
    wanted = (
        "sorted({'uvicorn', 'starlette', 'aiohttp', 'socketio', 'aiortc', 'gymnasium'} & set(sys.modules))"
    )
    assert python(f"import sys\n{statement}\nprint({wanted})").strip() == "[]"


def test_mounting_brings_only_what_the_host_has_brought(tmp_path: object) -> None:
    program = f"""
import asyncio, sys, socketio
from gym_p2p import ServiceConfig
from gym_p2p.server import mount

async def main():
    before = set(sys.modules)
    service = mount(socketio.AsyncServer(async_mode="aiohttp"), ServiceConfig(data_dir={str(tmp_path)!r}))
    await service.stop()
    print(sorted({{"uvicorn", "starlette"}} & (set(sys.modules) - before)))

asyncio.run(main())
"""
    assert python(program).strip() == "[]"


def test_an_unknown_name_is_none_of_the_service() -> None:
    import gym_p2p.server  # noqa: PLC0415  # what is tested

    with pytest.raises(AttributeError, match="mounts"):
        _ = gym_p2p.server.mounts
    assert {"mount", "Service"} <= set(dir(gym_p2p.server))


@pytest.mark.parametrize(
    ("module", "patch"),
    [
        ("eventlet", "import eventlet; eventlet.monkey_patch()"),
        ("gevent", "from gevent import monkey; monkey.patch_all()"),
    ],
)
def test_a_service_on_a_thread_is_refused_where_threads_are_greenlets(module: str, patch: str) -> None:
    pytest.importorskip(module)
    program = f"""
{patch}
import gym_p2p
from gym_p2p.server import serve_in_thread
try:
    with serve_in_thread():
        print("served")
except gym_p2p.UsageError as refused:
    print(refused)
"""
    said = python(program)
    assert said.startswith(f"{module} has made greenlets")
    assert "mount()" in said
