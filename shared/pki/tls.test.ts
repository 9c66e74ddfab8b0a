import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { AddressInfo } from "node:net";
import { type ConnectionOptions, connect, createServer, type Server, type TLSSocket } from "node:tls";
import {
  createCertificateAuthority,
  issueCertificate,
  type KeyAndCertificate,
  lenientValidity,
} from "./certificate.ts";
import { extendedKeyUsages } from "./certificate-facts.ts";

/** What a server sees of a client: that is what authentication rests on. */
interface Seen {
  readonly authorized: boolean;
  readonly commonName: string | undefined;
  readonly hasRaw: boolean;
  readonly isResumed: boolean;
}

let ca: KeyAndCertificate;
let rogueCa: KeyAndCertificate;
let server: Server;
const waiting: ((seen: Seen) => void)[] = [];

beforeAll(async () => {
  ca = await createCertificateAuthority("bramble-ca");
  rogueCa = await createCertificateAuthority("bramble-ca");
  const serving = await issueCertificate(
    ca,
    { commonName: "kube-apiserver", dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] },
    [extendedKeyUsages.serverAuth],
  );
  server = createServer(
    {
      key: serving.keyPem,
      cert: serving.certificatePem,
      ca: ca.certificatePem,
      requestCert: true,
      rejectUnauthorized: false,
    },
    (socket: TLSSocket) => {
      const peer = socket.getPeerCertificate();
      waiting.shift()?.({
        authorized: socket.authorized,
        commonName: typeof peer?.subject?.CN === "string" ? peer.subject.CN : undefined,
        hasRaw: Boolean(peer?.raw),
        isResumed: socket.isSessionReused(),
      });
      socket.on("error", () => undefined);
      socket.end("hello");
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});

afterAll(() => server.close());

async function shake(options: ConnectionOptions): Promise<{ seen: Seen; session: Buffer | undefined }> {
  const seen = new Promise<Seen>((resolve) => waiting.push(resolve));
  let session: Buffer | undefined;
  const socket = connect({
    host: "127.0.0.1",
    port: (server.address() as AddressInfo).port,
    ca: ca.certificatePem,
    ...options,
  });
  socket.on("session", (ticket) => {
    session = ticket;
  });
  await new Promise<void>((resolve, reject) => {
    socket.on("error", reject);
    socket.on("close", () => resolve());
    socket.resume();
  });
  return { seen: await seen, session };
}

const client = (authority: KeyAndCertificate, usages: string[] = [extendedKeyUsages.clientAuth], days = 1) =>
  issueCertificate(authority, { commonName: "anna", organizations: ["developers"] }, usages, lenientValidity(days));

const pair = ({ keyPem, certificatePem }: KeyAndCertificate) => ({ key: keyPem, cert: certificatePem });

describe("a TLS server under Bun", () => {
  test("sees a client certificate of its CA as authorized", async () => {
    const { seen } = await shake(pair(await client(ca)));
    expect(seen).toMatchObject({ authorized: true, commonName: "anna", hasRaw: true });
  });

  test("does not authorize a rogue CA of the same name", async () => {
    const { seen } = await shake(pair(await client(rogueCa)));
    expect(seen.authorized).toBe(false);
  });

  test("does not authorize an expired certificate", async () => {
    const expired = await issueCertificate(ca, { commonName: "anna" }, [extendedKeyUsages.clientAuth], {
      notBefore: new Date(Date.now() - 2 * 86_400_000),
      notAfter: new Date(Date.now() - 86_400_000),
    });
    expect((await shake(pair(expired))).seen.authorized).toBe(false);
  });

  test("does not authorize a serving certificate as a client", async () => {
    const { seen } = await shake(pair(await client(ca, [extendedKeyUsages.serverAuth])));
    expect(seen.authorized).toBe(false);
  });

  test("does not authorize a client without certificate", async () => {
    expect((await shake({})).seen.authorized).toBe(false);
  });

  test("sees the certificate again on a resumed session, and none after a bare one", async () => {
    const certificate = pair(await client(ca));
    const first = await shake({ ...certificate, maxVersion: "TLSv1.2" });
    expect(first.session).toBeDefined();
    const resumed = await shake({
      ...certificate,
      maxVersion: "TLSv1.2",
      ...(first.session ? { session: first.session } : {}),
    });
    expect(resumed.seen).toMatchObject({ authorized: true, commonName: "anna" });
    const bare = await shake({ maxVersion: "TLSv1.2" });
    const withoutCertificate = await shake({
      maxVersion: "TLSv1.2",
      ...(bare.session ? { session: bare.session } : {}),
    });
    expect(withoutCertificate.seen.authorized).toBe(false);
  });

  test("is refused by a client that trusts another CA", async () => {
    waiting.push(() => undefined);
    const refused = shake({ ca: rogueCa.certificatePem }).then(
      () => "connected",
      (error: Error) => error.message,
    );
    expect(await refused).not.toBe("connected");
  });
});
