/**
 * Asks upstream's kube-apiserver (upstream.sh, with its default admission) and writes its answers and documents:
 *   UPSTREAM_ADMISSION=default UPSTREAM_FLAGS="--feature-gates=MutatingAdmissionPolicy=true --runtime-config=admissionregistration.k8s.io/v1beta1=true" \
 *     test/differential/upstream.sh DIR
 *   bun test/differential/mutating-policies/record.ts DIR; test/differential/upstream.sh DIR stop
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { recordGroups } from "../wire/record-groups.ts";
import { answersFile } from "./answers-file.ts";
import { fetchDocuments, saveDocuments } from "./documents.ts";
import { groups } from "./requests.ts";

const [folder = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const [url, ca, authorization] = [read("url"), read("ca.crt"), `Bearer ${read("token")}`];
await recordGroups(folder, { groups, answersFile, makes: /^(samples|tables|people .*)$/ });
saveDocuments(
  await fetchDocuments((path, init) =>
    fetch(url + path, { ...init, headers: { authorization }, tls: { ca } } as RequestInit),
  ),
);
