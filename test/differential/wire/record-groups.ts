import { readFileSync } from "node:fs";
import { join } from "node:path";
import { answerOf, type WireAnswer } from "./answer.ts";
import { saveAnswers } from "./recording.ts";
import { sendGroup, type Target, type WireGroup } from "./request.ts";

export interface Recording {
  readonly groups: readonly WireGroup[];
  /** Where the answers go. */
  readonly answersFile: string;
  /** Groups whose requests must succeed, since others ask about what they make: refusals are printed. */
  readonly makes?: RegExp;
}

/** Asks upstream's kube-apiserver, as upstream.sh has left its address and credentials in the folder, and writes its answers. */
export async function recordGroups(folder: string, { groups, answersFile, makes }: Recording): Promise<void> {
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
      if (makes?.test(group.name) && answer.code >= 300) console.error(request.name, JSON.stringify(answer));
    });
  console.log(answers.size, Object.fromEntries(codes));
  saveAnswers(answers, answersFile);
}
