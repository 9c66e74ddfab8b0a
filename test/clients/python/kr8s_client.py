"""kr8s: what it discovers, objects of known and of new kinds, waiting, and, where POD names one, exec, port-forward and logs."""

import os
import re
import time

import httpx
import kr8s
from kr8s.objects import ConfigMap, CustomResourceDefinition, Deployment, Namespace, Pod, new_class, object_from_spec
from official import TREE, tree
from transcript import attempt

NAMESPACE = "kr8s"


def main():
    api = kr8s.api()
    attempt("version", lambda: api.version()["major"])
    attempt("discovered", lambda: sorted({f"{each['version']} {each['kind']} {each['name']}" for each in api.api_resources()
                                          if re.search(r"^[^.]*/|^v1$|k8s\.io/", each["version"]) and "metrics" not in each["version"]}))
    namespace = Namespace({"metadata": {"name": NAMESPACE}})
    attempt("namespace", lambda: [namespace.create(), namespace.status.phase])
    one = ConfigMap({"metadata": {"name": "one", "namespace": NAMESPACE}, "data": {"a": "1"}})
    attempt("create", lambda: [one.create(), one.raw.to_dict()])
    attempt("again", one.create)
    attempt("exists", lambda: [one.exists(), ConfigMap("none", namespace=NAMESPACE).exists()])
    attempt("patch", lambda: [one.patch({"data": {"b": "2"}}), one.data])
    attempt("json patch", lambda: [one.patch([{"op": "remove", "path": "/data/b"}], type="json"), one.data])
    attempt("labelled", lambda: [one.label(x="y"), one.annotate({"n": "o"}), one.labels, one.annotations])
    attempt("listed", lambda: [each.name for each in kr8s.get("configmaps", namespace=NAMESPACE, label_selector={"x": "y"})])
    attempt("by short name", lambda: [each.kind for each in kr8s.get("cm", "one", namespace=NAMESPACE)])
    attempt("in full", lambda: [each.kind for each in kr8s.get("deployments.apps", namespace=NAMESPACE)])
    attempt("unknown", lambda: list(kr8s.get("nosuchthing")))
    labels = {"app": "web"}
    deployment = Deployment({"metadata": {"name": "web", "namespace": NAMESPACE}, "spec": {
        "replicas": 0, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
    attempt("deployment", lambda: [deployment.create(), deployment.replicas])
    attempt("status patch", lambda: [one.exists(), deployment.patch({"status": {"observedGeneration": 1}}, subresource="status"), deployment.kind])
    definition = CustomResourceDefinition(TREE)
    attempt("definition", lambda: [definition.create(), definition.kind])
    # Its wait() takes no status without conditions.
    while not definition.raw.get("status", {}).get("conditions"):
        time.sleep(0.1)
        definition.refresh()
    attempt("established", lambda: definition.wait("condition=Established", timeout=30))
    trees = new_class(kind="Tree", version="python.example.org/v1", namespaced=True, plural="trees")
    attempt("tree", lambda: [trees(tree("oak", height=3) | {"metadata": {"name": "oak", "namespace": NAMESPACE}}).create(), [each.spec.height for each in trees.list(namespace=NAMESPACE)]])
    attempt("short tree", lambda: trees(tree("short", height=0) | {"metadata": {"name": "short", "namespace": NAMESPACE}}).create())
    attempt("trees by short name", lambda: [each.name for each in kr8s.get("tr", namespace=NAMESPACE)])

    def watched():
        for kind, each in api.watch("configmaps", namespace=NAMESPACE, field_selector={"metadata.name": "one"}):
            return [kind, each.name]

    attempt("watched", watched)
    attempt("generic", lambda: object_from_spec({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "two", "namespace": NAMESPACE}}).kind)
    attempt("deleted", lambda: [one.delete(), one.wait("delete", timeout=20), one.exists()])
    attempt("definition goes", definition.delete)
    if name := os.environ.get("POD"):
        streams(Pod.get(name, namespace="default"))
    attempt("namespace goes", namespace.delete)


def streams(pod):
    attempt("ready", lambda: pod.ready())
    attempt("log", lambda: list(pod.logs(tail_lines=2)))
    attempt("log followed", lambda: next(iter(pod.logs(follow=True))))

    def executed(*command, **options):
        done = pod.exec(list(command), **options)
        return [done.stdout.decode(), done.stderr.decode(), done.returncode]

    attempt("exec", lambda: executed("sh", "-c", "echo out; echo err >&2"))
    attempt("exec fails", lambda: executed("sh", "-c", "exit 4", check=False))
    attempt("exec fails and is checked", lambda: executed("sh", "-c", "exit 4"))
    attempt("exec in no container", lambda: executed("true", container="none"))

    def forwarded():
        with pod.portforward(remote_port=8080) as port:
            return [httpx.get(f"http://localhost:{port}/").text.strip() == pod.name for _ in range(2)]

    attempt("port-forward", forwarded)


if __name__ == "__main__":
    main()
