"""A server on loopback that speaks Modal's protocol, as far as the launcher needs it; run as `modal_server.py FOLDER`.

It is no copy of Modal: containers are processes of this machine, images are not built. What it does keep to is the
protocol of Modal's own client, and the promises that the launcher relies on: a call lives on after its client, retries
follow the function's policy, a time-out ends the container, and others see of a volume only what was committed.
Control: a file FOLDER/crash makes the next container die; FOLDER/functions.jsonl has every function that was created.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import shutil
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpclib.server
import psutil
from grpclib import GRPCError, Status
from modal._serialization import deserialize, serialize_data_format
from modal_proto import api_grpc, api_pb2

WEB = importlib.import_module("aiohttp.web")
EMPTY = importlib.import_module("google.protobuf.empty_pb2").Empty
TO_DICT = importlib.import_module("google.protobuf.json_format").MessageToDict
CONTAINER = """
import importlib, json, sys
module, name, spec, answer = sys.argv[1:]
import modal  # what a container does before an input's time begins
function = getattr(importlib.import_module(module), name)
open(answer + ".ready", "w").close()
found = function(json.loads(spec))
open(answer, "w").write(json.dumps(found))
"""


@dataclass
class Call:
    function: api_pb2.Function
    spec: dict[str, Any]
    result: api_pb2.GenericResult | None = None
    process: asyncio.subprocess.Process | None = None
    cancelled: bool = False


@dataclass
class World:
    folder: Path
    port: int = 0
    http_port: int = 0
    apps: dict[str, tuple[str, Any]] = field(default_factory=dict)
    functions: dict[str, tuple[str, api_pb2.Function]] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def working(self, volume: str) -> Path:
        return _made(self.folder / "working" / volume)

    def committed(self, volume: str) -> Path:
        return _made(self.folder / "committed" / volume)


def _made(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


class Provider:
    """One method for each remote procedure, named as in the protocol but in lower case."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def client_hello(self, _: Any) -> Any:
        return api_pb2.ClientHelloResponse()

    async def environment_get_or_create(self, _: Any) -> Any:
        settings = api_pb2.EnvironmentSettings(image_builder_version="2025.06")
        return api_pb2.EnvironmentGetOrCreateResponse(
            environment_id="en-1", metadata=api_pb2.EnvironmentMetadata(name="main", settings=settings)
        )

    async def app_create(self, request: Any) -> Any:
        app = f"ap-{uuid.uuid4().hex}"
        self.world.apps[app] = (request.description, request.app_state)
        return api_pb2.AppCreateResponse(app_id=app, app_page_url="http://127.0.0.1/app")

    async def app_heartbeat(self, _: Any) -> Any:
        return EMPTY()

    async def app_publish(self, request: Any) -> Any:
        name, _ = self.world.apps[request.app_id]
        self.world.apps[request.app_id] = (name, request.app_state)
        return api_pb2.AppPublishResponse()

    async def app_client_disconnect(self, request: Any) -> Any:
        name, state = self.world.apps[request.app_id]
        if state != api_pb2.APP_STATE_DETACHED:
            self._stop(request.app_id, name)
        return EMPTY()

    async def app_stop(self, request: Any) -> Any:
        self._stop(request.app_id, self.world.apps[request.app_id][0])
        return EMPTY()

    def _stop(self, app: str, name: str) -> None:
        self.world.apps[app] = (name, api_pb2.APP_STATE_STOPPED)
        mine = {id_ for id_, (owner, _) in self.world.functions.items() if owner == app}
        for call in self.world.calls.values():
            if call.function.function_name in mine or self._owner(call) == app:
                self._cancel(call)

    def _owner(self, call: Call) -> str:
        return next(app for app, function in self.world.functions.values() if function is call.function)

    async def app_list(self, _: Any) -> Any:
        items = [
            api_pb2.AppListResponse.AppListItem(app_id=app, description=name, state=state)
            for app, (name, state) in self.world.apps.items()
        ]
        return api_pb2.AppListResponse(apps=items)

    async def image_get_or_create(self, request: Any) -> Any:
        with (self.world.folder / "images.jsonl").open("a") as file:
            file.write(json.dumps(list(request.image.dockerfile_commands)) + "\n")
        done = api_pb2.GenericResult(status=api_pb2.GenericResult.GENERIC_STATUS_SUCCESS)
        return api_pb2.ImageGetOrCreateResponse(image_id=f"im-{uuid.uuid4().hex}", result=done)

    async def mount_batched_check_existence(self, _: Any) -> Any:
        return api_pb2.MountBatchedCheckExistenceResponse()

    async def mount_put_file(self, _: Any) -> Any:
        return api_pb2.MountPutFileResponse(exists=True)

    async def mount_get_or_create(self, request: Any) -> Any:
        with (self.world.folder / "mounted.txt").open("a") as file:
            file.writelines(f"{each.filename}\n" for each in request.files)
        return api_pb2.MountGetOrCreateResponse(mount_id=f"mo-{uuid.uuid4().hex}")

    async def volume_get_or_create(self, request: Any) -> Any:
        return api_pb2.VolumeGetOrCreateResponse(volume_id=f"vo-{request.deployment_name}")

    async def volume_commit(self, request: Any) -> Any:
        volume = request.volume_id.removeprefix("vo-")
        shutil.copytree(self.world.working(volume), self.world.committed(volume), dirs_exist_ok=True)
        return api_pb2.VolumeCommitResponse(skip_reload=True)

    async def volume_get_file2(self, request: Any) -> Any:
        volume = request.volume_id.removeprefix("vo-")
        path = self.world.committed(volume) / request.path
        if not path.is_file():
            raise GRPCError(Status.NOT_FOUND, f"no file {request.path}")
        size = path.stat().st_size
        url = f"http://127.0.0.1:{self.world.http_port}/{volume}/{request.path}"
        return api_pb2.VolumeGetFile2Response(get_urls=[url] if size else [], size=size, start=0, len=size)

    async def function_precreate(self, request: Any) -> Any:
        return api_pb2.FunctionPrecreateResponse(function_id=f"fu-{uuid.uuid4().hex}", handle_metadata=_handle(request))

    async def function_create(self, request: Any) -> Any:
        function = request.existing_function_id or f"fu-{uuid.uuid4().hex}"
        self.world.functions[function] = (request.app_id, request.function)
        with (self.world.folder / "functions.jsonl").open("a") as file:
            file.write(json.dumps(TO_DICT(request.function)) + "\n")
        ranked = api_pb2.FunctionData.RankedFunction(rank=0, function=request.function)
        return api_pb2.FunctionCreateResponse(
            function_id=function,
            handle_metadata=_handle(request.function),
            function_data=api_pb2.FunctionData(ranked_functions=[ranked]),
        )

    async def function_map(self, request: Any) -> Any:
        _, function = self.world.functions[request.function_id]
        assert request.function_call_type == api_pb2.FUNCTION_CALL_TYPE_UNARY, "the launcher spawns, it never maps"
        assert request.function_call_invocation_type == api_pb2.FUNCTION_CALL_INVOCATION_TYPE_ASYNC
        (item,) = request.pipelined_inputs
        (spec,), _ = deserialize(item.input.args, None)
        id_ = f"fc-{uuid.uuid4().hex}"
        call = self.world.calls[id_] = Call(function, spec)
        task = asyncio.create_task(self._serve(call))
        self.world.tasks.add(task)
        put = api_pb2.FunctionPutInputsResponseItem(idx=0, input_id=f"in-{id_}", input_jwt="jwt")
        return api_pb2.FunctionMapResponse(function_call_id=id_, pipelined_inputs=[put])

    async def function_get_outputs(self, request: Any) -> Any:
        call = self.world.calls.get(request.function_call_id)
        if call is None:
            raise GRPCError(Status.NOT_FOUND, "no such call")
        if call.result is None:
            return api_pb2.FunctionGetOutputsResponse(num_unfinished_inputs=1)
        item = api_pb2.FunctionGetOutputsItem(result=call.result, idx=0, data_format=api_pb2.DATA_FORMAT_CBOR)
        return api_pb2.FunctionGetOutputsResponse(outputs=[item])

    async def function_call_cancel(self, request: Any) -> Any:
        call = self.world.calls.get(request.function_call_id)
        if call is None:
            raise GRPCError(Status.NOT_FOUND, "no such call")
        self._cancel(call)
        return EMPTY()

    def _cancel(self, call: Call) -> None:
        call.cancelled = True
        _kill(call)

    async def _serve(self, call: Call) -> None:
        """Containers one after the other, until one answers or the policy allows no more."""
        result = api_pb2.GenericResult
        for _ in range(1 + call.function.retry_policy.retries):
            answer = _made(self.world.folder / "answers") / uuid.uuid4().hex
            if await self._container(call, answer):
                call.result = result(status=result.GENERIC_STATUS_TIMEOUT, exception="timed out")
                return
            if call.cancelled:
                call.result = result(status=result.GENERIC_STATUS_TERMINATED, exception="cancelled")
                return
            if answer.exists():
                data = serialize_data_format(json.loads(answer.read_text()), api_pb2.DATA_FORMAT_CBOR)
                call.result = result(status=result.GENERIC_STATUS_SUCCESS, data=data)
                return
        call.result = result(status=result.GENERIC_STATUS_INTERNAL_FAILURE, exception="the container was lost")

    async def _container(self, call: Call, answer: Path) -> bool:
        """Whether it had to be ended because of its time-out."""
        spec = {**call.spec, "mount": str(self.world.working(call.spec["volume"]))}
        command = [call.function.module_name, call.function.function_name, json.dumps(spec), str(answer)]
        call.process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CONTAINER, *command, stdout=asyncio.subprocess.DEVNULL
        )
        ready = answer.with_name(f"{answer.name}.ready")
        while call.process.returncode is None and not ready.exists():  # noqa: ASYNC110 -- another process makes the file
            await asyncio.sleep(0.01)
        crash = self.world.folder / "crash"
        if crash.exists():
            wait = float(crash.read_text())
            crash.unlink()
            await asyncio.sleep(wait)
            _kill(call)
        try:
            await asyncio.wait_for(call.process.wait(), call.function.timeout_secs)
        except TimeoutError:
            _kill(call)
            return True
        return False


