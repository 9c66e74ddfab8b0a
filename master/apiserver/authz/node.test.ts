import { describe, expect, test } from "bun:test";
import {
  ingressClasses,
  ingresses,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  secrets,
} from "#shared/api/resources.ts";
import type { Pod, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import { MapReader } from "../../../test/support/map-reader.ts";
import type { User } from "../request.ts";
import type { Attributes } from "./authorizer.ts";
import { bootstrapRules } from "./bootstrap-policy.ts";
import { NodeAuthorizer } from "./node.ts";
import { NodeGraph } from "./node-graph.ts";
import { resourceAttributes } from "./testing.ts";

function pod(name: string, spec: Partial<PodSpec>, annotations: Record<string, string> = {}): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "blue", annotations },
    spec: { containers: [], ...spec },
  };
}

const reader = new MapReader().put(
  pods,
  pod("web", {
    nodeName: "a",
    serviceAccountName: "robot",
    imagePullSecrets: [{ name: "pull" }],
    containers: [
      {
        name: "c",
        envFrom: [{ secretRef: { name: "env-all" } }, { configMapRef: { name: "config-all" } }],
        env: [{ name: "X", valueFrom: { secretKeyRef: { name: "env-one", key: "k" } } }],
      },
    ],
    volumes: [
      { name: "v1", projected: { sources: [{ secret: { name: "projected" } }, { configMap: { name: "ca" } }] } },
      { name: "v2", persistentVolumeClaim: { claimName: "data" } },
      { name: "scratch", ephemeral: {} },
    ],
  }),
  pod("other", { nodeName: "b", volumes: [{ name: "s", secret: { secretName: "of-b" } }] }),
  pod("waiting", { volumes: [{ name: "s", secret: { secretName: "of-nobody" } }] }),
  pod(
    "mirror",
    { nodeName: "a", volumes: [{ name: "s", secret: { secretName: "stolen" } }] },
    {
      "kubernetes.io/config.mirror": "x",
    },
  ),
);
reader.put(persistentVolumeClaims, {
  apiVersion: "v1",
  kind: "PersistentVolumeClaim",
  metadata: { name: "data", namespace: "blue" },
  spec: { volumeName: "disk" },
});
reader.put(persistentVolumes, {
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { name: "disk" },
  spec: {
    claimRef: { namespace: "blue", name: "data" },
    csi: {
      driver: "d",
      volumeHandle: "h",
      nodePublishSecretRef: { namespace: "vault", name: "mount-key" },
      controllerPublishSecretRef: { namespace: "vault", name: "controller-key" },
    },
  },
});
reader.put(persistentVolumes, {
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { name: "folder", labels: { "bramble.dev/node": "a" } },
  spec: { local: { path: "/srv/folder" } },
});

for (const [name, type] of [
  ["shop-tls", "kubernetes.io/tls"],
  ["password", "Opaque"],
  ["unnamed-tls", "kubernetes.io/tls"],
] as const) {
  reader.put(secrets, { apiVersion: "v1", kind: "Secret", metadata: { name, namespace: "green" }, type });
}
reader.put(ingressClasses, {
  apiVersion: "networking.k8s.io/v1",
  kind: "IngressClass",
  metadata: { name: "bramble" },
  spec: { controller: "bramble.dev/ingress" },
});
for (const [name, ingressClassName, secretName] of [
  ["ours", "bramble", "shop-tls"],
  ["greedy", "bramble", "password"],
  ["theirs", "nginx", "unnamed-tls"],
] as const) {
  reader.put(ingresses, {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name, namespace: "green" },
    spec: { ingressClassName, tls: [{ secretName }] },
  });
}

const graph = new NodeGraph(reader);
const authorizer = new NodeAuthorizer(graph, bootstrapRules("system:node"));
const board: User = { name: "system:node:a", groups: ["system:nodes"] };
const ask = (verb: string, resource: string, more: Partial<Attributes> = {}) =>
  authorizer.authorize(resourceAttributes(board, verb, resource, more));

