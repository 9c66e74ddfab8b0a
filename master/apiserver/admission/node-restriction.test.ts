import { describe, expect, test } from "bun:test";
import { certificateSigningRequests, leases, nodes, pods, serviceAccounts } from "#shared/api/resources.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import { createCertificateRequest } from "#shared/pki/certificate-request.ts";
import { admit, writeOf } from "../../../test/support/admission.ts";
import { MapReader } from "../../../test/support/map-reader.ts";
import type { AdmissionAttributes } from "./admission.ts";
import { NodeRestriction } from "./node-restriction.ts";

const node = (labels: Record<string, string> = {}, more: Partial<Node> = {}): Node => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "a", uid: "node-1", labels },
  spec: {},
  ...more,
});

const boundPod = (name: string, nodeName: string): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "blue", uid: `${name}-1` },
  spec: {
    containers: [],
    nodeName,
    serviceAccountName: "robot",
    volumes: [{ name: "t", projected: { sources: [{ serviceAccountToken: { path: "token", audience: "vault" } }] } }],
  },
});

const reader = new MapReader().put(nodes, node()).put(pods, boundPod("mine", "a"), boundPod("theirs", "b"));
const plugin = new NodeRestriction(reader, { authorize: async () => ({ outcome: "no-opinion", reason: "" }) });
const asNode = { user: { name: "system:node:a", groups: ["system:nodes"] } };

