import { afterEach, describe, expect, test } from "bun:test";
import { certificateSigningRequests, nodes } from "#shared/api/resources.ts";
import type { CertificateSigningRequest } from "#shared/api/types/certificates-v1.generated.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import { createCertificateAuthority } from "#shared/pki/certificate.ts";
import { createCertificateRequest } from "#shared/pki/certificate-request.ts";
import { signerNames } from "#shared/pki/signers.ts";
import { controlPlaneRole } from "../../own-board.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import { certificateApprover } from "./approver.ts";
import { endOf } from "./cleaner.ts";
import { askedFor, hasCondition } from "./request-state.ts";
import { mayServe, type Neighbours, servingFacts } from "./serving-names.ts";
import { certificateSigner } from "./signer.ts";

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.stop();
  harness = undefined;
});

async function servingRequest(
  ips: string[],
  user = "system:node:a",
  dnsNames = ["a"],
): Promise<CertificateSigningRequest> {
  const { requestPem } = await createCertificateRequest({
    commonName: "system:node:a",
    organizations: ["system:nodes"],
    dnsNames,
    ipAddresses: ips,
  });
  return {
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { name: "serving" },
    spec: {
      request: Buffer.from(requestPem).toString("base64"),
      signerName: signerNames.kubeletServing,
      usages: ["digital signature", "server auth"],
      username: user,
      groups: ["system:nodes", "system:authenticated"],
    },
  };
}

const node = (...addresses: string[]): Node => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "a" },
  spec: {},
  status: { addresses: addresses.map((address) => ({ type: "InternalIP", address })) },
});

test("a Node's heartbeat is nothing that a request for a serving certificate waits for", () => {
  const before = node("10.0.0.1");
  const told = (status: object, labels = {}): Node => ({
    ...before,
    metadata: { ...before.metadata, labels },
    status: { ...before.status, ...status },
  });
  expect(servingFacts(told({ images: [{ names: ["a"] }] }, { other: "b" }))).toBe(servingFacts(before));
  expect(servingFacts(told({ addresses: [] }))).not.toBe(servingFacts(before));
  expect(servingFacts(told({ conditions: [{ type: "Ready", status: "True" }] }))).not.toBe(servingFacts(before));
  expect(servingFacts(told({}, { [controlPlaneRole]: "" }))).not.toBe(servingFacts(before));
});

test("a request that is looked at again is not read again", async () => {
  const request = await servingRequest(["10.0.0.1"]);
  expect(await askedFor(request)).toBe((await askedFor(request)) as never);
});

const others = (over: Partial<Neighbours>): Neighbours => ({
  nodes: [],
  apiService: {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "kubernetes" },
    spec: { clusterIP: "10.43.0.1", clusterIPs: ["10.43.0.1", "fd43::1"] },
  },
  apiEndpoints: {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "kubernetes" },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.0.0.100"] }],
  },
  apiNames: ["api.lan", "10.0.0.101"],
  ...over,
});

/** A board that says so of itself. */
const neighbour = (name: string, ready: "True" | "Unknown", ...addresses: string[]): Node => {
  const { status, ...rest } = node(...addresses);
  return { ...rest, metadata: { name }, status: { ...status, conditions: [{ type: "Ready", status: ready }] } };
};

