/**
 * Asks upstream's kube-apiserver for its OpenAPI documents and writes what is compared:
 *   test/differential/upstream.sh DIR && bun test/differential/openapi/record.ts DIR && test/differential/upstream.sh DIR stop
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Fetch, fetchDocuments } from "./documents.ts";
import { saveRecording } from "./recording.ts";
import { fetchAnswers } from "./requests.ts";

const [folder = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const [url, ca, authorization] = [read("url"), read("ca.crt"), `Bearer ${read("token")}`];
const fetched: Fetch = (path, init) =>
  fetch(url + path, { ...init, headers: { ...(init?.headers as object), authorization }, tls: { ca } } as RequestInit);
const documents = await fetchDocuments(fetched);
saveRecording({ documents, answers: await fetchAnswers(fetched) });
