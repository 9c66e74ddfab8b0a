import { describe, expect, test } from "bun:test";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { joinCluster } from "./board-join.ts";
import { createCertificateAuthority, issueCertificate, type KeyAndCertificate } from "./certificate.ts";
import { extendedKeyUsages } from "./certificate-facts.ts";
import { createJoinToken, formatJoinToken } from "./join-token.ts";

/** A server that answers /cacerts with a CA, by a certificate of another, and notes what else it hears. */
async function impostor(
  shown: string,
  signedBy: KeyAndCertificate,
): Promise<{ url: string; heard: string[]; server: Server }> {
  const serving = await issueCertificate(signedBy, { commonName: "x", ipAddresses: ["127.0.0.1"] }, [
    extendedKeyUsages.serverAuth,
  ]);
  const heard: string[] = [];
  const server = createServer({ key: serving.keyPem, cert: serving.certificatePem }, (request, response) => {
    if (request.url === "/cacerts") return void response.end(shown);
    heard.push(`${request.method} ${request.url} ${request.headers.authorization ?? ""}`);
    response.statusCode = 500;
    response.end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, heard, server };
}

describe("joining never shows the secret to", () => {
  test("a server of another cluster", async () => {
    const mine = await createCertificateAuthority("bramble-ca");
    const other = await createCertificateAuthority("bramble-ca");
    const { url, heard, server } = await impostor(other.certificatePem, other);
    const token = formatJoinToken(createJoinToken(mine.certificatePem));
    await expect(joinCluster({ servers: [url], token, hostName: "a", boardSerial: "s" })).rejects.toThrow(
      "is not the cluster that this token was made for",
    );
    await new Promise((resolve) => server.close(resolve));
    expect(heard).toEqual([]);
  });

  test("one that shows the right CA and is not certified by it", async () => {
    const mine = await createCertificateAuthority("bramble-ca");
    const other = await createCertificateAuthority("bramble-ca");
    const { url, heard, server } = await impostor(mine.certificatePem, other);
    const token = formatJoinToken(createJoinToken(mine.certificatePem));
    const outcome = await joinCluster({ servers: [url], token, hostName: "a", boardSerial: "s" }).then(
      () => "joined",
      () => "refused",
    );
    expect(outcome).toBe("refused");
    expect(heard).toEqual([]);
    server.closeAllConnections();
    server.close();
  });
});

test("a board that knows of no master says that none answered, and how to name one", async () => {
  const { certificatePem } = await createCertificateAuthority("bramble-ca");
  const token = formatJoinToken(createJoinToken(certificatePem));
  await expect(joinCluster({ servers: [], token, hostName: "a", boardSerial: "s" })).rejects.toThrow(
    "no master of this token's cluster answers by mDNS on this network, and none is named (--server https://ADDRESS:6443)",
  );
});