def _kill(call: Call) -> None:
    """A container takes everything in it along."""
    if call.process is None or call.process.returncode is not None:
        return
    inside = psutil.Process(call.process.pid).children(recursive=True)
    call.process.kill()
    for process in inside:
        process.kill()


def _handle(function: Any) -> Any:
    return api_pb2.FunctionHandleMetadata(
        function_name=function.function_name,
        function_type=api_pb2.Function.FUNCTION_TYPE_FUNCTION,
        supported_input_formats=[api_pb2.DATA_FORMAT_PICKLE],
        supported_output_formats=[api_pb2.DATA_FORMAT_CBOR],
    )


def servicer(provider: Provider) -> Any:
    """The generated base class with our methods; what we do not have answers `unimplemented`."""

    def method(name: str) -> Any:
        async def serve(_: Any, stream: Any) -> None:
            request = await stream.recv_message()
            handler = getattr(provider, re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(), None)
            if handler is None:
                raise GRPCError(Status.UNIMPLEMENTED, f"{name} is not served here")
            await stream.send_message(await handler(request))

        return serve

    base = api_grpc.ModalClientBase
    names = [name for name in vars(base) if name[0].isupper()]
    return type("Servicer", (base,), {name: method(name) for name in names})()


async def files(world: World) -> None:
    async def serve(request: Any) -> Any:
        path = world.committed(request.match_info["volume"]) / request.match_info["path"]
        return WEB.Response(body=path.read_bytes())

    app = WEB.Application()
    app.router.add_get("/{volume}/{path:.*}", serve)
    runner = WEB.AppRunner(app)
    await runner.setup()
    site = WEB.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    world.http_port = runner.addresses[0][1]


async def main(folder: Path) -> None:
    world = World(folder)
    await files(world)
    server = grpclib.server.Server([servicer(Provider(world))])
    await server.start("127.0.0.1", 0)
    world.port = server._server.sockets[0].getsockname()[1]  # noqa: SLF001 -- grpclib does not say its port
    os.environ["MODAL_SERVER_URL"] = f"http://127.0.0.1:{world.port}"  # for containers
    sys.stdout.write(f"{world.port}\n")
    sys.stdout.flush()
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
