import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createPublicKey, sign } from "node:crypto";
import { cp, mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodes, secrets } from "#shared/api/resources.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { silentLog } from "#shared/client/log.ts";
import { BoardIdentity, type BoardIdentityOptions } from "#shared/pki/board-identity.ts";
import { nodeSubject } from "#shared/pki/board-join.ts";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { certificateSubject, extendedKeyUsages, parseCertificate } from "#shared/pki/certificate-facts.ts";
import { orderCertificate } from "#shared/pki/certificate-order.ts";
import { createCertificateRequest } from "#shared/pki/certificate-request.ts";
import { createJoinToken, formatJoinToken, parseJoinToken } from "#shared/pki/join-token.ts";
import { joinPem, splitPem } from "#shared/pki/pem.ts";
import { type RenewalRequest, renewalPath, renewalProof } from "#shared/pki/renewal-protocol.ts";
import { kubeletClientUsages, signerNames } from "#shared/pki/signers.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { forgetJoinToken } from "../../agent/join-token-files.ts";
import { bootstrapSecret, ensureBootstrapSecret } from "../../master/join/bootstrap-secret.ts";
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

  describe("with a token for one board", () => {
    const only = async (name: string): Promise<string> => {
      const token = createJoinToken(server.pki.authorities.ca.certificatePem);
      await server.admin.create(secrets, bootstrapSecret(token, { board: name }), { namespace: "kube-system" });
      return formatJoinToken(token);
    };

    test("gets that name, whatever it is called, and no other board gets it", async () => {
      const token = await only("camera");
      expect((await BoardIdentity.ensure(board("gggg", { token }))).nodeName).toBe("camera");
      await expect(BoardIdentity.ensure(board("hhhh", { token }))).rejects.toThrow("for this name alone");
    });

    test("gets no certificate of another", async () => {
      const { id, secret } = parseJoinToken(await only("cellar"));
      const client = server.clientWith({ token: `${id}.${secret}` });
      const ordered = orderCertificate(client, {
        signer: signerNames.kubeletClient,
        usages: kubeletClientUsages,
        subject: nodeSubject("raspberrypi"),
        namePrefix: "stranger",
        patience_ms: 500,
      });
      await expect(ordered).rejects.toThrow("was not approved and signed in time");
    });
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

  test.each(["client.pem", "ca.crt", "board.json"])(
    "whose %s the card has lost goes on without a token",
    async (file) => {
      for (const harm of [rm, (path: string) => writeFile(path, "\0".repeat(100))]) {
        const card = `lost-${file}-${harm.length}`;
        await cp(join(folder, "aaaa"), join(folder, card), { recursive: true });
        await harm(join(folder, card, file));
        const identity = await BoardIdentity.ensure(
          board(card, { boardSerial: "10000000aaaa", token: undefined, servers: ["https://127.0.0.1:1"] }),
        );
        expect(identity.nodeName).toBe("raspberrypi");
        expect((await clientOf(identity).get(nodes, { name: "raspberrypi" })).metadata.name).toBe("raspberrypi");
      }
    },
  );

  test("forgets the token that it joined by, once it is taken in by its certificate", async () => {
    const card = join(folder, "forgets");
    await mkdir(card);
    const settings = join(card, "config.yaml");
    const flags = join(card, "worker.env");
    await writeFile(settings, `# Mine.\nserver: "${server.url}"\ntoken: "${server.joinToken}"\n`, { mode: 0o600 });
    await writeFile(flags, `BRAMBLE_ARGS="--token ${server.joinToken} --low-memory on"\n`, { mode: 0o600 });
    const old = await open(settings, "r");
    const used = { files: [settings, flags], nodeName: "raspberrypi", log: silentLog };
    const nobody = new AbortController();
    const waiting = forgetJoinToken({ ...used, client: server.clientWith({}), signal: nobody.signal });
    await expect(server.clientWith({}).get(nodes, { name: "raspberrypi" })).rejects.toThrow();
    nobody.abort();
    await waiting;
    expect(await readFile(settings, "utf8")).toContain(server.joinToken);

    const client = clientOf(await BoardIdentity.ensure(board("aaaa")));
    await forgetJoinToken({ ...used, client, signal: new AbortController().signal });
    expect(await readFile(settings, "utf8")).toBe(
      `# Mine.\nserver: "${server.url}"\n# The join token was removed: this board has joined.\n`,
    );
    expect(await readFile(flags, "utf8")).toBe('BRAMBLE_ARGS="--low-memory on"\n');
    // Nor is it left in the blocks of the file that was replaced.
    expect((await old.readFile("utf8")).replaceAll("\0", "")).toBe("");
    await old.close();
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

  describe("whose certificate ran out while it was away", () => {
    const day_ms = 86_400_000;
    /** The card of the board `aaaa`, in a drawer since so long. */
    const stored = async (card: string, ranOutAgo_ms: number, authority = server.pki.authorities.ca) => {
      await cp(join(folder, "aaaa"), join(folder, card), { recursive: true });
      const old = await issueCertificate(
        authority,
        { commonName: "system:node:raspberrypi", organizations: ["system:nodes"] },
        [extendedKeyUsages.clientAuth],
        { notBefore: new Date(Date.now() - 800 * day_ms), notAfter: new Date(Date.now() - ranOutAgo_ms) },
      );
      await writeFile(join(folder, card, "client.pem"), joinPem(old));
      return board("aaaa", { folder: join(folder, card), token: undefined });
    };
    const isKnown = (identity: BoardIdentity): Promise<unknown> =>
      clientOf(identity).get(nodes, { name: "raspberrypi" });

    test("gets another by its key, without a token", async () => {
      const identity = await BoardIdentity.ensure(await stored("drawer", 30 * day_ms));
      await isKnown(identity);
      expect(parseCertificate(await readFile(join(folder, "drawer/client.pem"), "utf8")).notAfter > new Date()).toBe(
        true,
      );
    });

    test("also with a clock that stands in the past", async () => {
      const clock = new ManualClock(Date.now() - 60 * day_ms);
      await isKnown(await BoardIdentity.ensure({ ...(await stored("slow-clock", 30 * day_ms)), clock }));
    });

    test("starts by what it has while no master answers, and gets it later", async () => {
      const options = await stored("offline", 30 * day_ms);
      const identity = await BoardIdentity.ensure({ ...options, servers: ["https://127.0.0.1:1"] });
      expect(identity.nodeName).toBe("raspberrypi");
      const back = await BoardIdentity.ensure(options);
      await isKnown(back);
    });

    test("gets another by its key while it runs", async () => {
      const options = await stored("running", 30 * day_ms);
      // Started with no master in reach, which then comes back.
      const servers = ["https://127.0.0.1:1"];
      const identity = await BoardIdentity.ensure({ ...options, servers });
      expect(identity.renewAt < new Date()).toBe(true);
      servers[0] = server.url;
      const client = clientOf(identity);
      await identity.refreshTrust();
      await identity.renew(client);
      await client.get(nodes, { name: "raspberrypi" });
      expect(identity.renewAt > new Date()).toBe(true);
    });

    test("is no brick after the time of grace either, and a token makes it whole", async () => {
      const options = await stored("years", 400 * day_ms);
      const identity = await BoardIdentity.ensure(options);
      expect(identity.nodeName).toBe("raspberrypi");
      await expect(isKnown(identity)).rejects.toThrow();
      await isKnown(await BoardIdentity.ensure({ ...options, token: server.joinToken }));
    });

    const ask = async (change: (request: RenewalRequest) => Partial<RenewalRequest>, card: string, ago_ms = day_ms) => {
      const { folder: place } = await stored(card, ago_ms);
      const old = splitPem(await readFile(join(place, "client.pem"), "utf8"));
      if (!old) throw new Error("no certificate");
      const { requestPem } = await createCertificateRequest(nodeSubject("raspberrypi"));
      const request = {
        certificate: old.certificatePem,
        request: requestPem,
        proof: renewalProof(old, requestPem),
        boardSerial: "10000000aaaa",
      };
      return server.clientWith({}).raw({ method: "POST", path: renewalPath, body: { ...request, ...change(request) } });
    };

    test("others get nothing by it", async () => {
      const other = await createCertificateRequest(nodeSubject("raspberrypi-bbbb"));
      const anotherRequest = (await createCertificateRequest(nodeSubject("raspberrypi"))).requestPem;
      const stranger = await issueCertificate(
        await createCertificateAuthority("bramble-ca"),
        { commonName: "system:node:raspberrypi", organizations: ["system:nodes"] },
        [extendedKeyUsages.clientAuth],
      );
      const master = server.pki.certificates.serving;
      expect(await ask(() => ({}), "right")).toMatchObject({ certificate: expect.stringContaining("BEGIN") });
      await expect(ask(() => ({ request: anotherRequest }), "w1")).rejects.toThrow("the old key did not sign it");
      await expect(ask(() => ({ boardSerial: "10000000ffff" }), "w2")).rejects.toThrow("another board has the name");
      await expect(
        ask(({ request }) => ({ certificate: stranger.certificatePem, proof: renewalProof(stranger, request) }), "w3"),
      ).rejects.toThrow("is not of this cluster");
      await expect(
        ask(({ request }) => ({ certificate: master.certificatePem, proof: renewalProof(master, request) }), "w4"),
      ).rejects.toThrow("is not a board's");
      await expect(ask(() => ({}), "w5", 400 * day_ms)).rejects.toThrow("too long ago");
      await expect(ask(() => ({ certificate: "nonsense" }), "w6")).rejects.toThrow("cannot be read");
      const old = await stored("w7", day_ms);
      const oldPem = splitPem(await readFile(join(old.folder, "client.pem"), "utf8"));
      if (!oldPem) throw new Error("no certificate");
      await expect(
        ask(
          () => ({
            certificate: oldPem.certificatePem,
            request: other.requestPem,
            proof: renewalProof(oldPem, other.requestPem),
          }),
          "w8",
        ),
      ).rejects.toThrow("asks for another name");
    });

    test("nor by what stands beside a certificate in its text", async () => {
      const own = await createCertificateAuthority("thief");
      const publicKey = createPublicKey(own.keyPem).export({ type: "spki", format: "pem" });
      // A certificate is no secret; its key is.
      for (const text of [
        (old: string) => publicKey + old,
        (old: string) => old + publicKey,
        (old: string) => own.certificatePem + old,
      ])
        await expect(
          ask(
            ({ certificate, request }) => ({
              certificate: text(certificate),
              proof: sign("sha256", Buffer.from(`bramble certificate renewal 1\n${request}`), own.keyPem).toString(
                "base64",
              ),
            }),
            "beside",
          ),
        ).rejects.toThrow(/the old key did not sign it|is not of this cluster/);
      // A board that shows its own certificate, and another's name before it.
      const named = await issueCertificate(own, nodeSubject("raspberrypi"), [extendedKeyUsages.clientAuth]);
      const { ca } = server.pki.authorities;
      const thief = await issueCertificate(ca, nodeSubject("thief"), [extendedKeyUsages.clientAuth]);
      for (const label of ["FOO", "CERTIFICATE REQUEST"])
        await expect(
          ask(
            ({ request }) => ({
              certificate: named.certificatePem.replaceAll("CERTIFICATE", label) + thief.certificatePem,
              proof: renewalProof(thief, request),
            }),
            "named",
          ),
        ).rejects.toThrow("asks for another name");
    });

    test("a board whose Node was deleted is out", async () => {
      const { metadata, spec } = await server.admin.get(nodes, { name: "raspberrypi" });
      await server.admin.delete(nodes, { name: "raspberrypi" });
      await expect(ask(() => ({}), "out")).rejects.toThrow("the Node was deleted");
      const { name, labels } = metadata;
      await server.admin.create(nodes, { apiVersion: "v1", kind: "Node", metadata: { name, labels }, spec });
    });
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
