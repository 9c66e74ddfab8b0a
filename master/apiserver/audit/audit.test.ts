import { afterAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { stderrLog } from "#shared/client/log.ts";
import { loadSettings } from "#shared/config/load.ts";
import { type MasterSettings, masterOptions } from "#shared/config/settings.ts";
import { until } from "#shared/testing/until.ts";
import { requestInfoOf } from "../http/request-info.ts";
import { type Auditor, auditorOf } from "./auditor.ts";
import { auditBackends } from "./backends.ts";
import { EventBatch } from "./batch.ts";
import { legacyLine } from "./legacy-line.ts";
import { RotatingLog } from "./log-file.ts";
import { checked, judge, type PolicyRule, type Verdict } from "./policy.ts";
import { type AuditEvent, AuditRecord } from "./record.ts";
import { truncated } from "./truncation.ts";
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
    const batch = new EventBatch({
      ...options,
      send,
      onLoss: ({ events, why, isForRoom }) => losses.push(`${events} ${isForRoom ? "for room" : "in vain"}: ${why}`),
    });
    for (let number = 1; number <= 20; number += 1) batch.add(String(number));
    gate.resolve();
    await batch.flush();
    expect(sent).toEqual(["1", "2", "3", "7", "8"]);
    expect(losses).toEqual(["12 for room: more came than could be written", "3 in vain: no space"]);
  });

  test("go together as far as they are small enough, and a large one alone", async () => {
    const batches: string[][] = [];
    const send = async (events: readonly string[]): Promise<void> => {
      batches.push([...events]);
    };
    const batch = new EventBatch({ ...options, maxEvents: 10, maxBytes: 4, send, onLoss: () => undefined });
    for (const event of ["aa", "bb", "c", "too long", "dd"]) batch.add(event);
    await batch.flush();
    expect(batches).toEqual([["aa", "bb"], ["c"], ["too long"], ["dd"]]);
  });

  test("are held to a rate", async () => {
    const asked: string[] = [];
    const throttle = {
      reserve_ms: (): number => {
        asked.push("may I");
        return 1;
      },
    };
    const send = async (events: readonly string[]): Promise<void> => {
      asked.push(events.join(""));
    };
    const batch = new EventBatch({ ...options, throttle, send, onLoss: () => undefined });
    for (const event of ["1", "2", "3", "4"]) batch.add(event);
    await batch.flush();
    expect(asked).toEqual(["may I", "123", "may I", "4"]);
  });

  test("may be waited for: until they are written, or it is known that they are not", async () => {
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const sent: string[] = [];
    const send = async (events: readonly string[]): Promise<void> => {
      sent.push(events.join(""));
      await gates[sent.length - 1]?.promise;
    };
    const batch = new EventBatch({ ...options, send, onLoss: () => undefined });
    const first = batch.write("a");
    const others = [batch.write("b"), batch.write("c")];
    expect(sent).toEqual(["a"]);
    gates[0]?.resolve();
    expect(await first).toBe(true);
    gates[1]?.reject(new Error("no space"));
    expect(await Promise.all(others)).toEqual([false, false]);
    expect(sent).toEqual(["a", "bc"]);
    expect(await batch.write("x".repeat(2000))).toBe(false);
  });
});

test("an event that is too large loses its bodies, and is lost where it is so without them", () => {
  const event = (level: Verdict["level"], more: object): AuditEvent => ({
    stage: "ResponseComplete",
    level,
    info: infoOf("GET", "/version"),
    value: { level, ...more } as AuditEvent["value"],
  });
  const body = { data: "x".repeat(1000) };
  const small = event("Request", { requestObject: { data: "x" } });
  expect(truncated(small, 200)).toBe(small);
  const large = event("RequestResponse", { requestObject: body, responseObject: body, annotations: { a: "b" } });
  const rest = { level: "RequestResponse", annotations: { a: "b", "audit.k8s.io/truncated": "true" } };
  expect(truncated(large, 200)?.value).toEqual(rest);
  expect(large.value["annotations"]).toEqual({ a: "b" });
  expect(truncated(event("Metadata", { requestURI: "x".repeat(1000) }), 200)).toBeUndefined();
  expect(truncated(event("Request", { requestURI: "x".repeat(1000), requestObject: body }), 200)).toBeUndefined();
});

