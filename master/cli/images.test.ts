import { afterAll, beforeAll, expect, spyOn, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCertificateAuthority, issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { loadImages } from "./images.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-images-"));
const kubeconfig = join(folder, "kubeconfig.yaml");
const archive = join(folder, "web.tar");
let server: Server;

/** An API server with two boards, of which one has no tunnel. */
beforeAll(async () => {
  const authority = await createCertificateAuthority("bramble-ca");
  const subject = { commonName: "kube-apiserver", ipAddresses: ["127.0.0.1"] };
  const { keyPem, certificatePem } = await issueCertificate(authority, subject, [extendedKeyUsages.serverAuth]);
  const away = {
    kind: "Status",
    apiVersion: "v1",
    status: "Failure",
    message: "node away is not connected",
    code: 503,
  };
  server = createServer({ key: keyPem, cert: certificatePem }, (request, response) => {
    request.resume().on("end", () => {
      if (request.method === "GET") {
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify({ items: ["away", "there"].map((name) => ({ metadata: { name } })) }));
      } else if (request.url?.includes("/away/")) {
        response.writeHead(503, { "content-type": "application/json" }).end(JSON.stringify(away));
      } else response.end("docker.io/library/web:1\n");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const config = {
    ...{ apiVersion: "v1", kind: "Config", "current-context": "a" },
    contexts: [{ name: "a", context: { cluster: "a", user: "a" } }],
    clusters: [
      {
        name: "a",
        cluster: {
          server: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
          "certificate-authority-data": Buffer.from(authority.certificatePem).toString("base64"),
        },
      },
    ],
    users: [{ name: "a", user: { token: "t" } }],
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  writeFileSync(archive, "an archive");
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

test("a board that is away keeps no other from its images, and is named in the end", async () => {
  let said = "";
  const write = spyOn(process.stdout, "write").mockImplementation((text) => {
    said += String(text);
    return true;
  });
  const log = spyOn(console, "log").mockImplementation((text: string) => {
    said += `${text}\n`;
  });
  try {
    await expect(loadImages([archive], { kubeconfig, node: [] })).rejects.toThrow(
      "not every board has them: when that is mended, run the same with --node away",
    );
  } finally {
    write.mockRestore();
    log.mockRestore();
  }
  expect(said).toBe("away: web.tar … FAILED: node away is not connected\nthere: web.tar … docker.io/library/web:1\n");
});
