"""The official client of Kubernetes for Python: its typed and its dynamic API, watches, leader election and YAML."""

import inspect
import os
import re
import sys
import threading
import time
import uuid
from pathlib import Path

from kubernetes import client, config, dynamic, utils, watch
from kubernetes.dynamic.exceptions import ResourceNotFoundError
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock
from transcript import attempt, say

NAMESPACE = "python"
core = apps = None


def main():
    config.load_kube_config()
    global core, apps
    core, apps = client.CoreV1Api(), client.AppsV1Api()
    attempt("namespace", lambda: core.create_namespace({"metadata": {"name": NAMESPACE}}).status.phase)
    every_read()
    objects()
    faults()
    watches()
    dynamically()
    manifests()
    election()
    attempt("namespace goes", lambda: "status" in core.delete_namespace(NAMESPACE))


def every_read():
    """Each list of each class of the client, so that everything served is taken in by its typed models."""
    for name, api in inspect.getmembers(client, inspect.isclass):
        if not re.search(r"[a-z](V[12])?Api$", name) or name in ("CustomObjectsApi", "LogsApi"):
            continue
        for method_name, _ in inspect.getmembers(api, inspect.isfunction):
            if method_name.endswith("_with_http_info") or not re.match(r"(list_|get_)", method_name):
                continue
            method = getattr(api(), method_name)
            needed = [
                p.name
                for p in inspect.signature(method).parameters.values()
                if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
            ]
            # What those hold is not the same on any two clusters, and the models refuse part of what they may hold.
            if needed not in ([], ["namespace"]) or re.search("event|csi_node|component_status", method_name):
                continue

            def read(method=method, needed=needed):
                answer = method(*(["default"] if needed else []))
                return type(answer).__name__

            attempt(f"{name}.{method_name}", read)


def config_map(name, **more):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"of": "python"}), data={"a": "1"}, **more)


def objects():
    create = core.create_namespaced_config_map
    attempt("create", lambda: create(NAMESPACE, config_map("one"), field_manager="python").to_dict())
    attempt("create dry", lambda: create(NAMESPACE, config_map("dry"), dry_run="All").metadata.name)
    attempt("generated name", lambda: len(create(NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(generate_name="some-"))).metadata.name))
    for number in range(5):
        create(NAMESPACE, config_map(f"page-{number}"))
    attempt("pages", pages)
    patch = core.patch_namespaced_config_map
    attempt("merge", lambda: patch("one", NAMESPACE, {"data": {"b": "2"}}, _content_type="application/merge-patch+json").data)
    attempt("strategic", lambda: patch("one", NAMESPACE, {"data": {"c": "3", "a": None}}).data)
    attempt("json", lambda: patch("one", NAMESPACE, [{"op": "replace", "path": "/data/b", "value": "5"}]).data)
    apply = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"b": "7"}}
    applied = dict(field_manager="applier", _content_type="application/apply-patch+yaml")
    attempt("apply in conflict", lambda: patch("one", NAMESPACE, apply, **applied))
    attempt("apply forced", lambda: patch("one", NAMESPACE, apply, force=True, **applied).to_dict())
    attempt("replace", replace)
    attempt("secret", lambda: core.create_namespaced_secret(NAMESPACE, client.V1Secret(
        metadata=client.V1ObjectMeta(name="s"), string_data={"word": "bramble"})).data)
    attempt("deployment", lambda: deployment().to_dict())
    attempt("scale", lambda: apps.read_namespaced_deployment_scale("web", NAMESPACE).to_dict())
    attempt("scaled", lambda: apps.patch_namespaced_deployment_scale("web", NAMESPACE, {"spec": {"replicas": 0}}).spec.to_dict())
    attempt("status", lambda: apps.patch_namespaced_deployment_status("web", NAMESPACE, {"status": {"replicas": 0}}).kind)
    attempt("selected", lambda: [each.metadata.name for each in core.list_namespaced_config_map(
        NAMESPACE, label_selector="of in (python),!other", field_selector="metadata.name!=page-3").items])
    attempt("token", lambda: core.create_namespaced_service_account_token(
        "default", "default", client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=["a"], expiration_seconds=600))).status.token.count("."))
    review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(
        resource_attributes=client.V1ResourceAttributes(verb="list", resource="pods")))
    attempt("review", lambda: client.AuthorizationV1Api().create_self_subject_access_review(review).status.allowed)
    rules = client.V1SelfSubjectRulesReview(spec=client.V1SelfSubjectRulesReviewSpec(namespace=NAMESPACE))
    attempt("rules", lambda: client.AuthorizationV1Api().create_self_subject_rules_review(rules).to_dict()["status"]["incomplete"])
    attempt("delete", lambda: core.delete_namespaced_config_map("one", NAMESPACE, propagation_policy="Foreground", grace_period_seconds=0))
    attempt("delete with body", lambda: core.delete_namespaced_secret("s", NAMESPACE, body=client.V1DeleteOptions(
        preconditions=client.V1Preconditions(uid=str(uuid.UUID(int=1))))))
    attempt("delete many", lambda: core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="of=python").kind)
    attempt("code", lambda: re.match(r"v\d+\.\d+", client.VersionApi().get_code().git_version).group())


