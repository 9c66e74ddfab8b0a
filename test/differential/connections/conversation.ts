/** Connections at an API server, upstream's or ours, before a board that tells what comes to it. */
import type { HookServer } from "../admission/hook-server.ts";
import { exchange, type RawTarget, readAnswer } from "../proxy/raw-request.ts";
import type { Noted } from "./board.ts";
import { type Connection, connections, type Interference, interferencesOf } from "./cases.ts";

export type Answers = Record<string, unknown>;
type Json = Record<string, unknown>;

export interface Place {
  readonly target: RawTarget;
  readonly hooks: HookServer;
  readonly noted: Noted;
  /** An address of this machine, not on loopback, and the port there that stands for a pod's. */
  readonly address: string;
  readonly podPort: number;
  /** Of the board's kubelet, where it is reached by that. */
  readonly kubeletPort: number;
  /** Waits until what was configured is in force. */
  settle(): Promise<void>;
}

const core = "/api/v1/namespaces/connected";
const registration = "/apis/admissionregistration.k8s.io";

interface Case {
  readonly name: string;
  readonly connection: Connection;
  readonly interferences: readonly Interference[];
}

const cases: readonly Case[] = Object.entries(connections).flatMap(([kind, connection]) =>
  Object.entries(interferencesOf(connection)).map(([how, interferences]) => ({
    name: `${kind}-${how}`,
    connection,
    interferences,
  })),
);

export async function answersOf(place: Place): Promise<Answers> {
  await setUp(place);
  for (const each of cases)
    for (const [index, interference] of each.interferences.entries())
      await configure(place, each, `${each.name}-${index}`, interference);
  await place.settle();
  const answers: Answers = {};
  for (const each of cases) answers[each.name] = await connect(place, each);
  return answers;
}

async function send(
  { target }: Place,
  method: string,
  path: string,
  body: Json,
  type = "application/json",
): Promise<void> {
  const headers = [`Content-Type: ${type}`, "Connection: close"];
  const { status, body: said } = readAnswer(
    await exchange(target, { method, path, headers, body: JSON.stringify(body) }),
  );
  if (!/ 20[01] /.test(status)) throw new Error(`${path}: ${status} ${JSON.stringify(said)}`);
}

async function setUp(place: Place): Promise<void> {
  const { address, kubeletPort } = place;
  await send(place, "POST", "/api/v1/namespaces", {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: "connected" },
  });
  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } };
  await send(place, "POST", `${core}/serviceaccounts`, account);
  for (const { name, connection } of cases) {
    if (connection.resource === "nodes") await addNode(place, name, kubeletPort);
  }
  await addNode(place, "board", kubeletPort);
  const containers = ["main", "side"].map((name) => ({ name, image: "a" }));
  for (const { name, connection } of cases) {
    if (connection.resource !== "pods") continue;
    const spec = { nodeName: "board", automountServiceAccountToken: false, containers };
    await send(place, "POST", `${core}/pods`, { apiVersion: "v1", kind: "Pod", metadata: { name }, spec });
    const status = { phase: "Running", podIP: address, podIPs: [{ ip: address }] };
    await send(place, "PATCH", `${core}/pods/${name}/status`, { status }, "application/merge-patch+json");
  }
}

async function addNode(place: Place, name: string, kubeletPort: number): Promise<void> {
  await send(place, "POST", "/api/v1/nodes", { apiVersion: "v1", kind: "Node", metadata: { name } });
  const status = {
    addresses: [{ type: "InternalIP", address: place.address }],
    daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
  };
  await send(place, "PATCH", `/api/v1/nodes/${name}/status`, { status }, "application/merge-patch+json");
}

