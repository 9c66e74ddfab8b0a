/** What a board may do with its certificate beyond what is its own: nothing. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { ObjectKey } from "#shared/api/object.ts";
import {
  certificateSigningRequests,
  configMaps,
  csiNodes,
  leases,
  namespaces,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  resourceSlices,
  secrets,
  serviceAccounts,
  volumeAttachments,
} from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Patch } from "#shared/client/client.ts";
import type { HttpClient } from "#shared/client/http-client.ts";
import { issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";

let server: SecuredServer;
let board: HttpClient;
/** In the group of boards, but with a name that is none of theirs. */
let stranger: HttpClient;

const nodeLease = (name: string) => ({
  apiVersion: "coordination.k8s.io/v1" as const,
  kind: "Lease" as const,
  metadata: { name, namespace: "kube-node-lease" },
  spec: { holderIdentity: name },
});
const csiNode = (name: string) => ({
  apiVersion: "storage.k8s.io/v1" as const,
  kind: "CSINode" as const,
  metadata: { name },
  spec: { drivers: [] },
});
const slice = (name: string, nodeName: string) => ({
  apiVersion: "resource.k8s.io/v1" as const,
  kind: "ResourceSlice" as const,
  metadata: { name },
  spec: { driver: "gpu.example.com", nodeName, pool: { name: nodeName, generation: 1, resourceSliceCount: 1 } },
});
const node = (name: string) => ({ apiVersion: "v1" as const, kind: "Node" as const, metadata: { name }, spec: {} });
const podOf = (nodeName: string): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: `on-${nodeName}`, namespace: "blue" },
  spec: {
    nodeName,
    serviceAccountName: `robot-${nodeName}`,
    containers: [{ name: "c", image: "i" }],
    volumes: [
      { name: "s", secret: { secretName: `of-${nodeName}` } },
      { name: "m", configMap: { name: `of-${nodeName}` } },
    ],
  },
});

beforeAll(async () => {
  server = await startSecuredServer();
  const { admin, pki } = server;
  await admin.create(namespaces, { apiVersion: "v1", kind: "Namespace", metadata: { name: "blue" }, spec: {} });
  for (const name of ["pi-1", "pi-2"]) {
    await admin.create(nodes, node(name));
    await admin.create(leases, nodeLease(name));
    await admin.create(csiNodes, csiNode(name));
    await admin.create(resourceSlices, slice(`slice-${name}`, name));
    const metadata = { name: `of-${name}`, namespace: "blue" };
    await admin.create(secrets, { apiVersion: "v1", kind: "Secret", metadata, data: {} });
    await admin.create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata, data: {} });
    const account = { name: `robot-${name}`, namespace: "blue" };
    await admin.create(serviceAccounts, { apiVersion: "v1", kind: "ServiceAccount", metadata: account });
    await admin.create(pods, podOf(name));
  }
  const clientNamed = async (commonName: string): Promise<HttpClient> => {
    const subject = { commonName, organizations: ["system:nodes"] };
    const issued = await issueCertificate(pki.authorities.ca, subject, [extendedKeyUsages.clientAuth]);
    return server.clientWith({ certificate: issued.certificatePem, key: issued.keyPem });
  };
  board = await clientNamed("system:node:pi-1");
  stranger = await clientNamed("pi-1");
}, 120_000);
afterAll(() => server.stop());

const ready = { type: "merge", body: { status: { conditions: [{ type: "Ready", status: "True" }] } } } as const;
const labelled = { type: "merge", body: { metadata: { labels: { a: "b" } } } } as const;
const status = { subresource: "status" } as const;
const blue = (name: string): ObjectKey => ({ namespace: "blue", name });
const leaseKey = (name: string): ObjectKey => ({ namespace: "kube-node-lease", name });
const applied = (name: string): Patch => ({ type: "apply", body: node(name), force: true });
const tokenFor = (name: string) => ({
  apiVersion: "authentication.k8s.io/v1",
  kind: "TokenRequest",
  spec: { audiences: [], boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid: "x" } },
});

