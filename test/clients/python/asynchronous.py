"""kubernetes_asyncio: typed API, watches, dynamic client, and, where POD names one, exec and logs."""

import asyncio
import os

from kubernetes_asyncio import client, config, dynamic, utils, watch
from kubernetes_asyncio.stream import WsApiClient
from transcript import attempt_async, say

NAMESPACE = "asynchronous"


async def main():
    await config.load_kube_config()
    async with client.ApiClient() as api:
        await objects(client.CoreV1Api(api), api)
        if pod := os.environ.get("POD"):
            await streams(client.CoreV1Api(api), pod)


async def objects(core, api):
    await attempt_async("namespace", lambda: name_of(core.create_namespace({"metadata": {"name": NAMESPACE}})))
    for name in ("one", "two", "three"):
        await attempt_async(f"create {name}", lambda: name_of(core.create_namespaced_config_map(
            NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data={"a": "1"}))))
    listed = await core.list_namespaced_config_map(NAMESPACE, limit=2)
    say("first page", [len(listed.items), listed.metadata._continue is not None])
    patch = core.patch_namespaced_config_map

    async def data_of(call):
        return (await call).data

    await attempt_async("strategic", lambda: data_of(patch("one", NAMESPACE, {"data": {"b": "2"}})))
    await attempt_async("json", lambda: data_of(patch("one", NAMESPACE, [{"op": "add", "path": "/data/c", "value": "3"}])))
    await attempt_async("merge", lambda: data_of(patch("one", NAMESPACE, {"data": {"a": None}}, _content_type="application/merge-patch+json")))
    await attempt_async("apply", lambda: data_of(patch(
        "one", NAMESPACE, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"d": "4"}},
        field_manager="asynchronous", _content_type="application/apply-patch+yaml")))
    await attempt_async("none there", lambda: name_of(core.read_namespaced_config_map("none", NAMESPACE)))
    await attempt_async("invalid", lambda: name_of(core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "A"}})))

    async def watched():
        events = []

        async def change():
            await core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "w"}})
            await core.delete_namespaced_config_map("w", NAMESPACE)

        since = (await core.list_namespaced_config_map(NAMESPACE)).metadata.resource_version
        changing = asyncio.create_task(change())
        async with watch.Watch() as watching:
            async for event in watching.stream(core.list_namespaced_config_map, NAMESPACE, timeout_seconds=20,
                                               field_selector="metadata.name=w", resource_version=since):
                events.append(event["type"])
                if event["type"] == "DELETED":
                    break
        await changing
        return [events[-1], len(events) == 2]

    await attempt_async("watched", watched)

    async def dynamically():
        them = await dynamic.DynamicClient(api)
        maps = await them.resources.get(api_version="v1", kind="ConfigMap")
        applied = await maps.server_side_apply(
            body={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dyn"}, "data": {"a": "1"}}, namespace=NAMESPACE, field_manager="dyn")
        return [applied.kind, [each.metadata.name for each in (await maps.get(namespace=NAMESPACE)).items]]

    await attempt_async("dynamically", dynamically)

    async def made():
        return [each.kind for group in await utils.create_from_dict(api, {
            "apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d"}}]}, namespace=NAMESPACE) for each in [group]]

    await attempt_async("made", made)
    await core.delete_namespace(NAMESPACE)


async def name_of(call):
    return (await call).metadata.name


async def streams(core, pod):
    async def executed():
        async with WsApiClient() as api:
            return await client.CoreV1Api(api).connect_get_namespaced_pod_exec(
                pod, "default", command=["sh", "-c", "echo out"], stderr=True, stdin=False, stdout=True, tty=False)

    async def talked():
        async with WsApiClient() as api:
            them = client.CoreV1Api(api).connect_get_namespaced_pod_exec(
                pod, "default", command=["sh", "-c", "read a; echo got $a; exit 3"], stderr=True, stdin=True, stdout=True, tty=False, _preload_content=False)
            async with await them as websocket:
                await websocket.send_bytes(b"\x00hello\n")
                said = b""
                code = None
                async for message in websocket:
                    if message.data[:1] == b"\x03":
                        code = api.parse_error_data(message.data[1:].decode())
                    else:
                        said += message.data[1:]
                return [said.decode(), code]

    async def logged():
        return await core.read_namespaced_pod_log(pod, "default", tail_lines=3)

    async def followed():
        answer = await core.read_namespaced_pod_log(pod, "default", follow=True, _preload_content=False)
        line = await answer.content.readline()
        answer.close()
        return line.decode()

    async def refused():
        async with WsApiClient() as api:
            return await client.CoreV1Api(api).connect_get_namespaced_pod_exec(pod, "default", container="none", command=["true"], stdout=True)

    await attempt_async("exec", executed)
    await attempt_async("exec talks", talked)
    await attempt_async("exec in no container", refused)
    await attempt_async("log", logged)
    await attempt_async("log followed", followed)


if __name__ == "__main__":
    asyncio.run(main())
