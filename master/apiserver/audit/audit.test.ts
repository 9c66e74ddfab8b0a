import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requestInfoOf } from "../http/request-info.ts";
import { EventBatch } from "./batch.ts";
import { legacyLine } from "./legacy-line.ts";
import { RotatingLog } from "./log-file.ts";
import { checked, judge, type PolicyRule, type Verdict } from "./policy.ts";
import { type AuditEvent, AuditRecord } from "./record.ts";
import { webhookSender } from "./webhook.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-audit-"));
afterAll(() => rmSync(folder, { recursive: true }));

const anna = { name: "anna", groups: ["developers", "system:authenticated"] };
const infoOf = (method: string, path: string) => requestInfoOf(method, path, new URLSearchParams());

describe("a policy", () => {
  const levelBy = (rule: Omit<PolicyRule, "level">, method: string, path: string) =>
    judge({ rules: [{ level: "Metadata", ...rule }, { level: "None" }] }, anna, infoOf(method, path)).level ===
    "Metadata";
  const pods = "/api/v1/namespaces/web/pods";

  test("matches by user, group, verb, namespace, resource and path", () => {
    expect(levelBy({}, "GET", "/version")).toBe(true);
    expect(levelBy({ users: ["anna"], verbs: ["get"] }, "GET", `${pods}/a`)).toBe(true);
    expect(levelBy({ users: ["bert"] }, "GET", `${pods}/a`)).toBe(false);
    expect(levelBy({ userGroups: ["testers", "developers"] }, "GET", `${pods}/a`)).toBe(true);
    expect(levelBy({ userGroups: ["testers"] }, "GET", `${pods}/a`)).toBe(false);
    expect(levelBy({ verbs: ["create"] }, "GET", `${pods}/a`)).toBe(false);
    expect(levelBy({ namespaces: ["web"] }, "GET", pods)).toBe(true);
    expect(levelBy({ namespaces: [""] }, "GET", "/api/v1/nodes")).toBe(true);
    expect(levelBy({ namespaces: [""] }, "GET", pods)).toBe(false);
    expect(levelBy({ namespaces: [""] }, "GET", "/version")).toBe(false);
    expect(levelBy({ nonResourceURLs: ["/openapi/*"] }, "GET", "/openapi/v2")).toBe(true);
    expect(levelBy({ nonResourceURLs: ["/openapi/*"] }, "GET", pods)).toBe(false);
  });

  test("tells resources, their subresources and names apart", () => {
    const of = (resources: string[], resourceNames?: string[]) => ({
      resources: [{ group: "", resources, ...(resourceNames && { resourceNames }) }],
    });
    expect(levelBy(of(["pods"]), "GET", `${pods}/a`)).toBe(true);
    expect(levelBy(of(["pods"]), "GET", `${pods}/a/log`)).toBe(false);
    expect(levelBy(of(["pods/log"]), "GET", `${pods}/a/log`)).toBe(true);
    expect(levelBy(of(["pods/*"]), "GET", `${pods}/a/log`)).toBe(true);
    expect(levelBy(of(["pods/*"]), "GET", `${pods}/a`)).toBe(false);
    expect(levelBy(of(["*/log"]), "GET", `${pods}/a/log`)).toBe(true);
    expect(levelBy(of(["*"]), "GET", `${pods}/a/log`)).toBe(true);
    expect(levelBy(of([]), "GET", `${pods}/a/log`)).toBe(true);
    expect(levelBy(of(["*"]), "GET", "/apis/apps/v1/namespaces/web/deployments")).toBe(false);
    expect(levelBy(of(["pods"], ["a"]), "GET", `${pods}/a`)).toBe(true);
    expect(levelBy(of(["pods"], ["a"]), "GET", `${pods}/b`)).toBe(false);
  });

  test("of its stages and those of the rule none is recorded; a rule may keep managed fields", () => {
    const { omitStages, omitManagedFields } = judge(
      {
        omitStages: ["RequestReceived"],
        omitManagedFields: true,
        rules: [{ level: "Request", omitStages: ["Panic"], omitManagedFields: false }],
      },
      anna,
      infoOf("GET", "/version"),
    );
    expect([...omitStages, omitManagedFields]).toEqual(["RequestReceived", "Panic", false]);
  });

  test("that is none is refused", () => {
    const refused = (rules: unknown, more: object = {}): string => {
      try {
        checked({ apiVersion: "audit.k8s.io/v1", kind: "Policy", rules, ...more });
        return "";
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(refused([{ level: "Metadata" }])).toBe("");
    expect(refused([])).toContain("0 rules");
    expect(refused([{ level: "All" }])).toContain('rules[0].level: Unsupported value: "All"');
    expect(refused([{ level: "None", omitStages: ["Never"] }])).toContain("rules[0].omitStages");
    expect(refused([{ level: "None", nonResourceURLs: ["/a"], namespaces: ["b"] }])).toContain("cannot apply to both");
    expect(refused([{ level: "None", nonResourceURLs: ["a", "/*/b"] }])).toContain("only a trailing '*'");
    expect(refused([{ level: "None", resources: [{ resourceNames: ["a"] }] }])).toContain("resourceNames");
    expect(refused([{ level: "None" }], { kind: "List" })).toContain("expected a Policy");
  });
});

describe("events that wait", () => {
  const options = { maxWait_ms: 3_600_000, maxEvents: 3, bufferEvents: 5, bufferBytes: 1000 };

  test("are written together and in order, once there are enough or when asked", async () => {
    const batches: string[][] = [];
    const send = async (events: readonly string[]): Promise<void> => {
      batches.push([...events]);
    };
    const batch = new EventBatch({ ...options, send, onLoss: () => undefined });
    for (const event of ["1", "2", "3", "4"]) batch.add(event);
    await batch.flush();
    expect(batches).toEqual([["1", "2", "3"], ["4"]]);
    await batch.flush();
    expect(batches).toHaveLength(2);
  });

  test("are lost, and said to be, where more come than can be written or nobody takes them", async () => {
    const gate = Promise.withResolvers<void>();
    const sent: string[] = [];
    const losses: string[] = [];
    const send = async (events: readonly string[]): Promise<void> => {
      await gate.promise;
      if (events.includes("4")) throw new Error("no space");
      sent.push(...events);
    };
    const batch = new EventBatch({ ...options, send, onLoss: (message) => losses.push(message) });
    for (let number = 1; number <= 20; number += 1) batch.add(String(number));
    gate.resolve();
    await batch.flush();
    expect(sent).toEqual(["1", "2", "3", "7", "8"]);
    expect(losses).toEqual([
      "12 audit events are lost: more came than could be written",
      "3 audit events are lost: no space",
    ]);
  });
});

test("a log is put aside when it has grown, and old ones go", async () => {
  const path = join(folder, "logs", "audit.log");
  let now_ms = Date.UTC(2026, 0, 1);
  const log = new RotatingLog({ path, maxSize_MB: 1, maxAge_days: 2, maxBackups: 2, now_ms: () => now_ms });
  const line = "x".repeat(600_000);
  const names = (): string[] => readdirSync(join(folder, "logs")).sort();
  await log.write([line]);
  await log.write([line]);
  expect(names()).toEqual(["audit-2026-01-01T00-00-00.000.log", "audit.log"]);
  writeFileSync(join(folder, "logs", "audit-other.log"), "");
  for (let times = 0; times < 3; times += 1) {
    now_ms += 1000;
    await log.write([line]);
  }
  expect(names()).toEqual([
    "audit-2026-01-01T00-00-02.000.log",
    "audit-2026-01-01T00-00-03.000.log",
    "audit-other.log",
    "audit.log",
  ]);
  now_ms += 3 * 86_400_000;
  await log.write([line]);
  expect(names()).toEqual(["audit-2026-01-04T00-00-03.000.log", "audit-other.log", "audit.log"]);
  // One that was there before is gone on with.
  await new RotatingLog({ path, maxSize_MB: 1, maxAge_days: 0, maxBackups: 0 }).write(["last"]);
  expect(readFileSync(path, "utf8")).toBe(`${line}\nlast\n`);
});

function eventsOf(use: (record: AuditRecord) => void): AuditEvent[] {
  const events: AuditEvent[] = [];
  const verdict: Verdict = { level: "Metadata", omitStages: new Set(), omitManagedFields: false };
  const path = "/api/v1/namespaces/web/pods/a";
  const headers = { "user-agent": "test" };
  const request = { method: "GET", info: infoOf("GET", path), uri: path, headers, remoteAddress: "::ffff:192.0.2.1" };
  use(new AuditRecord(request, anna, "id-1", verdict, (event) => events.push(event)));
  return events;
}

test("lines of the old form", () => {
  const [event] = eventsOf((record) => record.complete(200));
  const line = event && legacyLine(event);
  expect(line?.replace(/^\S+/, "TIME")).toBe(
    'TIME AUDIT: id="id-1" stage="ResponseComplete" ip="192.0.2.1" method="get" user="anna" ' +
      'groups="developers","system:authenticated" as="<self>" asgroups="<lookup>" user-agent="test" namespace="web" ' +
      'uri="/api/v1/namespaces/web/pods/a" response="200"',
  );
});

test("a collector gets lists of events, and is asked again where that may help", async () => {
  const bodies: { readonly authorization: string | null; readonly body: unknown }[] = [];
  const answers = [503, 200, 400];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      bodies.push({ authorization: request.headers.get("authorization"), body: await request.json() });
      return new Response("", { status: answers[bodies.length - 1] ?? 200 });
    },
  });
  const config = join(folder, "webhook.yaml");
  const named = (kind: string, value: object): object[] => [{ name: "a", [kind]: value }];
  writeFileSync(
    config,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "a",
      contexts: named("context", { cluster: "a", user: "a" }),
      clusters: named("cluster", { server: `${server.url}events` }),
      users: named("user", { token: "secret" }),
    }),
  );
  const send = webhookSender(config, 1);
  await send(['{"a":1}', '{"a":2}']);
  const list = { kind: "EventList", apiVersion: "audit.k8s.io/v1", metadata: {}, items: [{ a: 1 }, { a: 2 }] };
  expect(bodies).toEqual([1, 2].map(() => ({ authorization: "Bearer secret", body: list })));
  await expect(send(["{}"])).rejects.toThrow("answered 400");
  expect(bodies).toHaveLength(3);
  await server.stop(true);
});
