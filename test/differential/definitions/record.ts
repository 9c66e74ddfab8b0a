/**
 * Asks upstream's kube-apiserver and writes its answers to answers.json:
 *   test/differential/upstream.sh DIR && bun test/differential/definitions/record.ts DIR && test/differential/upstream.sh DIR stop
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sendInOrder } from "../in-order.ts";
import { cornerRequests } from "./corner-requests.ts";
import { costRequests } from "./cost-requests.ts";
import { discoveryRequests } from "./discovery-requests.ts";
import { failureRequests } from "./failure-requests.ts";
import { formRequests } from "./form-requests.ts";
import { selectableRequests } from "./selectable-requests.ts";
import { toldBy } from "./told.ts";

const [folder = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const [url, ca, token] = [read("url"), read("ca.crt"), read("token")];

const fetched = (path: string, init: RequestInit): Promise<Response> => {
  const headers = { ...(init.headers as Record<string, string>), authorization: `Bearer ${token}` };
  return fetch(url + path, { ...init, headers, tls: { ca } } as RequestInit);
};
const answers = await sendInOrder(
  [
    ...costRequests,
    ...cornerRequests,
    ...formRequests(),
    ...failureRequests(),
    ...discoveryRequests,
    ...selectableRequests,
  ],
  fetched,
  toldBy,
);
writeFileSync(join(import.meta.dir, "answers.json"), `${JSON.stringify(answers, undefined, 1)}\n`);