describe("NodeRestriction", () => {
  test("leaves everyone else alone", async () => {
    await admit(plugin, writeOf(nodes, node({ "node-restriction.kubernetes.io/x": "y" })));
  });

  test("a node registers with the labels that are its own to set", async () => {
    const own = { "kubernetes.io/arch": "arm64", "bramble.dev/board": "pi5", "node.kubernetes.io/x": "y" };
    await admit(plugin, writeOf(nodes, node(own), asNode));
    await expect(admit(plugin, writeOf(nodes, node({ "node-role.kubernetes.io/master": "" }), asNode))).rejects.toThrow(
      'nodes "a" is forbidden: node "a" is not allowed to set the following labels: node-role.kubernetes.io/master',
    );
  });

  test("a node that registers names no owner: by deleting that it would be rid of its taints", async () => {
    const owned = node();
    owned.metadata.ownerReferences = [
      { apiVersion: "resource.k8s.io/v1", kind: "ResourceSlice", name: "mine", uid: "slice-1" },
    ];
    await expect(admit(plugin, writeOf(nodes, owned, asNode))).rejects.toThrow(
      'node "a" is not allowed to set ownerReferences',
    );
  });

  test("a node changes neither its taints nor reserved labels nor another node", async () => {
    const update = (object: Node, oldObject: Node): AdmissionAttributes =>
      writeOf(nodes, object, { ...asNode, operation: "UPDATE", oldObject });
    const tainted = node({}, { spec: { taints: [{ key: "k", effect: "NoSchedule" }] } });
    await expect(admit(plugin, update(node(), tainted))).rejects.toThrow('node "a" is not allowed to modify taints');
    const fenced = node({ "zone.node-restriction.kubernetes.io/pci": "true" });
    await expect(admit(plugin, update(node(), fenced))).rejects.toThrow(
      "is not allowed to modify labels: zone.node-restriction.kubernetes.io/pci",
    );
    const other = { ...node(), metadata: { name: "b" } };
    await expect(admit(plugin, update(other, other))).rejects.toThrow('node "a" is not allowed to modify node "b"');
  });

  test("a node that leaves deletes itself, but not its taints with it, nor labels that are not its own to set", async () => {
    const remove = (oldObject: Node): AdmissionAttributes =>
      writeOf(nodes, undefined, { ...asNode, operation: "DELETE", oldObject, name: "a" });
    const tainted = (key: string): Node => node({}, { spec: { taints: [{ key, effect: "NoExecute" }] } });
    await admit(plugin, remove(node()));
    await admit(plugin, remove(tainted("node.kubernetes.io/unschedulable")));
    for (const key of ["stolen", "node.kubernetes.io/out-of-service"])
      await expect(admit(plugin, remove(tainted(key)))).rejects.toThrow(
        `node "a" is not allowed to delete itself while it has taints: ${key}`,
      );
    await admit(plugin, remove(node({ "node-role.kubernetes.io/worker": "", "example.org/room": "attic" })));
    await expect(admit(plugin, remove(node({ "node-restriction.kubernetes.io/trusted": "false" })))).rejects.toThrow(
      'node "a" is not allowed to delete itself while it has labels: node-restriction.kubernetes.io/trusted',
    );
  });

  test("a node writes the status of its own pods alone", async () => {
    const status = (pod: Pod): AdmissionAttributes =>
      writeOf(pods, structuredClone(pod), { ...asNode, operation: "UPDATE", subresource: "status", oldObject: pod });
    await admit(plugin, status(boundPod("mine", "a")));
    await expect(admit(plugin, status(boundPod("theirs", "b")))).rejects.toThrow(
      'node "a" can only update pod status for pods with spec.nodeName set to itself',
    );
  });

  test("a node makes only mirror pods that refer to nothing", async () => {
    const mirrorPod = (more: Partial<Pod["spec"]> = {}): Pod => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: "static",
        namespace: "blue",
        annotations: { "kubernetes.io/config.mirror": "x" },
        ownerReferences: [{ apiVersion: "v1", kind: "Node", name: "a", uid: "node-1", controller: true }],
      },
      spec: { containers: [], nodeName: "a", volumes: [{ name: "h", hostPath: { path: "/x" } }], ...more },
    });
    await admit(plugin, writeOf(pods, mirrorPod(), asNode));
    await expect(admit(plugin, writeOf(pods, boundPod("x", "a"), asNode))).rejects.toThrow(
      "can only create mirror pods",
    );
    const thief = mirrorPod({ volumes: [{ name: "s", secret: { secretName: "s" } }] });
    await expect(admit(plugin, writeOf(pods, thief, asNode))).rejects.toThrow(
      "can not create pods that reference secrets",
    );
  });

  test("a node gets tokens for its own pods and their audiences", async () => {
    const token = (name: string, uid: string, audiences: string[]): AdmissionAttributes => ({
      ...writeOf(serviceAccounts, undefined, { ...asNode, namespace: "blue", name: "robot", subresource: "token" }),
      object: {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        metadata: {},
        spec: { audiences, boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid } },
      } as unknown as Pod,
    });
    await admit(plugin, token("mine", "mine-1", ["vault"]));
    await expect(admit(plugin, token("mine", "other", ["vault"]))).rejects.toThrow("does not match the UID in record");
    await expect(admit(plugin, token("theirs", "theirs-1", ["vault"]))).rejects.toThrow(
      "scheduled on a different node",
    );
    await expect(admit(plugin, token("mine", "mine-1", ["bank"]))).rejects.toThrow(
      'audience "bank" not found in pod spec volume',
    );
  });

  test("a node hears of volumes of which no audience can be told", async () => {
    const volumes = [
      { name: "a", csi: { driver: "d.example.com" } },
      { name: "b", persistentVolumeClaim: { claimName: "c" } },
      { name: "t", projected: { sources: [{ serviceAccountToken: { path: "p", audience: "vault" } }] } },
    ];
    const { spec, ...mine } = boundPod("mine", "a");
    const beside = new MapReader().put(pods, { ...mine, spec: { ...spec, containers: [], volumes } });
    const restriction = new NodeRestriction(beside, { authorize: async () => ({ outcome: "no-opinion", reason: "" }) });
    const token = (audience: string): AdmissionAttributes => ({
      ...writeOf(serviceAccounts, undefined, { ...asNode, namespace: "blue", name: "robot", subresource: "token" }),
      object: {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        metadata: {},
        spec: {
          audiences: [audience],
          boundObjectRef: { apiVersion: "v1", kind: "Pod", name: "mine", uid: mine.metadata.uid },
        },
      } as unknown as Pod,
    });
    await admit(restriction, token("vault"));
    await expect(admit(restriction, token("bank"))).rejects.toThrow(
      'error validating audience "bank": [csidriver.storage.k8s.io "d.example.com" not found, persistentvolumeclaim "c" not found]',
    );
  });

  test("a node asks for certificates in its own name", async () => {
    const request = async (commonName: string) => {
      const { requestPem } = await createCertificateRequest({ commonName, organizations: ["system:nodes"] });
      return writeOf(
        certificateSigningRequests,
        {
          apiVersion: "certificates.k8s.io/v1",
          kind: "CertificateSigningRequest",
          metadata: { name: "csr" },
          spec: {
            request: Buffer.from(requestPem).toString("base64"),
            signerName: "kubernetes.io/kubelet-serving",
          },
        },
        asNode,
      );
    };
    await admit(plugin, await request("system:node:a"));
    await expect(admit(plugin, await request("system:node:b"))).rejects.toThrow("CN=system:node:a");
  });

  test("a node has one lease", async () => {
    const lease = (name: string) => ({
      apiVersion: "coordination.k8s.io/v1" as const,
      kind: "Lease" as const,
      metadata: { name, namespace: "kube-node-lease" },
      spec: {},
    });
    await admit(plugin, writeOf(leases, lease("a"), asNode));
    await expect(admit(plugin, writeOf(leases, lease("b"), asNode))).rejects.toThrow(
      "same name as the requesting node",
    );
  });
});
