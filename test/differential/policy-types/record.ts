/**
 * Asks upstream's API server and writes what its controller manager finds in policies to answers.json. DIR is as upstream.sh
 * makes it, and kube-controller-manager runs beside it with --controllers=validatingadmissionpolicy-status-controller:
 *   bun test/differential/policy-types/record.ts DIR
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Ask, checked, createDefinition, policies } from "./cases.ts";

const [folder = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const [url, ca, token] = [read("url"), read("ca.crt"), read("token")];

const ask: Ask = (path, init) =>
  fetch(url + path, {
    ...init,
    headers: { ...init?.headers, authorization: `Bearer ${token}` },
    tls: { ca },
  } as RequestInit);

await createDefinition(ask);
const answers: Record<string, object> = {};
for (const policy of policies) answers[policy.name] = await checked(ask, policy);
writeFileSync(join(import.meta.dir, "answers.json"), `${JSON.stringify(answers, undefined, 1)}\n`);