/** In force for connections to what has the case's name alone. */
async function configure(place: Place, each: Case, name: string, interference: Interference): Promise<void> {
  const { resource, subresource } = each.connection;
  const rule = {
    operations: ["CONNECT"],
    apiGroups: [""],
    apiVersions: ["v1"],
    resources: [`${resource}/${subresource}`],
  };
  const isThis = { name: "this", expression: `request.name.split(':')[0] == '${each.name}'` };
  if (interference.kind === "none") return;
  if (interference.kind === "webhook") {
    const { mutating, said, fields = {} } = interference;
    const kind = mutating ? "MutatingWebhookConfiguration" : "ValidatingWebhookConfiguration";
    const { matchConditions = [] } = fields as { matchConditions?: object[] };
    const url = `${place.hooks.url}/respond/${Buffer.from(JSON.stringify(said)).toString("base64url")}`;
    await send(place, "POST", `${registration}/v1/${kind.toLowerCase()}s`, {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind,
      metadata: { name },
      webhooks: [
        {
          name: `${name}.hooks.test`,
          clientConfig: { url, caBundle: place.hooks.caBundle },
          rules: [rule],
          sideEffects: "None",
          admissionReviewVersions: ["v1"],
          ...fields,
          matchConditions: [isThis, ...matchConditions],
        },
      ],
    });
    return;
  }
  const { mutating, spec } = interference;
  const kind = mutating ? "MutatingAdmissionPolicy" : "ValidatingAdmissionPolicy";
  const version = mutating ? "v1beta1" : "v1";
  const plural = `${registration}/${version}/${mutating ? "mutatingadmissionpolicies" : "validatingadmissionpolicies"}`;
  const apiVersion = `admissionregistration.k8s.io/${version}`;
  await send(place, "POST", plural, {
    apiVersion,
    kind,
    metadata: { name },
    spec: {
      matchConstraints: { resourceRules: [rule] },
      matchConditions: [isThis],
      ...(mutating ? { reinvocationPolicy: "Never" } : {}),
      ...spec,
    },
  });
  await send(place, "POST", `${plural.replace(/ies$/, "ybindings")}`, {
    apiVersion,
    kind: `${kind}Binding`,
    metadata: { name },
    spec: { policyName: name, ...(mutating ? {} : { validationActions: ["Deny"] }) },
  });
}

async function connect(place: Place, { name, connection }: Case): Promise<unknown> {
  const { resource, subresource, query } = connection;
  const isProxy = subresource === "proxy";
  const root = resource === "nodes" ? "/api/v1/nodes" : `${core}/${resource}`;
  const port = resource === "pods" && isProxy ? `:${place.podPort}` : "";
  const answer = readAnswer(
    await exchange(place.target, {
      method: isProxy ? "GET" : "POST",
      path: `${root}/${name}${port}/${subresource}${query}`,
      headers: isProxy
        ? ["Connection: close"]
        : ["Connection: Upgrade", "Upgrade: SPDY/3.1", "X-Stream-Protocol-Version: v4.channel.k8s.io"],
    }),
  );
  const warnings = answer.headers.filter((line) => line.startsWith("warning:"));
  const text = JSON.stringify({
    // Servers have other words for it, too.
    code: Number(answer.status.split(" ")[1]),
    ...(warnings.length > 0 ? { warnings } : {}),
    said: withoutReason(answer.body),
    came: place.noted.taken().map(comparable),
  });
  const shown = place.hooks
    .comparable(text)
    .replaceAll(`:${place.podPort}`, ":POD")
    .replaceAll(place.address, "ADDRESS");
  return JSON.parse(shown);
}

/** That the server behind does not know an upgrade is said to be an internal error here, and by upstream's server nothing more. */
function withoutReason(body: unknown): unknown {
  const { message = "" } = (body ?? {}) as { message?: string };
  return message.startsWith("invalid upgrade response") ? message : body;
}

/** In what order parameters are sent is nobody's business. */
function comparable(line: string): string {
  const [method = "", target = "", version = ""] = line.split(" ");
  const [path = "", query = ""] = target.split("?");
  const parameters = query === "" ? "" : `?${query.split("&").sort().join("&")}`;
  return [method, path + parameters, version].join(" ");
}
