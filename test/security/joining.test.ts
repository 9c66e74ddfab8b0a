import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodes, secrets } from "#shared/api/resources.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { BoardIdentity, type BoardIdentityOptions } from "#shared/pki/board-identity.ts";
import { certificateSubject, createCertificateAuthority } from "#shared/pki/certificate.ts";
import { createJoinToken, formatJoinToken } from "#shared/pki/join-token.ts";
import { ensureBootstrapSecret } from "../../master/join/bootstrap-secret.ts";
import { joinControlPlane } from "../../master/join/control-plane.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";

let server: SecuredServer;
let folder: string;

beforeAll(async () => {
  server = await startSecuredServer();
  folder = await mkdtemp(join(tmpdir(), "joining-"));
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

const board = (name: string, more: Partial<BoardIdentityOptions> = {}): BoardIdentityOptions => ({
  folder: join(folder, name),
  servers: [server.url],
  token: server.joinToken,
  hostName: "raspberrypi",
  boardSerial: `10000000${name}`,
  ...more,
});

const clientOf = (identity: BoardIdentity) =>
  new HttpClient({ servers: [server.url], credentials: identity.credentials });

describe("a board", () => {
  test("joins by token, and is its node from then on", async () => {
    const identity = await BoardIdentity.ensure(board("aaaa"));
    expect(identity.nodeName).toBe("raspberrypi");
    expect(identity.settings).toEqual({ clusterDomain: "cluster.local" });
    const client = clientOf(identity);
    const metadata = { name: identity.nodeName };
    const node = await client.create(nodes, { apiVersion: "v1", kind: "Node", metadata, spec: {} });
    expect(node.spec?.taints).toEqual([{ key: "node.kubernetes.io/not-ready", effect: "NoSchedule" }]);
    await expect(client.list(secrets, { namespace: "kube-system" })).rejects.toThrow("is forbidden");
    const again = await BoardIdentity.ensure(board("aaaa", { token: undefined }));
    expect(again.nodeName).toBe("raspberrypi");
    expect(again.credentials()).toEqual(identity.credentials());
  });

  test("of the same host name gets its serial into the name", async () => {
    expect((await BoardIdentity.ensure(board("bbbb"))).nodeName).toBe("raspberrypi-bbbb");
  });

  test("gets its old name back on a new card", async () => {
    expect((await BoardIdentity.ensure(board("aaaa", { folder: join(folder, "new-card") }))).nodeName).toBe(
      "raspberrypi",
    );
  });

  test("that runs from a copied card joins under a name of its own", async () => {
    await cp(join(folder, "aaaa"), join(folder, "copy"), { recursive: true });
    const copy = await BoardIdentity.ensure(board("copy", { boardSerial: "10000000cccc" }));
    expect(copy.nodeName).toBe("raspberrypi-cccc");
    await cp(join(folder, "aaaa"), join(folder, "bare"), { recursive: true });
    const bare = BoardIdentity.ensure(board("bare", { boardSerial: "10000000dddd", token: undefined }));
    await expect(bare).rejects.toThrow("no join token is given");
  });

  test("starts by what it has when no master answers", async () => {
    const alone = await BoardIdentity.ensure(board("aaaa", { servers: ["https://127.0.0.1:1"] }));
    expect(alone.nodeName).toBe("raspberrypi");
    expect(alone.settings).toEqual({ clusterDomain: "cluster.local" });
  });

  test("renews its certificate by itself", async () => {
    const identity = await BoardIdentity.ensure(board("aaaa"));
    const before = identity.credentials();
    await identity.renew(clientOf(identity));
    expect(identity.credentials().certificate).not.toBe(before.certificate);
    expect((await clientOf(identity).get(nodes, { name: "raspberrypi" })).metadata.name).toBe("raspberrypi");
    expect(await readFile(join(folder, "aaaa/client.pem"), "utf8")).toContain(
      identity.credentials().certificate ?? "?",
    );
  });

  test("gets a serving certificate for the addresses of its Node, when it has them", async () => {
    const identity = await BoardIdentity.ensure(board("aaaa"));
    const client = clientOf(identity);
    const ordered = identity.servingCertificate(client, { hostNames: ["raspberrypi"], ips: ["192.168.1.7"] });
    const node = await client.get(nodes, { name: "raspberrypi" });
    const addresses = [{ type: "InternalIP", address: "192.168.1.7" }];
    await client.update(nodes, { ...node, status: { ...node.status, addresses } }, { subresource: "status" });
    const serving = await ordered;
    expect(certificateSubject(serving.certificatePem)).toMatchObject({
      commonName: "system:node:raspberrypi",
      dnsNames: ["raspberrypi"],
      ipAddresses: ["192.168.1.7"],
    });
    const known = { hostNames: ["raspberrypi"], ips: ["192.168.1.7"] };
    expect(await identity.servingCertificate(client, known)).toEqual(serving);
  });

  test("is told what to do when the token is no longer known", async () => {
    const token = formatJoinToken(createJoinToken(server.pki.authorities.ca.certificatePem));
    await expect(BoardIdentity.ensure(board("eeee", { token }))).rejects.toThrow("bramble token create");
  });
});

describe("a further master", () => {
  test("gets the cluster's keys by a token for masters, not by one for boards", async () => {
    const dataDir = join(folder, "second-master");
    await expect(joinControlPlane({ servers: [server.url], token: server.joinToken, dataDir })).rejects.toThrow(
      "it is not for this",
    );
    const token = createJoinToken(server.pki.authorities.ca.certificatePem);
    await ensureBootstrapSecret(server.admin, token, { purpose: "master" });
    await joinControlPlane({ servers: [server.url], token: formatJoinToken(token), dataDir });
    for (const file of ["pki/ca.crt", "pki/ca.key", "pki/service-account.key", "pki/etcd/client.key"])
      expect(await readFile(join(dataDir, file), "utf8")).toBe(await readFile(join(server.dataDir, file), "utf8"));
    // Later starts need no master to be there, and none of another cluster is joined over these files.
    await joinControlPlane({ servers: ["https://127.0.0.1:1"], token: formatJoinToken(token), dataDir });
    const { certificatePem } = await createCertificateAuthority("another");
    const other = formatJoinToken(createJoinToken(certificatePem));
    await expect(joinControlPlane({ servers: [server.url], token: other, dataDir })).rejects.toThrow("another cluster");
  });
});
