import { afterAll, beforeAll, expect, test } from "bun:test";
import type { ClientRequest, IncomingMessage } from "node:http";
import { request } from "node:https";
import { clusterRoleBindings, flowSchemas, priorityLevelConfigurations } from "#shared/api/resources.ts";
import type { LimitResponse } from "#shared/api/types/flowcontrol-v1.generated.ts";
import { issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { eventually } from "../../master/controllers/testing/eventually.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";

let server: SecuredServer;
const apiVersion = "flowcontrol.apiserver.k8s.io/v1" as const;

async function makeLevel(name: string, shares: number, user: string, limitResponse: LimitResponse): Promise<void> {
  await server.admin.create(priorityLevelConfigurations, {
    apiVersion,
    kind: "PriorityLevelConfiguration",
    metadata: { name },
    spec: { type: "Limited", limited: { nominalConcurrencyShares: shares, limitResponse, borrowingLimitPercent: 0 } },
  });
  await server.admin.create(flowSchemas, {
    apiVersion,
    kind: "FlowSchema",
    metadata: { name },
    spec: {
      priorityLevelConfiguration: { name },
      matchingPrecedence: 100,
      distinguisherMethod: { type: "ByUser" },
      rules: [
        {
          subjects: [{ kind: "User", user: { name: user } }],
          resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: ["*"], clusterScope: true }],
        },
      ],
    },
  });
}

const queueing: LimitResponse = { type: "Queue", queuing: { queues: 1, handSize: 1, queueLengthLimit: 2 } };

beforeAll(async () => {
  server = await startSecuredServer();
  // So many shares for the others that each of the two has one seat.
  await makeLevel("strict", 1, "strict", { type: "Reject" });
  await makeLevel("patient", 1, "patient", queueing);
  for (const user of ["strict", "patient"])
    await server.admin.create(clusterRoleBindings, {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: user },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
      subjects: [{ kind: "User", name: user, apiGroup: "rbac.authorization.k8s.io" }],
    });
  await makeLevel("system", 1000, "system:node:pi", queueing);
  await eventually(async () => (await gauge("nominal_limit_seats", "strict")) === 1, "levels");
});
afterAll(() => server.stop());

async function gauge(name: string, level: string): Promise<number> {
  const text = String(await server.admin.raw({ method: "GET", path: "/metrics" }));
  const [, value] =
    new RegExp(`^apiserver_flowcontrol_${name}{priority_level="${level}"} (\\d+)$`, "m").exec(text) ?? [];
  return Number(value ?? Number.NaN);
}

interface Sent {
  readonly request: ClientRequest;
  readonly answered: Promise<IncomingMessage>;
}

/** A POST whose body does not come: it keeps its seat until the test lets it go on. */
async function begin(user: string, body: string): Promise<Sent> {
  const { ca } = server.pki.authorities;
  const identity = await issueCertificate(ca, { commonName: user, organizations: [] }, [extendedKeyUsages.clientAuth]);
  const sent = request(`${server.url}/api/v1/namespaces/default/configmaps`, {
    method: "POST",
    ca: ca.certificatePem,
    cert: identity.certificatePem,
    key: identity.keyPem,
    agent: false,
    headers: { "content-type": "application/json", "content-length": String(body.length) },
  });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    sent.on("response", resolve);
    sent.on("error", reject);
  });
  sent.flushHeaders();
  return { request: sent, answered };
}

const body = JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { generateName: "x" } });

async function whole(user: string): Promise<IncomingMessage> {
  const sent = await begin(user, body);
  sent.request.end(body);
  return sent.answered;
}

test("who takes all seats of a low level is refused, and the system's requests are served at once", async () => {
  const holding = await begin("strict", body);
  await eventually(async () => (await gauge("current_executing_seats", "strict")) === 1, "the seat taken");
  const refused = await whole("strict");
  expect([refused.statusCode, refused.headers["retry-after"]]).toEqual([429, "1"]);
  // Not allowed to make one: but let in, and told by which objects.
  const system = await whole("system:node:pi");
  expect(system.statusCode).toBe(403);
  const level = await server.admin.get(priorityLevelConfigurations, { name: "system" });
  const schema = await server.admin.get(flowSchemas, { name: "system" });
  expect(system.headers["x-kubernetes-pf-prioritylevel-uid"]).toBe(level.metadata.uid ?? "");
  expect(system.headers["x-kubernetes-pf-flowschema-uid"]).toBe(schema.metadata.uid ?? "");
  holding.request.end(body);
  expect((await holding.answered).statusCode).toBe(201);
  expect((await whole("strict")).statusCode).toBe(201);
});

test("where a level has queues its requests wait for their turn, up to the queue's length", async () => {
  const holding = await begin("patient", body);
  await eventually(async () => (await gauge("current_executing_seats", "patient")) === 1, "the seat taken");
  const waiting = [whole("patient"), whole("patient")];
  await eventually(async () => (await gauge("current_inqueue_requests", "patient")) === 2, "both wait");
  const dump = async (what: string): Promise<string[][]> => {
    const text = await server.admin.raw({ method: "GET", path: `/debug/api_priority_and_fairness/${what}` });
    return String(text)
      .split("\n")
      .map((line) => line.split(/, */))
      .filter(([level]) => level === "patient");
  };
  expect(await dump("dump_priority_levels")).toEqual([
    ["patient", "1", "false", "false", "2", "1", "1", "0", "0", "0"],
  ]);
  const seatSeconds = expect.stringMatching(/^\d+\.\d{8}ss$/);
  const queues = await dump("dump_queues");
  expect(queues.find(([, , waiting]) => waiting === "2")).toEqual([
    ...["patient", expect.any(String), "2", "0", "0", seatSeconds, "2", "2", seatSeconds],
  ]);
  const began = expect.stringMatching(/^20\d\d-/);
  const details = ["patient", "create", "/api/v1/namespaces/default/configmaps", "default", "", "v1", "configmaps", ""];
  expect((await dump("dump_requests?includeRequestDetails=1")).sort()).toEqual([
    ["patient", "patient", "-1", "-1", "patient", began, "1", "0", "0s", began, ...details],
    ...["0", "1"].map((place) => [
      ...["patient", "patient", expect.any(String), place, "patient", began, "1", "0", "0s", "0001-01-01T00:00:00Z"],
      ...details,
    ]),
  ]);
  expect((await whole("patient")).statusCode).toBe(429);
  holding.request.end(body);
  for (const answer of await Promise.all([holding.answered, ...waiting])) expect(answer.statusCode).toBe(201);
  expect(await gauge("current_executing_seats", "patient")).toBe(0);
});
