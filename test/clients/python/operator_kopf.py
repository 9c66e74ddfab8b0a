"""A small operator made with Kopf: it marks trees as they come, change and go, with a finalizer and a daemon."""

import asyncio
import threading
import time

import kopf
from kubernetes import client, config
from official import TREE, tree
from transcript import attempt, say

NAMESPACE = "kopf"
WHERE = ("python.example.org", "v1", NAMESPACE, "trees")


def operator():
    registry = kopf.OperatorRegistry()

    @kopf.on.startup(registry=registry)
    def settings(settings, **_):
        settings.posting.level = 0
        settings.peering.standalone = True
        settings.persistence.finalizer = "python.example.org/finalizer"

    kopf.on.login(registry=registry)(kopf.login_via_client)

    @kopf.on.create("trees", registry=registry)
    def created(spec, name, namespace, logger, body, patch, **_):
        patch.status["leaves"] = spec["height"] * 10
        owned = {"metadata": {"name": f"{name}-leaves"}, "data": {"leaves": str(spec["height"] * 10)}}
        kopf.adopt(owned, owner=body)
        client.CoreV1Api().create_namespaced_config_map(namespace, owned)
        kopf.info(body, reason="Grown", message="has leaves")

    @kopf.on.update("trees", field="spec.height", registry=registry)
    def changed(old, new, patch, **_):
        patch.status["leaves"] = new * 10

    @kopf.on.delete("trees", registry=registry)
    def gone(name, **_):
        felled.append(name)

    @kopf.daemon("trees", registry=registry)
    async def watch_over(stopped, name, **_):
        guarded.append(name)
        await stopped.wait()

    return registry


felled, guarded = [], []


def until(what, found):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if (value := found()) not in (None, False, []):
            return value
        time.sleep(0.1)
    raise TimeoutError(what)


def main():
    config.load_kube_config()
    core, custom = client.CoreV1Api(), client.CustomObjectsApi()
    core.create_namespace({"metadata": {"name": NAMESPACE}})
    client.ApiextensionsV1Api().create_custom_resource_definition(TREE)
    stop, ready = threading.Event(), threading.Event()
    running = threading.Thread(target=lambda: asyncio.run(kopf.operator(
        registry=operator(), clusterwide=False, namespaces=[NAMESPACE], stop_flag=stop, ready_flag=ready)))
    running.start()
    ready.wait(60)

    def read(name="oak"):
        try:
            return custom.get_namespaced_custom_object(*WHERE, name)
        except client.ApiException as error:
            if error.status != 404:
                raise
            return {}

    def made():
        try:
            return custom.create_namespaced_custom_object(*WHERE, tree("oak", height=3))
        except client.ApiException:
            return None

    until("the kind is served", made)
    attempt("grown", lambda: until("leaves", lambda: read().get("status", {}).get("leaves") == 30 and read()["status"]))
    attempt("finalizers", lambda: until("finalizers", lambda: read()["metadata"].get("finalizers")))
    attempt("owned", lambda: core.read_namespaced_config_map("oak-leaves", NAMESPACE).metadata.owner_references[0].kind)
    attempt("event", lambda: until("the event", lambda: [[each.reason, each.message, each.type] for each in core.list_namespaced_event(NAMESPACE).items if each.reason == "Grown"]))
    custom.patch_namespaced_custom_object(*WHERE, "oak", {"spec": {"height": 5}})
    attempt("higher", lambda: until("more leaves", lambda: read().get("status", {}).get("leaves") == 50))
    say("guarded", guarded)
    custom.delete_namespaced_custom_object(*WHERE, "oak")
    attempt("gone", lambda: until("the end", lambda: read() == {}))
    say("felled", felled)
    stop.set()
    running.join(60)
    say("stopped", not running.is_alive())
    client.ApiextensionsV1Api().delete_custom_resource_definition(TREE["metadata"]["name"])
    core.delete_namespace(NAMESPACE)


if __name__ == "__main__":
    main()