test("a log is put aside when it has grown, and old ones go", async () => {
  const path = join(folder, "logs", "audit.log");
  let now_ms = Date.UTC(2026, 0, 1);
  const log = new RotatingLog({ path, maxSize_MB: 1, maxAge_days: 2, maxBackups: 2, now_ms: () => now_ms });
  const line = "x".repeat(600_000);
  const names = (): string[] => readdirSync(join(folder, "logs")).sort();
  await log.write([line]);
  await log.write([line]);
  await log.tended;
  expect(names()).toEqual(["audit-2026-01-01T00-00-00.000.log", "audit.log"]);
  writeFileSync(join(folder, "logs", "audit-other.log"), "");
  for (let times = 0; times < 3; times += 1) {
    now_ms += 1000;
    await log.write([line]);
  }
  await log.tended;
  expect(names()).toEqual([
    "audit-2026-01-01T00-00-02.000.log",
    "audit-2026-01-01T00-00-03.000.log",
    "audit-other.log",
    "audit.log",
  ]);
  now_ms += 3 * 86_400_000;
  await log.write([line]);
  await log.tended;
  expect(names()).toEqual(["audit-2026-01-04T00-00-03.000.log", "audit-other.log", "audit.log"]);
  // One that was there before is gone on with.
  await new RotatingLog({ path, maxSize_MB: 1, maxAge_days: 0, maxBackups: 0 }).write(["last"]);
  expect(readFileSync(path, "utf8")).toBe(`${line}\nlast\n`);
});

test("a log that somebody else put aside is begun anew", async () => {
  const path = join(folder, "moved", "audit.log");
  const log = new RotatingLog({ path, maxSize_MB: 1, maxAge_days: 0, maxBackups: 0 });
  const line = "x".repeat(600_000);
  await log.write([line]);
  renameSync(path, `${path}.1`);
  await log.write([line]);
  await log.tended;
  expect(readFileSync(path, "utf8")).toBe(`${line}\n`);
});

test("older files are compressed where that is wanted, those from before too", async () => {
  const path = join(folder, "compressed", "audit.log");
  let now_ms = Date.UTC(2026, 0, 1);
  const line = "x".repeat(600_000);
  const options = { path, maxSize_MB: 1, maxAge_days: 0, maxBackups: 2, now_ms: () => now_ms };
  const plain = new RotatingLog(options);
  for (let times = 0; times < 2; times += 1) {
    await plain.write([line]);
    now_ms += 1000;
  }
  const log = new RotatingLog({ ...options, compresses: true });
  await log.write([line]);
  await log.tended;
  const names = (): string[] => readdirSync(join(folder, "compressed")).sort();
  const times = ["2026-01-01T00-00-01.000", "2026-01-01T00-00-02.000", "2026-01-01T00-00-03.000"];
  const [first, second, third] = times.map((time) => `audit-${time}.log.gz`);
  expect(names()).toEqual([first, second, "audit.log"] as string[]);
  expect(gunzipSync(readFileSync(join(folder, "compressed", String(first)))).toString()).toBe(`${line}\n`);
  expect(statSync(join(folder, "compressed", String(first))).mode & 0o777).toBe(0o600);
  now_ms += 1000;
  await log.write([line]);
  await log.tended;
  expect(names()).toEqual([second, third, "audit.log"] as string[]);
});

