/** Whether requests wait for what is recorded of them, and what becomes of them where that cannot be (--audit-log-mode). */
import { afterAll, afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { configMaps, namespaces } from "#shared/api/resources.ts";
import type { AuditMode } from "#shared/config/audit-settings.ts";
import { issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { until } from "#shared/testing/until.ts";
import { Auditor } from "../../master/apiserver/audit/auditor.ts";
import { EventBatch } from "../../master/apiserver/audit/batch.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";

setDefaultTimeout(60_000);

/** What events are written to: as it is told. */
interface Recorder {
  readonly lines: string[];
  write: (lines: readonly string[]) => Promise<void>;
}

const agent = "modes";
const policy = { rules: [{ level: "Metadata", users: ["oracle"] }] } as const;

let server: SecuredServer | undefined;
const stop = async (): Promise<void> => {
  await server?.stop();
  server = undefined;
};
afterEach(stop);
afterAll(stop);

async function started(mode: AuditMode, recorder: Recorder) {
  const batch = new EventBatch({
    maxWait_ms: 0,
    maxEvents: 100,
    bufferEvents: 1000,
    bufferBytes: 1e6,
    send: (lines) => recorder.write(lines),
    onLoss: () => undefined,
  });
  const auditor = new Auditor(policy, [{ mode, batch, render: ({ value }) => `${value["stage"]} ${value["verb"]}` }]);
  const running = await startSecuredServer({ auditor });
  server = running;
  const { ca } = running.pki.authorities;
  const { certificatePem: cert, keyPem: key } = await issueCertificate(
    ca,
    { commonName: "oracle", organizations: ["system:masters"] },
    [extendedKeyUsages.clientAuth],
  );
  const ask = (method: string, path: string, body?: object): Promise<Response> =>
    fetch(running.url + path, {
      method,
      headers: { "content-type": "application/json", "user-agent": agent },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      tls: { ca: ca.certificatePem, cert, key },
    } as RequestInit);
  return { ask, admin: running.admin };
}

const path = "/api/v1/namespaces/default/configmaps";
const configMap = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "made" } };
const never = (): Promise<void> => new Promise(() => undefined);

test("by batches nobody waits, though a collector takes nothing", async () => {
  const { ask } = await started("batch", { lines: [], write: never });
  const answer = await ask("POST", path, configMap);
  expect(answer.status).toBe(201);
});

test("blocking, a request is dealt with once it is recorded that it came, and answered once it is recorded what came of it", async () => {
  const gates = Array.from({ length: 4 }, () => Promise.withResolvers<void>());
  const lines: string[] = [];
  const recorder: Recorder = {
    lines,
    async write(more) {
      lines.push(...more);
      await gates[lines.length - 1]?.promise;
    },
  };
  const { ask, admin } = await started("blocking", recorder);
  let isAnswered = false;
  const answering = ask("POST", path, configMap).then(async (answer) => {
    await answer.text();
    isAnswered = true;
    return answer.status;
  });
  await until("that it came", async () => lines.length === 1 || undefined);
  const found = (await admin.list(configMaps, { namespace: "default" })).items.map(({ metadata }) => metadata.name);
  expect(found).not.toContain("made");
  gates[0]?.resolve();
  await until("what came of it", async () => lines.length === 2 || undefined);
  expect((await admin.get(configMaps, { namespace: "default", name: "made" })).metadata.name).toBe("made");
  expect(isAnswered).toBe(false);
  gates[1]?.resolve();
  expect(await answering).toBe(201);
  // Faults too.
  const refusing = ask("POST", path, configMap);
  gates[2]?.resolve();
  gates[3]?.resolve();
  expect((await refusing).status).toBe(409);
  const both = ["RequestReceived create", "ResponseComplete create"];
  expect(lines).toEqual([...both, ...both]);
});

test("blocking, what cannot be recorded is done all the same", async () => {
  const write = (): Promise<void> => Promise.reject(new Error("no space"));
  const { ask } = await started("blocking", { lines: [], write });
  expect((await ask("POST", path, configMap)).status).toBe(201);
});

test("blocking strictly, what cannot be recorded is not done", async () => {
  const recorder: Recorder = { lines: [], write: () => Promise.reject(new Error("no space")) };
  const { ask, admin } = await started("blocking-strict", recorder);
  const refused = await ask("POST", `${path}?dryRun=All&pretty=1`, configMap);
  expect([refused.status, refused.headers.get("content-type"), await refused.text()]).toEqual([
    500,
    "text/plain; charset=utf-8",
    `Internal Server Error: "${path}?dryRun=All&amp;pretty=1": failed to store audit event\n`,
  ]);
  // Others are not recorded at all.
  expect((await admin.get(namespaces, { name: "default" })).metadata.name).toBe("default");
  recorder.write = async () => undefined;
  expect((await ask("POST", path, configMap)).status).toBe(201);
});
