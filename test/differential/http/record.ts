/**
 * Asks upstream's kube-apiserver and writes its answers:
 *   UPSTREAM_ADMISSION=default test/differential/upstream.sh DIR
 *   bun test/differential/http/record.ts DIR; test/differential/upstream.sh DIR stop
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { saveAnswers } from "../wire/recording.ts";
import type { Target } from "../wire/request.ts";
import { answersTo, prepare } from "./comparison.ts";
import { groups } from "./requests.ts";

const [folder = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const target: Target = {
  url: read("url"),
  headers: { authorization: `Bearer ${read("token")}` },
  tls: { ca: read("ca.crt") },
};

await prepare(target);
const answers: (readonly [string, unknown])[] = [];
const failures: unknown[] = [];
for (const group of groups) {
  answers.push(...(await answersTo(target, group, (failure) => failures.push(failure))));
  console.log(group.name, answers.length);
}
saveAnswers(new Map(answers), join(import.meta.dir, "answers.json.br"));
for (const failure of failures) console.error(failure);
process.exit(failures.length === 0 ? 0 : 1);
