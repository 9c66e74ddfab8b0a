import { afterAll, beforeAll, expect, test } from "bun:test";
import type { AddressInfo } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { nodes } from "#shared/api/resources.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import { createCertificateAuthority, issueCertificate, type KeyAndCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import type { TunnelTarget } from "#shared/tunnel/tunnel.ts";
import { MapReader } from "../../../test/support/map-reader.ts";
import { KubeletCalls, type KubeletCallsOptions } from "./kubelet-calls.ts";

const kubelet = { kind: "kubelet" } as const;
let ca: KeyAndCertificate;
let client: KeyAndCertificate;
let server: Server;

beforeAll(async () => {
  ca = await createCertificateAuthority("cluster");
  const { clientAuth, serverAuth } = extendedKeyUsages;
  const own = await issueCertificate(ca, { commonName: "board", ipAddresses: ["127.0.0.1"] }, [serverAuth]);
  client = await issueCertificate(ca, { commonName: "kube-apiserver-kubelet-client" }, [clientAuth]);
  const options = { cert: own.certificatePem, key: own.keyPem, ca: ca.certificatePem, requestCert: true };
  server = createServer(options, (socket: TLSSocket) => socket.end(String(socket.getPeerCertificate().subject.CN)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => server.close());

function callsTo(
  addresses: { type: string; address: string }[],
  more: Partial<KubeletCallsOptions> = {},
): KubeletCalls {
  const { port } = server.address() as AddressInfo;
  const node: Node = {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "board" },
    spec: {},
    status: { addresses, daemonEndpoints: { kubeletEndpoint: { Port: port } } },
  };
  const reader = new MapReader().put(nodes, node);
  return new KubeletCalls({
    reader: () => reader,
    credentials: () => ({ cert: client.certificatePem, key: client.keyPem }),
    authorities: undefined,
    addressTypes: ["Hostname", "InternalIP"],
    ...more,
  });
}

const here = { type: "InternalIP", address: "127.0.0.1" };

async function said(calls: KubeletCalls, target: TunnelTarget = kubelet): Promise<string> {
  let text = "";
  for await (const chunk of await calls.dial("board", target)) text += String(chunk);
  return text;
}

test("a kubelet is called at its Node's address, by the certificate that the settings name", async () => {
  expect(await said(callsTo([here]))).toBe("kube-apiserver-kubelet-client");
});

test("where an authority is named, a kubelet has to have its certificate by it", async () => {
  expect(await said(callsTo([here], { authorities: () => ca.certificatePem }))).toBe("kube-apiserver-kubelet-client");
  const other = await createCertificateAuthority("other");
  await expect(said(callsTo([here], { authorities: () => other.certificatePem }))).rejects.toMatchObject({
    reason: "ServiceUnavailable",
  });
  // A client that asks for logs may do without.
  const unverified = { kind: "kubelet", unverified: true } as const;
  expect(await said(callsTo([here], { authorities: () => other.certificatePem }), unverified)).toBe(
    "kube-apiserver-kubelet-client",
  );
});

test("a Node without an address that is preferred, or none of that name, cannot be called", async () => {
  expect(() => callsTo([{ type: "ExternalIP", address: "1.2.3.4" }]).dial("board", kubelet)).toThrow(
    "no preferred addresses found",
  );
  expect(() => callsTo([here]).dial("stranger", kubelet)).toThrow('nodes "stranger" not found');
});