describe("settings", () => {
  const settingsOf = (flags: Readonly<Record<string, unknown>>): MasterSettings =>
    loadSettings(masterOptions, flags, undefined);
  const policy = join(folder, "policy.yaml");
  writeFileSync(policy, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n");
  const auditorBy = (flags: Readonly<Record<string, unknown>>): Auditor | undefined =>
    auditorOf(settingsOf({ "audit-policy-file": policy, ...flags }), stderrLog("error"));

  test("that cannot be are refused in upstream's words", () => {
    const path = join(folder, "refused.log");
    const cases: [Record<string, unknown>, string][] = [
      [{ "audit-log-batch-buffer-size": 0 }, "invalid audit batch log buffer size 0, must be a positive number"],
      [{ "audit-log-batch-max-size": 0 }, "invalid audit batch log max batch size 0, must be a positive number"],
      [
        { "audit-log-batch-throttle-enable": true },
        "invalid audit batch log throttle QPS 0, must be a positive number",
      ],
      [
        { "audit-log-batch-throttle-enable": true, "audit-log-batch-throttle-qps": 1 },
        "invalid audit batch log throttle burst 0, must be a positive number",
      ],
      [
        { "audit-log-truncate-max-event-size": 0 },
        "invalid audit truncate log max event size 0, must be a positive number",
      ],
      [
        { "audit-log-truncate-max-batch-size": 5 },
        "invalid audit truncate log max batch size 5, must be greater than max event size (102400)",
      ],
    ];
    for (const [flags, message] of cases)
      expect(() => auditorBy({ "audit-log-path": path, ...flags })).toThrow(message);
    // As upstream: what is not used is not looked at.
    expect(
      auditorBy({ "audit-log-path": path, "audit-log-mode": "blocking", "audit-log-batch-max-size": 0 }),
    ).toBeDefined();
    expect(() => auditorBy({ "audit-log-path": join(policy, "audit.log") })).toThrow("audit-log-path: ");
  });

  test("by which requests wait, and events lose their bodies", async () => {
    const path = join(folder, "modes", "audit.log");
    const losses: string[] = [];
    const reports = {
      onLoss: (plugin: string, events: number, why: string) => losses.push(`${plugin} ${events}: ${why}`),
      report: (message: string) => losses.push(message),
    };
    const flags = { "audit-log-path": path, "audit-log-mode": "blocking", "audit-log-truncate-enabled": true };
    const [backend, ...none] = auditBackends(
      settingsOf({ ...flags, "audit-log-truncate-max-event-size": 100 }),
      reports,
    );
    expect([backend?.mode, none.length, existsSync(path)]).toEqual(["blocking", 0, true]);
    const value = { kind: "Event", requestObject: { data: "x".repeat(200) } };
    const event = { stage: "ResponseComplete", level: "Request", info: infoOf("GET", "/version"), value } as const;
    const text = backend?.render(event);
    expect(text).toBe('{"kind":"Event","annotations":{"audit.k8s.io/truncated":"true"}}');
    expect(await backend?.batch.write(String(text))).toBe(true);
    expect(readFileSync(path, "utf8")).toBe(`${text}\n`);
    expect(backend?.render({ ...event, value: { kind: "x".repeat(200) } })).toBeUndefined();
    expect(losses).toEqual(["truncate 1: event is too large even after truncating"]);
  });
});

function eventsOf(use: (record: AuditRecord) => void): AuditEvent[] {
  const events: AuditEvent[] = [];
  const verdict: Verdict = { level: "Metadata", omitStages: new Set(), omitManagedFields: false };
  const path = "/api/v1/namespaces/web/pods/a";
  const headers = { "user-agent": "test" };
  const request = { method: "GET", info: infoOf("GET", path), uri: path, headers, remoteAddress: "::ffff:192.0.2.1" };
  const write = (event: AuditEvent): undefined => {
    events.push(event);
  };
  use(new AuditRecord(request, anna, "id-1", verdict, { isAwaited: false, write }));
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
  // Where the process ends it is asked once more at most, and at once.
  answers.push(503, 503);
  const ending = new AbortController();
  const last = webhookSender(config, 3_600_000, ending.signal)(["{}"]).catch((error: Error) => error.message);
  await until("it has failed", async () => bodies.length === 4 || undefined);
  ending.abort();
  expect(await last).toContain("answered 503");
  expect([4, 5]).toContain(bodies.length);
  await server.stop(true);
});