describe("NodeAuthorizer", () => {
  const blue = (name: string): Partial<Attributes> => ({ namespace: "blue", name });
  const cases: [string, string, Partial<Attributes>, boolean][] = [
    ["get", "secrets", blue("pull"), true],
    ["get", "secrets", blue("env-all"), true],
    ["watch", "secrets", blue("env-one"), true],
    ["list", "secrets", blue("projected"), true],
    ["get", "secrets", blue("of-b"), false],
    ["get", "secrets", blue("of-nobody"), false],
    ["get", "secrets", blue("stolen"), false],
    ["get", "secrets", { namespace: "red", name: "pull" }, false],
    ["list", "secrets", { namespace: "blue" }, false],
    ["update", "secrets", blue("pull"), false],
    ["get", "secrets", { namespace: "vault", name: "mount-key" }, true],
    ["get", "secrets", { namespace: "vault", name: "controller-key" }, false],
    ["get", "configmaps", blue("config-all"), true],
    ["get", "configmaps", blue("ca"), true],
    ["get", "persistentvolumeclaims", blue("data"), true],
    ["get", "persistentvolumeclaims", blue("web-scratch"), true],
    ["list", "persistentvolumeclaims", { namespace: "blue" }, false],
    ["patch", "persistentvolumeclaims/status", blue("data"), true],
    ["get", "persistentvolumes", { name: "disk" }, true],
    ["get", "persistentvolumes", { name: "else" }, false],
    ["list", "persistentvolumes", {}, false],
    ["list", "persistentvolumes", { labelSelector: "bramble.dev/node=a" }, true],
    ["watch", "persistentvolumes", { labelSelector: "bramble.dev/node in (a)" }, true],
    ["list", "persistentvolumes", { labelSelector: "bramble.dev/node in (a,b)" }, false],
    ["list", "persistentvolumes", { labelSelector: "bramble.dev/node=b" }, false],
    ["list", "persistentvolumes", { labelSelector: "bramble.dev/node!=a" }, false],
    ["patch", "persistentvolumes", { name: "folder" }, true],
    ["patch", "persistentvolumes", { name: "disk" }, false],
    ["patch", "persistentvolumes/status", { name: "folder" }, false],
    ["delete", "persistentvolumes", { name: "folder" }, false],
    ["create", "serviceaccounts/token", blue("robot"), true],
    ["create", "serviceaccounts/token", blue("default"), false],
    ["get", "pods", blue("web"), true],
    ["get", "pods", blue("other"), false],
    ["list", "pods", { fieldSelector: "spec.nodeName=a" }, true],
    ["list", "pods", { fieldSelector: "spec.nodeName=b" }, false],
    ["list", "pods", { fieldSelector: "spec.nodeName!=a" }, false],
    ["list", "pods", {}, false],
    ["patch", "pods/status", blue("other"), true],
    ["create", "pods/exec", blue("web"), false],
    ["get", "nodes", { name: "a" }, true],
    ["get", "nodes", { name: "b" }, false],
    ["list", "nodes", {}, false],
    ["create", "nodes", {}, true],
    ["delete", "nodes", { name: "a" }, true],
    ["delete", "nodes", { name: "b" }, false],
    ["deletecollection", "nodes", {}, false],
    ["update", "leases@coordination.k8s.io", { namespace: "kube-node-lease", name: "a" }, true],
    ["update", "leases@coordination.k8s.io", { namespace: "kube-node-lease", name: "b" }, false],
    ["update", "leases@coordination.k8s.io", { namespace: "kube-system", name: "a" }, false],
    ["list", "services", {}, true],
    ["create", "certificatesigningrequests@certificates.k8s.io", {}, true],
    ["create", "tokenreviews@authentication.k8s.io", {}, true],
    ["delete", "services", { namespace: "blue", name: "x" }, false],
  ];
  test.each(cases)("%s %s %j: %p", async (verb, resource, more, allowed) => {
    expect((await ask(verb, resource, more)).outcome).toBe(allowed ? "allow" : "no-opinion");
  });

  test("says why, as upstream words it", async () => {
    expect((await ask("get", "secrets", { namespace: "blue", name: "of-b" })).reason).toBe(
      "no relationship found between node 'a' and this object",
    );
    expect((await ask("get", "nodes", { name: "b" })).reason).toBe(
      "node 'a' cannot read 'b', only its own Node object",
    );
  });

  test("a user without the group is no node", async () => {
    const user = { name: "system:node:a", groups: [] };
    expect((await ask("get", "nodes", { name: "a", user })).outcome).toBe("no-opinion");
  });

  test("a pod that goes takes its relations with it", () => {
    const own = new MapReader().put(pods, pod("p", { nodeName: "a", imagePullSecrets: [{ name: "s" }] }));
    const relations = new NodeGraph(own);
    const secret = { namespace: "blue", name: "s" };
    expect(relations.isRelated("a", "secret", secret)).toBe(true);
    own.remove(pods, { namespace: "blue", name: "p" });
    expect(relations.isRelated("a", "secret", secret)).toBe(false);
  });
});

describe("certificates of Ingresses", () => {
  const allowed = (node: string, name: string): boolean =>
    graph.isRelated(node, "secret", { namespace: "green", name });
  const board = (name: string, labels: Record<string, string> = {}) =>
    reader.put(nodes, { apiVersion: "v1", kind: "Node", metadata: { name, labels }, spec: {} });

  test("only those of the type that an Ingress of a served class names, and only for boards that serve", () => {
    expect(allowed("c", "shop-tls")).toBe(false);
    board("c");
    board("d");
    expect(["shop-tls", "password", "unnamed-tls"].map((name) => allowed("c", name))).toEqual([true, false, false]);
    board("d", { "bramble.node-restriction.kubernetes.io/ingress": "true" });
    expect([allowed("c", "shop-tls"), allowed("d", "shop-tls")]).toEqual([false, true]);
  });
});