def pages():
    names, token = [], None
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, limit=2, _continue=token, label_selector="of=python")
        names.append([each.metadata.name for each in page.items])
        token = page.metadata._continue
        if not token:
            return names


def replace():
    one = core.read_namespaced_config_map("one", NAMESPACE)
    one.data = {"whole": "new"}
    one.metadata.annotations = {"note": "ünïcödé ☃"}
    return core.replace_namespaced_config_map("one", NAMESPACE, one).to_dict()


def deployment(name="web"):
    labels = {"app": name}
    container = client.V1Container(name="c", image="i", ports=[client.V1ContainerPort(container_port=80)],
                                   resources=client.V1ResourceRequirements(requests={"cpu": "0.10", "memory": "1024Ki"}))
    template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[container]))
    spec = client.V1DeploymentSpec(replicas=0, selector=client.V1LabelSelector(match_labels=labels), template=template)
    made = apps.create_namespaced_deployment(NAMESPACE, client.V1Deployment(metadata=client.V1ObjectMeta(name=name), spec=spec))
    # What its controller makes of it meanwhile is another subject.
    made.status = None
    return made


def faults():
    attempt("none there", lambda: core.read_namespaced_config_map("none", NAMESPACE))
    attempt("twice", lambda: [core.create_namespaced_config_map(NAMESPACE, config_map("twice")) for _ in range(2)])
    attempt("invalid", lambda: core.create_namespaced_service(NAMESPACE, {"metadata": {"name": "A_b"}, "spec": {"ports": [{"port": 0}]}}))
    attempt("other namespace", lambda: core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "u", "namespace": "other"}}))
    attempt("stale", stale)
    attempt("old page", lambda: core.list_namespaced_config_map(NAMESPACE, limit=1, _continue="bad"))
    attempt("bad selector", lambda: core.list_namespaced_config_map(NAMESPACE, label_selector="a=(b"))
    attempt("bad field", lambda: core.list_namespaced_config_map(NAMESPACE, field_selector="data.a=b"))
    attempt("logs of no pod", lambda: core.read_namespaced_pod_log("none", NAMESPACE))
    attempt("proxy to no service", lambda: core.connect_get_namespaced_service_proxy("none", NAMESPACE))
    attempt("no eviction", lambda: core.create_namespaced_pod_eviction("none", NAMESPACE, client.V1Eviction(metadata=client.V1ObjectMeta(name="none"))))


def stale():
    one = core.create_namespaced_config_map(NAMESPACE, config_map("stale"))
    core.patch_namespaced_config_map("stale", NAMESPACE, {"data": {"b": "2"}})
    return core.replace_namespaced_config_map("stale", NAMESPACE, one)


