/**
 * Asks upstream's kube-apiserver and writes its answers to answers.json:
 *   test/differential/upstream.sh DIR && bun test/differential/custom-resources/record.ts DIR && test/differential/upstream.sh DIR stop
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Answer,
  answerOf,
  definition,
  faultyDefinitions,
  type Request,
  requests,
  sent,
  served,
} from "./requests.ts";

const [folder = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const [url, ca, token] = [read("url"), read("ca.crt"), read("token")];

function ask(
  path: string,
  init: { method?: string; body?: string; headers?: Record<string, string> } = {},
): Promise<Response> {
  const headers = { ...init.headers, authorization: `Bearer ${token}` };
  return fetch(url + path, { ...init, headers, tls: { ca } } as RequestInit);
}

const answers: Record<string, Answer> = {};
async function record(request: Request): Promise<void> {
  answers[request.name] = await answerOf(await ask(request.path, sent(request)));
}

const namespace = JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name: "work" } });
await ask("/api/v1/namespaces", { method: "POST", body: namespace, headers: { "content-type": "application/json" } });
for (const request of faultyDefinitions) await record(request);
await record(definition);
while ((await ask(served)).status !== 200) await Bun.sleep(100);
for (const request of requests) await record(request);
writeFileSync(join(import.meta.dir, "answers.json"), `${JSON.stringify(answers, undefined, 1)}\n`);
