/** A pod in front of one server, a Service without any, and all requests to them. */
import { exchange, type RawAnswer, type RawTarget, readAnswer } from "./raw-request.ts";
import { requests } from "./requests.ts";

export type Answers = Record<string, RawAnswer>;
type Json = Record<string, unknown>;

const AT_ONCE = 16;
const core = "/api/v1/namespaces";

export async function answersOf(target: RawTarget, address: string, port: number): Promise<Answers> {
  const post = async (path: string, body: Json): Promise<void> => {
    const headers = ["Content-Type: application/json", "Connection: close"];
    const { status, body: said } = readAnswer(
      await exchange(target, { method: "POST", path, headers, body: JSON.stringify(body) }),
    );
    if (!status.includes(" 201 ")) throw new Error(`${path}: ${status} ${JSON.stringify(said)}`);
  };
  await setUp(post, port);
  const status = { phase: "Running", podIP: address, podIPs: [{ ip: address }] };
  await exchange(target, {
    method: "PATCH",
    path: `${core}/proxied/pods/web/status`,
    headers: ["Content-Type: application/merge-patch+json", "Connection: close"],
    body: JSON.stringify({ status }),
  });
  const own = (text: string): string => text.replaceAll("PORT", String(port));
  const answers: Answers = {};
  const waiting = [...requests];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { name, path, ...rest } = next;
      answers[name] = normalized(readAnswer(await exchange(target, { ...rest, path: own(path) })), address, port);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return answers;
}

async function setUp(post: (path: string, body: Json) => Promise<void>, port: number): Promise<void> {
  const pod = (name: string, spec: Json): Json => ({ apiVersion: "v1", kind: "Pod", metadata: { name }, spec });
  const container = { name: "web", image: "a", ports: [{ name: "http", containerPort: port }] };
  await post(core, { apiVersion: "v1", kind: "Namespace", metadata: { name: "proxied" } });
  await post("/api/v1/nodes", { apiVersion: "v1", kind: "Node", metadata: { name: "node-a" } });
  await post(`${core}/proxied/pods`, pod("web", { nodeName: "node-a", containers: [container] }));
  await post(`${core}/proxied/pods`, pod("waiting", { containers: [container] }));
  await post(`${core}/proxied/services`, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web" },
    spec: { ports: [{ name: "web", port: 80 }] },
  });
}

function normalized(answer: RawAnswer, address: string, port: number): RawAnswer {
  const text = JSON.stringify(sortedHead(answer))
    .replaceAll(`${address}:${port}`, "HOST")
    .replaceAll(new RegExp(`\\b${port}\\b`, "g"), "PORT")
    .replaceAll(address, "ADDRESS")
    // The page is as long as the port is.
    .replace(/("content-length: )\d+"/, '$1LENGTH"');
  return JSON.parse(text) as RawAnswer;
}

/** Of the connection between the two servers. */
const ofHop = /^(connection: close|accept-encoding: gzip)$/;

/** In what order headers come to a server is nobody's business. */
function sortedHead(answer: RawAnswer): RawAnswer {
  const { head, ...rest } = (answer.body ?? {}) as { head?: string[] };
  if (!Array.isArray(head)) return answer;
  const [first = "", ...lines] = head;
  const seen = lines.map((line) => line.replace(/^[^:]*/, (name) => name.toLowerCase()));
  return { ...answer, body: { ...rest, head: [first, ...seen.filter((line) => !ofHop.test(line)).sort()] } };
}