def watches():
    def change():
        for number in range(3):
            core.create_namespaced_config_map(NAMESPACE, config_map(f"w-{number}"))
            core.patch_namespaced_config_map(f"w-{number}", NAMESPACE, {"data": {"n": str(number)}})
        core.delete_namespaced_config_map("w-0", NAMESPACE)

    def told(selector, count, timeout_seconds=30, **options):
        events, watching = [], watch.Watch()
        for event in watching.stream(core.list_namespaced_config_map, NAMESPACE, timeout_seconds=timeout_seconds, **options):
            name = event["object"].metadata.name
            if selector in name:
                events.append([event["type"], name, event["object"].data])
            if len(events) == count:
                watching.stop()
        return events

    since = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version
    changing = threading.Thread(target=change)
    changing.start()
    attempt("watch", lambda: told("w-", 7, resource_version=since))
    changing.join()
    attempt("watch again", lambda: told("w-", 7, resource_version=since))
    attempt("watch from now", lambda: told("w-", 2))
    attempt("watch that ends", lambda: [e for e in watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, timeout_seconds=1, field_selector="metadata.name=none")])
    attempt("watch of text", lambda: [e["type"] for e in watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, timeout_seconds=1, field_selector="metadata.name=w-1", deserialize=False)])
    attempt("watch from too new", lambda: told("w-", 1, resource_version="9999999999", timeout_seconds=1))
    attempt("watch from no number", lambda: told("w-", 1, resource_version="abc"))
    streamed = dict(send_initial_events=True, resource_version_match="NotOlderThan", allow_watch_bookmarks=True)
    attempt("streamed list", lambda: told("w-", 2, **streamed))


TREE = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "trees.python.example.org"},
    "spec": {
        "group": "python.example.org",
        "names": {"kind": "Tree", "plural": "trees", "shortNames": ["tr"], "categories": ["all"]},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.leaves", "statusReplicasPath": ".status.leaves"}},
                "additionalPrinterColumns": [{"name": "Height", "type": "integer", "jsonPath": ".spec.height"}],
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"height": {"type": "integer", "minimum": 1}, "leaves": {"type": "integer"}, "kind": {"type": "string", "default": "oak"}}},
                            "status": {"type": "object", "properties": {"leaves": {"type": "integer"}}},
                        },
                    }
                },
            }
        ],
    },
}


def tree(name, **spec):
    return {"apiVersion": "python.example.org/v1", "kind": "Tree", "metadata": {"name": name}, "spec": spec}


