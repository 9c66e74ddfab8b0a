/**
 * Asks upstream's kube-apiserver (upstream.sh, with its default admission) and writes its answers:
 *   UPSTREAM_ADMISSION=default test/differential/upstream.sh DIR
 *   bun test/differential/fields/record.ts DIR; test/differential/upstream.sh DIR stop
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { answerOf, type WireAnswer } from "../wire/answer.ts";
import { saveAnswers } from "../wire/recording.ts";
import { sendGroup, type Target } from "../wire/request.ts";
import { answersFile } from "./answers-file.ts";
import { groups } from "./requests.ts";

const [folder = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const target: Target = {
  url: read("url"),
  headers: { authorization: `Bearer ${read("token")}` },
  tls: { ca: read("ca.crt") },
};

const answers = new Map<string, WireAnswer>();
const codes = new Map<number, number>();
for (const group of groups)
  await sendGroup(target, group, async (request, sent, response) => {
    const answer = await answerOf(response, sent, request);
    answers.set(request.name, answer);
    codes.set(answer.code, (codes.get(answer.code) ?? 0) + 1);
  });
console.log(answers.size, Object.fromEntries(codes));
saveAnswers(answers, answersFile);