describe("mayServe", () => {
  const decide = async (request: CertificateSigningRequest, neighbours: Neighbours): Promise<boolean | undefined> => {
    const asked = await askedFor(request);
    return asked && mayServe(request, asked, neighbours);
  };

  test.each([
    [["10.0.0.1"], "system:node:a", ["10.0.0.1", "10.0.0.2"], true],
    [["10.0.0.1", "10.0.0.9"], "system:node:a", ["10.0.0.1"], false],
    [["10.0.0.1"], "system:node:b", ["10.0.0.1"], false],
    [["fd00::7"], "system:node:a", ["fd00::7"], true],
    // What a board may say of itself, but not have.
    [["10.0.0.100"], "system:node:a", ["10.0.0.100"], false],
    [["10.0.0.101"], "system:node:a", ["10.0.0.101"], false],
    [["10.43.0.1"], "system:node:a", ["10.43.0.1"], false],
    [["fd43::1"], "system:node:a", ["fd43::1"], false],
    [["127.0.0.1"], "system:node:a", ["127.0.0.1"], false],
    [["::ffff:a00:64"], "system:node:a", ["::ffff:a00:64"], false],
    [["10.0.0.8"], "system:node:a", ["10.0.0.8"], false],
    [["10.0.0.9"], "system:node:a", ["10.0.0.9"], true],
  ])("%j by %s on a node with %j: %p", async (ips, user, addresses, allowed) => {
    const nodes = [
      node(...addresses),
      neighbour("ready", "True", "10.0.0.8"),
      neighbour("away", "Unknown", "10.0.0.9"),
    ];
    expect(await decide(await servingRequest(ips, user), others({ nodes }))).toBe(allowed);
  });

  test.each([["kubernetes.default.svc"], ["api.lan"], ["10.0.0.1"]])(
    "a Node that says it is called %s is not",
    async (name) => {
      const nodes = [node("10.0.0.1", name)];
      expect(await decide(await servingRequest([], "system:node:a", [name]), others({ nodes }))).toBe(false);
    },
  );

  test("a board of a name that API servers have is not one", async () => {
    const nodes = [node("10.0.0.1")];
    expect(await decide(await servingRequest(["10.0.0.1"]), others({ nodes, apiNames: ["A"] }))).toBe(false);
  });

  test("a master's board has the master's names and addresses", async () => {
    const own = node("10.0.0.100");
    const master: Node = {
      ...own,
      metadata: { ...own.metadata, labels: { "node-role.kubernetes.io/control-plane": "true" } },
    };
    const neighbours = others({ nodes: [master], apiNames: ["a"] });
    expect(await decide(await servingRequest(["10.0.0.100"]), neighbours)).toBe(true);
  });
});

describe("the certificate controllers", () => {
  test("approve and sign a serving certificate once the Node has its addresses", async () => {
    harness = new Harness();
    const { client } = harness;
    const authority = await createCertificateAuthority("ca");
    await client.create(nodes, node());
    await client.create(certificateSigningRequests, await servingRequest(["10.0.0.1"]));
    const approver = await harness.run(certificateApprover());
    await harness.run(certificateSigner(() => authority));
    const read = () => client.get(certificateSigningRequests, { name: "serving" });
    await eventually(() => approver.queue.idle, "rest");
    expect(hasCondition(await read(), "Approved")).toBe(false);
    const known = await client.get(nodes, { name: "a" });
    await client.update(nodes, { ...known, status: node("10.0.0.1").status });
    await eventually(async () => Boolean((await read()).status?.certificate), "the certificate");
    expect(hasCondition(await read(), "Approved")).toBe(true);
  });

  test("mark as failed what the signer does not allow", async () => {
    harness = new Harness();
    const { client } = harness;
    const request = await servingRequest(["10.0.0.1"]);
    await client.create(certificateSigningRequests, {
      ...request,
      spec: { ...request.spec, usages: ["client auth"] },
      status: { conditions: [{ type: "Approved", status: "True" }] },
    });
    const authority = await createCertificateAuthority("ca");
    await harness.run(certificateSigner(() => authority));
    const read = () => client.get(certificateSigningRequests, { name: "serving" });
    await eventually(async () => hasCondition(await read(), "Failed"), "the failure");
    expect((await read()).status?.certificate).toBeUndefined();
  });
});

test("requests are kept a day while open, and an hour once decided", async () => {
  const request = await servingRequest(["10.0.0.1"]);
  const created = "2026-11-23T10:00:00Z";
  const open = { ...request, metadata: { ...request.metadata, creationTimestamp: created } };
  expect(new Date(endOf(open)).toISOString()).toBe("2026-11-24T10:00:00.000Z");
  const lastUpdateTime = "2026-11-23T12:00:00Z";
  const decided = { ...open, status: { conditions: [{ type: "Approved", status: "True", lastUpdateTime }] } };
  expect(new Date(endOf(decided)).toISOString()).toBe("2026-11-23T13:00:00.000Z");
});