/** By what they would do. `who` is another board, or the board itself. */
const deeds: Readonly<Record<string, (client: HttpClient, who: string) => Promise<unknown>>> = {
  "change its Node": (client, name) => client.patch(nodes, { name }, labelled),
  "apply its Node": (client, name) => client.patch(nodes, { name }, applied(name), { fieldManager: "board" }),
  "say how it is": (client, name) => client.patch(nodes, { name }, ready, status),
  "change its Lease": (client, name) => client.patch(leases, leaseKey(name), labelled),
  "read its Lease": (client, name) => client.get(leases, leaseKey(name)),
  "change its CSINode": (client, name) => client.patch(csiNodes, { name }, labelled),
  "change its ResourceSlice": (client, name) => client.patch(resourceSlices, { name: `slice-${name}` }, labelled),
  "tell a pod's status": (client, name) => client.patch(pods, blue(`on-${name}`), ready, status),
  "read a pod's Secret": (client, name) => client.get(secrets, blue(`of-${name}`)),
  "read a pod's ConfigMap": (client, name) => client.get(configMaps, blue(`of-${name}`)),
  "read a pod's ServiceAccount": (client, name) => client.get(serviceAccounts, blue(`robot-${name}`)),
  "delete its ResourceSlice": (client, name) => client.delete(resourceSlices, { name: `slice-${name}` }),
  "delete its CSINode": (client, name) => client.delete(csiNodes, { name }),
  "delete its Lease": (client, name) => client.delete(leases, leaseKey(name)),
  "delete its pod": (client, name) => client.delete(pods, blue(`on-${name}`), { gracePeriodSeconds: 0 }),
  "delete its Node": (client, name) => client.delete(nodes, { name }),
};

/** Nobody's but the control plane's. */
const never: Readonly<Record<string, (client: HttpClient) => Promise<unknown>>> = {
  "list Secrets": (client) => client.list(secrets, { namespace: "blue" }),
  "list ConfigMaps everywhere": (client) => client.list(configMaps),
  "write a Secret": (client) => client.patch(secrets, blue("of-pi-1"), labelled),
  "make a pod": (client) => client.create(pods, { ...podOf("pi-1"), metadata: { name: "more", namespace: "blue" } }),
  "change a pod": (client) => client.patch(pods, blue("on-pi-1"), labelled),
  "move into another's name": (client) => client.create(leases, nodeLease("pi-3")),
  "register another": (client) => client.create(nodes, node("pi-3")),
  "apply another into being": (client) =>
    client.patch(nodes, { name: "pi-3" }, applied("pi-3"), { fieldManager: "board" }),
  "make another's CSINode": (client) => client.create(csiNodes, csiNode("pi-3")),
  "make another's ResourceSlice": (client) => client.create(resourceSlices, slice("mine", "pi-2")),
  "make a ResourceSlice for all boards": (client) =>
    client.create(resourceSlices, {
      ...slice("all", ""),
      spec: { driver: "gpu.example.com", allNodes: true, pool: { name: "p", generation: 1, resourceSliceCount: 1 } },
    }),
  "list what all boards offer": (client) => client.list(resourceSlices),
  "list volumes": (client) => client.list(persistentVolumes),
  "list claims": (client) => client.list(persistentVolumeClaims, { namespace: "blue" }),
  "list attachments": (client) => client.list(volumeAttachments),
  "take its taints off": (client) =>
    client.patch(
      nodes,
      { name: "pi-1" },
      { type: "merge", body: { spec: { taints: [{ key: "a", effect: "NoExecute" }] } } },
    ),
  "approve a certificate": (client) =>
    client.patch(certificateSigningRequests, { name: "any" }, ready, { subresource: "approval" }),
  "get a token for another's pod": (client) =>
    client.raw({
      method: "POST",
      path: "/api/v1/namespaces/blue/serviceaccounts/robot-pi-2/token",
      body: tokenFor("on-pi-2"),
    }),
  "reach into another board": (client) => client.raw({ method: "GET", path: "/api/v1/nodes/pi-2/proxy/pods" }),
  "evict another's pod": (client) =>
    client.raw({
      method: "POST",
      path: "/api/v1/namespaces/blue/pods/on-pi-2/eviction",
      body: { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "on-pi-2", namespace: "blue" } },
    }),
  "bind a pod": (client) =>
    client.raw({
      method: "POST",
      path: "/api/v1/namespaces/blue/pods/on-pi-2/binding",
      body: {
        apiVersion: "v1",
        kind: "Binding",
        metadata: { name: "on-pi-2" },
        target: { kind: "Node", name: "pi-1" },
      },
    }),
  "read the cluster's keys": (client) => client.raw({ method: "GET", path: "/bramble/v1/control-plane" }),
};

const answerTo = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => "done",
    (error: { reason?: string }) => error.reason ?? String(error),
  );

describe("a board cannot", () => {
  test.each(Object.entries(deeds))("for another board: %s", async (_, deed) => {
    expect(await answerTo(deed(board, "pi-2"))).toBe("Forbidden");
  });

  test.each(Object.entries(never))("%s", async (_, deed) => {
    expect(await answerTo(deed(board))).toBe("Forbidden");
  });
});

describe("who is in the boards' group and has none of their names cannot", () => {
  test.each(Object.entries({ ...deeds, ...never }))("%s", async (_, deed) => {
    expect(await answerTo(deed(stranger, "pi-2"))).toBe("Forbidden");
  });
});

// The last, since its end is that the board leaves.
describe("a board can", () => {
  test.each(Object.entries(deeds))("for itself: %s", async (_, deed) => {
    expect(await answerTo(deed(board, "pi-1"))).toBe("done");
  });
});