def dynamically():
    them = dynamic.DynamicClient(client.ApiClient())
    attempt("version", lambda: them.version["kubernetes"]["major"])
    attempt("discovered", lambda: sorted({
        f"{each.group_version} {each.kind} {each.name} {sorted(each.verbs or [])} {each.short_names} {each.categories}"
        for each in them.resources.search() if hasattr(each, "short_names") and re.search(r"^[^.]*/|^v1$|k8s\.io/", each.group_version) and "metrics" not in each.group_version}))
    definitions = them.resources.get(api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition")
    attempt("definition", lambda: definitions.create(body=TREE).metadata.name)
    trees = until_found(them)
    attempt("tree", lambda: trees.create(body=tree("oak", height=3), namespace=NAMESPACE).to_dict())
    attempt("short tree", lambda: trees.create(body=tree("short", height=0), namespace=NAMESPACE))
    attempt("strange tree", lambda: trees.create(body=tree("strange", width=3), namespace=NAMESPACE).spec.to_dict())
    attempt("strict tree", lambda: trees.create(body=tree("strict", width=3), namespace=NAMESPACE, query_params=[("fieldValidation", "Strict")]))
    attempt("applied tree", lambda: trees.server_side_apply(body=tree("oak", height=4), namespace=NAMESPACE, field_manager="dyn", force_conflicts=True).to_dict())
    attempt("patched tree", lambda: trees.patch(body=tree("oak", leaves=9), namespace=NAMESPACE, content_type="application/merge-patch+json").spec.to_dict())
    attempt("strategic tree", lambda: trees.patch(body=tree("oak", leaves=9), namespace=NAMESPACE))
    attempt("status of tree", lambda: trees.status.patch(name="oak", body={"status": {"leaves": 2}}, namespace=NAMESPACE, content_type="application/merge-patch+json").to_dict())
    attempt("scale of tree", lambda: trees.scale.get(name="oak", namespace=NAMESPACE).to_dict())
    attempt("scale of tree set", lambda: trees.scale.patch(name="oak", namespace=NAMESPACE, body={"spec": {"replicas": 3}}, content_type="application/merge-patch+json").to_dict())
    attempt("trees", lambda: [each.metadata.name for each in trees.get(namespace=NAMESPACE).items])
    attempt("watched trees", lambda: [[e["type"], e["object"].metadata.name] for e in trees.watch(namespace=NAMESPACE, timeout=1)])
    custom = client.CustomObjectsApi()
    where = ("python.example.org", "v1", NAMESPACE, "trees")
    attempt("custom objects", lambda: [each["metadata"]["name"] for each in custom.list_namespaced_custom_object(*where)["items"]])
    attempt("custom patch", lambda: custom.patch_namespaced_custom_object(*where, "oak", {"spec": {"height": 6}})["spec"])
    attempt("custom status", lambda: custom.patch_namespaced_custom_object_status(*where, "oak", {"status": {"leaves": 5}})["status"])
    attempt("custom scale", lambda: custom.get_namespaced_custom_object_scale(*where, "oak"))
    attempt("tree goes", lambda: trees.delete(name="oak", namespace=NAMESPACE).to_dict())
    attempt("trees go", lambda: trees.delete(namespace=NAMESPACE, label_selector="a!=b").kind)
    attempt("definition goes", lambda: definitions.delete(name=TREE["metadata"]["name"]).kind)


def until_found(them):
    while True:
        try:
            trees = them.resources.get(api_version="python.example.org/v1", kind="Tree")
            trees.get(namespace=NAMESPACE)
            return trees
        except (ResourceNotFoundError, dynamic.exceptions.NotFoundError):
            time.sleep(0.2)
            them.resources.invalidate_cache()


MANIFESTS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: from-yaml}
data: {a: "1"}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: s}, spec: {clusterIP: None, ports: [{port: 80, name: web}]}}
- {apiVersion: batch/v1, kind: CronJob, metadata: {name: c}, spec: {schedule: "0 0 1 1 *", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: r}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
"""


def manifests():
    file = Path(f"/tmp/{uuid.uuid4()}.yaml")
    file.write_text(MANIFESTS)
    try:
        for way in ("made", "made again"):
            attempt(way, lambda: [each.kind for group in utils.create_from_yaml(client.ApiClient(), str(file), namespace=NAMESPACE) for each in group])
    finally:
        file.unlink()


def election():
    """Two candidates one after the other: the second gets the Lease when the first has given it up."""
    leaders = []
    for identity in ("first", "second"):
        lock = LeaseLock("election", NAMESPACE, identity)
        won = threading.Event()
        settings = electionconfig.Config(lock, lease_duration=3, renew_deadline=2, retry_period=1,
                                         onstarted_leading=won.set, onstopped_leading=lambda: None)
        threading.Thread(target=leaderelection.LeaderElection(settings).run, daemon=True).start()
        leaders.append([identity, won.wait(2 if leaders else 30)])
    say("elected", leaders)
    lease = client.CoordinationV1Api().read_namespaced_lease("election", NAMESPACE)
    say("lease", [lease.spec.holder_identity, lease.spec.lease_duration_seconds, lease.spec.renew_time is not None])


if __name__ == "__main__":
    main()
    # Who takes part in an election does so for as long as the process lives, and its threads must not end in the middle of a word.
    sys.stdout.flush()
    os._exit(0)
