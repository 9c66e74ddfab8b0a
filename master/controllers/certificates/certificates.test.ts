import { afterEach, describe, expect, test } from "bun:test";
import { certificateSigningRequests, nodes } from "#shared/api/resources.ts";
import type { CertificateSigningRequest } from "#shared/api/types/certificates-v1.generated.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import { createCertificateAuthority, createCertificateRequest } from "#shared/pki/certificate.ts";
import { signerNames } from "#shared/pki/signers.ts";
import { eventually } from "../testing/eventually.ts";
import { Harness } from "../testing/harness.ts";
import { certificateApprover, mayServe } from "./approver.ts";
import { endOf } from "./cleaner.ts";
import { askedFor, hasCondition } from "./request-state.ts";
import { certificateSigner } from "./signer.ts";

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.stop();
  harness = undefined;
});

async function servingRequest(ips: string[], user = "system:node:a"): Promise<CertificateSigningRequest> {
  const { requestPem } = await createCertificateRequest({
    commonName: "system:node:a",
    organizations: ["system:nodes"],
    dnsNames: ["a"],
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

describe("mayServe", () => {
  test.each([
    [["10.0.0.1"], "system:node:a", ["10.0.0.1", "10.0.0.2"], true],
    [["10.0.0.1", "10.0.0.9"], "system:node:a", ["10.0.0.1"], false],
    [["10.0.0.1"], "system:node:b", ["10.0.0.1"], false],
  ])("%j by %s on a node with %j: %p", async (ips, user, addresses, allowed) => {
    const request = await servingRequest(ips, user);
    const asked = await askedFor(request);
    expect(asked && mayServe(request, asked, () => node(...addresses))).toBe(allowed);
  });
});

describe("the certificate controllers", () => {
  test("approve and sign a serving certificate once the Node has its addresses", async () => {
    harness = new Harness();
    const { client } = harness;
    const authority = await createCertificateAuthority("ca");
    await client.create(nodes, node());
    await client.create(certificateSigningRequests, await servingRequest(["10.0.0.1"]));
    const approver = await harness.run(certificateApprover);
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
