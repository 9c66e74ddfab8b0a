import { nodes } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { bareSpec, ownedBy, template, workload } from "./manifests.ts";
import { type Fields, isEnding, isRunning, type Scenario, type World } from "./world.ts";

/* The garbage collector, namespaces, quotas and accounts. */

type Made = Parameters<typeof ownedBy>[0];
const map = async (world: World, name: string, metadata: Fields = {}): Promise<Made> => {
  const made = await world.create("ConfigMap", name, {}, metadata);
  return { apiVersion: "v1", kind: "ConfigMap", metadata: made.metadata };
};
const has = (world: World, name: string): boolean => world.room.get("ConfigMap", name) !== undefined;
const absentOwner = (world: World): Made => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "never", uid: `00000000-0000-0000-0000-${world.namespace.length.toString().padStart(12, "0")}` },
});
const used = (world: World, name: string): boolean =>
  JSON.stringify(world.room.get("ResourceQuota", name) ?? {}).includes('"used"');

export const upkeepScenarios: readonly Scenario[] = [
  {
    name: "garbage-foreground",
    async play(world) {
      await world.create("Deployment", "web", workload("web", 2));
      await world.roll("made", { one: false });
      await world.delete("Deployment", "web", { propagationPolicy: "Foreground" });
      await world.settle("deleting");
      await world.roll("gone", { one: false });
    },
  },
  {
    name: "garbage-background",
    async play(world) {
      await world.create("Deployment", "web", workload("web", 2));
      await world.roll("made", { one: false });
      await world.delete("Deployment", "web", { propagationPolicy: "Background" });
      await world.settle("deleting");
      await world.roll("gone", { one: false });
    },
  },
  {
    name: "garbage-blocking",
    async play(world) {
      const owner = await map(world, "owner");
      await map(world, "blocking", {
        ...ownedBy(owner, { blockOwnerDeletion: true }),
        finalizers: ["example.com/hold"],
      });
      await map(world, "free", { ...ownedBy(owner), finalizers: ["example.com/hold"] });
      await map(world, "plain", ownedBy(owner, { blockOwnerDeletion: true }));
      await world.delete("ConfigMap", "owner", { propagationPolicy: "Foreground" });
      await world.until(() => !has(world, "plain"), "the end of one");
      await world.settle("held");
      await world.patch("ConfigMap", "blocking", { metadata: { finalizers: null } });
      await world.until(() => !has(world, "owner"), "the owner's end");
      await world.settle("the owner is gone");
      await world.patch("ConfigMap", "free", { metadata: { finalizers: null } });
      await world.until(() => !has(world, "free"), "the last one's end");
      await world.settle("all gone");
    },
  },
  {
    name: "garbage-orphans",
    async play(world) {
      const owner = await map(world, "owner");
      const other = await map(world, "other");
      const both = { ownerReferences: [owner, other].flatMap((each) => ownedBy(each)["ownerReferences"] as object[]) };
      await map(world, "one", ownedBy(owner, { blockOwnerDeletion: true }));
      await map(world, "both", both);
      await world.settle("made");
      await world.delete("ConfigMap", "owner", { propagationPolicy: "Orphan" });
      await world.until(() => !has(world, "owner"), "its end");
      await world.settle("orphaned");
      await world.delete("ConfigMap", "other");
      await world.until(() => !has(world, "both"), "the end of its dependent");
      await world.settle("both gone");
    },
  },
  {
    name: "garbage-two-owners",
    async play(world) {
      const owner = await map(world, "owner");
      const other = await map(world, "other");
      const both = {
        ownerReferences: [owner, other].flatMap(
          (each) => ownedBy(each, { blockOwnerDeletion: true })["ownerReferences"] as object[],
        ),
      };
      await map(world, "both", both);
      await world.settle("made");
      await world.delete("ConfigMap", "owner", { propagationPolicy: "Foreground" });
      await world.until(() => !has(world, "owner"), "its end");
      await world.settle("one gone");
      await world.delete("ConfigMap", "other", { propagationPolicy: "Background" });
      await world.until(() => !has(world, "both"), "the end of its dependent");
      await world.settle("all gone");
    },
  },
  {
    name: "garbage-absent-owner",
    async play(world) {
      const owner = await map(world, "owner");
      await map(world, "lost", ownedBy(absentOwner(world)));
      const both = {
        ownerReferences: [absentOwner(world), owner].flatMap((each) => ownedBy(each)["ownerReferences"] as object[]),
      };
      await map(world, "half", both);
      await map(world, "twin", ownedBy({ ...owner, metadata: { ...owner.metadata, name: "renamed" } }));
      await map(world, "kindless", ownedBy({ ...absentOwner(world), apiVersion: "example.com/v1", kind: "Thing" }));
      await world.until(() => !has(world, "lost") && !has(world, "twin"), "the end of those without an owner");
      await world.settle("lost");
    },
  },
  {
    name: "garbage-other-namespace",
    async play(world) {
      const other = await world.beside("other");
      const owner = await map(other, "owner");
      await map(world, "child", ownedBy(owner));
      await world.until(() => !has(world, "child"), "the end of the child");
      await world.settle("refused");
      const own = await map(world, "own");
      const two = { ownerReferences: [owner, own].flatMap((each) => ownedBy(each)["ownerReferences"] as object[]) };
      await map(world, "half", two);
      await world.until(() => JSON.stringify(world.room.get("ConfigMap", "half") ?? {}).includes("owner"), "the child");
      await world.settle("half");
    },
  },
  {
    name: "garbage-circle",
    async play(world) {
      const one = await map(world, "one");
      const two = await map(world, "two", ownedBy(one, { blockOwnerDeletion: true }));
      await world.patch("ConfigMap", "one", { metadata: { ...ownedBy(two, { blockOwnerDeletion: true }) } });
      await world.settle("made");
      await world.delete("ConfigMap", "one", { propagationPolicy: "Foreground" });
      await world.until(() => !has(world, "one") && !has(world, "two"), "the end of both");
      await world.settle("gone");
    },
  },
  {
    name: "namespace-stuck",
    async play(world) {
      await map(world, "held", { finalizers: ["example.com/hold", "example.com/other"] });
      await world.create("Pod", "running", bareSpec());
      await world.runAll();
      await world.create("Deployment", "web", workload("web", 1));
      await world.roll("made", { one: false });
      await world.delete("Namespace", world.namespace);
      await world.until(() => world.pods(isEnding).length === 2, "the end of its pods");
      for (const pod of world.pods(isEnding)) await world.finish(pod);
      await world.until(
        () => JSON.stringify(world.room.get("Namespace", world.namespace)).includes("1 resource instances"),
        "its word",
      );
      await world.settle("held");
      await world.patch("ConfigMap", "held", { metadata: { finalizers: null } });
      await world.until(() => world.room.get("Namespace", world.namespace) === undefined, "its end");
    },
  },
  {
    name: "quota-scopes",
    async play(world) {
      const quota = (name: string, spec: Fields): Promise<unknown> => world.create("ResourceQuota", name, { spec });
      await quota("best-effort", { hard: { pods: "3" }, scopes: ["BestEffort"] });
      await quota("not-best-effort", {
        hard: { pods: "3", "requests.cpu": "4", "limits.memory": "4Gi" },
        scopes: ["NotBestEffort"],
      });
      await quota("terminating", { hard: { pods: "3" }, scopes: ["Terminating"] });
      await quota("not-terminating", { hard: { pods: "9" }, scopes: ["NotTerminating"] });
      await quota("class", {
        hard: { pods: "3" },
        scopeSelector: {
          matchExpressions: [{ scopeName: "PriorityClass", operator: "In", values: ["system-node-critical"] }],
        },
      });
      await quota("affinity", {
        hard: { pods: "0" },
        scopeSelector: { matchExpressions: [{ scopeName: "CrossNamespacePodAffinity", operator: "Exists" }] },
      });
      await quota("counts", {
        hard: {
          configmaps: "9",
          secrets: "9",
          services: "9",
          "services.nodeports": "2",
          "count/deployments.apps": "2",
          "count/pods": "20",
          "requests.storage": "5Gi",
          "gold.storageclass.storage.k8s.io/requests.storage": "3Gi",
          "requests.example.com/gadget": "3",
          "count/things.example.com": "1",
        },
      });
      const names = ["best-effort", "not-best-effort", "terminating", "not-terminating", "class", "affinity", "counts"];
      await world.until(() => names.every((name) => used(world, name)), "all usage");
      await world.settle("made");
      const resources = { requests: { cpu: "250m", memory: "1Gi" }, limits: { cpu: "1", memory: "1Gi" } };
      await world.create("Pod", "sized", { spec: { containers: [{ name: "main", image: "x", resources }] } });
      await world.create("Pod", "ending", {
        spec: { activeDeadlineSeconds: 3600, containers: [{ name: "main", image: "x" }] },
      });
      await world.create("Pod", "done", bareSpec());
      await world.create("Service", "ports", { spec: { type: "NodePort", ports: [{ port: 1 }] } });
      const claim = (storageClassName: string, storage: string): Fields => ({
        spec: { accessModes: ["ReadWriteOnce"], storageClassName, resources: { requests: { storage } } },
      });
      await world.create("PersistentVolumeClaim", "gold", claim("gold", "2Gi"));
      await world.create("PersistentVolumeClaim", "tin", claim("tin", "1500M"));
      await world.settle("used");
      for (const pod of world.pods(({ metadata }) => metadata.name === "done"))
        await world.bind(pod).then(() => world.succeed(pod));
      await world.delete("Service", "ports");
      await world.until(
        () => JSON.stringify(world.room.get("ResourceQuota", "best-effort")).includes('"used":{"pods":"1"}'),
        "the end of one",
      );
      await world.until(
        () => JSON.stringify(world.room.get("ResourceQuota", "counts")).includes('"services":"0"'),
        "no service",
      );
      await world.settle("less used");
      await world.patch("ResourceQuota", "counts", { spec: { hard: { secrets: null, configmaps: "0" } } });
      await world.settle("other limits");
    },
  },
  {
    name: "account-default",
    async play(world) {
      await world.delete("ServiceAccount", "default");
      await world.until(() => world.room.get("ServiceAccount", "default") !== undefined, "a new one");
      await world.delete("ConfigMap", "kube-root-ca.crt");
      await world.until(() => has(world, "kube-root-ca.crt"), "a new one");
      await world.patch("ConfigMap", "kube-root-ca.crt", { data: { "ca.crt": "x", more: "y" } });
      await world.settle("made anew");
    },
  },
  {
    name: "pods-deleted-unbound",
    async play(world) {
      await world.create("Pod", "held", bareSpec(), { finalizers: ["example.com/hold"] });
      await world.create("Pod", "plain", bareSpec());
      await world.delete("Pod", "held");
      await world.delete("Pod", "plain");
      await world.until(() => world.pods(({ status }) => status?.phase === "Failed").length === 1, "its end");
      await world.settle("deleted");
    },
  },
  {
    name: "pods-evicted-by-taint",
    async play(world) {
      const node = await world.node("a");
      const spec = { nodeName: node, containers: [{ name: "main", image: "x" }] };
      await world.create("Pod", "plain", { spec });
      await world.create("Pod", "tolerant", {
        spec: { ...spec, tolerations: [{ key: "out", operator: "Exists", effect: "NoExecute" }] },
      });
      await world.create("Pod", "a-moment", {
        spec: { ...spec, tolerations: [{ key: "out", operator: "Exists", effect: "NoExecute", tolerationSeconds: 3 }] },
      });
      await world.create("Job", "job", {
        spec: {
          podReplacementPolicy: "Failed",
          template: template("job", "x", { restartPolicy: "Never", nodeName: node }),
        },
      });
      await world.until(() => world.pods().length === 4, "the pods");
      await world.runAll();
      await world.settle("running");
      await world.patchNode(node, { spec: { taints: [{ key: "out", effect: "NoExecute" }] } });
      await world.until(() => world.pods(isRunning).length === 1, "the evictions");
      await world.settle("driven out");
    },
  },
  {
    name: "pods-of-lost-node",
    async play(world) {
      const node = await world.node("a");
      await world.create("Pod", "running", bareSpec("x", { nodeName: node }));
      await world.create("Pod", "ended", bareSpec("x", { nodeName: node }));
      await world.runAll();
      for (const pod of world.pods(({ metadata }) => metadata.name === "ended")) await world.succeed(pod);
      await world.patch("Pod", "running", { metadata: { finalizers: ["example.com/hold"] } });
      await world.client.delete(nodes, { name: node });
      await world.until(() => world.pods(isEnding).length === 1 && world.pods().length === 1, "its pods' end");
      await world.settle("lost");
    },
  },
  {
    name: "pods-spared",
    async play(world) {
      await world.create("Pod", "spared", bareSpec());
      await world.runAll();
      const mark = {
        type: "DisruptionTarget",
        status: "True",
        reason: "EvictionByEvictionAPI",
        message: "Eviction API: evicting",
      };
      const [pod] = world.pods();
      if (pod) await world.report(pod, { conditions: [{ ...mark, lastTransitionTime: "2026-01-01T00:00:00Z" }] });
      const isSpared = ({ status }: Pod): boolean =>
        status?.conditions?.some((condition) => condition.type === mark.type && condition.status === "False") === true;
      await world.until(() => world.pods(isSpared).length === 1, "a change of mind");
      await world.settle("spared");
    },
  },
];
