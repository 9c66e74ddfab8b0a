import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { Auditor } from "../../../master/apiserver/audit/auditor.ts";
import { EventBatch } from "../../../master/apiserver/audit/batch.ts";
import { readPolicy } from "../../../master/apiserver/audit/policy.ts";
import { type SecuredServer, startSecuredServer } from "../../support/secured-server.ts";
import { eventsFile } from "./events-file.ts";
import { asks, comparable } from "./requests.ts";

let server: SecuredServer;
const lines: string[] = [];
const batch = new EventBatch({
  maxWait_ms: 0,
  maxEvents: 1,
  bufferEvents: 1000,
  bufferBytes: 1e7,
  send: async (events) => {
    lines.push(...events);
  },
  onLoss: ({ why }) => {
    throw new Error(why);
  },
});

beforeAll(async () => {
  const policy = readPolicy(join(import.meta.dir, "policy.yaml"));
  const auditor = new Auditor(policy, [{ mode: "batch", render: ({ value }) => JSON.stringify(value), batch }]);
  server = await startSecuredServer({ auditor });
});
afterAll(() => server.stop());

test("events are upstream's", async () => {
  const { ca } = server.pki.authorities;
  const { certificatePem: cert, keyPem: key } = await issueCertificate(
    ca,
    { commonName: "oracle", organizations: ["system:masters"] },
    [extendedKeyUsages.clientAuth],
  );
  const tls = { ca: ca.certificatePem, cert, key };
  for (const { method, path, headers, body, type = "application/json" } of asks) {
    const response = await fetch(server.url + path, {
      method,
      headers: { "content-type": type, "user-agent": "audit", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      tls: headers?.["authorization"] ? { ca: tls.ca } : tls,
    } as RequestInit);
    await response.text();
  }
  await batch.flush();
  const expected = JSON.parse(brotliDecompressSync(readFileSync(eventsFile)).toString());
  const events = lines.filter((line) => line.includes('"userAgent":"audit"')).map(comparable);
  expect(events).toEqual(expected);
});
