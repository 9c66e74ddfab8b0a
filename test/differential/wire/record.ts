/**
 * Asks upstream's kube-apiserver (upstream.sh, with its default admission) and writes its answers:
 *   UPSTREAM_ADMISSION=default test/differential/upstream.sh DIR
 *   bun test/differential/wire/record.ts DIR; test/differential/upstream.sh DIR stop
 * Names of groups that build on no other ones, after DIR, record those alone.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { answerOf, type WireAnswer } from "./answer.ts";
import { allAnswers, saveAnswers } from "./recording.ts";
import { sendGroup, type Target } from "./request.ts";
import { groups } from "./requests.ts";

const [folder = "", ...only] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const target: Target = {
  url: read("url"),
  headers: { authorization: `Bearer ${read("token")}` },
  tls: { ca: read("ca.crt") },
};

const answers = new Map<string, WireAnswer>(only.length > 0 ? allAnswers() : []);
for (const group of groups.filter(({ name }) => only.length === 0 || only.includes(name))) {
  await sendGroup(target, group, async (request, sent, response) => {
    answers.set(request.name, await answerOf(response, sent, request));
  });
  console.log(group.name, answers.size);
}
for (const { name } of groups[0]?.requests ?? []) {
  const answer = answers.get(name);
  if (answer && answer.code !== 201) console.error(name, JSON.stringify(answer));
}
// What is not asked any more is forgotten.
const asked = new Set(groups.flatMap(({ requests }) => requests.map(({ name }) => name)));
saveAnswers(new Map([...answers].filter(([name]) => asked.has(name))));
