/**
 * Asks upstream's kube-apiserver (upstream.sh, with its default admission) and writes its answers:
 *   UPSTREAM_ADMISSION=default test/differential/upstream.sh DIR
 *   bun test/differential/stored/record.ts DIR; test/differential/upstream.sh DIR stop
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { answerOf, type WireAnswer } from "../wire/answer.ts";
import { saveAnswers } from "../wire/recording.ts";
import { sendGroup, type Target, type WireRequest } from "../wire/request.ts";
import { world } from "../wire/world.ts";
import { answersFile } from "./answers-file.ts";
import { casesOf, kinds } from "./requests.ts";
import { seed } from "./seeding.ts";
import { upstreamStore } from "./upstream-store.ts";

const [folder = ""] = process.argv.slice(2);
const read = (name: string): string => readFileSync(join(folder, name), "utf8").trim();
const url = read("url");
const target: Target = {
  url,
  headers: { authorization: `Bearer ${read("token")}` },
  tls: { ca: read("ca.crt") },
};
const etcd = new URL(url);
const store = upstreamStore(`http://${etcd.hostname}:${Number(etcd.port) + 1}`);
const answers = new Map<string, WireAnswer>();

const ask = async (
  name: string,
  requests: readonly WireRequest[],
  inOrder = false,
): Promise<Map<string, WireAnswer>> => {
  const found = new Map<string, WireAnswer>();
  await sendGroup(target, { name, requests, inOrder }, async (request, sent, response) => {
    found.set(request.name, await answerOf(response, sent, request));
  });
  return found;
};

await ask(world.name, world.requests, true);
for (const kind of kinds) {
  const cases = casesOf(kind);
  const created = await ask(
    kind.sample,
    cases.map(({ create }) => create),
  );
  const refused = cases.filter(({ create, isOlder }) => isOlder || created.get(create.name)?.code === 422);
  await seed(target, store, kind, refused);
  const written = await ask(
    kind.sample,
    refused.flatMap(({ writes }) => writes),
  );
  for (const [name, answer] of written) answers.set(name, answer);
  const codes = [...written.values()].map(({ code }) => code);
  console.log(
    kind.sample,
    refused.length,
    Object.fromEntries(
      Map.groupBy(codes, (code) => code)
        .entries()
        .map(([code, all]) => [code, all.length]),
    ),
  );
}
saveAnswers(answers, answersFile);
