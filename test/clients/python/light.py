"""lightkube: typed and generic resources, every patch, apply, watches, waiting, manifests, and logs where POD names one."""

import os

from lightkube import ApiError, Client, codecs
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace, Pod
from lightkube.types import CascadeType, PatchType
from transcript import attempt, say

NAMESPACE = "light"


def main():
    client = Client(field_manager="light")
    attempt("namespace", lambda: client.create(Namespace(metadata=ObjectMeta(name=NAMESPACE))).status.phase)
    made = ConfigMap(metadata=ObjectMeta(name="one", namespace=NAMESPACE, labels={"of": "light"}), data={"a": "1"})
    attempt("create", lambda: client.create(made).to_dict())
    attempt("create again", lambda: client.create(made))
    attempt("apply", lambda: client.apply(ConfigMap(apiVersion="v1", kind="ConfigMap", metadata=ObjectMeta(name="one", namespace=NAMESPACE), data={"b": "2"}), force=True).data)
    for kind, body in ((PatchType.JSON, [{"op": "add", "path": "/data/j", "value": "j"}]), (PatchType.MERGE, {"data": {"m": "m"}}),
                       (PatchType.STRATEGIC, {"data": {"s": "s"}})):
        attempt(f"patch {kind.name}", lambda: client.patch(ConfigMap, "one", body, namespace=NAMESPACE, patch_type=kind).data)
    attempt("replace", lambda: client.replace(client.get(ConfigMap, "one", namespace=NAMESPACE)).data)
    for number in range(4):
        client.create(ConfigMap(metadata=ObjectMeta(name=f"p-{number}", namespace=NAMESPACE, labels={"page": "x"})))
    attempt("pages", lambda: [each.metadata.name for each in client.list(ConfigMap, namespace=NAMESPACE, chunk_size=2, labels={"page": "x"})])
    attempt("selected", lambda: [each.metadata.name for each in client.list(ConfigMap, namespace=NAMESPACE, labels={"page": ["x", "y"]}, fields={"metadata.name": "p-1"})])
    attempt("everywhere", lambda: "one" in [each.metadata.name for each in client.list(ConfigMap, namespace="*")])

    def watched():
        events = []
        for kind, each in client.watch(ConfigMap, namespace=NAMESPACE, labels={"page": "x"}, server_timeout=5):
            events.append([kind, each.metadata.name])
            if len(events) == 4:
                client.delete(ConfigMap, "p-0", namespace=NAMESPACE)
            if kind == "DELETED":
                return events

    attempt("watched", watched)
    labels = {"app": "web"}
    deployment = codecs.from_dict({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": NAMESPACE}, "spec": {
        "replicas": 0, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}})
    attempt("deployment", lambda: client.apply(deployment).spec.to_dict())
    attempt("scale", lambda: client.get(Deployment.Scale, "web", namespace=NAMESPACE).spec.replicas)
    attempt("scaled", lambda: client.patch(Deployment.Scale, "web", {"spec": {"replicas": 0}}, namespace=NAMESPACE).spec.replicas)
    attempt("status", lambda: client.get(Deployment.Status, "web", namespace=NAMESPACE).kind)
    leases = create_namespaced_resource("coordination.k8s.io", "v1", "Lease", "leases")
    attempt("lease", lambda: client.create(leases(metadata=ObjectMeta(name="l", namespace=NAMESPACE), spec={"holderIdentity": "me"})).spec)
    attempt("lease applied", lambda: client.apply(leases(apiVersion="coordination.k8s.io/v1", kind="Lease", metadata=ObjectMeta(name="l", namespace=NAMESPACE), spec={"holderIdentity": "you"}), force=True).spec)
    attempt("delete", lambda: client.delete(Deployment, "web", namespace=NAMESPACE, cascade=CascadeType.FOREGROUND))
    attempt("delete many", lambda: client.deletecollection(ConfigMap, namespace=NAMESPACE))
    attempt("none there", lambda: client.get(ConfigMap, "none", namespace=NAMESPACE))
    try:
        client.create(ConfigMap(metadata=ObjectMeta(name="A_", namespace=NAMESPACE)))
    except ApiError as error:
        say("invalid", error.status.to_dict())
    if pod := os.environ.get("POD"):
        attempt("log", lambda: list(client.log(pod, namespace="default", tail_lines=2)))
        attempt("log followed", lambda: next(iter(client.log(pod, namespace="default", follow=True))))
        attempt("ready", lambda: client.wait(Pod, pod, for_conditions=["Ready"], namespace="default").status.phase)
    attempt("namespace goes", lambda: client.delete(Namespace, NAMESPACE))


if __name__ == "__main__":
    main()
